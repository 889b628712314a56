"""Metrics against values worked out by hand, against scikit-image, and against their own definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import metrics as reference

from core import metrics

FRAME = 8  # px; small, and larger than the SSIM window


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape)


unit_pair = st.integers(0, 2**32 - 1).map(lambda seed: noise(2, 2, 3, FRAME, FRAME, seed=seed))


# --- alignment


def test_next_frame_prediction_k_is_of_frame_k_plus_1():
    clip = np.arange(5, dtype=np.uint8)[:, None, None] * np.ones((1, FRAME, FRAME), np.uint8)
    truth = metrics.align(clip, np.zeros((4, FRAME, FRAME)))
    np.testing.assert_allclose(truth[:, 0, 0] * 255, [1, 2, 3, 4], atol=1e-5)


def test_rollout_starts_after_its_context():
    clip = noise(2, 20, FRAME, FRAME)
    truth = metrics.align(clip, np.zeros((2, 10, FRAME, FRAME)), first_target=10)
    np.testing.assert_array_equal(truth, clip[:, 10:])


@pytest.mark.parametrize(("first_target", "predicted"), [(1, 19), (10, 10), (5, 3)])
def test_an_oracle_scores_no_error(first_target, predicted):
    clip = np.random.default_rng(1).integers(0, 256, (3, 20, FRAME, FRAME), dtype=np.uint8)
    oracle = clip.astype(np.float32)[:, first_target : first_target + predicted] / np.float32(255)
    scores = metrics.per_frame(metrics.align(clip, oracle, first_target), oracle)
    for name in ("mse", "mae", "mse_sum", "mae_sum"):
        assert (scores[name] == 0).all(), name
    assert (scores["psnr"] == metrics.PSNR_CAP_DB).all()
    np.testing.assert_allclose(scores["ssim"], 1.0, atol=1e-12)


@pytest.mark.parametrize("shift", [-1, 1])
def test_an_oracle_off_by_one_is_seen(shift):
    clip = noise(2, 12, FRAME, FRAME)
    late = clip[:, 5 + shift : 10 + shift]
    assert metrics.per_frame(metrics.align(clip, late, first_target=5), late)["mse"].min() > 0.01


@pytest.mark.parametrize(
    ("clip_shape", "predictions_shape", "first_target", "text"),
    [
        (
            (5, 8, 8),
            (5, 8, 8),
            1,
            r"predictions of frames 1 to 5 need a clip of 6 frames or more; got 5 pred",
        ),
        (
            (2, 20, 8, 8),
            (2, 11, 8, 8),
            10,
            "need a clip of 21 frames or more; got 11 predictions and 20 frames",
        ),
        ((5, 8, 8), (0, 8, 8), 1, "got 0 predictions"),
        ((5, 8, 8), (2, 8, 8), 0, "first_target must be 1 or more; got 0"),
        ((5, 8, 8), (2, 8, 9), 1, r"must agree in batch, height and width; got \(5, 8, 8\) and \(2, 8, 9\)"),
        ((3, 5, 8, 8), (2, 4, 8, 8), 1, "must agree in batch"),
        ((3, 5, 8, 8), (3, 4, 8, 8, 1), 1, "without the channel axis; got"),
        ((8, 8), (8, 8), 1, "without the channel axis"),
    ],
)
def test_align_says_what_does_not_fit(clip_shape, predictions_shape, first_target, text):
    with pytest.raises(ValueError, match=text):
        metrics.align(np.zeros(clip_shape), np.zeros(predictions_shape), first_target)


# --- values worked out by hand


def test_constant_error_by_hand():
    truth = np.full((1, 1, FRAME, FRAME), 0.5)
    scores = metrics.per_frame(truth, truth + 0.1)
    assert scores["mse"][0, 0] == pytest.approx(0.01)
    assert scores["mae"][0, 0] == pytest.approx(0.1)
    assert scores["mse_sum"][0, 0] == pytest.approx(0.64)
    assert scores["mae_sum"][0, 0] == pytest.approx(6.4)
    assert scores["psnr"][0, 0] == pytest.approx(20.0)
    # Flat frames: only the luminance term is left, (2ab + c1) / (a^2 + b^2 + c1).
    assert scores["ssim"][0, 0] == pytest.approx((2 * 0.5 * 0.6 + 1e-4) / (0.25 + 0.36 + 1e-4))


def test_one_wrong_pixel_by_hand():
    truth = np.zeros((1, 1, 64, 64))
    prediction = truth.copy()
    prediction[..., 10, 10] = 1.0
    scores = metrics.per_frame(truth, prediction)
    assert scores["mse_sum"][0, 0] == scores["mae_sum"][0, 0] == 1.0
    assert scores["mse"][0, 0] == 1 / 4096
    assert scores["psnr"][0, 0] == pytest.approx(36.1236, abs=1e-4)


def test_errors_are_taken_before_clipping_psnr_and_ssim_after():
    truth = np.ones((1, FRAME, FRAME))
    scores = metrics.per_frame(truth, np.full_like(truth, 1.5))
    assert scores["mse"][0] == 0.25
    assert scores["mae"][0] == 0.5
    assert scores["psnr"][0] == metrics.PSNR_CAP_DB
    assert scores["ssim"][0] == pytest.approx(1.0)


def test_psnr_stops_at_100_db():
    np.testing.assert_allclose(
        metrics.psnr_db(np.array([1.0, 1e-2, 1e-10, 1e-14, 0.0])), [0, 20, 100, 100, 100]
    )


def test_uint8_pixels_mean_0_to_255():
    clip = np.random.default_rng(2).integers(0, 256, (2, 3, FRAME, FRAME), dtype=np.uint8)
    scores = metrics.per_frame(clip[:1], clip[1:])
    as_floats = metrics.per_frame(clip[:1] / 255.0, clip[1:] / 255.0)
    np.testing.assert_allclose(scores["mse"], as_floats["mse"], rtol=1e-6)


def test_the_two_means_of_psnr_differ_and_both_are_given():
    frame_metrics = {"mse": np.array([[0.1, 0.001]]), "psnr": np.array([[10.0, 30.0]])}
    means = metrics.summary(frame_metrics)
    assert means["psnr"] == pytest.approx(20.0)
    assert means["psnr_of_mean_mse"] == pytest.approx(-10 * math.log10(0.0505))


@pytest.mark.parametrize(
    ("model", "copy", "expected"), [(0.0, 0.2, 1.0), (0.2, 0.2, 0.0), (0.1, 0.2, 0.5), (0.4, 0.2, -1)]
)
def test_skill_by_hand(model, copy, expected):
    assert metrics.skill(model, copy) == pytest.approx(expected)


def test_skill_is_undefined_where_nothing_moves():
    assert math.isnan(metrics.skill(0.1, 0.0))


def test_skill_refuses_negative_errors():
    with pytest.raises(ValueError, match="must be 0 or more; got -1 and 0.2"):
        metrics.skill(-1.0, 0.2)


# --- against scikit-image


@pytest.mark.parametrize("data_range", [1.0, 2.0])
def test_ssim_of_one_window_is_the_equation(data_range):
    """A frame of 7 x 7 has a single window: Wang et al. 2004, equation 13, with the sample covariance."""
    x, y = noise(2, 1, 7, 7, seed=3)
    k1, k2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mean_x, mean_y, covariance = x.mean(), y.mean(), np.cov(x.ravel(), y.ravel())
    luminance = (2 * mean_x * mean_y + k1) / (mean_x**2 + mean_y**2 + k1)
    structure = (2 * covariance[0, 1] + k2) / (covariance[0, 0] + covariance[1, 1] + k2)
    assert metrics.ssim(x, y, data_range=data_range) == pytest.approx([luminance * structure])


def test_ssim_windows_do_not_cross_time():
    truth, predictions = noise(2, 3, 16, 16, seed=4)
    before = metrics.ssim(truth, predictions)
    predictions[2] = truth[2]
    after = metrics.ssim(truth, predictions)
    np.testing.assert_array_equal(before[:2], after[:2])
    assert after[2] == pytest.approx(1)


@given(unit_pair)
def test_mse_and_psnr_are_those_of_scikit_image(pair):
    truth, predictions = pair
    scores = metrics.per_frame(truth, predictions)
    for index in np.ndindex(scores["mse"].shape):
        a, b = truth[index], predictions[index]
        assert scores["mse"][index] == pytest.approx(reference.mean_squared_error(a, b))
        assert scores["psnr"][index] == pytest.approx(reference.peak_signal_noise_ratio(a, b, data_range=1))


# --- as OpenSTL measures


def test_openstl_by_hand():
    """Flat frames half wrong: errors summed before clipping, SSIM after it and with a range of 2."""
    truth = np.full((1, 1, FRAME, FRAME), 1.0)
    scores = metrics.openstl(truth, np.full_like(truth, 0.5))
    assert set(scores) == set(metrics.OPENSTL_METRICS)
    assert scores["mse_openstl"][0, 0] == pytest.approx(0.25 * FRAME**2)
    assert scores["mae_openstl"][0, 0] == pytest.approx(0.5 * FRAME**2)
    k1 = (0.01 * 2) ** 2
    assert scores["ssim_openstl"][0, 0] == pytest.approx((2 * 0.5 + k1) / (1 + 0.25 + k1))

    overshot = metrics.openstl(truth, np.full_like(truth, 1.5))
    assert overshot["mse_openstl"][0, 0] == pytest.approx(0.25 * FRAME**2)
    assert overshot["ssim_openstl"][0, 0] == pytest.approx(1.0)


@given(unit_pair)
def test_openstl_against_its_own_sentences(pair):
    """Mean over sequences and time, sum over pixels; SSIM of floats that are taken to span -1 to 1."""
    truth, predictions = pair
    scores = {name: values.mean() for name, values in metrics.openstl(truth, predictions).items()}
    assert scores["mse_openstl"] == pytest.approx(np.mean((predictions - truth) ** 2, axis=(0, 1)).sum())
    assert scores["mae_openstl"] == pytest.approx(np.mean(np.abs(predictions - truth), axis=(0, 1)).sum())
    similar = [
        reference.structural_similarity(truth[index], predictions[index], data_range=2)
        for index in np.ndindex(truth.shape[:2])
    ]
    assert scores["ssim_openstl"] == pytest.approx(np.mean(similar))


def test_openstl_checks_its_input_as_per_frame_does():
    with pytest.raises(ValueError, match="predictions must be finite; got NaN"):
        metrics.openstl(np.zeros((2, 8, 8)), np.full((2, 8, 8), np.nan))
    clip = np.random.default_rng(2).integers(0, 256, (2, 3, FRAME, FRAME), dtype=np.uint8)
    as_floats = metrics.openstl(clip[:1] / 255.0, clip[1:] / 255.0)
    np.testing.assert_allclose(
        metrics.openstl(clip[:1], clip[1:])["mse_openstl"], as_floats["mse_openstl"], rtol=1e-6
    )


# --- properties


@given(unit_pair)
def test_ssim_is_symmetric_bounded_and_one_of_itself(pair):
    truth, predictions = pair
    there, back = metrics.ssim(truth, predictions), metrics.ssim(predictions, truth)
    np.testing.assert_allclose(there, back, atol=1e-12)
    assert (np.abs(there) <= 1 + 1e-12).all()
    np.testing.assert_allclose(metrics.ssim(truth, truth), 1.0, atol=1e-12)


@given(unit_pair, st.integers(1, 5))
def test_a_frame_scores_the_same_alone_and_among_others(pair, repeats):
    """Windows never cross from frame to frame, and no chunk's edge shows."""
    truth, predictions = (np.tile(half, (1, 4 * repeats, 1, 1)) for half in pair)
    together = metrics.per_frame(truth, predictions)
    alone = metrics.per_frame(truth[1, 2], predictions[1, 2])
    for name, values in together.items():
        assert values.shape == truth.shape[:2]
        assert values[1, 2] == pytest.approx(float(alone[name]), abs=1e-12), name


