"""How far back a network looked: what is sent, and what is said."""

import numpy as np
import pytest

from core.inspection import Attribution, Target
from tests.ui.test_inside import pictures_of
from ui.looking_back import Back, brightest, how_far, look_back, shown, what_is_left

RNG = np.random.default_rng(0)
MAPS = RNG.normal(size=(3, 64, 64)).astype(np.float32)
TARGET = Target(2, 30, 31)


class Gradients:
    def gradient_times_input(self, frames, target):
        return Attribution(MAPS, 0.7, float("nan"))

    def integrated_gradients(self, frames, target):
        return Attribution(MAPS, 0.7, 0.1)


def test_gradients_are_summed_over_each_frame():
    back = look_back(Gradients(), None, TARGET, "gradient")
    np.testing.assert_allclose(back.frames, np.abs(MAPS).sum((1, 2)), rtol=1e-6)
    assert back.gap is None
    assert what_is_left(back, True) == ""


def test_integrated_gradients_say_what_they_leave_unexplained():
    back = look_back(Gradients(), None, TARGET, "integrated")
    np.testing.assert_allclose(back.frames, MAPS.sum((1, 2), dtype=np.float64), rtol=1e-6)
    assert back.gap == pytest.approx(0.6 - MAPS.sum(dtype=np.float64), rel=1e-6)
    assert what_is_left(back, False).startswith("The pixel is 0.70.")
    assert what_is_left(back, False).endswith("is left: the error of a sum of few steps.")
    assert "comparisons" in what_is_left(back, True)


class Copying:
    """Predicts each frame to be the last one once more."""

    class config:  # noqa: N801 - as a predictor calls it
        head = "causal"

    def next_frames(self, frames):
        return frames[:, :-1]


def test_occlusion_finds_the_one_frame_that_is_copied():
    frames = np.full((1, 5, 64, 64, 1), 0.5, np.float32)
    gradients = Gradients()
    gradients.predictor = Copying()
    back = look_back(gradients, frames, TARGET, "occlusion")
    np.testing.assert_allclose(back.frames, [0, 0, 0.5])
    assert list(back.maps) == [2]
    assert np.argwhere(back.maps[2]).tolist() == [[3, 3]]
    assert how_far(back) == "The last frame has 100% of all the influence on it."


def test_maps_are_sent_with_one_scale_around_zero():
    back = Back({0: np.array([[0.0, -2.0]]), 1: np.array([[1.0, 0.5]])}, np.array([-2.0, 1.5]), 0.5)
    sent = shown(back)
    assert (sent["limit"], sent["largest"], sent["frames"]) == (2.0, 2.0, [-2.0, 1.5])
    square = shown(Back({4: MAPS[0]}, np.ones(5), 0.5))["maps"][4]
    drawn = pictures_of(square["sprite"], square["side"])[0]
    np.testing.assert_allclose((drawn - 128.0) / 127, MAPS[0] / np.abs(MAPS[0]).max(), atol=0.5 / 127)


def test_nothing_is_no_division():
    sent = shown(Back({0: np.zeros((2, 2))}, np.zeros(1), 0.0))
    assert (sent["limit"], sent["largest"]) == (0.01, 1.0)
    for small in (0.0, 0.009):
        back = Back({0: np.full((2, 2), small)}, np.full(3, small), 0.0)
        assert how_far(back) == "Nothing in any frame moved this pixel by as much as 0.01."
    assert shown(back)["limit"] == 0.01


def test_how_far_is_said_in_frames():
    assert how_far(Back({}, np.array([0.0, 0.4, 0.6]), 0.0)) == (
        "The last frame has 60% of all the influence on it; the last 2 together have nine tenths."
    )
    assert how_far(Back({}, np.array([0.0, 1.0]), 0.0), without_matches=True) == (
        "Without what it learned by comparing frames, the last frame has 100% of all the influence on it."
    )


def test_of_a_pixel_that_frames_keep_dark_it_is_said():
    assert how_far(Back({}, np.array([0.1, -0.3]), 0.0)) == (
        "It would be brighter without them: they keep it dark. The last frame has 75% of all the influence "
        "on it; the last 2 together have nine tenths."
    )


def test_the_brightest_pixel_is_asked_about_first():
    picture = np.zeros((64, 64))
    picture[7, 50] = 1
    assert brightest(picture) == (7, 50)
