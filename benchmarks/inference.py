"""Next-frame prediction of one 20-frame clip, warm: `fast` alone, `reference` beside Keras' own layers.

Speed does not depend on the weights' values, so networks are built fresh. Models compute as the app has them:
in bfloat16 where the hardware multiplies it; the reference also in float32, as Keras' layers do by default.
"""

from __future__ import annotations

import numpy as np

from benchmarks.measure import Figure, interleaved_seconds, medians
from core.moving_mnist import benchmark_clips, to_frames
from core.scenes import STANDARD_FRAMES


def one_clip(frames: int, canvas: int) -> np.ndarray:
    """The first standard clip, float32 (1, frames, canvas, canvas, 1)."""
    return to_frames(benchmark_clips(0, 1, frames=frames))[:, :, :canvas, :canvas, None]


def run(
    *, rounds: int = 11, frames: int = STANDARD_FRAMES, fast: str = "fast", reference: str = "reference"
) -> list[Figure]:
    """Milliseconds of both models, and of the reference's peer."""
    import tensorflow as tf

    from benchmarks.keras_peer import keras_model
    from core.inference import Predictor
    from core.model import CONFIGS, Network
    from core.precision import resolve_precision

    clip = one_clip(frames, CONFIGS[fast].canvas)
    dtype = resolve_precision("auto")
    fast_predictor = Predictor(Network(CONFIGS[fast], dtype))
    seconds = medians(interleaved_seconds({"fast": lambda: fast_predictor.next_frames(clip)}, 2 * rounds))

    reference_predictor = Predictor(Network(CONFIGS[reference], dtype))
    in_float32 = Predictor(Network(CONFIGS[reference]))
    # The peer is compiled once for its shape, as ours is: the layers are compared, not the calling.
    peer = tf.function(keras_model(CONFIGS[reference], frames - 1), reduce_retracing=True)
    seconds |= medians(
        interleaved_seconds(
            {
                "reference": lambda: reference_predictor.next_frames(clip),
                "float32": lambda: in_float32.next_frames(clip),
                "peer": lambda: np.asarray(peer(tf.constant(clip[:, :-1]))),
            },
            rounds,
        )
    )
    device = reference_predictor.device
    return [
        Figure(
            "inference", f"fast, {frames}-frame clip, next-frame, {device}", 1e3 * seconds["fast"], "ms", 150
        ),
        Figure("inference", f"reference, the same clip, {dtype}", 1e3 * seconds["reference"], "ms"),
        Figure("inference", "reference in float32", 1e3 * seconds["float32"], "ms"),
        Figure("inference", "the same architecture from Keras' ConvLSTM2D", 1e3 * seconds["peer"], "ms"),
        Figure(
            "inference",
            "reference against Keras' layers, time",
            seconds["reference"] / seconds["peer"],
            "×",
            1,
        ),
        Figure("inference", "the same, both in float32", seconds["float32"] / seconds["peer"], "×", 1),
    ]
