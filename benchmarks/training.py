"""A training step: `reference` beside the same network of Keras' own layers, what the loss adds, and `fast`.

Every network trains in the same way: Adam with clipped gradients, as `train.py` has it, in bfloat16 where the
hardware multiplies it. Speed does not depend on the weights' values, so networks are built fresh.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measure import Figure, interleaved_seconds, medians
from core.loss_weights import DEFAULT_WEIGHTS
from core.model_config import CONFIGS
from core.moving_mnist import to_frames, training_batch

ONLY_BCE = {"bce": DEFAULT_WEIGHTS["bce"]}


def training_step(model: Any, batch_size: int, frames: int, loss: Any) -> Callable[[], object]:
    """One step of a model, (batch, frames - 1, canvas, canvas, 1) to its predictions, on a fixed batch."""
    import keras

    canvas = model.input.shape[2]
    clips = to_frames(training_batch(0, 0, batch_size=batch_size, frames=frames))
    clips = np.ascontiguousarray(clips[:, :, :canvas, :canvas, None])
    model.compile(optimizer=keras.optimizers.Adam(global_clipnorm=1.0), loss=loss)
    return lambda: model.train_on_batch(clips[:, :-1], clips[:, 1:])


def run(
    *,
    rounds: int = 9,
    batch_size: int = 2,
    fast_batch_size: int = 4,
    frames: int = 10,
    fast: str = "fast",
    reference: str = "reference",
) -> list[Figure]:
    """Milliseconds a predicted frame, the ratio to the peer, and the cost of the loss."""
    from benchmarks.keras_peer import keras_model
    from core.losses import CompositeLoss
    from core.model import Network
    from core.precision import resolve_precision

    dtype = resolve_precision("auto")

    def ours(name: str, batch: int, weights: Any) -> Callable[[], object]:
        network = Network(CONFIGS[name], dtype)
        loss = CompositeLoss(weights, perceptual_dtype=network.compute_dtype)
        return training_step(network.training_model(frames - 1), batch, frames, loss)

    peer = keras_model(CONFIGS[reference], frames - 1, dtype)
    seconds = medians(
        interleaved_seconds(
            {
                "reference": ours(reference, batch_size, ONLY_BCE),
                "peer": training_step(peer, batch_size, frames, CompositeLoss(ONLY_BCE)),
                "whole loss": ours(reference, batch_size, DEFAULT_WEIGHTS),
            },
            rounds,
        )
    )
    steps = {"fast": ours(fast, fast_batch_size, DEFAULT_WEIGHTS)}
    seconds |= medians(interleaved_seconds(steps, 2 * rounds))

    milliseconds = 1e3 / (batch_size * (frames - 1))
    clips = f"{batch_size} clips of {frames} frames, {dtype}"
    return [
        Figure(
            "training",
            f"reference, cross entropy, {clips}",
            milliseconds * seconds["reference"],
            "ms a frame",
        ),
        Figure(
            "training",
            "the same architecture from Keras' ConvLSTM2D",
            milliseconds * seconds["peer"],
            "ms a frame",
        ),
        Figure(
            "training",
            "reference against Keras' layers, frames a second",
            seconds["peer"] / seconds["reference"],
            "×",
            1,
            at_least=True,
        ),
        Figure(
            "training",
            "perceptual and gradient difference add to the step of reference",
            100 * (seconds["whole loss"] / seconds["reference"] - 1),
            "%",
            25,
        ),
        Figure(
            "training",
            f"fast, whole loss, a step of {fast_batch_size} clips of {frames} frames",
            1e3 * seconds["fast"],
            "ms",
        ),
    ]
