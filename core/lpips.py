"""LPIPS: how different two frames look to a network trained on photographs, weighted as people judge.

Version 0.1 with AlexNet, of Zhang et al. (2018), the form that is usually reported for video prediction.
Lower is better; equal frames score 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from core.features import ALEXNET_LAYERS, ALEXNET_MIN_SIDE_PX, alexnet_features, network_weights

SLICE_PIXELS = 2**20  # 256 frames of 64 x 64 at a time: about 200 MB while they are compared


def _checked(array: np.ndarray, name: str) -> np.ndarray:
    array = np.asarray(array)
    if array.ndim != 4 or not array.size:
        raise ValueError(
            f"{name} must be (sequences, time, height, width), none of them 0; got {array.shape}"
        )
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"{name} must be floats in [0, 1]; got {array.dtype}")
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= 1):  # also refuses NaN
        raise ValueError(f"{name} must be floats in [0, 1]; got {low:g} to {high:g}")
    return array.astype(np.float32, copy=False)


def lpips(truth: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """LPIPS of each predicted frame.

    Grey is shown to the network as three equal colours. LPIPS scales pixels to [-1, 1] and then by constants
    of its own; the two together are the ImageNet normalisation that `alexnet_features` applies.

    Parameters
    ----------
    truth, predictions : (sequences, time, height, width)
        Floats in [0, 1]; sides of 31 pixels or more.

    Returns
    -------
    numpy.ndarray
        float32 (sequences, time), 0 at equality.

    Raises
    ------
    ValueError
        If the shapes differ or are others, or a value is outside of [0, 1].
    """
    truth, predictions = _checked(truth, "truth"), _checked(predictions, "predictions")
    if truth.shape != predictions.shape:
        raise ValueError(
            f"truth and predictions must have one shape; got {truth.shape} and {predictions.shape}"
        )
    *leading, height, width = truth.shape
    if min(height, width) < ALEXNET_MIN_SIDE_PX:
        side = ALEXNET_MIN_SIDE_PX
        raise ValueError(f"LPIPS needs frames of {side} x {side} pixels or more; got {height} x {width}")
    truth, predictions = (array.reshape(-1, height, width, 1) for array in (truth, predictions))
    step = max(1, SLICE_PIXELS // (height * width))
    scores = [
        ops.convert_to_numpy(_distance(truth[start : start + step], predictions[start : start + step]))
        for start in range(0, len(truth), step)
    ]
    return np.concatenate(scores).reshape(leading)


def _distance(truth: np.ndarray, predictions: np.ndarray) -> Any:
    """LPIPS of frames (frames, height, width, 1): eq. 1 of the paper, a tensor (frames,)."""
    weights = network_weights("lpips_alexnet")
    total: Any = 0.0
    pairs = zip(ALEXNET_LAYERS, alexnet_features(truth), alexnet_features(predictions), strict=True)
    for layer, seen, predicted in pairs:
        squares = ops.square(_unit_length(seen) - _unit_length(predicted))
        # the head is linear, so that the mean over positions may come first
        total += ops.mean(squares, axis=(1, 2)) @ ops.convert_to_tensor(weights[f"{layer}/head"][:, None])
    return total[:, 0]


def _unit_length(features: Any) -> Any:
    """Each position's channels, divided by their length."""
    length = ops.sqrt(ops.sum(ops.square(features), axis=-1, keepdims=True))
    return features / (length + 1e-10)
