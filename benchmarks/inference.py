"""Next-frame prediction of 20-frame clips, warm: ours beside the same architecture of Keras and of PyTorch.

Speed does not depend on the weights' values, so networks are built fresh. Models compute as the app has them,
in bfloat16 where the hardware multiplies it, and the reference also in float32, as the peers do by default.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec

import numpy as np

from benchmarks.limits import (
    COPY,
    copy_call,
    limit_figures,
    limit_percent,
    network_flops,
    product_calls,
    product_name,
)
from benchmarks.measure import Figure, figure_of, interleaved_seconds, paired_ratios
from core.model_config import CONFIGS
from core.moving_mnist import benchmark_clips, to_frames
from core.scenes import STANDARD_FRAMES

NextFrames = Callable[[np.ndarray], np.ndarray]  # as those of a `Predictor`
KERAS, TORCH = "Keras' ConvLSTM2D", "PyTorch"
ROUNDS = {1: 11, 8: 3, 32: 3}  # by clips at once; a round of 32 takes two minutes


def some_clips(clips: int, frames: int, canvas: int) -> np.ndarray:
    """The first standard clips, float32 (clips, frames, canvas, canvas, 1)."""
    return to_frames(benchmark_clips(0, clips, frames=frames))[:, :, :canvas, :canvas, None]


def peers() -> tuple[str, ...]:
    """What the reference is compared with: PyTorch only where it is installed."""
    return (KERAS, TORCH) if find_spec("torch") else (KERAS,)


def precisions() -> tuple[str, ...]:
    """In what a network is measured: float32, and what the app computes in if that is another."""
    from core.precision import resolve_precision

    return tuple(dict.fromkeys(("float32", resolve_precision("auto").removeprefix("mixed_"))))


def policy(precision: str) -> str:
    """Keras' name for layers that compute in a precision."""
    return precision if precision == "float32" else f"mixed_{precision}"


def networks(fast: str, reference: str) -> dict[str, Callable[[], NextFrames]]:
    """Whatever predicts next frames, by name, to be built when it is wanted; a name ends in its precision."""
    import tensorflow as tf

    from benchmarks.keras_peer import keras_model
    from core.inference import Predictor
    from core.model import Network

    def ours(name: str, precision: str) -> NextFrames:
        return Predictor(Network(CONFIGS[name], policy(precision))).next_frames

    def of_keras(precision: str) -> NextFrames:
        # compiled once for a shape, as ours is: the layers are compared, not the calling
        model = keras_model(CONFIGS[reference], None, policy(precision))
        compiled = tf.function(lambda frames: model(frames, training=False), reduce_retracing=True)
        return lambda clips: np.asarray(compiled(tf.constant(clips[:, :-1])))

    def of_torch(precision: str) -> NextFrames:
        from benchmarks.torch_peer import TorchPeer

        return TorchPeer(CONFIGS[reference], precision).next_frames

    builders: dict[str, Callable[[], NextFrames]] = {}
    best = precisions()[-1]
    builders[f"fast, {best}"] = partial(ours, fast, best)
    for precision in precisions():
        builders[f"reference, {precision}"] = partial(ours, reference, precision)
        builders[f"{KERAS}, {precision}"] = partial(of_keras, precision)
        if TORCH in peers():
            builders[f"{TORCH}, {precision}"] = partial(of_torch, precision)
    return builders


def run(
    *,
    rounds: Mapping[int, int] = ROUNDS,
    frames: int = STANDARD_FRAMES,
    fast: str = "fast",
    reference: str = "reference",
    side: int = 2048,
) -> list[Figure]:
    """Milliseconds a clip of each, how near to the limit, and how much faster ours is than each peer.

    side : of the matrices whose product is the limit
    """
    calls = {name: build() for name, build in networks(fast, reference).items()}
    figures: list[Figure] = []
    for clips, times in rounds.items():
        given = some_clips(clips, frames, CONFIGS[reference].canvas)
        seconds = interleaved_seconds(
            {name: partial(call, given) for name, call in calls.items()}
            | product_calls(precisions(), side)
            | {COPY: copy_call(os.cpu_count() or 1)},
            times,
        )
        figures += limit_figures("inference", seconds, side)
        many = "1 clip" if clips == 1 else f"{clips} clips at once"
        for name in calls:
            config = CONFIGS[fast if name.startswith("fast") else reference]
            figures.append(
                figure_of(
                    "inference",
                    f"{name}, {many}",
                    [1e3 * value / clips for value in seconds[name]],
                    "ms a clip",
                    bar=70 if clips == 1 and name.startswith("fast") else None,
                    limit_percent=limit_percent(
                        clips * network_flops(config, frames - 1),
                        seconds[name],
                        seconds[product_name(name.rpartition(", ")[2])],
                        side,
                    ),
                )
            )
        best = f"reference, {precisions()[-1]}"
        for name in calls:
            if name.startswith((KERAS, TORCH)):
                figures.append(
                    figure_of(
                        "inference",
                        f"{best}, against {name}, {many}",
                        paired_ratios(seconds[name], seconds[best]),
                        "×",
                        bar=1,
                        at_least=True,
                    )
                )
        figures.append(
            figure_of(
                "inference",
                f"reference, float32, against {KERAS}, float32, {many}",
                paired_ratios(seconds[f"{KERAS}, float32"], seconds["reference, float32"]),
                "×",
                bar=1,
                at_least=True,
            )
        )
    return figures
