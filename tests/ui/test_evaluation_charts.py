"""Figures of the evaluation page: what is drawn, where, in which colour."""

import pytest

from tests.ui.test_results import cell
from ui import evaluation_charts as charts
from ui.evaluation_charts import Series


def result(reach_px):
    return {
        "speeds_px": [0, 5, 10], "digits": [1, 2], "trained": {"digits": [1, 3], "speed_px": [0, 7]},
        "reach_px": reach_px, "cells": [cell(speed, digits) for speed in (0, 5, 10) for digits in (1, 2)],
    }  # fmt: skip


def test_lines_stand_at_the_frames_that_they_predict():
    figure = charts.lines(
        [Series("fast", [3.0, 2.0], 10), Series("copy-last", [9.0, 9.0], 10)], "MSE", log=True
    )

    assert list(figure.data[0].x) == [11, 12]
    assert figure.layout.yaxis.type == "log"
    assert figure.data[0].line.color == charts.color_of("fast")
    assert figure.data[1].line.dash == "dot"
    assert [line.name for line in figure.data] == ["Fast", "Repeating the last frame"]


def test_models_baselines_and_the_limit_have_colours_of_their_own():
    names = ("fast", "reference", "best", "leaky", "copy-last", "ideal observer")

    assert len({charts.color_of(name) for name in names}) == len(names)
    assert charts.color_of("mine") == charts.color_of("mine")


def _luminance(color):
    def linear(value):
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(int(color[i : i + 2], 16) / 255) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("background", ["#FFFFFF", "#0F1519"])
@pytest.mark.parametrize("name", ["fast", "reference", "best", "leaky", "copy-last", "ideal observer"])
def test_every_colour_can_be_seen_on_light_and_on_dark(name, background):
    low, high = sorted([_luminance(charts.color_of(name)), _luminance(background)])

    assert (high + 0.05) / (low + 0.05) >= 3


def test_no_figure_has_a_background():
    figures = [charts.lines([], ""), charts.generalisation_map(result(6.0), "psnr"), charts.leak_bars([], 3)]

    assert {figure.layout.paper_bgcolor for figure in figures} == {"rgba(0,0,0,0)"}
    assert {figure.layout.plot_bgcolor for figure in figures} == {"rgba(0,0,0,0)"}


def test_the_map_outlines_what_was_trained_and_names_each_cell():
    figure = charts.generalisation_map(result(6.0), "skill")
    outline, under, reach = figure.layout.shapes

    assert (outline.x0, outline.x1, outline.y0, outline.y1) == (-0.5, 7.5, 0.5, 3.5)
    assert under.x0 == reach.x0 == 6.5  # between the last column within reach and the first beyond it
    assert [list(data) for data in figure.data[1].customdata][:2] == [[0, 1], [0, 2]]
    assert list(figure.data[1].text)[:3] == ["", "", "50"]  # without motion there is no skill
    assert [(note.x, note.y) for note in figure.layout.annotations if note.text == "–"] == [(0, 1), (0, 2)]


def test_colours_of_the_map_are_for_what_moves():
    exact = result(6.0)
    for one in exact["cells"]:
        one["psnr"] = 20.0 + one["digits"] if one["speed_px"] else 90.0
    [colours, _] = charts.generalisation_map(exact, "psnr").data
    assert (colours.zmin, colours.zmax) == (21.0, 20.0 + max(one["digits"] for one in exact["cells"]))
    assert max(colours.z) == 90.0
    # one range for several maps, so that they can be compared
    worse = result(4.0)
    for one in worse["cells"]:
        one["psnr"] = 10.0
    several = charts.map_range([exact, worse], "psnr")
    assert several == (10.0, colours.zmax)
    [shared, _] = charts.generalisation_map(worse, "psnr", None, several).data
    assert (shared.zmin, shared.zmax) == several
    still = {"cells": [one for one in exact["cells"] if not one["speed_px"]]}
    assert charts.map_range([still], "psnr") is None


def test_a_reach_that_ends_with_the_trained_speeds_stands_beside_the_frame_around_them():
    outline, under, reach = charts.generalisation_map(result(7.0), "psnr").layout.shapes

    assert outline.x1 < under.x0 == reach.x0 < 8 - 0.25
    # one of the two is seen on every cell, and none has the frame's colour
    assert (under.line.color, reach.line.color) == ("black", "white")
    assert outline.line.color not in ("black", "white")


@pytest.mark.parametrize("reach", [None, 20.0])
def test_a_reach_beyond_the_map_is_not_drawn(reach):
    assert not charts.is_reach_on_map(result(reach))
    assert len(charts.generalisation_map(result(reach), "psnr").layout.shapes) == 1


def test_the_chosen_cell_of_the_map_has_a_frame_around_it():
    frames = charts.generalisation_map(result(None), "psnr", (5, 2)).layout.shapes[1:]
    assert len(frames) == 2
    assert all(4.5 < frame.x0 < 5 < frame.x1 < 5.5 and frame.y0 < 2 < frame.y1 for frame in frames)

    beyond = charts.generalisation_map(result(None), "psnr", (7, 2))  # chosen in the map of another model
    assert len(beyond.layout.shapes) == 1


def test_no_change_is_a_zero_and_no_bar():
    models = [
        {"name": "reference", "causal": True, "max_change": [0.0, 0.0, 0.2]},
        {"name": "leaky", "causal": False, "max_change": [0.0, 0.1, 0.2]},
    ]

    assert charts.moved_before(models, 2).endswith("Leaky: 1 of 2 earlier predictions move")
    figure = charts.leak_bars(models, 2)

    assert list(figure.data[0].y) == [None, None, 0.2]
    assert list(figure.data[2].x) == [2]  # the first prediction, of the second frame
    # frame index 2 is the third frame: what may know it is the prediction of the fourth
    assert figure.layout.shapes[0].x0 == 3.5
