"""Trajectories, rendering, the training sampler and the benchmark set."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.generator import plain_path
from core.digits import load_digits
from core.moving_mnist import (
    BENCHMARK_SEQUENCES,
    benchmark_clips,
    benchmark_positions,
    benchmark_stamps,
    benchmark_velocities,
    bounce_positions,
    calm_batch,
    draw_stamps,
    render,
    render_layers,
    scene_velocities,
    standard_corners,
    to_frames,
    training_batch,
    trajectory,
)
from core.scenes import CANVAS, Digit, Scene, random_scene
from tests.core.test_scenes import scenes


@given(scenes())
def test_a_scenes_velocities_lead_from_each_frame_to_the_next(scene):
    path, velocities = trajectory(scene), scene_velocities(scene)
    assert velocities.shape == path.shape
    for frame in range(scene.frames - 1):
        step = bounce_positions(path[frame], velocities[frame], 2, scene.span_px, scene.bounce)[1]
        np.testing.assert_allclose(step, path[frame + 1], atol=1e-9)


class TestTrajectory:
    def test_by_hand_clamp(self):
        # 34 + 3 passes the wall at 36: stop on it, turn, and leave by a whole step
        path = bounce_positions(np.array(30.0), np.array(3.0), 6, 36)
        assert path.tolist() == [30, 33, 36, 33, 30, 27]
        path = bounce_positions(np.array(31.0), np.array(3.0), 5, 36)
        assert path.tolist() == [31, 34, 36, 33, 30]

    def test_by_hand_reflect(self):
        # two of the three px are left over at the wall and come back
        path = bounce_positions(np.array(34.0), np.array(3.0), 4, 36, "reflect")
        assert path.tolist() == [34, 35, 32, 29]
        path = bounce_positions(np.array(1.0), np.array(-3.0), 3, 36, "reflect")
        assert path.tolist() == [1, 2, 5]

    def test_axes_bounce_apart(self):
        scene = Scene((Digit(1, 0, x=35, y=10, vx=2, vy=1),), frames=4)
        assert trajectory(scene)[:, 0].tolist() == [[35, 10], [36, 11], [34, 12], [32, 13]]

    @given(scenes())
    def test_never_leaves_the_canvas_and_never_outruns_its_speed(self, scene):
        path = trajectory(scene)
        assert path.shape == (scene.frames, len(scene.digits), 2)
        assert (path >= 0).all()
        assert (path <= scene.span_px).all()
        velocity = np.array([(digit.vx, digit.vy) for digit in scene.resolved().digits])
        assert (np.abs(np.diff(path, axis=0)) <= np.abs(velocity) + 1e-9).all()

    @given(st.floats(0, 36), st.floats(-10, 10))
    def test_reflect_keeps_the_distance_travelled(self, start, velocity):
        path = bounce_positions(np.array(start), np.array(velocity), 50, 36, "reflect")
        unfolded = start + velocity * np.arange(50)
        folded = [36 - abs(value % 72 - 36) for value in unfolded]
        np.testing.assert_allclose(path, folded, atol=1e-9)

    def test_standard_generator_follows_its_rule_over_thousands_of_trajectories(self):
        clips, frames = 3000, 30
        corners = standard_corners(np.random.default_rng(7), clips, 2, frames)
        rng = np.random.default_rng(7)
        start, angle = rng.uniform(size=(clips, 2, 2)), rng.uniform(0, 2 * np.pi, (clips, 2))
        for clip in range(clips):
            for digit in range(2):
                # the rule as it is stated, one digit and one step at a time
                path = plain_path(*start[clip, digit], angle[clip, digit], frames)
                assert corners[clip, :, digit].tolist() == [list(corner) for corner in path]


class TestRender:
    def test_a_digit_lands_where_its_corner_is(self):
        scene = Scene((Digit(7, 3, x=10.9, y=5, vx=0, vy=0),), frames=2)
        clip = render(scene)
        assert clip.shape == (2, 64, 64)
        assert clip.dtype == np.uint8
        stamp = load_digits("test").exemplar(7, 3)
        np.testing.assert_array_equal(clip[0, 5:33, 10:38], stamp)
        assert clip[0].sum(dtype=int) == stamp.sum(dtype=int)

    def test_overlaps_combine_by_maximum(self):
        scene = random_scene(3, n_digits=4, frames=30)
        np.testing.assert_array_equal(render(scene), render_layers(scene).max(axis=0))

    @given(scenes())
    def test_same_scene_same_bytes(self, scene):
        assert render(scene).tobytes() == render(Scene.from_json(scene.to_json())).tobytes()

    @given(scenes())
    def test_no_ink_is_lost_and_layers_agree_with_a_plain_loop(self, scene):
        scene = scene.resolved()
        path = np.floor(trajectory(scene)).astype(int)
        expected = np.zeros((scene.frames, scene.canvas, scene.canvas), np.uint8)
        for number, digit in enumerate(scene.digits):
            stamp = load_digits(scene.split).exemplar(digit.digit_class, digit.exemplar)
            for frame, (x, y) in enumerate(path[:, number]):
                window = expected[frame, y : y + 28, x : x + 28]
                np.maximum(window, stamp, out=window)
        np.testing.assert_array_equal(render(scene), expected)

    def test_absent_digits_are_not_drawn(self):
        stamps = np.full((2, 2, 28, 28), 9, np.uint8)
        corners = np.zeros((2, 3, 2, 2), int)
        corners[:, :, 1] = 30
        clips = draw_stamps(stamps, corners, present=np.array([[True, False], [True, True]]))
        assert clips[0, :, 30:, 30:].sum() == 0
        assert (clips[1, :, 30:58, 30:58] == 9).all()

    @pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int16, np.uint64])
    def test_corners_of_any_integer_type_are_the_same_place(self, kind):
        stamps = np.full((1, 1, 28, 28), 9, np.uint8)
        corners = np.array([[[[36, 30]]]])
        np.testing.assert_array_equal(draw_stamps(stamps, corners.astype(kind)), draw_stamps(stamps, corners))

    @pytest.mark.parametrize(
        ("corner", "message"),
        [
            ([37, 0], "corners must be 0 to 36 px; got 0 to 37"),
            ([0, -1], "corners must be 0 to 36 px; got -1 to 0"),
            ([0.5, 0], "corners must be integers; got float64"),
        ],
    )
    def test_corners_that_leave_the_picture_are_refused(self, corner, message):
        with pytest.raises(ValueError, match=message):
            draw_stamps(np.zeros((1, 1, 28, 28), np.uint8), np.array([[[corner]]]))

    def test_to_frames_only_scales(self):
        frames = to_frames(np.array([[[0, 51, 255]]], np.uint8))
        np.testing.assert_allclose(frames, [[[0, 0.2, 1]]], rtol=1e-6)
        assert frames.dtype == np.float32
        with pytest.raises(ValueError, match="clips must be uint8; got float64"):
            to_frames(np.zeros((1, 2, 2)))


@pytest.fixture
def one_pixel_digits(monkeypatch):
    """Every digit is a single pixel."""
    from core import moving_mnist

    stamps = np.zeros((1, 28, 28), np.uint8)
    stamps[0, 0, 0] = 255

    class Bank:
        images = stamps

        def __len__(self):
            return 1

    monkeypatch.setattr(moving_mnist, "load_digits", lambda split: Bank())


class TestTrainingBatch:
    def test_shape_and_type(self):
        clips = training_batch(0, 0, batch_size=5, frames=7)
        assert clips.shape == (5, 7, 64, 64)
        assert clips.dtype == np.uint8

    def test_any_step_can_be_made_at_any_time(self):
        again = training_batch(3, 17, batch_size=4, frames=5)
        np.testing.assert_array_equal(training_batch(3, 17, batch_size=4, frames=5), again)
        assert not np.array_equal(training_batch(3, 18, batch_size=4, frames=5), again)
        assert not np.array_equal(training_batch(4, 17, batch_size=4, frames=5), again)

    def test_half_standard_half_varied(self, one_pixel_digits):
        """A frame shows how many digits fly and how far each moves."""
        clips = training_batch(0, 0, batch_size=400, frames=2)
        count = (clips > 0).sum(axis=(2, 3)).max(axis=1)
        assert (count[:200] <= 2).all()
        assert (count[:200] == 2).mean() > 0.98  # two standard digits rarely share a pixel
        share = [(count[200:] == n).mean() for n in (1, 2, 3)]
        assert min(share) > 0.25
        rows, columns = (np.argmax(clips[200:][count[200:] == 1].any(axis=axis), axis=-1) for axis in (3, 2))
        moved = np.hypot(np.diff(rows.astype(int), axis=1), np.diff(columns.astype(int), axis=1))
        assert moved.max() > 5
        assert moved.max() < 7 + math.sqrt(2)

    @pytest.mark.parametrize("share", [0, 0.125, 0.9, 1])
    def test_the_share_of_standard_clips_is_that_asked_for(self, one_pixel_digits, share):
        """Of varied clips a third has two digits, of standard ones nearly all."""
        batches = [
            training_batch(0, step, batch_size=3, frames=3, standard_share=share) for step in range(400)
        ]
        two = np.mean([(clips > 0).sum(axis=(2, 3)).max(axis=1) == 2 for clips in batches])
        assert two == pytest.approx(share + (1 - share) / 3, abs=0.05)

    def test_calm_clips_hardly_move(self):
        clips = calm_batch(0, 0, batch_size=60, frames=5)
        assert (clips.shape, clips.dtype) == ((60, 5, 64, 64), np.uint8)
        np.testing.assert_array_equal(clips, calm_batch(0, 0, batch_size=60, frames=5))
        assert (clips != calm_batch(0, 1, batch_size=60, frames=5)).any()
        # where a digit is alone, its edges tell how far it moved
        edges = np.stack([clips.any(axis=axis).argmax(-1) for axis in (2, 3)]).astype(int)
        assert np.abs(np.diff(edges, axis=-1)).max() == 2
        still = (clips[:, 1:] == clips[:, :-1]).all((-1, -2)).mean()
        usual = training_batch(0, 0, batch_size=60, frames=5)
        assert still > 0.1 > 3 * (usual[:, 1:] == usual[:, :-1]).all((-1, -2)).mean()

    def test_training_uses_training_digits_only(self, monkeypatch):
        from core import moving_mnist

        seen = []
        monkeypatch.setattr(
            moving_mnist, "load_digits", lambda split: seen.append(split) or load_digits(split)
        )
        training_batch(0, 0, batch_size=2, frames=2)
        calm_batch(0, 0, batch_size=2, frames=2)
        assert seen == ["train", "train"]


class TestBenchmarkSet:
    def test_a_clip_is_the_same_in_every_slice(self):
        np.testing.assert_array_equal(benchmark_clips(40, 60)[5:8], benchmark_clips(45, 48))

    def test_clips_are_test_digits_at_their_positions(self):
        clips = benchmark_clips(10, 14)
        positions, stamps = benchmark_positions(10, 14), benchmark_stamps(10, 14)
        np.testing.assert_array_equal(clips, draw_stamps(stamps, positions))
        test_digits = {image.tobytes() for image in load_digits("test").images}
        assert all(stamp.tobytes() in test_digits for stamp in stamps.reshape(-1, 28, 28))

    def test_the_set_never_changes(self):
        """The set is defined by its seed: should this sum move, no figure measured before can be compared."""
        import hashlib

        digest = hashlib.sha256(benchmark_clips(0, 50).tobytes()).hexdigest()
        assert digest.startswith("eec996fb3433f4d3")

    def test_the_last_clip_is_there_and_none_beyond(self):
        assert benchmark_clips(BENCHMARK_SEQUENCES - 1, BENCHMARK_SEQUENCES).shape == (1, 20, CANVAS, CANVAS)
        with pytest.raises(ValueError, match="lies within 0 to 10000; got 9999 to 10001"):
            benchmark_clips(9_999, 10_001)

    def test_speed_is_the_standard_speed(self):
        step = np.diff(benchmark_positions(0, 500).astype(float), axis=1)
        free = step[(np.abs(step) > 0).all(axis=-1)]
        assert np.hypot(*free.T).mean() == pytest.approx(3.6, abs=0.15)


def test_the_benchmark_sets_velocities_lead_from_each_frame_to_the_next():
    """Wherever no wall was touched on the way, a step of the pixel is the velocity, to a pixel."""
    positions, velocities = benchmark_positions(0, 50), benchmark_velocities(0, 50)
    speeds = np.linalg.norm(velocities, axis=-1)
    np.testing.assert_allclose(speeds, 3.6, atol=1e-9)
    ahead = positions[:, :-1] + velocities[:, :-1]
    free = ((ahead > 0) & (ahead < 35)).all(axis=-1)
    off = np.abs(positions[:, 1:] - ahead).max(axis=-1)
    assert free.mean() > 0.5
    assert off[free].max() <= 1
    turned = np.sign(velocities[:, 1:]) != np.sign(velocities[:, :-1])
    assert set(np.unique(positions[:, 1:][turned])) == {0, 36}
