"""One clock for several pictures: plays clips side by side in the browser, with a chart that keeps pace.

Everything happens in the browser: playing, stepping, scrubbing and the chart's cursor ask the server nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from ui.component import element
from ui.pictures import sprite

FRAMES_A_SECOND = 8  # until somebody chooses another speed
# how a line looks: by its part, or by its model
_Part = Literal["strong", "quiet", "limit", "constant_velocity", "bounce_oracle", "other", "another"]
Emphasis = _Part | Literal["fast", "best", "reference", "leaky"]
_PLAYER = element(
    "clip_player", "player", '<div class="player" role="group" aria-label="Clip player" tabindex="0"></div>'
)


@dataclass(frozen=True)
class Panel:
    """One picture of the player.

    Attributes
    ----------
    title, caption : what a person reads above and below it
    frames : uint8 or float (n, h, w); None for a picture of the difference between two others
    first : index in the clip of its first frame
    waiting : what stands in the picture before its first frame
    paths : for each digit its colour and the middle of the digit in every frame, px
    """

    key: str
    title: str
    caption: str = ""
    frames: np.ndarray | None = None
    first: int = 0
    waiting: str = ""
    paths: Sequence[tuple[str, np.ndarray]] = ()
    difference: tuple[str, str] | None = None  # (prediction, truth): keys of the panels to subtract


@dataclass(frozen=True)
class Line:
    """One line of the chart: a value for each frame from `first` on.

    What `may_leave` does not stretch the axis, and runs along its edge where it is far off.
    """

    name: str
    values: Sequence[float]
    emphasis: Emphasis
    may_leave: bool = False


@dataclass(frozen=True)
class Chart:
    """One figure of every predicted frame; a chart with several lets a person choose.

    `unit` follows each value. From the value `exact` on, where there is one, a prediction is said to be
    exact.
    """

    key: str
    name: str
    question: str
    hint: str
    digits: int
    lines: Sequence[Line]
    first: int
    unit: str = ""
    exact: float | None = None


def clip_player(
    panels: Sequence[Panel],
    *,
    key: str,
    charts: Sequence[Chart] = (),
    given: int = 0,
    strip: bool = False,
    narrow_columns: int | None = None,
    heading: str = "",
    reveal: int = 0,
) -> None:
    """Show clips side by side, played in step.

    Parameters
    ----------
    panels : the longest decides how many frames there are
    key : the same player keeps its place and speed while its pictures change
    charts : lines below the pictures whose cursor follows; a click moves the player
    given : in a rollout, how many frames the model was given; the rest is marked as predicted
    strip : show every frame of the first panel at once, below
    narrow_columns : pictures side by side on a phone; None: by their number
    reveal : another number than before scrolls to the player
    heading : what stands above the pictures where they fill the screen, and nothing else of the page is seen
    """
    length = max((panel.first + len(panel.frames) for panel in panels if panel.frames is not None), default=0)
    data: dict[str, Any] = {
        "panels": [_panel(panel) for panel in panels],
        "length": length,
        "size": panels[0].frames.shape[-1] if panels[0].frames is not None else 64,
        "charts": [_chart(chart) for chart in charts],
        "given": given,
        "strip": strip,
        "narrow": narrow_columns,
        "heading": heading,
        "reveal": reveal,
        "rate": FRAMES_A_SECOND,
    }
    # in a list: Streamlit searches a dictionary for data frames, and loads pandas to know one
    _PLAYER(data=[data], key=key)


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "key": panel.key,
        "title": panel.title,
        "caption": panel.caption,
        "first": panel.first,
        "waiting": panel.waiting,
        "sprite": sprite(panel.frames) if panel.frames is not None else None,
        "difference": list(panel.difference) if panel.difference else None,
        "paths": [{"color": color, "points": np.round(points, 1).tolist()} for color, points in panel.paths],
    }


def _chart(chart: Chart) -> dict[str, Any]:
    lines = [{**asdict(line), "values": [float(value) for value in line.values]} for line in chart.lines]
    return {**asdict(chart), "lines": lines}
