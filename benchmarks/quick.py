"""The guard: a few ratios in under three minutes, beside those that are committed.

A time says little on another or a busy machine; a ratio of two calls that took turns does. It is how many
times the peer's time is ours, or the share of the limit, so a smaller one is a loss. One that seems to have
fallen is measured again, longer, before it is believed.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import interleaved_seconds, number, paired_ratios
from core.model_config import CONFIGS

COMMITTED = Path(__file__).with_name("quick.json")
FALL_PERCENT = 20


@dataclass(frozen=True)
class Comparison:
    """Two calls that take turns.

    Attributes
    ----------
    name : of the ratio; it ends in the precision where that decides
    ours, peer : the calls
    scale : by what peer's time / our time is multiplied
    """

    name: str
    ours: Callable[[], Any]
    peer: Callable[[], Any]
    scale: float = 1

    def measure(self, rounds: int) -> float:
        """Median of the ratios of the rounds."""
        seconds = interleaved_seconds({"ours": self.ours, "peer": self.peer}, rounds)
        return self.scale * statistics.median(paired_ratios(seconds["peer"], seconds["ours"]))


def of_inference(fast: str, reference: str, frames: int, side: int) -> list[Comparison]:
    """Next-frame predictions beside Keras' layers and the limit."""
    from benchmarks.inference import KERAS, networks, precisions, some_clips
    from benchmarks.limits import network_flops, product_calls, product_name

    builders = networks(fast, reference)
    clip = some_clips(1, frames, CONFIGS[reference].canvas)

    def call(name: str) -> Callable[[], Any]:
        return partial(builders[name](), clip)

    peer = call(f"{KERAS}, float32")
    best = precisions()[-1]
    made: list[Comparison] = []
    for name, config in ((f"fast, {best}", CONFIGS[fast]), (f"reference, {best}", CONFIGS[reference])):
        ours = call(name)
        share = network_flops(config, frames - 1) / (2 * side**3)
        product = product_calls((best,), side)[product_name(best)]
        made.append(Comparison(f"reference of {KERAS}, float32, against our {name}", ours, peer))
        made.append(Comparison(f"share of the limit, {name}", ours, product, share))
    if best != "float32":
        made.append(Comparison(f"{KERAS} against ours, both float32", call("reference, float32"), peer))
    return made


def of_rollout(model: str, context: int, horizon: int) -> list[Comparison]:
    """A rollout beside re-running the growing clip with the same network."""
    from benchmarks.inference import some_clips
    from benchmarks.rollout import GROWING_OURS, rollouts

    ways = rollouts(model)
    given = some_clips(1, context, CONFIGS[model].canvas)
    ours = next(iter(ways))
    growing = next(way for name, way in ways.items() if name.startswith(GROWING_OURS))
    return [
        Comparison(
            f"growing clip against a rollout with {ours}",
            partial(ways[ours], given, horizon),
            partial(growing, given, horizon),
        )
    ]


def of_training(model: str, batch: int, frames: int) -> list[Comparison]:
    """A training step beside Keras' layers."""
    from benchmarks.inference import KERAS, policy, precisions
    from benchmarks.keras_peer import keras_model
    from benchmarks.training import ONLY_BCE, training_step
    from core.losses import CompositeLoss
    from core.model import Network

    best = precisions()[-1]
    ours = Network(CONFIGS[model], policy(best)).training_model(frames - 1)
    peer = keras_model(CONFIGS[model], frames - 1, policy(best))
    ours_step, theirs = (training_step(one, batch, frames, CompositeLoss(ONLY_BCE)) for one in (ours, peer))
    return [Comparison(f"training step of {KERAS} against ours, {best}", ours_step, theirs)]


def of_clips(clips: int, frames: int) -> list[Comparison]:
    """The generator beside a plain loop, and scores beside scikit-image's loop."""
    from benchmarks import generator, metrics
    from core.metrics import per_frame

    rng = np.random.default_rng(0)
    pair = metrics.some_predictions(0, max(1, clips // 4), frames)
    return [
        Comparison(
            "plain loop against the generator",
            lambda: generator.make_vectorised(rng, clips, frames),
            lambda: generator.make_plain(rng, clips, frames),
        ),
        Comparison(
            "scikit-image frame by frame against all scores",
            lambda: per_frame(*pair),
            lambda: metrics.plain_scores(*pair),
        ),
    ]


def comparisons(fast: str = "fast", reference: str = "reference", side: int = 2048) -> list[Comparison]:
    """All that the guard looks at."""
    return [
        *of_clips(64, 20),
        *of_inference(fast, reference, 20, side),
        *of_rollout(reference, 5, 5),
        *of_training(reference, 1, 6),
    ]


def fell(ratio: float, committed: float) -> bool:
    """Whether a ratio is too far below what it was."""
    return ratio < committed * (1 - FALL_PERCENT / 100)


def measured(
    compared: list[Comparison], committed: Mapping[str, float], rounds: int = 5, again: int = 11
) -> dict[str, float]:
    """The ratio of each; what fell is measured again in `again` rounds."""
    ratios = {}
    for one in compared:
        ratio = one.measure(rounds)
        if fell(ratio, committed.get(one.name, 0.0)):
            ratio = one.measure(again)
        ratios[one.name] = ratio
    return ratios


def report(ratios: Mapping[str, float], committed: Mapping[str, float]) -> str:
    """A table of both, and below it a warning for each ratio that fell."""
    lines = ["| ratio | now | committed | change |", "| --- | ---: | ---: | ---: |"]
    warnings = []
    for name, ratio in ratios.items():
        if name not in committed:
            lines.append(f"| {name} | {number(ratio)} | none | |")
            continue
        before = committed[name]
        change = f"{100 * (ratio / before - 1):+.0f} %"
        lines.append(f"| {name} | {number(ratio)} | {number(before)} | {change} |")
        if fell(ratio, before):
            warnings.append(
                f"WARNING: SLOWER: {name}: {number(ratio)}, committed {number(before)} ({change})"
            )
    missing = [f"WARNING: NOT MEASURED: {name}" for name in committed if name not in ratios]
    return "\n".join(lines + (["", *warnings, *missing] if warnings or missing else []))


def read_committed(path: Path) -> dict[str, float]:
    """The committed ratios by name."""
    return {name: float(ratio) for name, ratio in json.loads(path.read_text()).items()}


def write_committed(ratios: Mapping[str, float], path: Path) -> None:
    """Replace the committed ratios."""
    path.write_text(
        json.dumps({name: float(f"{ratio:.3g}") for name, ratio in ratios.items()}, indent=2) + "\n"
    )