@given(unit_pair)
def test_sums_are_means_times_pixels_and_mae_never_exceeds_the_root_of_mse(pair):
    scores = metrics.per_frame(*pair)
    np.testing.assert_allclose(scores["mse_sum"], FRAME**2 * scores["mse"])
    np.testing.assert_allclose(scores["mae_sum"], FRAME**2 * scores["mae"])
    assert (scores["mae"] <= np.sqrt(scores["mse"]) + 1e-12).all()


@given(unit_pair)
def test_psnr_of_the_mean_error_never_exceeds_the_mean_psnr(pair):
    """Jensen: -log is convex."""
    means = metrics.summary(metrics.per_frame(*pair))
    assert means["psnr_of_mean_mse"] <= means["psnr"] + 1e-9
    assert set(means) == {*metrics.FRAME_METRICS, "psnr_of_mean_mse"}


# --- what is refused


@pytest.mark.parametrize(
    ("truth", "predictions", "text"),
    [
        (
            np.zeros((2, 8, 8)),
            np.zeros((3, 8, 8)),
            r"must have one shape, .*; got \(2, 8, 8\) and \(3, 8, 8\)",
        ),
        (np.zeros((2, 8, 8), int), np.zeros((2, 8, 8)), "truth must be uint8 .* got int64"),
        (np.zeros((2, 8, 8)), np.zeros((2, 8, 8), bool), "predictions must be uint8 .* got bool"),
        (
            np.full((2, 8, 8), 255.0),
            np.zeros((2, 8, 8)),
            r"truth must be .* in \[0, 1\]; got floats from 255 to 255",
        ),
        (np.zeros((2, 8, 8)), np.full((2, 8, 8), np.nan), "predictions must be finite; got NaN"),
        (np.full((2, 8, 8), np.inf), np.zeros((2, 8, 8)), "truth must be finite"),
        (
            np.zeros((0, 8, 8)),
            np.zeros((0, 8, 8)),
            r"at least one frame and one pixel; got shape \(0, 8, 8\)",
        ),
        (np.zeros((2, 6, 8)), np.zeros((2, 6, 8)), "SSIM needs frames of 7 x 7 or more; got 6 x 8"),
    ],
)
def test_per_frame_says_what_is_wrong(truth, predictions, text):
    with pytest.raises(ValueError, match=text):
        metrics.per_frame(truth, predictions)


