"""How the cost grows: with frames, clips, filters, canvas and horizon; curves with the exponent fitted.

A curve is a power law where it is straight on logarithmic axes: time = a * size ** exponent. What a call
costs at any size bends it at its lower end and makes the exponent smaller; one that is larger than expected
tells of waste.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.footprint import in_own_process
from benchmarks.inference import policy, precisions, some_clips
from benchmarks.measure import Figure, interleaved_seconds
from core.model_config import CONFIGS, ModelConfig

FRAMES, CLIPS, HORIZONS = (5, 10, 20, 40), (1, 2, 4, 8), (10, 20, 40, 80)
FILTERS, CANVASES = (16, 32, 64, 128), (16, 32, 64, 128)
MEMORY_HORIZONS = (50, 100, 200, 400)
EXPECTED = {"frames": 1, "clips": 1, "filters": 2, "canvas": 2, "horizon": 1, "memory": 0}


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The slope of the straight line through the logarithms, by least squares."""
    slope, _ = np.polyfit(np.log(sizes), np.log(values), 1)
    return float(slope)


def growth_figure(name: str, against: str, points: Sequence[tuple[float, float]]) -> Figure:
    """The exponent of a curve, with its points (size, seconds or MB)."""
    sizes, values = zip(*points, strict=True)
    what = f"{name} against {against}: exponent, {EXPECTED[against]} expected"
    return Figure("growth", what, exponent(sizes, values), "", points=tuple(points))


def random_clips(clips: int, frames: int, canvas: int) -> np.ndarray:
    """float32 (clips, frames, canvas, canvas, 1) in [0, 1]: what a prediction costs does not depend on it."""
    rng = np.random.default_rng(0)
    return rng.random((clips, frames, canvas, canvas, 1), np.float32)


def calls_of(
    name: str, frames: Sequence[int], clips: Sequence[int], horizons: Sequence[int]
) -> dict[tuple[str, str, int], Callable[[], Any]]:
    """Calls of one network whose size grows in one way, by name, way and size."""
    from core.inference import Predictor
    from core.model import Network

    config = CONFIGS[name]
    predictor = Predictor(Network(config, policy(precisions()[-1])))
    given = partial(some_clips, canvas=config.canvas)
    calls: dict[tuple[str, str, int], Callable[[], Any]] = {}
    for size in frames:
        calls[name, "frames", size] = partial(predictor.next_frames, given(1, size + 1))
    for size in clips:
        calls[name, "clips", size] = partial(predictor.next_frames, given(size, max(frames) // 2))
    for size in horizons:
        calls[name, "horizon", size] = partial(predictor.rollout, given(1, 1), size)
    return calls


def calls_of_sizes(
    name: str, filters: Sequence[int], canvases: Sequence[int], frames: int
) -> dict[tuple[str, str, int], Callable[[], Any]]:
    """Calls of networks like one, with other filters or another canvas."""
    from core.inference import Predictor
    from core.model import Network

    def call(config: ModelConfig) -> Callable[[], Any]:
        predictor = Predictor(Network(config, policy(precisions()[-1])))
        return partial(predictor.next_frames, random_clips(1, frames, config.canvas))

    config = CONFIGS[name]
    layers = len(config.filters)
    return {
        **{(name, "filters", n): call(replace(config, filters=(n,) * layers)) for n in filters},
        **{(name, "canvas", side): call(replace(config, canvas=side)) for side in canvases},
    }


_ROLLOUTS = """
from benchmarks.footprint import resident_mb
from benchmarks.inference import policy, precisions, some_clips
from core.inference import Predictor
from core.model import Network
from core.model_config import CONFIGS
config = CONFIGS[{model!r}]
predictor = Predictor(Network(config, policy(precisions()[-1])))
context, memory = some_clips(1, 1, config.canvas), []
predictor.rollout(context, 2)
for horizon in {horizons}:
    predictor.rollout(context, horizon)
    memory.append(resident_mb(peak=False))
print(*memory)
"""


def run(
    *,
    rounds: int = 3,
    models: Sequence[str] = ("reference", "fast"),
    frames: Sequence[int] = FRAMES,
    clips: Sequence[int] = CLIPS,
    horizons: Sequence[int] = HORIZONS,
    filters: Sequence[int] = FILTERS,
    canvases: Sequence[int] = CANVASES,
    memory_horizons: Sequence[int] = MEMORY_HORIZONS,
) -> list[Figure]:
    """An exponent a curve: seconds of next-frame predictions and rollouts, memory of a rollout."""
    calls: dict[Any, Callable[[], Any]] = {}
    for name in models:
        calls |= calls_of(name, frames, clips, horizons)
    calls |= calls_of_sizes(models[0], filters, canvases, max(frames) // 4 + 1)
    seconds: dict[Any, list[float]] = interleaved_seconds(calls, rounds)
    curves: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for (name, against, size), values in seconds.items():
        curves.setdefault((name, against), []).append((size, statistics.median(values)))
    for name in models:
        memory = in_own_process(_ROLLOUTS.format(model=name, horizons=tuple(memory_horizons)))
        curves[name, "memory"] = list(zip(memory_horizons, memory, strict=True))
    return [growth_figure(name, against, points) for (name, against), points in curves.items()]


def draw(figures: Sequence[Figure], path: Path) -> None:
    """All curves on logarithmic axes, a chart for each way to grow, as SVG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure as Picture

    charts: dict[str, list[tuple[str, Figure]]] = {}
    for figure in figures:
        name, against = figure.what.split(":")[0].split(" against ")
        charts.setdefault(against, []).append((name, figure))
    # text as text, and the same file from the same figures
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "growth", "font.size": 8}):
        picture = Picture(figsize=(8, 2.4 * -(-len(charts) // 3)), layout="constrained")
        axes = picture.subplots(-(-len(charts) // 3), 3, squeeze=False).ravel()
        for axis, (against, curves) in zip(axes, charts.items(), strict=False):
            for name, figure in curves:
                axis.plot(*zip(*figure.points, strict=True), "o-", ms=3, label=f"{name}: {figure.value:.2f}")
            sizes = [size for size, _ in curves[0][1].points]
            axis.set(xscale="log", yscale="log", ylabel="MB" if against == "memory" else "s")
            axis.set_title(
                f"memory, horizon (expected {EXPECTED[against]})"
                if against == "memory"
                else f"{against} (expected {EXPECTED[against]})",
                fontsize=8,
            )
            axis.set_xticks(sizes, [f"{size:g}" for size in sizes])
            axis.minorticks_off()
            if against == "memory":
                axis.set_ylim(100, 10_000)
            axis.legend(frameon=False)
        for axis in axes[len(charts) :]:
            axis.remove()
        picture.savefig(path, format="svg", metadata={"Date": None})
