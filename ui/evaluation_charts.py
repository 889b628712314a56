"""Plotly figures of the evaluation page: lines by step, the generalisation map, the leak's bars.

One palette for light and dark: every colour has a contrast of 3 or more against both backgrounds, so a figure
need not know which theme it stands in. Words need more than any one gray has on both: they are
styled by theme. Backgrounds are transparent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from ui.evaluation_parts import name_of, short_name_of

# By Okabe and Ito, moved to a middle lightness.
_MODELS = {"fast": "#2B8CC4", "reference": "#C77700", "best": "#12946F", "leaky": "#B95C93"}
_OTHERS = ("#2B8CC4", "#C77700", "#12946F", "#B95C93")
_NEUTRAL, _LIMIT = "#7F8B93", "#8A6FD1"
_STYLES: dict[str, tuple[str, str]] = {  # colour, dash
    "copy-last": (_NEUTRAL, "dot"),
    "constant velocity": (_NEUTRAL, "dash"),
    "bounce oracle": (_NEUTRAL, "dashdot"),
    "ideal observer": (_LIMIT, "longdash"),
}
_SYMBOLS = ("circle", "square", "diamond", "triangle-up")
_GRID = "rgba(127, 139, 147, 0.25)"
_WORDS = (  # as Plotly calls them: axes, notes, the colour bar
    ".xtick text", ".ytick text", ".xtitle", ".ytitle", ".annotation-text", ".textpoint text", ".cbaxis text",
    ".cbtitle text",
)  # fmt: skip
CONFIG = {"displayModeBar": False}
LEAST_CHANGE = 1e-6  # where a bar for no change at all would stand on a logarithmic axis


@dataclass(frozen=True)
class Series:
    """One line: a value for each frame of the clip from `first` (counted from 0) on; None leaves a gap."""

    name: str
    values: Sequence[float | None]
    first: int


def plot(figure: go.Figure, alt: str, key: str) -> None:
    """Show a figure."""
    st.plotly_chart(figure, width="stretch", theme="streamlit", config=CONFIG, key=key, alt=alt)


def style_words() -> None:
    """Words outside the marks in the theme's gray, as Streamlit's own is too pale; call once in a page.

    As a style and not in the figures: these are not made anew when somebody changes the theme.
    """
    light, dark = (st.get_option(f"theme.{theme}.grayColor") for theme in ("light", "dark"))
    words = ", ".join(f".js-plotly-plot {word}" for word in _WORDS)
    st.html(f"<style>@media screen {{ {words} {{ fill: light-dark({light}, {dark}) !important; }} }}</style>")


def color_of(name: str) -> str:
    """The colour of a model, a baseline or the limit, the same in every figure."""
    if name in _STYLES:
        return _STYLES[name][0]
    name = name.partition(" (")[0]  # "leaky (sees the future)"
    return _MODELS.get(name) or _OTHERS[sum(name.encode()) % len(_OTHERS)]


def lines(
    series: Sequence[Series],
    y_title: str,
    *,
    log: bool = False,
    reference: float | None = None,
    digits: int = 1,
) -> go.Figure:
    """Values by frame of the clip.

    Parameters
    ----------
    log : logarithmic value axis
    reference : where a thin line is drawn: the value of a perfect prediction, or of no skill
    digits : decimals in the tip at the cursor
    """
    figure = go.Figure()
    if reference is not None:
        figure.add_hline(y=reference, line={"color": _NEUTRAL, "width": 1})
    models = [one.name for one in series if one.name not in _STYLES]
    for one in series:
        color, dash = _STYLES.get(one.name, (color_of(one.name), "solid"))
        is_model = one.name in models
        symbol = _SYMBOLS[models.index(one.name) % len(_SYMBOLS)] if is_model else "circle"
        figure.add_trace(
            go.Scatter(
                x=[one.first + 1 + step for step in range(len(one.values))],
                y=list(one.values),
                name=name_of(one.name),
                mode="lines+markers" if is_model else "lines",
                line={"color": color, "dash": dash, "width": 2.5 if is_model else 2},
                marker={"symbol": symbol, "size": 6},
                hovertemplate=f"%{{y:.{digits}f}}",
            )
        )
    _dress(figure, "Frame of the clip that is predicted", y_title)
    figure.update_layout(hovermode="x unified")
    if log:
        # Plotly would shorten 20 and 50 to "2" and "5"
        figure.update_yaxes(
            type="log", tickvals=[factor * 10**n for n in range(-2, 4) for factor in (1, 2, 5)]
        )
    return figure


MAP_VALUES: dict[str, tuple[str, str, float]] = {  # label, format, factor
    "psnr": ("Mean PSNR, dB", ".0f", 1.0),
    "skill": ("Skill, %", ".0f", 100.0),
    "centroid_px": ("Misplaced, px", ".1f", 1.0),
}


def map_range(results: Iterable[Mapping[str, Any]], value: str) -> tuple[float, float] | None:
    """Between which values the colours of maps run, one range for all, so that maps can be compared.

    They are for what moves: what stands still is often predicted exactly, and would leave one colour to all
    else. None where nothing moves.
    """
    _, _, factor = MAP_VALUES[value]
    moving = [
        factor * cell[value]
        for result in results
        for cell in result["cells"]
        if cell[value] is not None and cell["speed_px"] > 0
    ]
    return (min(moving), max(moving)) if moving else None


def generalisation_map(
    result: Mapping[str, Any],
    value: str,
    chosen: tuple[float, int] | None = None,
    colors: tuple[float, float] | None = None,
) -> go.Figure:
    """Speed by number of digits; squares can be selected, their `customdata` is [speed_px, digits].

    `value` is a key of `MAP_VALUES`; `chosen` the speed and the digits of the cell with a frame around it;
    `colors` as `map_range` finds them, of this map alone if it is None. The squares lie unseen on a heatmap
    trace, because a click on that never reaches Streamlit.
    """
    label, digits, factor = MAP_VALUES[value]
    cells = result["cells"]
    values = [None if cell[value] is None else factor * cell[value] for cell in cells]
    low, high = colors or map_range([result], value) or (None, None)
    texts = ["" if shown is None else f"{shown:{digits}}" for shown in values]
    figure = go.Figure(
        go.Heatmap(
            x=[cell["speed_px"] for cell in cells],
            y=[cell["digits"] for cell in cells],
            z=values,
            zmin=low,
            zmax=high,
            colorscale="Cividis",
            reversescale=value == "centroid_px",
            xgap=2,
            ygap=2,
            text=texts,
            texttemplate="%{text}",
            hoverinfo="skip",
            colorbar={"title": {"text": label, "side": "right"}, "thickness": 10, "outlinewidth": 0},
        )
    )
    figure.add_trace(
        go.Scatter(
            x=[cell["speed_px"] for cell in cells],
            y=[cell["digits"] for cell in cells],
            customdata=[[cell["speed_px"], cell["digits"]] for cell in cells],
            text=texts,
            mode="markers",
            marker={"symbol": "square", "size": 30, "color": "rgba(0,0,0,0)"},
            selected={"marker": {"opacity": 0}},
            unselected={"marker": {"opacity": 0}},
            hovertemplate="%{x} px a frame, %{y} digits: %{text}<extra></extra>",
            showlegend=False,
        )
    )
    (fewest, most), (slowest, fastest) = result["trained"]["digits"], result["trained"]["speed_px"]
    figure.add_shape(
        type="rect",
        x0=slowest - 0.5, x1=fastest + 0.5, y0=fewest - 0.5, y1=most + 0.5,
        line={"color": "#D55E00", "width": 3},
    )  # fmt: skip
    for cell, shown in zip(cells, values, strict=True):
        if shown is None:  # without motion there is no skill: not a hole in the data
            figure.add_annotation(x=cell["speed_px"], y=cell["digits"], text="–", showarrow=False)
    if chosen is not None and chosen[0] in result["speeds_px"]:
        # columns are 1 px wide; white in black is seen on every colour
        around = {"x0": chosen[0] - 0.47, "x1": chosen[0] + 0.47}
        around |= {"y0": chosen[1] - 0.46, "y1": chosen[1] + 0.46}
        for color, width in (("black", 5), ("white", 2)):
            figure.add_shape(type="rect", **around, line={"color": color, "width": width})
    if is_reach_on_map(result):
        # after the last column within reach, where it crosses no figure, and beside the edge of the frame
        edge = math.floor(reach_of(result) or 0.0) + 0.5
        edge += 0.1 if edge == fastest + 0.5 else 0.0
        for color, width, dash in (("black", 4, "solid"), ("white", 2, "dash")):
            figure.add_vline(x=edge, line={"color": color, "width": width, "dash": dash})
        figure.add_annotation(x=edge, y=1.0, yref="paper", yanchor="bottom", showarrow=False, text="reach")
    _dress(figure, "Speed, px a frame", "Digits")
    figure.update_layout(clickmode="event+select", dragmode=False, height=330, margin={"t": 28})
    figure.update_xaxes(tickvals=result["speeds_px"], showgrid=False)
    figure.update_yaxes(tickvals=result["digits"], showgrid=False)
    return figure


def reach_of(result: Mapping[str, Any]) -> float | None:
    """How far a network can bring ink in one step, px: its motion head's reach, or its receptive field."""
    moves = result.get("moves_px")
    return result.get("reach_px") if moves is None else moves


