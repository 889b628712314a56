"""A rollout of the reference: with explicit state, beside re-running the growing clip for each frame."""

from __future__ import annotations

import numpy as np

from benchmarks.measure import Figure, interleaved_seconds, medians
from core.moving_mnist import benchmark_clips, to_frames


def run(*, rounds: int = 5, context: int = 10, horizon: int = 10, model: str = "reference") -> list[Figure]:
    """Seconds of the rollout three ways.

    Keras' example predicts a frame, appends it and predicts the whole longer clip again. That is measured
    with Keras' own layers, as the example has them, and with this project's network, which isolates what the
    state saves.
    """
    from benchmarks.keras_peer import keras_model
    from core.inference import Predictor
    from core.model import CONFIGS, Network
    from core.precision import resolve_precision

    canvas = CONFIGS[model].canvas
    frames = to_frames(benchmark_clips(0, 1, frames=context))[:, :, :canvas, :canvas, None]
    predictor = Predictor(Network(CONFIGS[model], resolve_precision("auto")))
    peer = keras_model(CONFIGS[model], None)

    def stepping() -> np.ndarray:
        return predictor.rollout(frames, horizon)

    def growing_keras() -> np.ndarray:
        clip = frames
        for _ in range(horizon):
            latest = peer.predict(clip, verbose=0)[:, -1:]
            clip = np.concatenate([clip, latest], axis=1)
        return clip[:, context:]

    def growing_ours() -> np.ndarray:
        clip = frames
        for _ in range(horizon):
            # A last frame that is never looked at: n frames in give n - 1 predictions.
            padded = np.concatenate([clip, clip[:, -1:]], axis=1)
            clip = np.concatenate([clip, predictor.next_frames(padded)[:, -1:]], axis=1)
        return clip[:, context:]

    seconds = medians(
        interleaved_seconds({"state": stepping, "keras": growing_keras, "ours": growing_ours}, rounds)
    )
    name = f"{model} {context} → {horizon}"
    return [
        Figure("rollout", f"{name}, explicit state", seconds["state"], "s"),
        Figure("rollout", f"{name}, growing clip with Keras' layers", seconds["keras"], "s"),
        Figure("rollout", f"{name}, growing clip with our network", seconds["ours"], "s"),
        Figure(
            "rollout",
            "explicit state against Keras' growing clip",
            seconds["keras"] / seconds["state"],
            "×",
            6,
            True,
        ),
        Figure("rollout", "explicit state against our growing clip", seconds["ours"] / seconds["state"], "×"),
    ]
