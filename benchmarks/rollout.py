"""Rollouts of the reference: with explicit state, beside re-running the growing clip for each frame.

Keras' example predicts a frame, appends it and predicts the whole longer clip again. That is measured with
Keras' own layers, as the example has them, and with this project's network, which isolates what the state
saves. PyTorch's public networks carry their state, too, and do so here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from benchmarks.inference import KERAS, TORCH, NextFrames, peers, policy, precisions, some_clips
from benchmarks.limits import limit_figures, limit_percent, network_flops, product_calls, product_name
from benchmarks.measure import Figure, figure_of, interleaved_seconds, paired_ratios
from core.model_config import CONFIGS

ROUNDS = {1: 5, 8: 2, 32: 1}  # by clips at once: the growing clips take minutes
GROWING_KERAS = f"growing clip with {KERAS}"
GROWING_OURS = "growing clip with our network"


def growing_clip(predict: NextFrames, context: np.ndarray, horizon: int) -> np.ndarray:
    """A rollout by a network that only takes whole clips: each frame costs a longer clip.

    predict : (batch, time, ...) to as many predictions, each of the frame after
    """
    clip = context
    for _ in range(horizon):
        clip = np.concatenate([clip, predict(clip)[:, -1:]], axis=1)
    return clip[:, context.shape[1] :]


def rollouts(model: str) -> dict[str, Callable[[np.ndarray, int], Any]]:
    """Whatever makes rollouts, by name."""
    from benchmarks.keras_peer import keras_model
    from core.inference import Predictor
    from core.model import Network

    best = precisions()[-1]
    predictor = Predictor(Network(CONFIGS[model], policy(best)))

    def next_of_each(clip: np.ndarray) -> np.ndarray:
        # a last frame that is never looked at: n frames in give n - 1 predictions
        return predictor.next_frames(np.concatenate([clip, clip[:, -1:]], axis=1))

    ways: dict[str, Callable[[np.ndarray, int], Any]] = {f"explicit state, {best}": predictor.rollout}
    if TORCH in peers():
        from benchmarks.torch_peer import TorchPeer

        for precision in precisions():
            ways[f"{TORCH}, {precision}"] = TorchPeer(CONFIGS[model], precision).rollout
    for precision in precisions():
        peer = keras_model(CONFIGS[model], None, policy(precision))
        ways[f"{GROWING_KERAS}, {precision}"] = partial(growing_clip, partial(peer.predict, verbose=0))
    return {**ways, f"{GROWING_OURS}, {best}": partial(growing_clip, next_of_each)}


def run(
    *,
    rounds: Mapping[int, int] = ROUNDS,
    context: int = 10,
    horizon: int = 10,
    model: str = "reference",
    side: int = 2048,
) -> list[Figure]:
    """Seconds a clip of each, and how much faster explicit state is."""
    ways, figures = rollouts(model), []
    state = next(iter(ways))
    for clips, times in rounds.items():
        given = some_clips(clips, context, CONFIGS[model].canvas)
        asked = {name: way for name, way in ways.items() if clips == 1 or not name.startswith(GROWING_OURS)}
        seconds = interleaved_seconds(
            {name: partial(way, given, horizon) for name, way in asked.items()}
            | product_calls(precisions(), side),
            times,
        )
        figures += limit_figures("rollout", seconds, side)
        many = "1 clip" if clips == 1 else f"{clips} clips at once"
        flops = clips * network_flops(CONFIGS[model], context + horizon - 1)
        for name in asked:
            percent = None
            if "growing" not in name:
                product = seconds[product_name(name.rpartition(", ")[2])]
                percent = limit_percent(flops, seconds[name], product, side)
            figures.append(
                figure_of(
                    "rollout",
                    f"{model} {context} → {horizon}, {name}, {many}",
                    [value / clips for value in seconds[name]],
                    "s a clip",
                    limit_percent=percent,
                )
            )
        bars = {
            name: 8 if name.startswith(GROWING_KERAS) else 1 for name in asked if GROWING_OURS not in name
        }
        figures += [
            figure_of(
                "rollout",
                f"{state}, against {name}, {many}",
                paired_ratios(seconds[name], seconds[state]),
                "×",
                bar=bars.get(name),
                at_least=True,
            )
            for name in asked
            if name != state
        ]
    return figures