def is_reach_on_map(result: Mapping[str, Any]) -> bool:
    """Whether the reach lies among the speeds shown, so that its line can be drawn."""
    reach = reach_of(result)
    return reach is not None and reach <= max(result["speeds_px"]) + 0.5


def moved_before(models: Sequence[Mapping[str, Any]], changed_frame: int) -> str:
    """How many predictions of earlier frames moved, in words; models as those of `leak_bars`."""
    return ", ".join(
        f"{short_name_of(model['name'])}: "
        f"{sum(change > 0 for change in model['max_change'][:changed_frame])} of {changed_frame} earlier "
        "predictions move"
        for model in models
    )


def leak_bars(models: Sequence[Mapping[str, Any]], changed_frame: int) -> go.Figure:
    """The largest change of any pixel in each prediction, on a logarithmic axis.

    No change at all has no place on such an axis: a "0" stands where its bar would begin.
    """
    figure = go.Figure()
    for model in models:
        name, changes = model["name"], list(model["max_change"])
        frames = [index + 2 for index in range(len(changes))]  # prediction 0 is of the second frame
        figure.add_trace(
            go.Bar(
                x=frames,
                y=[change or None for change in changes],
                name=name_of(name),
                marker={"color": color_of(name), "pattern": {"shape": "" if model["causal"] else "/"}},
                hovertemplate="%{y:.2g}",
            )
        )
    untouched = [
        (index + 2, "0")
        for index, changes in enumerate(zip(*(model["max_change"] for model in models), strict=True))
        if not any(changes)
    ]
    figure.add_trace(
        go.Scatter(
            x=[frame for frame, _ in untouched],
            y=[LEAST_CHANGE * 1.6] * len(untouched),
            text=[text for _, text in untouched],
            mode="text",
            hoverinfo="skip",
            showlegend=False,
        )
    )
    figure.add_vline(x=changed_frame + 1.5, line={"color": _NEUTRAL, "width": 2, "dash": "dash"})
    for side, text in (("right", "must not know"), ("left", "may know")):
        figure.add_annotation(
            x=changed_frame + 1.5,
            y=1,
            yref="paper",
            xanchor=side,
            yanchor="bottom",
            showarrow=False,
            text=text,
        )
    _dress(figure, "Frame of the clip that is predicted", "Largest change of a pixel")
    figure.update_layout(barmode="group", margin={"t": 28})
    figure.update_yaxes(type="log", range=[-6, 0.1], dtick=1, exponentformat="power", tickfont={"size": 12})
    return figure


def bars(values: Sequence[float], x_title: str, y_title: str) -> go.Figure:
    """One bar for each value, counted from 1."""
    figure = go.Figure(go.Bar(x=list(range(1, len(values) + 1)), y=list(values), hovertemplate="%{y:.2f}"))
    _dress(figure, x_title, y_title)
    figure.update_layout(height=260)
    return figure


def _dress(figure: go.Figure, x_title: str, y_title: str) -> None:
    """What all figures share: a clear background, the legend below, nothing dragged by accident."""
    figure.update_layout(
        height=400,
        margin={"l": 8, "r": 8, "t": 12, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        # at the figure's foot: below the plot, it would lie on the axis' title where the figure is low
        legend={"orientation": "h", "yref": "container", "yanchor": "bottom", "y": 0, "x": 0},
    )
    figure.update_xaxes(title=x_title, fixedrange=True, gridcolor=_GRID, zeroline=False)
    figure.update_yaxes(title=y_title, fixedrange=True, gridcolor=_GRID, zeroline=False, automargin=True)
