"""The map on the evaluation page: how a model does with scenes unlike those it learned from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.scenes import Scene, SceneError
from ui import evaluation_charts as charts
from ui import evaluation_parts as parts
from ui import link, own_clip, results, state

_SPEED, _DIGITS, _MAP = "map_speed", "map_digits", "map_chart"


def generalisation_map() -> None:
    """The section: a map of speeds and numbers of digits, and one of its cells."""
    parts.begin(
        "Generalisation map",
        "How well does it do with scenes unlike those it learned from? It trained on those inside the orange "
        "frame. Click on a cell, or use the controls below.",
    )
    found = results.maps()
    if not found:
        parts.empty("map")
        return
    with st.container(horizontal=True):
        model = parts.choose_model(list(found), "map_model")
        value = st.segmented_control(
            "Colour", list(charts.MAP_VALUES), default="psnr", required=True, key="map_value",
            bind="query-params",
            format_func=lambda name: charts.MAP_VALUES[name][0],
            help="What the colour and the number of a cell say.",
        )  # fmt: skip
    result = found[model]
    chart = st.container()  # above the controls, which say what is marked in it
    chosen = _choose_cell(result)
    with chart:
        st.plotly_chart(
            charts.generalisation_map(result, value, chosen, charts.map_range(found.values(), value)),
            width="stretch",
            config=charts.CONFIG,
            key=_MAP,
            on_select=_take_cell,
            selection_mode="points",
            alt=f"{charts.MAP_VALUES[value][0]} of {parts.short_name_of(model)} for {len(result['cells'])} "
            "combinations of speed and number of digits; the numbers are in the CSV file.",
        )
        st.caption(_reach_text(result))
    _cell(model, result, *chosen)
    rows = [{k: v for k, v in cell.items() if k != "scene"} for cell in result["cells"]]
    parts.end(
        f"Each cell: {result.get('clips_a_cell', 'some')} clips of 20 frames, all digits with that speed, "
        "one frame ahead, means over frames. **Skill** is the share of the squared error of repeating the "
        "last frame that is gone; without motion there is none to take away. **Misplaced** is how far the "
        "middle of the ink is from where it should be.",
        rows,
        f"map-{model}",
    )


def _reach_text(result: Mapping[str, Any]) -> str:
    reach = charts.reach_of(result)
    if reach is None:
        return "The reach of this network is not limited in one step."
    where = "the dashed line" if charts.is_reach_on_map(result) else "beyond the right edge of this map"
    if result.get("moves_px") is not None:
        return (
            f"Reach, {where}: in one step it moves pixels by at most {reach:g} px along each axis. Whatever "
            f"flies further has to be painted anew; for that it sees up to {result['reach_px']:g} px around."
        )
    return (
        f"Reach, {where}: in one step it looks about {reach:g} px to each side. A digit that "
        "jumps further in a frame comes from where the network cannot see it."
    )


def _take_cell() -> None:
    """Callback: a click on the map moves the controls below it."""
    points = state.value(_MAP)["selection"]["points"]
    if points:
        speed, digits = points[-1]["customdata"][:2]
        state.remember(_SPEED, speed)
        state.remember(_DIGITS, digits)


def _choose_cell(result: Mapping[str, Any]) -> tuple[float, int]:
    """Speed and number of digits of the cell to look at."""
    speeds, digits = result["speeds_px"], result["digits"]
    with st.container(horizontal=True):
        speed = st.select_slider(
            "Speed, px a frame",
            speeds,
            state.begun_with(_SPEED, speeds[len(speeds) // 2]),
            key=_SPEED,
            bind="query-params",
            width=260,
            help="The column of the map to look at.",
        )
        count = st.segmented_control(
            "Digits",
            digits,
            default=state.begun_with(_DIGITS, digits[min(1, len(digits) - 1)]),
            key=_DIGITS,
            required=True,
            bind="query-params",
            help="The row of the map to look at.",
        )  # fmt: skip
    return state.left_with(_SPEED, speed), state.left_with(_DIGITS, count)


def _cell(model: str, result: Mapping[str, Any], speed: float, count: int) -> None:
    cell = next((c for c in result["cells"] if (c["speed_px"], c["digits"]) == (speed, count)), None)
    if cell is None:
        st.info("This cell was not measured.")
        return
    skill = "no motion" if cell["skill"] is None else f"{cell['skill']:.0%}"
    with st.container(horizontal=True):
        st.metric(
            "Mean PSNR", f"{cell['psnr']:.1f} dB", width=130, help="Mean over frames. Higher is better."
        )
        st.metric(
            "Skill",
            skill,
            width=130,
            help="The share of the squared error of repeating the last frame that is gone.",
        )
        st.metric(
            "SSIM", f"{cell['ssim']:.3f}", width=130, help="How alike the shapes are; 1 is the same picture."
        )
        st.metric(
            "Misplaced",
            f"{cell['centroid_px']:.1f} px",
            width=130,
            help="How far the middle of the ink is from where it should be.",
        )
    try:
        scene = Scene.from_json(json.dumps(dict(cell["scene"]))).resolved()
    except (SceneError, ValueError) as error:
        raise results.ResultError(f"the scene of the cell {speed} px, {count} digits: {error}") from error
    label, told = "Open such a scene in Predict it", "With this network, to see what goes wrong."
    settings = link.with_scene(link.default_settings(), scene)
    parameters = parts.predict_parameters(settings, model)
    own = own_clip.current()
    if own is None or own.number is not None:
        st.page_link("pages/predict.py", label=label, icon="▶️", query_params=parameters, help=told)
    elif st.button(label, icon="▶️", key="map_predict", help=told):
        own_clip.put_away()  # a link would leave it in the place of the scene
        st.switch_page("pages/predict.py", query_params=parameters)
