"""How a benchmark measures, and what it reports."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured number, and the bar it has to reach if there is one.

    Attributes
    ----------
    benchmark, what : where it belongs, and what it is in words
    value, unit : the number
    bar : limit it is held to, or None
    at_least : the bar is a lower limit; else an upper one
    """

    benchmark: str
    what: str
    value: float
    unit: str
    bar: float | None = None
    at_least: bool = False

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


def markdown_table(figures: list[Figure]) -> str:
    """Figures as a Markdown table, for the README."""
    lines = ["| benchmark | what | measured | bar | met |", "| --- | --- | ---: | ---: | --- |"]
    for figure in figures:
        met = {None: "", True: "yes", False: "**no**"}[figure.met]
        value = f"{figure.value:,.0f}" if figure.value >= 100 else f"{figure.value:.3g}"
        lines.append(
            f"| {figure.benchmark} | {figure.what} | {value} {figure.unit} | {figure.bar_text} | {met} |"
        )
    return "\n".join(lines)