def test_ssim_refuses_an_empty_data_range():
    with pytest.raises(ValueError, match="data_range must be more than 0; got 0"):
        metrics.ssim(np.zeros((8, 8)), np.zeros((8, 8)), data_range=0)


@pytest.mark.parametrize(
    ("predictions", "told"),
    [
        (np.full((2, 3, 8, 8), 255.0), r"floats around \[0, 1\], -1 to 2; got floats from 255 to 255"),
        (np.full((2, 3, 8, 8), -1.5), "got floats from -1.5 to -1.5"),
        (np.zeros((2, 3, 8, 8, 1)), r"got \(2, 3, 8, 8, 1\): leave out the channel, frames\[\.\.\., 0\]"),
    ],
)
def test_another_scale_and_another_layout_are_refused(predictions, told):
    for scores in (metrics.per_frame, metrics.openstl):
        with pytest.raises(ValueError, match=told):
            scores(np.zeros(predictions.shape), predictions)
    metrics.per_frame(np.zeros((1, 8, 8)), np.full((1, 8, 8), 1.5))  # a model may overshoot


def test_no_error_is_below_0_and_no_summary_without_one():
    with pytest.raises(ValueError, match="must be 0 or more; got -1"):
        metrics.psnr_db(np.array([0.5, -1.0]))
    for scores, told in (({}, "no metric"), ({"psnr": np.ones(2)}, "psnr")):
        with pytest.raises(ValueError, match=f"a summary needs mse; got {told}"):
            metrics.summary(scores)
