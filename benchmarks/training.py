"""A training step: `reference` beside the same network of Keras and of PyTorch; the loss; and `fast`.

Every network trains in the same way: Adam with clipped gradients, as `train.py` has it, in bfloat16 where the
hardware multiplies it. Speed does not depend on the weights' values, so networks are built fresh.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.inference import KERAS, TORCH, peers, policy, precisions
from benchmarks.limits import limit_figures, limit_percent, network_flops, product_calls, product_name
from benchmarks.measure import Figure, figure_of, interleaved_seconds, paired_ratios
from core.loss_weights import DEFAULT_WEIGHTS
from core.model_config import CONFIGS, ModelConfig
from core.moving_mnist import to_frames, training_batch

ONLY_BCE = {"bce": DEFAULT_WEIGHTS["bce"]}


def clips_of(batch_size: int, frames: int, canvas: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets of a step, both float32 (batch, frames - 1, canvas, canvas, 1)."""
    clips = to_frames(training_batch(0, 0, batch_size=batch_size, frames=frames))
    clips = np.ascontiguousarray(clips[:, :, :canvas, :canvas, None])
    return clips[:, :-1], clips[:, 1:]


def training_step(model: Any, batch_size: int, frames: int, loss: Any) -> Callable[[], object]:
    """One step of a model, (batch, frames - 1, canvas, canvas, 1) to its predictions, on a fixed batch."""
    import keras

    given = clips_of(batch_size, frames, model.input.shape[2])
    model.compile(optimizer=keras.optimizers.Adam(global_clipnorm=1.0), loss=loss)
    return lambda: model.train_on_batch(*given)


def run(
    *,
    rounds: int = 9,
    batch_size: int = 2,
    fast_batch_size: int = 4,
    frames: int = 10,
    fast: str = "fast",
    reference: str = "reference",
    side: int = 2048,
) -> list[Figure]:
    """Milliseconds a predicted frame, how near to the limit, the ratio to the peers, and the loss's cost."""
    from benchmarks.keras_peer import keras_model
    from core.losses import CompositeLoss
    from core.model import Network

    best = precisions()[-1]
    config, dtype = CONFIGS[reference], policy(best)

    def ours(name: str, batch: int, weights: Any) -> Callable[[], object]:
        network = Network(CONFIGS[name], dtype)
        loss = CompositeLoss(weights, perceptual_dtype=network.compute_dtype)
        return training_step(network.training_model(frames - 1), batch, frames, loss)

    steps = {
        "reference": ours(reference, batch_size, ONLY_BCE),
        KERAS: training_step(
            keras_model(config, frames - 1, dtype), batch_size, frames, CompositeLoss(ONLY_BCE)
        ),
    }
    if TORCH in peers():
        from benchmarks.torch_peer import TorchPeer

        given = clips_of(batch_size, frames, config.canvas)
        steps[TORCH] = TorchPeer(config, best).training_step(*given)
    whole, small = "reference, whole loss", f"fast, whole loss, {fast_batch_size} clips"
    seconds = interleaved_seconds(
        {
            **steps,
            whole: ours(reference, batch_size, DEFAULT_WEIGHTS),
            small: ours(fast, fast_batch_size, DEFAULT_WEIGHTS),
            **product_calls((best,), side),
        },
        rounds,
    )
    product = seconds[product_name(best)]

    def of_limit(name: str, config: ModelConfig, batch: int) -> float:
        # forwards, and as much again for the gradient of the inputs and for that of the kernels
        flops = 3 * batch * network_flops(config, frames - 1)
        return limit_percent(flops, seconds[name], product, side)

    predicted = batch_size * (frames - 1)
    clips = f"{batch_size} clips of {frames} frames, {best}"
    figures = limit_figures("training", seconds, side)
    figures += [
        figure_of(
            "training",
            f"{name}, cross entropy, {clips}",
            [1e3 * value / predicted for value in seconds[name]],
            "ms a frame",
            limit_percent=of_limit(name, config, batch_size),
        )
        for name in steps
    ]
    figures += [
        figure_of(
            "training",
            f"reference against {name}, frames a second",
            paired_ratios(seconds[name], seconds["reference"]),
            "×",
            bar=1,
            at_least=True,
        )
        for name in peers()
    ]
    added = [100 * (ratio - 1) for ratio in paired_ratios(seconds[whole], seconds["reference"])]
    return [
        *figures,
        figure_of(
            "training",
            "perceptual and gradient difference add to the step of reference",
            added,
            "%",
            bar=25,
        ),
        figure_of(
            "training",
            f"{small} of {frames} frames, {best}",
            [1e3 * value for value in seconds[small]],
            "ms a step",
            limit_percent=of_limit(small, CONFIGS[fast], fast_batch_size),
        ),
    ]
