"""Curves of training runs, drawn in the browser.

Not by `st.plotly_chart`: Streamlit makes a new chart of every figure that differs, which flickers and forgets
a person's zoom each time a point is added. These are drawn anew in place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from core import curves
from core.history import History
from ui.component import element

MAX_POINTS = 2000  # drawn in one chart
X_TITLES = {"step": "Steps", "minutes": "Minutes of training"}
# Of the theme's colour-blind safe colours: the first runs get those that stay furthest apart.
COLORS = (0, 3, 2, 5, 4, 1)
MAX_RUNS = len(COLORS)
_CHART = element("line_chart", "charts", '<div class="chart"></div>')


@dataclass(frozen=True)
class Drawn:
    """A run to draw: its name, its rows, its number among the theme's colours."""

    name: str
    history: History
    color: int


@dataclass(frozen=True)
class Trace:
    """One line before it is thinned."""

    run: Drawn
    label: str
    x: np.ndarray
    y: np.ndarray
    kind: Literal["line", "raw", "dashed"] = "line"


@dataclass(frozen=True)
class Plot:
    """What a chart shows.

    Attributes
    ----------
    key, title, hint : its name, what stands above it, and what it means
    unit, digits : of the values
    traces : makes the lines of a run
    can_be_log : whether a logarithmic axis makes sense
    """

    key: str
    title: str
    hint: str
    unit: str
    digits: int
    traces: Callable[[Drawn, str, float], list[Trace]]
    can_be_log: bool = False


# ----------------------------------------------------------------------------------------- what is drawn


def _noisy(column: str, label: str) -> Callable[[Drawn, str, float], list[Trace]]:
    """A column of the step rows: smoothed, with the raw values faint behind it."""

    def traces(run: Drawn, x: str, smoothing: float) -> list[Trace]:
        at, values = finite(dense(run.history), x, column)
        if not len(values):
            return []
        smoothed = Trace(run, label, at, curves.smooth(values, smoothing))
        return [Trace(run, f"{label}, raw", at, values, "raw"), smoothed] if smoothing else [smoothed]

    return traces


def _plain(column: str, label: str) -> Callable[[Drawn, str, float], list[Trace]]:
    """A column of the step rows as it is."""
    return lambda run, x, _: _noisy(column, label)(run, x, 0.0)


def _scored(column: str, label: str, kind: Literal["line", "dashed"] = "line") -> Callable[..., list[Trace]]:
    """A column of the epoch rows, as it is."""

    def traces(run: Drawn, x: str, _: float) -> list[Trace]:
        at, values = finite(run.history.epochs, x, column)
        return [Trace(run, label, at, values, kind)] if len(values) else []

    return traces


def _loss(run: Drawn, x: str, smoothing: float) -> list[Trace]:
    return [
        *_noisy("loss", "training")(run, x, smoothing),
        *_scored("val_loss", "validation", "dashed")(run, x, 0),
    ]


def dense(history: History) -> dict[str, np.ndarray]:
    """The rows that follow closest on each other: those of steps, or where there are none, of epochs."""
    return history.steps if len(history.steps.get("step", ())) else history.epochs


def finite(rows: dict[str, np.ndarray], x: str, column: str) -> tuple[np.ndarray, np.ndarray]:
    """The points of a column that are numbers."""
    if column not in rows:
        return np.empty(0), np.empty(0)
    there = np.isfinite(rows[column])
    return (rows[x], rows[column]) if there.all() else (rows[x][there], rows[column][there])


MAIN = (
    Plot(
        "psnr",
        "Picture quality",
        "PSNR in decibels on clips that it never trains on, after each epoch. Higher is better; "
        "10 dB more is ten times less squared error.",
        "dB",
        2,
        _scored("val_psnr", "PSNR"),
    ),
    Plot(
        "loss",
        "Loss",
        "What training makes small. Dashed: the loss on clips that it never trains on, with the averaged "
        "weights that are kept. These clips have 20 frames. Where training clips are shorter, the first, "
        "blurred prediction weighs more in them, and the dashed curve may lie lower.",
        "",
        4,
        _loss,
        can_be_log=True,
    ),
)
MORE = (
    Plot("ssim", "SSIM", "How alike the shapes are, on validation clips; 1 is the same.", "", 3,
         _scored("val_ssim", "SSIM")),
    Plot("rate", "Learning rate", "How far each step moves the weights.", "", 6,
         _plain("learning_rate", "rate"), can_be_log=True),
)  # fmt: skip
PARTS = (
    Plot("bce", "Cross entropy", "Each pixel for itself; without its weight.", "", 4,
         _noisy("bce", "cross entropy"), can_be_log=True),
    Plot("mse", "Squared error", "Each pixel's, mean; without its weight.", "", 4,
         _noisy("mse", "squared error"), can_be_log=True),
    Plot("log_mse", "Log squared error", "Of each frame, mean; without its weight.", "", 4,
         _noisy("log_mse", "logarithm"), can_be_log=True),
    Plot("perceptual", "Perceptual part", "Features of VGG16; without its weight.", "", 4,
         _noisy("perceptual", "perceptual"), can_be_log=True),
    Plot("gdl", "Gradient difference", "Edges; without its weight.", "", 4,
         _noisy("gdl", "gradient difference"), can_be_log=True),
)  # fmt: skip
ROLLOUT = Plot(
    "rollout",
    "Own predictions",
    "Share of the clips in which the network goes on from its own predictions.",
    "",
    2,
    _plain("rollout", "share"),
)


