"""How a benchmark measures, and what it reports."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured number, and the bar it has to reach if there is one.

    Attributes
    ----------
    benchmark, what : where it belongs, and what it is in words
    value, unit : the number
    bar : limit it is held to, or None
    at_least : the bar is a lower limit; else an upper one
    quartiles : first and third quartile of what the value is the median of; None for a single measurement
    limit_percent : how much of what the machine can do it reaches, see `benchmarks.limits`; None: not counted
    predicted : what was expected of it before it was measured, in words
    points : of the curve that the value is the exponent of, see `benchmarks.growth`
    """

    benchmark: str
    what: str
    value: float
    unit: str
    bar: float | None = None
    at_least: bool = False
    quartiles: tuple[float, float] | None = None
    limit_percent: float | None = None
    predicted: str = ""
    points: tuple[tuple[float, float], ...] = ()

    @property
    def met(self) -> bool | None:
        """Whether the bar is reached; None without a bar."""
        if self.bar is None:
            return None
        return self.value >= self.bar if self.at_least else self.value <= self.bar

    @property
    def bar_text(self) -> str:
        """The bar as a person writes it."""
        return "" if self.bar is None else f"{'≥' if self.at_least else '≤'} {self.bar:g} {self.unit}".strip()


def interleaved_seconds(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Wall times of each call, taken in turns, after one unmeasured round.

    In turns, so that a machine that slows down slows down all of them: the ratio of two medians holds on a
    machine with other work, where a time alone does not.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be 1 or more; got {rounds}")
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for round_number in range(rounds + 1):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            if round_number > 0:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def medians(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    """The median of each list."""
    return {name: statistics.median(values) for name, values in seconds.items()}


def percentile(values: list[float], percent: int) -> float:
    """The value that so many percent of the values do not exceed, by straight lines between them.

    percent : 1 to 99; a single value stands for all
    """
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def quartiles(values: list[float]) -> tuple[float, float]:
    """First and third quartile."""
    return percentile(values, 25), percentile(values, 75)


def figure_of(benchmark: str, what: str, values: list[float], unit: str, **rest: Any) -> Figure:
    """The median of measurements, with its quartiles."""
    return Figure(benchmark, what, statistics.median(values), unit, quartiles=quartiles(values), **rest)


def paired_ratios(above: list[float], below: list[float]) -> list[float]:
    """The ratio of two calls in each round: what slows a round down slows both of them down."""
    return [one / other for one, other in zip(above, below, strict=True)]


def number(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def markdown_table(figures: list[Figure], named: bool = True) -> str:
    """Figures as a Markdown table of the columns that have something in them.

    named : whether there is a column of the benchmark's name
    """
    columns = {
        "benchmark": [figure.benchmark if named else "" for figure in figures],
        "what": [figure.what for figure in figures],
        "predicted": [figure.predicted for figure in figures],
        "median": [f"{number(figure.value)} {figure.unit}".strip() for figure in figures],
        "quartiles": [
            " – ".join(number(value) for value in figure.quartiles) if figure.quartiles else ""
            for figure in figures
        ],
        "of the limit": [
            "" if figure.limit_percent is None else f"{figure.limit_percent:.0f} %" for figure in figures
        ],
        "bar": [figure.bar_text for figure in figures],
        "met": [{None: "", True: "yes", False: "**no**"}[figure.met] for figure in figures],
    }
    used = {name: cells for name, cells in columns.items() if any(cells)}
    right = ("median", "quartiles", "of the limit", "bar")
    rows = [
        list(used),
        ["---:" if name in right else "---" for name in used],
        *zip(*used.values(), strict=True),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
