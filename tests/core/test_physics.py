"""Wrong place, wrong amount, blurred: each figure answers one question and keeps still for the others."""

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from core import physics


def blob():
    """A picture of two frames with ink far from the edges."""
    frames = np.zeros((2, 32, 32))
    frames[0, 10:16, 12:20] = 1.0
    frames[1, 14:18, 8:24] = 0.5
    return frames


def test_by_hand():
    truth, predicted = np.zeros((1, 5, 6)), np.zeros((1, 5, 6))
    truth[0, 1, 1] = truth[0, 1, 3] = 1.0  # centre (1, 2), mass 2, four steps of 1 each
    predicted[0, 4, 4] = 1.0  # in the second last column of the last row: left, right and above
    figures = physics.per_frame(truth, predicted)
    assert figures["centroid_px"] == pytest.approx(np.hypot(3, 2))
    assert figures["mass_ratio"] == pytest.approx(0.5)
    assert figures["sharpness_ratio"] == pytest.approx(3 / 8)


def test_the_truth_itself_is_right_in_all():
    figures = physics.per_frame(blob(), blob())
    assert set(figures) == set(physics.PHYSICS)
    np.testing.assert_allclose(figures["centroid_px"], 0)
    np.testing.assert_allclose(figures["mass_ratio"], 1)
    np.testing.assert_allclose(figures["sharpness_ratio"], 1)


@pytest.mark.parametrize("shift", [(3, 4), (-2, 0)])
def test_moving_the_ink_is_wrong_place_and_nothing_else(shift):
    figures = physics.per_frame(blob(), np.roll(blob(), shift, axis=(1, 2)))
    np.testing.assert_allclose(figures["centroid_px"], np.hypot(*shift))
    np.testing.assert_allclose(figures["mass_ratio"], 1)
    np.testing.assert_allclose(figures["sharpness_ratio"], 1)


def test_blurring_is_blurry_and_nothing_else():
    blurred = uniform_filter(blob(), size=(0, 5, 5), mode="constant")
    figures = physics.per_frame(blob(), blurred)
    np.testing.assert_allclose(figures["centroid_px"], 0, atol=1e-9)
    np.testing.assert_allclose(figures["mass_ratio"], 1)
    assert (figures["sharpness_ratio"] < 0.5).all()


def test_fading_shows_in_the_mass():
    figures = physics.per_frame(blob(), 0.5 * blob())
    np.testing.assert_allclose(figures["mass_ratio"], 0.5)
    np.testing.assert_allclose(figures["sharpness_ratio"], 0.25)
    np.testing.assert_allclose(figures["centroid_px"], 0, atol=1e-9)


def test_an_empty_frame_has_its_centre_in_the_middle_and_no_ratio_to_it():
    empty = np.zeros((4, 7))
    np.testing.assert_array_equal(physics.centroid(empty), [1.5, 3.0])
    np.testing.assert_allclose(physics.centroid(empty + 0.01), [1.5, 3.0])
    ink = empty.copy()
    ink[0, 0] = 1.0
    nothing = physics.per_frame(ink, empty)
    assert nothing["centroid_px"] == pytest.approx(np.hypot(1.5, 3))
    assert nothing["mass_ratio"] == nothing["sharpness_ratio"] == 0
    assert physics.per_frame(empty, empty)["centroid_px"] == 0
    assert np.isnan(physics.per_frame(empty, ink)["mass_ratio"])


def test_overshoot_is_clipped():
    frames = blob()[:1]
    np.testing.assert_allclose(physics.per_frame(frames, 3 * frames - 1)["mass_ratio"], 1)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros(3), r"truth must be \(..., height, width\), none of them 0; got \(3,\)"),
        (np.zeros((0, 4)), "none of them 0"),
        (np.zeros((4, 4), np.uint8), r"truth must be floats in \[0, 1\]; got uint8"),
        (np.full((4, 4), 1.5), r"truth must be floats in \[0, 1\]; got 1.5 to 1.5"),
        (np.full((4, 4), np.nan), "got nan to nan"),
        (np.zeros((4, 5)), r"must have one shape; got \(4, 5\) and \(4, 4\)"),
    ],
)
def test_what_cannot_be_compared_is_refused(frames, message):
    with pytest.raises(ValueError, match=message):
        physics.mass_ratio(frames, np.zeros((4, 4)))
