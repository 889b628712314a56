"""How far a prediction is from the truth, frame by frame.

Every figure is of one frame of one sequence; means are taken afterwards, by `summary`. Errors are taken
before clipping, PSNR and SSIM of predictions clipped to [0, 1], as OpenSTL does. SSIM's window is 7 x 7
pixels of one frame; it never crosses from one frame into the next. `openstl` gives the figures that published
tables print under the names MSE, MAE and SSIM.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

PSNR_CAP_DB = 100.0  # of a frame predicted exactly: a finite number keeps means and charts finite
SSIM_WINDOW_PX = 7
OVERSHOT = (-1.0, 2.0)  # beyond, predictions are not of [0, 1] but of another scale, such as 0 to 255

FRAME_METRICS = ("mse", "mae", "psnr", "ssim", "mse_sum", "mae_sum")
OPENSTL_METRICS = ("mse_openstl", "mae_openstl", "ssim_openstl")
# OpenSTL passed no data_range to scikit-image, which took floats to lie in [-1, 1].
OPENSTL_DATA_RANGE = 2.0


def _unit_range(array: np.ndarray, name: str, *, bounded: bool) -> np.ndarray:
    """Pixels as floats: uint8 is scaled to [0, 1], floats are checked and kept."""
    array = np.asarray(array)
    if array.dtype == np.uint8:
        return array.astype(np.float32) / np.float32(255)
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"{name} must be uint8 0..255 or floats in [0, 1]; got {array.dtype}")
    if array.size and not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite; got NaN or infinity")
    if bounded and array.size and not (array.min() >= 0.0 and array.max() <= 1.0):
        raise ValueError(
            f"{name} must be uint8 0..255 or floats in [0, 1]; "
            f"got floats from {array.min():g} to {array.max():g}"
        )
    return array


def align(clip: np.ndarray, predictions: np.ndarray, first_target: int = 1) -> np.ndarray:
    """The true frames that predictions are of. There is no other place that pairs the two.

    Prediction `p[k]` is of frame `first_target + k`: 1 for next-frame (the first frame seen predicts the
    second), `context` for a rollout.

    Parameters
    ----------
    clip : (time, height, width) or (batch, time, height, width)
        uint8 0..255 or floats in [0, 1].
    predictions : (..., n, height, width)
        With a batch axis just when `clip` has one.
    first_target : int
        Index of the frame that the first prediction is of, 1 or more.

    Returns
    -------
    numpy.ndarray
        Float, the shape of `predictions`, in [0, 1].

    Raises
    ------
    ValueError
        Where the shapes do not belong together, or there are more predictions than frames to compare with.
    """
    clip = _unit_range(clip, "clip", bounded=True)
    shape = np.shape(predictions)
    if clip.ndim not in (3, 4) or len(shape) != clip.ndim:
        raise ValueError(
            "clip must be (time, height, width) or (batch, time, height, width), and predictions the same "
            f"without the channel axis; got {clip.shape} and {shape}"
        )
    if clip.shape[:-3] != shape[:-3] or clip.shape[-2:] != shape[-2:]:
        raise ValueError(
            f"clip and predictions must agree in batch, height and width; got {clip.shape} and {shape}"
        )
    if first_target < 1:
        raise ValueError(f"first_target must be 1 or more; got {first_target}")
    frames, n = clip.shape[-3], shape[-3]
    if n < 1 or first_target + n > frames:
        raise ValueError(
            f"predictions of frames {first_target} to {first_target + n - 1} need a clip of "
            f"{first_target + max(n, 1)} frames or more; got {n} predictions and {frames} frames"
        )
    return clip[..., first_target : first_target + n, :, :]


def ssim(truth: np.ndarray, predictions: np.ndarray, *, data_range: float = 1.0) -> np.ndarray:
    """Structural similarity of each frame (Wang et al. 2004): scikit-image's, with its defaults.

    A 7 x 7 uniform window, sample covariance, K1 = 0.01, K2 = 0.03, averaged over the windows that lie inside
    the frame; frame by frame, so that no window crosses time.

    Parameters
    ----------
    truth, predictions : (..., height, width)
        Floats; height and width 7 or more. Nothing is clipped here.
    data_range : float
        Of the pixels: 1 for frames in [0, 1].

    Returns
    -------
    numpy.ndarray
        float64 (...), -1 to 1; 1 for equal frames.
    """
    truth, predictions = np.asarray(truth, np.float64), np.asarray(predictions, np.float64)
    _require_same_frames(truth, predictions)
    height, width = truth.shape[-2:]
    if min(height, width) < SSIM_WINDOW_PX:
        raise ValueError(
            f"SSIM needs frames of {SSIM_WINDOW_PX} x {SSIM_WINDOW_PX} or more; got {height} x {width}"
        )
    if not data_range > 0:
        raise ValueError(f"data_range must be more than 0; got {data_range:g}")
    from skimage.metrics import structural_similarity  # half a second, which a page need not wait for

    pairs = zip(truth.reshape(-1, height, width), predictions.reshape(-1, height, width), strict=True)
    scores = [structural_similarity(true, predicted, data_range=data_range) for true, predicted in pairs]
    return np.array(scores).reshape(truth.shape[:-2])


def _require_same_frames(truth: np.ndarray, predictions: np.ndarray) -> None:
    if truth.ndim < 2 or truth.shape != predictions.shape:
        raise ValueError(
            "truth and predictions must have one shape, (..., height, width); "
            f"got {truth.shape} and {predictions.shape}"
        )
    if not truth.size:
        raise ValueError(f"there must be at least one frame and one pixel; got shape {truth.shape}")


def _frame_pair(truth: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Truth and predictions as float64 of one shape, checked."""
    truth = _unit_range(truth, "truth", bounded=True).astype(np.float64, copy=False)
    predictions = _unit_range(predictions, "predictions", bounded=False).astype(np.float64, copy=False)
    _require_same_frames(truth, predictions)
    if truth.ndim > 4:
        raise ValueError(
            f"frames must be (batch, steps, height, width) or (steps, height, width); got {truth.shape}: "
            "leave out the channel, frames[..., 0]"
        )
    if predictions.size and not (predictions.min() >= OVERSHOT[0] and predictions.max() <= OVERSHOT[1]):
        raise ValueError(
            f"predictions must be uint8 0..255 or floats around [0, 1], {OVERSHOT[0]:g} to {OVERSHOT[1]:g}; "
            f"got floats from {predictions.min():g} to {predictions.max():g}"
        )
    return truth, predictions


