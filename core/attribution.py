"""How far back a network looks: which pixels of which past frames moved one predicted pixel.

Gradients say how the prediction would follow small changes. Occlusion does not trust them: it hides a part of
a frame, and looks. Matches with earlier frames pass no gradient (`core.matching.Match`), so of a network that
has them gradients tell only what went another way; occlusion tells all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from core.inference import CLIPS_AT_ONCE, InputError, Predictor
from core.inspection import Attribution, Target

IG_STEPS = 16
MOST_COMPILED = 4  # lengths of clips


class Gradients:
    """Gradients of single predicted pixels of a network; compiled once for each length of a clip.

    Parameters
    ----------
    predictor : of the network; they are computed where it predicts, and fail as its calls do
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self._compiled: dict[int, Callable[[Any, Any], tuple[Any, Any]]] = {}

    def gradient_times_input(self, frames: np.ndarray, target: Target) -> Attribution:
        """Each pixel times the derivative of the predicted pixel by it (Shrikumar et al. 2016).

        Parameters
        ----------
        frames : float32 (1, time, canvas, canvas, 1) in [0, 1]
        target : of which prediction; k at most time - 2

        Returns
        -------
        Attribution
            Without a baseline: what the maps add up to has no meaning.
        """
        _check(frames, target)
        values, gradients = self._gradients(frames[:, :-1], target)
        maps = (gradients[0] * frames[0, :-1])[: target.prediction + 1, ..., 0]
        return Attribution(maps, float(values[0]), float("nan"))

    def integrated_gradients(self, frames: np.ndarray, target: Target, steps: int = IG_STEPS) -> Attribution:
        """Gradients along the way from a black clip to this one (Sundararajan, Taly and Yan 2017).

        The maps add up to the difference of both predictions, but for the error of a sum of so many steps
        (midpoints), and for what went through matches, which pass no gradient: see `Attribution.gap`.

        Parameters
        ----------
        frames, target : as those of `gradient_times_input`
        steps : 1 or more
        """
        _check(frames, target)
        if steps < 1:
            raise InputError(f"steps must be 1 or more; got {steps}")
        seen = frames[:, :-1]
        total = np.zeros(seen.shape[1:], np.float64)
        at_once = max(1, CLIPS_AT_ONCE * self.predictor.config.patch**2 // 32)
        shares = (np.arange(steps, dtype=np.float32) + 0.5) / steps
        for first in range(0, steps, at_once):
            batch = shares[first : first + at_once].reshape(-1, 1, 1, 1, 1) * seen
            total += self._gradients(batch, target)[1].sum(0)
        ends = np.concatenate([seen, np.zeros_like(seen)])
        values = self._gradients(ends, target)[0]
        maps = (total / steps * seen[0])[: target.prediction + 1, ..., 0].astype(np.float32)
        return Attribution(maps, float(values[0]), float(values[1]))

    def _gradients(self, frames: np.ndarray, target: Target) -> tuple[np.ndarray, np.ndarray]:
        """Values of the target in each clip, and their derivatives by all pixels."""
        time = frames.shape[1]
        chosen = np.zeros((1, *frames.shape[1:]), np.float32)
        chosen[0, target.prediction, target.row, target.column] = 1
        with self.predictor.computing():
            if time not in self._compiled:
                while len(self._compiled) >= MOST_COMPILED:
                    self._compiled.pop(next(iter(self._compiled)))
                self._compiled[time] = _with_gradient(self.predictor.network.training_model(time))
            parts = self._compiled[time](ops.convert_to_tensor(frames), ops.convert_to_tensor(chosen))
            values, gradients = (ops.convert_to_numpy(part) for part in parts)
        return values, gradients


def _with_gradient(model: keras.Model) -> Callable[[Any, Any], tuple[Any, Any]]:
    """Chosen outputs of a model for each clip, and their derivatives by the clip."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        def taped(frames: Any, chosen: Any) -> tuple[Any, Any]:
            with tf.GradientTape() as tape:
                tape.watch(frames)
                values = tf.reduce_sum(model(frames, training=False) * chosen, axis=(1, 2, 3, 4))
            return values, tape.gradient(values, frames)

        shape = model.inputs[0].shape
        signature = [tf.TensorSpec(shape), tf.TensorSpec(shape)]
        return tf.function(taped, input_signature=signature, autograph=False)
    if keras.backend.backend() == "jax":
        import jax

        def summed(frames: Any, chosen: Any) -> tuple[Any, Any]:
            made = model(frames, training=False)
            values = ops.sum(made * chosen, axis=(1, 2, 3, 4))
            return ops.sum(values), values

        graded = jax.jit(jax.value_and_grad(summed, has_aux=True))

        def with_gradient(frames: Any, chosen: Any) -> tuple[Any, Any]:
            (_, values), gradient = graded(frames, chosen)
            return values, gradient

        return with_gradient
    raise InputError(f"gradients are taken with TensorFlow or JAX; got {keras.backend.backend()}")


# -------------------------------------------------------------------------------------------- occlusion


def occluded_frames(predictor: Predictor, frames: np.ndarray, target: Target) -> np.ndarray:
    """How the predicted pixel moves when a whole frame is hidden.

    Parameters
    ----------
    predictor : of a network with any head
    frames, target : as those of `Gradients`

    Returns
    -------
    float32 (k + 1,), value with all frames minus value with frame j black
    """
    _check(frames, target)
    hidden = np.repeat(frames, target.prediction + 1, axis=0)
    count = np.arange(len(hidden))
    hidden[count, count] = 0
    return _moved(predictor, frames, hidden, target)


def occlusion_map(
    predictor: Predictor, frames: np.ndarray, target: Target, frame: int, side: int = 8
) -> np.ndarray:
    """How the predicted pixel moves when a square of one frame is hidden.

    Parameters
    ----------
    predictor, frames, target : as those of `occluded_frames`
    frame : of which frame, 0 to k
    side : of a square, px; must divide the canvas

    Returns
    -------
    float32 (rows, columns), value with all of it minus value with that square black
    """
    _check(frames, target)
    canvas = frames.shape[2]
    if not 0 <= frame <= target.prediction:
        raise InputError(f"frame must be 0 to {target.prediction}, which was seen; got {frame}")
    if side < 1 or canvas % side:
        raise InputError(f"side must divide {canvas}; got {side}")
    count = canvas // side
    hidden = np.repeat(frames, count * count, axis=0)
    squares = hidden[:, frame, :, :, 0].reshape(-1, count, side, count, side)
    number = np.arange(count * count)
    squares[number, number // count, :, number % count] = 0
    hidden[:, frame, :, :, 0] = squares.reshape(-1, canvas, canvas)
    return _moved(predictor, frames, hidden, target).reshape(count, count)


def _moved(predictor: Predictor, frames: np.ndarray, hidden: np.ndarray, target: Target) -> np.ndarray:
    """What was predicted minus what is predicted where something is hidden; other clips are not run."""
    end = target.prediction + 2 if predictor.config.head == "causal" else frames.shape[1]
    at = (target.prediction, target.row, target.column, 0)
    value = predictor.next_frames(frames[:, :end])[(0, *at)]
    moved = np.zeros(len(hidden), np.float32)
    changed = np.nonzero((hidden != frames).any(axis=(1, 2, 3, 4)))[0]
    if len(changed):
        moved[changed] = value - predictor.next_frames(hidden[changed, :end])[(slice(None), *at)]
    return moved


def _check(frames: np.ndarray, target: Target) -> None:
    if frames.ndim != 5 or len(frames) != 1 or frames.shape[1] < 2:
        raise InputError(f"frames must be one clip (1, 2 or more, height, width, 1); got {frames.shape}")
    for name, value, count in (
        ("prediction", target.prediction, frames.shape[1] - 1),
        ("row", target.row, frames.shape[2]),
        ("column", target.column, frames.shape[3]),
    ):
        if not 0 <= value < count:
            raise InputError(f"{name} must be 0 to {count - 1}; got {value}")
