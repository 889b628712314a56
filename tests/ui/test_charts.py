"""Charts of training curves: what is drawn, and how much of it."""

import json

import numpy as np
import pytest
import streamlit as st

from core.history import COLUMNS, History
from core.train_config import VALIDATION_FRAMES
from ui import charts


def history(rows=300, every=50, **columns):
    """Steps and epochs of a made-up run; columns override."""
    steps = {name: np.full(rows, np.nan) for name in COLUMNS}
    number = np.arange(1, rows + 1.0)
    steps |= {"step": number * 10, "minutes": number / 6, "loss": 1 / number, "bce": 1 / number}
    steps |= {"learning_rate": np.full(rows, 1e-3), "rollout": np.zeros(rows), "waiting": np.zeros(rows)}
    steps |= columns
    epochs = {name: values[every - 1 :: every] for name, values in steps.items()}
    epochs |= {"epoch": np.arange(1.0, len(epochs["step"]) + 1), "val_loss": epochs["loss"] * 1.1}
    epochs |= {"val_psnr": 10 + epochs["epoch"], "val_ssim": epochs["epoch"] / 10}
    return History(steps, epochs)


def drawn(name="one", color=0, **columns):
    return charts.Drawn(name, history(**columns), color)


def plot(key, runs):
    return next(plot for plot in charts.plots_for(runs) if plot.key == key)


def chart(key, runs, x="step", smoothing=0.8, log=False):
    return charts.chart(
        plot(key, runs), runs, x, smoothing=smoothing, log=log, height=200, revision=f"{x} {log}"
    )


def lines(key, runs, **how):
    return chart(key, runs, **how)["lines"]


def keys(runs):
    return [plot.key for plot in charts.plots_for(runs)]


def test_a_loss_of_one_part_is_drawn_once():
    assert keys([drawn()]) == ["psnr", "loss", "ssim", "rate"]


def test_parts_and_rollout_share_are_drawn_where_they_are_used():
    run = drawn(perceptual=np.ones(300), gdl=np.ones(300), rollout=np.linspace(0, 0.5, 300))
    assert keys([drawn(), run]) == ["psnr", "loss", "bce", "perceptual", "gdl", "ssim", "rate", "rollout"]


def test_the_loss_says_why_its_curves_differ():
    hint = plot("loss", [drawn()]).hint
    assert f"These clips have {VALIDATION_FRAMES} frames." in hint
    assert "the dashed curve may lie lower" in hint


def test_nothing_is_drawn_before_the_first_row():
    assert charts.plots_for([charts.Drawn("new", History(), 0)]) == []
    empty = charts.Drawn("new", history(rows=0), 0)
    assert charts.plots_for([empty]) == []


def test_the_raw_curve_stays_faint_behind_the_smoothed_one():
    raw, smoothed, validation = lines("loss", [drawn()])

    assert [line["kind"] for line in (raw, smoothed, validation)] == ["raw", "line", "dashed"]
    np.testing.assert_allclose(raw["y"][:2], [1, 0.5])
    np.testing.assert_allclose(smoothed["y"][:2], [1, (0.2 * 0.8 + 0.2 / 2) / 0.36], rtol=1e-5)
    assert [line["name"] for line in (raw, smoothed, validation) if line["named"]] == [
        "training",
        "validation",
    ]


def test_without_smoothing_there_is_one_curve():
    assert [line["name"] for line in lines("loss", [drawn()], smoothing=0.0)] == ["training", "validation"]


@pytest.mark.parametrize("runs", [1, 2, charts.MAX_RUNS])
@pytest.mark.parametrize("key", ["psnr", "loss", "rate"])
def test_a_chart_has_at_most_2000_points_and_a_spike_survives(key, runs):
    column = np.random.default_rng(0).uniform(0.2, 0.3, 100_000)
    column[77_777] = 5.0
    shown = [
        drawn(f"run {n}", rows=100_000, every=10, loss=column, learning_rate=column) for n in range(runs)
    ]

    found = lines(key, shown)

    assert sum(len(line["x"]) for line in found) <= charts.MAX_POINTS
    assert all(len(line["x"]) == len(line["y"]) for line in found)
    if key != "psnr":
        assert max(max(line["y"]) for line in found) == 5.0


def test_over_steps_or_minutes():
    assert lines("psnr", [drawn()], x="step")[0]["x"][0] == 500
    minutes = chart("psnr", [drawn()], x="minutes")
    assert minutes["lines"][0]["x"][0] == pytest.approx(50 / 6, rel=1e-5)
    assert minutes["title_x"] == "Minutes of training"


def test_a_log_axis_is_for_loss_and_rate_only():
    assert chart("loss", [drawn()], log=True)["log"]
    assert not chart("psnr", [drawn()], log=True)["log"]


def test_several_runs_have_a_colour_each_and_are_named_once_and_what_is_dashed_is():
    one, two = drawn("one", 1), drawn("two", 2)

    found = lines("loss", [one, two])

    assert [line["name"] for line in found if line["named"]] == ["one", "one, validation", "two"]
    assert [line["color"] for line in found] == [1, 1, 1, 2, 2, 2]
    assert found[2]["name"] == "one, validation"


def test_one_of_several_runs_is_named_where_it_alone_has_such_a_curve():
    run = drawn("two", 2, gdl=np.ones(300), perceptual=np.ones(300))
    shown = chart("gdl", [drawn("one", 1), run])
    assert shown["named"]
    assert [line["name"] for line in shown["lines"] if line["named"]] == ["two"]


def test_a_value_that_is_no_number_is_left_out():
    loss = np.ones(300)
    loss[[3, 7]] = np.nan, np.inf
    line = lines("loss", [drawn(loss=loss)], smoothing=0.0)[0]
    assert np.isfinite(line["y"]).all()
    assert len(line["y"]) == 298


def test_numbers_are_cut_to_six_digits():
    loss = np.full(300, 0.123456789)
    assert lines("loss", [drawn(loss=loss)])[0]["y"][0] == 0.123457


def test_a_chart_can_be_sent():
    assert json.loads(json.dumps(chart("loss", [drawn()]))) == chart("loss", [drawn()])


def test_zoom_is_kept_until_the_axes_change():
    first = chart("loss", [drawn()])["revision"]
    assert chart("loss", [drawn(rows=400)])["revision"] == first
    assert chart("loss", [drawn()], x="minutes")["revision"] != first


def test_the_words_for_those_who_cannot_see_it_say_where_each_run_stands():
    runs = [drawn("one"), charts.Drawn("new", History(), 0)]
    assert chart("psnr", runs)["label"] == (
        "Picture quality over the training. one: PSNR 11.00 to 16.00; new: nothing yet."
    )


def test_there_are_as_many_colours_as_runs():
    for theme in ("light", "dark"):
        colors = st.get_option(f"theme.{theme}.chartCategoricalColors")
        assert len({colors[number] for number in charts.COLORS}) == charts.MAX_RUNS
