"""What training minimises: cross entropy, gradient difference, perceptual distance, and their weighted sum.

Truth and predictions are frames (batch, time, height, width, 1) in [0, 1], of any float type; everything is
computed in float32, except VGG16's convolutions where another type is asked for. The functions give one
number a clip, so that a Keras loss can weight clips; the losses give their mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops

from core.features import check_vgg16, vgg16_features
from core.layers import PACKAGE
from core.loss_weights import DEFAULT_WEIGHTS, PARTS, checked_weights

__all__ = [
    "DEFAULT_WEIGHTS",
    "PARTS",
    "CompositeLoss",
    "GradientDifference",
    "Perceptual",
    "binary_cross_entropy",
    "checked_weights",
    "gradient_difference",
    "perceptual",
]


EXACT_MSE = 1e-6  # of a frame: what is less hardly counts for the logarithm


def _float32_pair(truth: Any, predictions: Any) -> tuple[Any, Any]:
    """Both as float32 tensors, once they have one shape, that of frames."""
    truth, predictions = ops.convert_to_tensor(truth), ops.convert_to_tensor(predictions)
    known = zip(truth.shape, predictions.shape, strict=False)
    agree = all(a is None or b is None or a == b for a, b in known)
    if len(truth.shape) != 5 or len(predictions.shape) != 5 or not agree or truth.shape[-1] != 1:
        raise ValueError(
            "truth and predictions must have one shape, (batch, time, height, width, 1); "
            f"got {tuple(truth.shape)} and {tuple(predictions.shape)}"
        )
    return ops.cast(truth, "float32"), ops.cast(predictions, "float32")


def _mean_of_clip(values: Any) -> Any:
    """Mean over everything but the batch axis."""
    return ops.mean(values, axis=tuple(range(1, len(values.shape))))


def binary_cross_entropy(truth: Any, predictions: Any) -> Any:
    """Cross entropy of each pixel as a coin that shows ink with the predicted probability, in nats.

    Parameters
    ----------
    truth, predictions : (batch, time, height, width, 1)
        Floats in [0, 1]. Predictions are kept 1e-7 away from 0 and 1, so that the loss stays finite.

    Returns
    -------
    tensor
        (batch,) float32: mean over the pixels of a clip. 0 at equality where the truth is 0 or 1; a grey
        truth has an entropy of its own.
    """
    return _mean_of_clip(ops.binary_crossentropy(*_float32_pair(truth, predictions)))


def mean_squared_error(truth: Any, predictions: Any) -> Any:
    """Squared difference of each pixel. Its best prediction is the mean of all that may come: a blur.

    Parameters
    ----------
    truth, predictions : (batch, time, height, width, 1)
        Floats in [0, 1].

    Returns
    -------
    tensor
        (batch,) float32: mean over the pixels of a clip, 0 to 1.
    """
    truth, predictions = _float32_pair(truth, predictions)
    return _mean_of_clip(ops.square(truth - predictions))


def log_mean_squared_error(truth: Any, predictions: Any) -> Any:
    """Logarithm of the squared error of each frame: what a mean of PSNR over frames counts.

    ``ln(1 + MSE / 1e-6)``. Halving the error of a frame counts the same however small it is, down to a MSE of
    1e-6 (60 dB); of the squared error itself, frames that are predicted nearly exactly are hardly a part.

    Parameters
    ----------
    truth, predictions : (batch, time, height, width, 1)
        Floats in [0, 1].

    Returns
    -------
    tensor
        (batch,) float32: mean over the frames of a clip, 0 (equality) to 13.8.
    """
    truth, predictions = _float32_pair(truth, predictions)
    of_frames = ops.mean(ops.square(truth - predictions), axis=(2, 3, 4))
    return _mean_of_clip(ops.log1p(of_frames / EXACT_MSE))


def _checked_alpha(alpha: float) -> float:
    if not 1 <= alpha < math.inf:
        raise ValueError(f"alpha must be a finite number of 1 or more; got {alpha}")
    return float(alpha)


def gradient_difference(truth: Any, predictions: Any, alpha: float = 1.0) -> Any:
    """How far the steps between neighbouring pixels differ in size: eq. 6 of Mathieu et al. (2016).

    ``| |Y[i, j] - Y[i - 1, j]| - |P[i, j] - P[i - 1, j]| | ** alpha`` and the same along rows. The paper sums
    over the frame; here each of the two directions is a mean over its pairs of pixels and over time, so that
    the size of the frame does not matter.

    Parameters
    ----------
    truth, predictions : (batch, time, height, width, 1)
        Floats in [0, 1]; height and width 2 or more.
    alpha : float
        1 or more: below, the gradient at equality is infinite.

    Returns
    -------
    tensor
        (batch,) float32, 0 (equal steps everywhere) to 2.

    Raises
    ------
    ValueError
        If alpha is below 1, or the shapes are others.
    """
    alpha = _checked_alpha(alpha)
    truth, predictions = _float32_pair(truth, predictions)
    if None in truth.shape[2:4] or min(truth.shape[2:4]) < 2:
        raise ValueError(
            f"gradient difference needs frames of 2 x 2 pixels or more; got {tuple(truth.shape)}"
        )
    loss: Any = 0.0
    for axis in (2, 3):
        difference = ops.abs(_steps(truth, axis) - _steps(predictions, axis))
        # the usual case needs no power
        loss += _mean_of_clip(difference if alpha == 1 else difference**alpha)
    return loss


def _steps(frames: Any, axis: int) -> Any:
    """Size of the step from each pixel to the next along rows (axis 2) or columns (axis 3)."""
    if axis == 2:
        return ops.abs(frames[:, :, 1:] - frames[:, :, :-1])
    return ops.abs(frames[:, :, :, 1:] - frames[:, :, :, :-1])


def perceptual(truth: Any, predictions: Any, layer: str = "conv2_2", dtype: str = "float32") -> Any:
    """Mean squared distance between what VGG16 sees in truth and predictions (Johnson et al. 2016).

    What it adds to a training step is in docs/performance.md. At a trained network's predictions
    features of bfloat16 move the value by less than 0.1% and the length of the gradient by less than 1%, and
    turn it to a cosine of 0.96; at noise of 0.002 their rounding adds 3% to the value. At equality both are
    0.

    Parameters
    ----------
    truth, predictions : (batch, time, height, width, 1)
        Floats in [0, 1].
    layer : str
        See `core.features.vgg16_features`.
    dtype : "float32" or "bfloat16"
        What the convolutions compute in; the squared differences are float32 in any case.

    Returns
    -------
    tensor
        (batch,) float32, 0 at equality: mean over time, positions and channels. No gradient reaches the
        truth.
    """
    truth, predictions = _float32_pair(truth, predictions)
    seen = vgg16_features(ops.stop_gradient(truth), layer, dtype)
    difference = ops.cast(seen, "float32") - ops.cast(vgg16_features(predictions, layer, dtype), "float32")
    # features are (batch * time, rows, columns, channels): the mean of a frame first, then of a clip
    of_frames = ops.mean(ops.square(difference), axis=(1, 2, 3))
    return ops.mean(ops.reshape(of_frames, (ops.shape(predictions)[0], -1)), axis=1)


class _ClipLoss(keras.losses.Loss):
    """A Keras loss of float32, whatever the global type: one number a clip, which Keras then averages."""

    def __init__(self, name: str, reduction: str) -> None:
        super().__init__(name=name, reduction=reduction, dtype="float32")


@keras.saving.register_keras_serializable(package=PACKAGE)
class GradientDifference(_ClipLoss):
    """`gradient_difference` as a Keras loss."""

    def __init__(self, alpha: float = 1.0, name: str = "gdl", reduction: str = "sum_over_batch_size") -> None:
        super().__init__(name, reduction)
        self.alpha = _checked_alpha(alpha)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return gradient_difference(y_true, y_pred, self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Perceptual(_ClipLoss):
    """`perceptual` as a Keras loss."""

    def __init__(
        self,
        layer: str = "conv2_2",
        perceptual_dtype: str = "float32",
        name: str = "perceptual",
        reduction: str = "sum_over_batch_size",
    ) -> None:
        super().__init__(name, reduction)
        check_vgg16(layer, perceptual_dtype)
        self.layer, self.perceptual_dtype = layer, perceptual_dtype

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return perceptual(y_true, y_pred, self.layer, self.perceptual_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": self.layer, "perceptual_dtype": self.perceptual_dtype}


@keras.saving.register_keras_serializable(package=PACKAGE)
class CompositeLoss(_ClipLoss):
    """The weighted sum of cross entropy, squared error and its logarithm, perceptual distance and gradient
    difference.

    Parameters
    ----------
    weights : Mapping
        Weight of each of `PARTS`. A part without one, or of weight 0, is not computed.
    alpha : float
        Of `gradient_difference`.
    layer, perceptual_dtype : str
        `layer` and `dtype` of `perceptual`.

    Raises
    ------
    ValueError
        If one of them cannot be.
    """

    def __init__(
        self,
        weights: Mapping[str, float] = DEFAULT_WEIGHTS,
        alpha: float = 1.0,
        layer: str = "conv2_2",
        perceptual_dtype: str = "float32",
        name: str = "composite",
        reduction: str = "sum_over_batch_size",
    ) -> None:
        super().__init__(name, reduction)
        check_vgg16(layer, perceptual_dtype)
        self.weights, self.alpha = checked_weights(weights), _checked_alpha(alpha)
        self.layer, self.perceptual_dtype = layer, perceptual_dtype

    def _clip_parts(self, truth: Any, predictions: Any) -> dict[str, Any]:
        functions: dict[str, Callable[[], Any]] = {
            "bce": lambda: binary_cross_entropy(truth, predictions),
            "mse": lambda: mean_squared_error(truth, predictions),
            "log_mse": lambda: log_mean_squared_error(truth, predictions),
            "perceptual": lambda: perceptual(truth, predictions, self.layer, self.perceptual_dtype),
            "gdl": lambda: gradient_difference(truth, predictions, self.alpha),
        }
        return {name: functions[name]() for name in self.weights}

    def parts(self, truth: Any, predictions: Any) -> dict[str, Any]:
        """Each part that has a weight, unweighted: the mean over the batch, a float32 scalar."""
        return {name: ops.mean(values) for name, values in self._clip_parts(truth, predictions).items()}

    def weighted_sum(self, parts: Mapping[str, Any]) -> Any:
        """The loss from its parts, so that a training step that reports them computes them once."""
        return sum(weight * parts[name] for name, weight in self.weights.items())

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.weighted_sum(self._clip_parts(y_true, y_pred))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "weights": self.weights,
            "alpha": self.alpha,
            "layer": self.layer,
            "perceptual_dtype": self.perceptual_dtype,
        }