def plots_for(runs: Sequence[Drawn]) -> list[Plot]:
    """The charts that have something to say about these runs, the most telling first."""

    def used(column: str) -> int:
        return sum(len(finite(dense(run.history), "step", column)[1]) > 0 for run in runs)

    if not used("loss"):
        return []
    parts = [plot for plot in PARTS if used(plot.key)]
    # a single part is the loss itself, but for its weight
    parts = parts if len(parts) > 1 else []
    rollout = (
        [ROLLOUT] if any((finite(dense(run.history), "step", "rollout")[1] > 0).any() for run in runs) else []
    )
    return [*MAIN, *parts, *MORE, *rollout]


# ---------------------------------------------------------------------------------------------- drawing


def chart(
    plot: Plot, runs: Sequence[Drawn], x: str, *, smoothing: float, log: bool, height: int, revision: str
) -> dict[str, Any]:
    """A chart of at most `MAX_POINTS` points, as the browser takes it.

    Parameters
    ----------
    runs : the one in focus first
    x : key of `X_TITLES`
    smoothing : weight of the moving average of noisy curves, 0 to below 1
    log : a logarithmic value axis, where that makes sense
    height : of the picture, px
    revision : as long as it stays the same, a person's zoom survives new points
    """
    traces = [trace for run in runs for trace in plot.traces(run, x, smoothing)]
    several = len(runs) > 1
    points = MAX_POINTS // max(len(traces), 1)
    lines = [_line(trace, points, runs[0], several=several) for trace in traces]
    return {
        "label": alt(plot, runs, traces),
        "title_x": X_TITLES[x],
        "unit": f" {plot.unit}" if plot.unit else "",
        "digits": plot.digits,
        "log": log and plot.can_be_log,
        "height": height,
        "revision": revision,
        "named": several or sum(line["named"] for line in lines) > 1,
        "lines": lines,
    }


def show(shown: dict[str, Any], key: str) -> None:
    """Draw a chart; the same key keeps its zoom while its points change."""
    # in a list: Streamlit searches a dictionary for data frames, and loads pandas to know one
    _CHART(data=[shown], key=key)


def _line(trace: Trace, points: int, focus: Drawn, *, several: bool) -> dict[str, Any]:
    kept = curves.thin(trace.y, max(points, 4))
    name = trace.run.name if several else trace.label
    if several and trace.kind == "dashed":
        name += f", {trace.label}"
    return {
        "name": name,
        "kind": trace.kind,
        "color": trace.run.color,
        "named": _is_named(trace, focus),
        "x": _numbers(trace.x[kept]),
        "y": _numbers(trace.y[kept]),
    }


def _numbers(values: np.ndarray) -> list[float]:
    """To the six digits that an eye, and the tip at the cursor, can use: half the bytes."""
    return [float(f"{value:.6g}") for value in values.tolist()]


def _is_named(trace: Trace, focus: Drawn) -> bool:
    """Whether the legend names it: each run once, and of the one in focus what is dashed, too."""
    return trace.kind == "line" or (trace.kind == "dashed" and trace.run is focus)


def alt(plot: Plot, runs: Sequence[Drawn], traces: Sequence[Trace]) -> str:
    """What a figure shows, in words, with where each run stands."""
    said = []
    for run in runs:
        lines = [trace for trace in traces if trace.run is run and trace.kind != "raw"]
        ends = ", ".join(
            f"{line.label} {line.y[0]:.{plot.digits}f} to {line.y[-1]:.{plot.digits}f}" for line in lines
        )
        said.append(f"{run.name}: {ends or 'nothing yet'}")
    return f"{plot.title} over the training. {'; '.join(said)}."
