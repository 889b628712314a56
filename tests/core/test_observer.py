"""The ideal observer: its pictures, a person's own scene, and what must hold of any limit."""

from dataclasses import replace

import numpy as np
import pytest

from core import observer
from core.baselines import copy_last
from core.moving_mnist import (
    benchmark_clips,
    benchmark_positions,
    benchmark_stamps,
    render,
    to_frames,
)
from core.scenes import Digit, Scene, preset_scenes


class TestPictures:
    def test_the_mean_by_hand(self):
        stamps = np.zeros((1, 28, 28), np.uint8)
        stamps[0, 0, 0] = 255
        picture = observer.mean_picture(stamps, np.array([[[0, 0]], [[0, 0]], [[5, 3]], [[36, 36]]]))
        expected = np.zeros((64, 64))
        expected[0, 0], expected[3, 5], expected[36, 36] = 0.5, 0.25, 0.25
        np.testing.assert_allclose(picture, expected)

    def test_only_the_past_is_seen(self):
        """Other frames from the 12th on move no prediction of frames before, and no rollout."""
        stamps, corners = benchmark_stamps(0, 1)[0], benchmark_positions(0, 1)[0]
        rng = np.random.default_rng(0)
        next_frames, rollout = observer.predict(stamps, corners, rng, particles=200)
        shorter = observer.predict(stamps, corners[:11], np.random.default_rng(0), particles=200)
        np.testing.assert_array_equal(next_frames[:10], shorter[0])
        np.testing.assert_array_equal(rollout[:1], shorter[1])


class TestScene:
    SCENE = Scene(
        (Digit.from_polar(3, 0, 10, 20, 3.0, 0), Digit.from_polar(7, 1, 30, 4, 5.5, 130)), frames=12
    )

    @pytest.mark.parametrize("bounce", ["clamp", "reflect"])
    def test_after_much_was_seen_it_predicts_nearly_what_comes(self, bounce):
        scene = replace(self.SCENE, bounce=bounce)
        truth = to_frames(render(scene))
        next_frames, rollout = observer.predict_scene(scene, context=8, particles=300)
        assert next_frames.shape == (11, 64, 64)
        assert rollout.shape == (4, 64, 64)
        errors = ((next_frames - truth[1:]) ** 2).sum(axis=(1, 2))
        copied = ((truth[:-1] - truth[1:]) ** 2).sum(axis=(1, 2))
        assert errors.sum() < 0.4 * copied.sum()
        # both have seen frames 0 to 7, and draw what the same particles expect
        np.testing.assert_allclose(rollout[0], next_frames[7], atol=1e-6)

    def test_a_digit_that_rests_holds_no_surprise(self):
        scene = Scene((Digit.from_polar(3, 0, 36, 20, 0, 0),), frames=5)
        next_frames, _ = observer.predict_scene(scene, context=2, particles=50)
        np.testing.assert_allclose(next_frames, to_frames(render(scene))[1:], atol=1e-6)

    @pytest.mark.parametrize("direction", [0, 90, 180, 270])
    def test_whole_pixels_along_the_grid_leave_one_motion(self, direction):
        """No motion next to it reaches the walls when it does; the digit touches both of them."""
        scene = Scene((Digit.from_polar(3, 0, 18, 18, 3.0, direction),), frames=30)
        truth = to_frames(render(scene))
        next_frames, rollout = observer.predict_scene(scene, context=24, particles=100)
        np.testing.assert_allclose(next_frames[-5:], truth[-5:], atol=1e-6)
        np.testing.assert_allclose(rollout, truth[24:], atol=1e-6)

    @pytest.mark.parametrize("frames", [20, 60])
    def test_finds_every_preset(self, frames):
        for scene in preset_scenes().values():
            next_frames, _ = observer.predict_scene(replace(scene, frames=frames), particles=200)
            assert next_frames.shape == (frames - 1, 64, 64)

    def test_other_canvases_have_other_walls(self):
        scene = Scene((Digit.from_polar(3, 0, 3, 20, 3.6, 180),), frames=4, canvas=96)
        next_frames, _ = observer.predict_scene(scene, context=2, particles=50)
        assert next_frames.shape == (3, 96, 96)

    def test_a_long_scene_is_refused(self):
        with pytest.raises(ValueError, match="scenes of 60 frames at most; got 61"):
            observer.predict_scene(replace(self.SCENE, frames=61))


class TestScores:
    def test_is_far_ahead_of_copying_and_sharpens_as_it_sees_more(self):
        report = observer.observe(4, particles=200)
        steps = report["next_frame"]["per_step"]["mse_sum"]
        truth = to_frames(benchmark_clips(0, 4))
        copied = ((copy_last(truth) - truth[:, 1:]) ** 2).sum(axis=(2, 3)).mean(axis=0)
        assert (np.array(steps) < copied).all()
        assert np.mean(steps[10:]) < np.mean(steps[1:5]) < steps[0]
        assert report["rollout"]["first_target"] == 10
        without = report["next_frame"]["without_first_prediction"]
        assert without["mse_sum"] == pytest.approx(np.mean(steps[1:]))

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"context": 20}, "context must be 1 to 19; got 20"),
            ({"particles": 1}, "particles must be 2 or more; got 1"),
        ],
    )
    def test_what_cannot_be_is_refused(self, settings, message):
        with pytest.raises(ValueError, match=message):
            observer.predict(
                benchmark_stamps(0, 1)[0], benchmark_positions(0, 1)[0], np.random.default_rng(0), **settings
            )
