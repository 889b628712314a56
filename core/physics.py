"""What is wrong with a prediction: its ink is in another place, too much or too little, or blurred.

Squared error cannot tell these apart: a sharp digit two pixels off and a grey smear in the right place may
score the same. Each figure here answers one of the three questions and keeps still for the other two.
"""

from __future__ import annotations

import numpy as np

PHYSICS = ("centroid_px", "mass_ratio", "sharpness_ratio")


def _checked(frames: np.ndarray, name: str) -> np.ndarray:
    """Frames as float64, checked."""
    frames = np.asarray(frames)
    if frames.ndim < 2 or not frames.size:
        raise ValueError(f"{name} must be (..., height, width), none of them 0; got {frames.shape}")
    if not np.issubdtype(frames.dtype, np.floating):
        raise ValueError(f"{name} must be floats in [0, 1]; got {frames.dtype}")
    low, high = float(frames.min()), float(frames.max())
    if not (low >= 0 and high <= 1):  # also refuses NaN
        raise ValueError(f"{name} must be floats in [0, 1]; got {low:g} to {high:g}")
    return frames.astype(np.float64, copy=False)


def _pair(truth: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth, predictions = _checked(truth, "truth"), _checked(predictions, "predictions")
    if truth.shape != predictions.shape:
        raise ValueError(
            f"truth and predictions must have one shape; got {truth.shape} and {predictions.shape}"
        )
    return truth, predictions


def centroid(frames: np.ndarray) -> np.ndarray:
    """Centre of mass of each frame's ink, a pixel weighing what its brightness is.

    A frame without ink has its centre in the middle of the picture, where a faint even haze has it too: a
    model that predicts nothing is taken to name no place rather than left out of the mean.

    Parameters
    ----------
    frames : floats (..., height, width) in [0, 1]

    Returns
    -------
    float64 (..., 2), row and column in px, 0 to height - 1 and 0 to width - 1
    """
    frames = _checked(frames, "frames")
    height, width = frames.shape[-2:]
    mass = frames.sum(axis=(-2, -1))
    empty = mass == 0
    safe = np.where(empty, 1.0, mass)
    rows = np.where(empty, (height - 1) / 2, frames.sum(axis=-1) @ np.arange(height) / safe)
    columns = np.where(empty, (width - 1) / 2, frames.sum(axis=-2) @ np.arange(width) / safe)
    return np.stack([rows, columns], axis=-1)


def centroid_error_px(truth: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """How far the predicted ink's centre of mass is from the true one's: "wrong place".

    It is the centre of all ink of a frame: two digits that are wrong in opposite directions cancel, so this
    is a lower bound of how far single digits are off. Two frames without ink are 0 apart; of an empty frame
    see `centroid`.

    Parameters
    ----------
    truth, predictions : floats (..., height, width) in [0, 1], one shape

    Returns
    -------
    float64 (...), px, 0 or more
    """
    truth, predictions = _pair(truth, predictions)
    return np.linalg.norm(centroid(truth) - centroid(predictions), axis=-1)


def _ratio(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """predicted / true; NaN where the truth is 0, to which nothing has a ratio."""
    return np.divide(predicted, true, out=np.full(true.shape, np.nan), where=true > 0)


def mass_ratio(truth: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Predicted ink divided by true ink: "too much or too little".

    Parameters
    ----------
    truth, predictions : floats (..., height, width) in [0, 1], one shape

    Returns
    -------
    float64 (...), 0 or more; 1 is right, below 1 digits fade. NaN where the true frame has no ink.
    """
    truth, predictions = _pair(truth, predictions)
    return _ratio(predictions.sum(axis=(-2, -1)), truth.sum(axis=(-2, -1)))


def gradient_energy(frames: np.ndarray) -> np.ndarray:
    """Sum of squared differences of neighbouring pixels, down and to the right.

    The squared form of the image gradients that Mathieu, Couprie and LeCun (2016, "Deep multi-scale video
    prediction beyond mean square error", eq. 6) compare. Squared, so that a blurred edge, which climbs as
    far in more steps, weighs less than a sharp one.

    Parameters
    ----------
    frames : floats (..., height, width) in [0, 1]

    Returns
    -------
    float64 (...), 0 or more
    """
    frames = _checked(frames, "frames")
    down, right = np.diff(frames, axis=-2), np.diff(frames, axis=-1)
    return (down * down).sum(axis=(-2, -1)) + (right * right).sum(axis=(-2, -1))


def sharpness_ratio(truth: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Predicted gradient energy divided by the true one: "blurry".

    It falls with the square of brightness, so digits that fade look blurred to it as well: read it beside
    `mass_ratio`.

    Parameters
    ----------
    truth, predictions : floats (..., height, width) in [0, 1], one shape

    Returns
    -------
    float64 (...), 0 or more; 1 is as sharp as the truth, below 1 blurred. NaN where the truth is one even
    grey.
    """
    truth, predictions = _pair(truth, predictions)
    return _ratio(gradient_energy(predictions), gradient_energy(truth))


def per_frame(truth: np.ndarray, predictions: np.ndarray) -> dict[str, np.ndarray]:
    """All three of every frame, under the names of `PHYSICS`; predictions are clipped to [0, 1] first.

    Parameters
    ----------
    truth : floats (..., height, width) in [0, 1]
    predictions : the same shape, finite floats

    Returns
    -------
    dict of str to float64 (...): `centroid_px`, `mass_ratio`, `sharpness_ratio`
    """
    predictions = np.clip(predictions, 0.0, 1.0)
    return {
        "centroid_px": centroid_error_px(truth, predictions),
        "mass_ratio": mass_ratio(truth, predictions),
        "sharpness_ratio": sharpness_ratio(truth, predictions),
    }
