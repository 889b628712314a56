"""How channels answer to directions, as small polar plots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ui.component import element

_POLAR = element(
    "polar_plots",
    "directions",
    '<div class="polar" role="group" aria-label="Polar plots" tabindex="-1"></div>',
)


def polar_plots(plots: Sequence[dict[str, Any]], directions_deg: Sequence[float], *, key: str) -> None:
    """Show one plot for each channel: how far out its line is in a direction says how much it answers.

    Parameters
    ----------
    plots : of each channel its `title`; its `answers`, (speeds, directions), 0 to 1, the fastest last;
        and which direction it `prefers`, or None
    directions_deg : clockwise, 0 is to the right
    """
    # in a list: Streamlit searches a dictionary for data frames, and loads pandas to know one
    _POLAR(data=[{"plots": list(plots), "directions": list(directions_deg)}], key=key)


def way(direction_deg: float) -> str:
    """A direction in words."""
    names = ("right", "down right", "down", "down left", "left", "up left", "up", "up right")
    return names[round(direction_deg / 45) % 8]