def psnr_db(mse: np.ndarray | float) -> np.ndarray:
    """Peak signal-to-noise ratio in dB of mean squared errors of pixels in [0, 1], at most 100.

    ValueError if one is below 0.
    """
    if np.any(np.asarray(mse) < 0):
        raise ValueError(f"mean squared errors must be 0 or more; got {np.min(mse):g}")
    floor = 10.0 ** (-PSNR_CAP_DB / 10)
    return -10.0 * np.log10(np.maximum(np.asarray(mse, np.float64), floor))


def per_frame(truth: np.ndarray, predictions: np.ndarray) -> dict[str, np.ndarray]:
    """Every metric of every predicted frame.

    Parameters
    ----------
    truth : (batch, steps, height, width) or (steps, height, width)
        uint8 0..255 or floats in [0, 1]; what `align` returns.
    predictions : the same shape
        uint8 0..255 or finite floats; a model may overshoot [0, 1], down to -1 and up to 2.

    Returns
    -------
    dict of str to numpy.ndarray
        float64, (batch, steps) or (steps,):

        - `mse`, `mae`: mean over the pixels of a frame, predictions as they are;
        - `mse_sum`, `mae_sum`: the same summed over the pixels, the scale of published tables;
        - `psnr`: dB, predictions clipped to [0, 1], at most 100;
        - `ssim`: -1 to 1, predictions clipped to [0, 1].
    """
    truth, predictions = _frame_pair(truth, predictions)
    pixels = truth.shape[-1] * truth.shape[-2]
    error = truth - predictions
    mse, mae = np.mean(error * error, axis=(-2, -1)), np.mean(np.abs(error), axis=(-2, -1))
    clipped = np.clip(predictions, 0.0, 1.0)
    return {
        "mse": mse,
        "mae": mae,
        "psnr": psnr_db(np.mean((truth - clipped) ** 2, axis=(-2, -1))),
        "ssim": ssim(truth, clipped),
        "mse_sum": mse * pixels,
        "mae_sum": mae * pixels,
    }


def openstl(truth: np.ndarray, predictions: np.ndarray) -> dict[str, np.ndarray]:
    """The figures that OpenSTL calls MSE, MAE and SSIM, to be set beside the tables that it published.

    Its PSNR is the `psnr` of `per_frame`, except that a frame predicted exactly counts as infinite there.

    Parameters
    ----------
    truth, predictions
        As for `per_frame`.

    Returns
    -------
    dict of str to numpy.ndarray
        float64, (batch, steps) or (steps,):

        - `mse_openstl`, `mae_openstl`: summed over the pixels of a frame, predictions as they are;
        - `ssim_openstl`: predictions clipped to [0, 1], `data_range=2` though pixels span 1, which scores
          higher than `ssim`: by 0.02 where frames are in doubt, by less where they are nearly right.
    """
    truth, predictions = _frame_pair(truth, predictions)
    error = truth - predictions
    return {
        "mse_openstl": np.sum(error * error, axis=(-2, -1)),
        "mae_openstl": np.sum(np.abs(error), axis=(-2, -1)),
        "ssim_openstl": ssim(truth, np.clip(predictions, 0.0, 1.0), data_range=OPENSTL_DATA_RANGE),
    }


def summary(frame_metrics: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The mean of each metric over all frames and sequences, and `psnr_of_mean_mse`.

    `psnr` is the mean of per-frame PSNR, `psnr_of_mean_mse` the PSNR of the mean error. The two differ
    (a few frames predicted exactly lift the first without bound), so a figure has to name which one it is.
    ValueError without an `mse`.
    """
    if "mse" not in frame_metrics:
        raise ValueError(f"a summary needs mse; got {', '.join(frame_metrics) or 'no metric'}")
    means = {name: float(np.mean(values)) for name, values in frame_metrics.items()}
    means["psnr_of_mean_mse"] = float(psnr_db(means["mse"]))
    return means


def skill(mse_model: float, mse_copy_last: float) -> float:
    """Mean squared error that a model takes away from copying the last frame: 1 - mse / mse of copy-last.

    1 is perfect, 0 no better than copying, below 0 worse. NaN where copying is already perfect (nothing
    moves): there is nothing to improve on.
    """
    if mse_model < 0 or mse_copy_last < 0:
        raise ValueError(f"mean squared errors must be 0 or more; got {mse_model:g} and {mse_copy_last:g}")
    return 1.0 - mse_model / mse_copy_last if mse_copy_last > 0 else math.nan
