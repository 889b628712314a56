"""Sections of the evaluation page that put the scores of models side by side: as a table, and by frame."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.metrics import PSNR_CAP_DB
from ui import evaluation_charts as charts
from ui import evaluation_parts as parts
from ui import paper, results
from ui.evaluation_charts import Series

_MODE_TITLES = {"next-frame": "One frame ahead", "rollout": "On its own"}
_MODE_HELP = (
    "**One frame ahead**: every prediction is made from true frames. **On its own**: 10 frames are given, "
    "the next 10 are predicted from the model's own pictures."
)


def _choose_mode(key: str) -> str:
    return st.segmented_control(
        "How to predict",
        results.MODES,
        default=results.MODES[0],
        required=True,
        key=key,
        bind="query-params",
        format_func=_MODE_TITLES.__getitem__,
        help=_MODE_HELP,
    )


# -------------------------------------------------------------------------------------------- the leaderboard


def leaderboard() -> None:
    """The section: ours, baselines, the limit and what others published, in one table."""
    parts.begin(
        "Leaderboard",
        "Ours beside the published ones. Compare only figures that were **measured on** the same clips. "
        "Click on a column to sort; scroll the table sideways for more scores, the whole definition, source "
        "and command.",
    )
    mode = _choose_mode("board_mode")
    rows = results.leaderboard(mode)
    if not rows:
        parts.empty("next-frame rollout")
        return
    columns = _columns()
    order = list(columns)
    if mode == "rollout":  # the score that was published of all
        order.remove("mse_sum")
        order.insert(1, "mse_sum")
    paper.wide_table(
        _shown(rows),
        hide_index=True,
        height="content",
        column_order=tuple(order),
        column_config=columns,
        alt=f"Table of {len(rows)} models, baselines and published figures, {_MODE_TITLES[mode].lower()}.",
    )
    st.caption(_TWO_PSNR)
    parts.end(
        "Ours: clips made from MNIST test digits, which no model has trained on, scored by the command in "
        "the last column. In PSNR from mean error, no honest model passes the limit; one that sees "
        "the future does. Published figures are copied from their source, and most are of another set of "
        "clips, made by the same rules; an empty field was not published. OpenSTL's SSIM has a column of "
        "its own: its values are higher for the same pictures.",
        rows,
        f"leaderboard-{mode}",
    )


_TWO_PSNR = (
    "**PSNR from mean error**, as in the headline, is that of the mean squared error of all frames. **Mean "
    "PSNR** is the mean of all frames' PSNR: nearly exact frames lift it far, and an exact one counts as "
    f"{PSNR_CAP_DB:.0f} dB. So a gap in the first tells how much is left to learn; one in the second does "
    "not."
)
_PER_FRAME = "Summed over the 4,096 pixels of a frame. Lower is better."
_KINDS = {"ideal observer": "ideal observer"}  # as papers call it


def _columns() -> dict[str, Any]:
    """What each column is called, in their order: what the headline compares first."""
    text, number = st.column_config.TextColumn, st.column_config.NumberColumn
    return {
        "model": text("Model", pinned=True, width=180),
        "psnr_of_mean_mse": number(
            "PSNR from mean error, dB",
            format="%.2f",
            help="As in the headline: the PSNR of the mean squared error. Higher is better.",
        ),
        "measured_on": text(
            "Measured on",
            width=152,
            help="Compare only rows that were measured on the same clips. The column Definition says all of "
            "it.",
        ),
        "psnr": number(
            "Mean PSNR, dB",
            format="%.2f",
            help="Each frame's PSNR, then the mean: lucky frames lift it. Higher is better.",
        ),
        "mse_sum": number("MSE a frame", format="%.1f", help=f"Squared error. {_PER_FRAME}"),
        "ssim": number(
            "SSIM", format="%.3f", help="How alike the shapes are, with a data range of 1. Higher is better."
        ),
        "lpips": number("LPIPS", format="%.3f", help="Perceptual distance. Lower is better."),
        "kind": text(
            "Kind",
            width=128,
            help="ours; a baseline: a simple rule to beat (repeating the last frame is called copy-last); an "
            "ideal observer: no honest model beats it; published: as others reported it; leaks: it sees what "
            "it is to predict",
        ),
        "mae_sum": number("MAE a frame", format="%.1f", help=f"Absolute error. {_PER_FRAME}"),
        "ssim_openstl": number(
            "SSIM, OpenSTL",
            format="%.3f",
            help="With a data range of 2, as OpenSTL measured: up to 0.02 more here",
        ),
        "year": number("Year", format="%d"),
        "definition": text("Definition", width="large"),
        "source": text("Source", width="large"),
        "command": text("Command", width="large"),
    }


def _shown(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The rows by column, with names for people."""
    shown = {name: [row[name] for row in rows] for name in rows[0]}
    shown["model"] = [
        row["model"] if row["kind"] == "published" else parts.name_of(row["model"]) for row in rows
    ]
    shown["kind"] = [_KINDS.get(row["model"], row["kind"]) for row in rows]
    shown["measured_on"] = [measured_on(row["definition"] or "") for row in rows]
    return shown


def measured_on(definition: str) -> str:
    """Which clips a definition speaks of, in a few words: "1,000 clips made here"."""
    clips = re.search(r"([\d,]+ clips) (made here|of the public test file)?", definition)
    if clips is None:
        return "clips not named"
    where = {"made here": " made here", "of the public test file": ", public file"}
    return clips[1] + where.get(clips[2], "")


# ---------------------------------------------------------------------------------------------- error by step


def by_step() -> None:
    """The section: how the error grows or falls from frame to frame."""
    parts.begin(
        "Error by step",
        "The more frames a model has seen, the better it should get; on its own, the error should grow "
        "slowly. The space between a model and *The limit* is what is left to learn.",
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        mode = _choose_mode("step_mode")
        shown = st.segmented_control(
            "Show", ["Squared error", "Skill"], default="Squared error", required=True, key="step_value",
            bind="query-params",
            help="**Skill**: the share of the squared error of repeating the last frame that is gone. 1 is "
            "perfect, 0 is no better.",
        )  # fmt: skip
        log = st.toggle(
            "Logarithmic",
            value=True,
            key="step_log",
            disabled=shown == "Skill",
            help="Equal distances are equal factors, so that small errors can be told apart, too.",
        )
    reports = results.scores(mode)
    if not reports:
        parts.empty("next-frame rollout")
        return
    series = step_series(reports, results.limit(mode), skill=shown == "Skill")
    if shown == "Skill":
        figure = charts.lines(series, "Skill", reference=0, digits=2)
    else:
        figure = charts.lines(series, "Squared error a frame", log=log)
    charts.plot(figure, alt_of(f"{shown} by frame, {_MODE_TITLES[mode].lower()}", series), "step_chart")
    _both_psnr(reports, results.limit(mode))
    parts.end(
        "**Squared error a frame**: summed over its 4,096 pixels, mean over all clips. **Repeating the last "
        "frame** (copy-last) is the simplest guess. **Constant velocity** and the **bounce oracle** are "
        "told the true places; the second also knows the velocities and the walls. **The limit** is an "
        "ideal observer: it knows the digits and sees their places in whole pixels, and averages all "
        "motions that fit: the least squared error that anybody who only watches can expect.",
        [
            {"model": one.name, "frame": one.first + step + 1, shown.lower(): value}
            for one in series
            for step, value in enumerate(one.values)
        ],
        f"by-step-{mode}",
    )


def step_series(
    reports: Mapping[str, Mapping[str, Any]], ideal: Mapping[str, Any] | None, *, skill: bool
) -> list[Series]:
    """Lines of models, baselines and the limit, by the names in files: squared error a frame, or skill."""
    largest = max(reports.values(), key=lambda report: report["sequences"])
    found = {results.title(name): (report, report["first_target"]) for name, report in reports.items()}
    for name, scored in largest["baselines"].items():
        found[results.title(name)] = (scored, largest["first_target"])
    if ideal is not None:
        found["ideal observer"] = (ideal, ideal["first_target"])
    copied = found["copy-last"][0]["per_step"]["mse_sum"]
    series = []
    for name, (scored, first) in found.items():
        errors = scored["per_step"]["mse_sum"]
        if not skill:
            series.append(Series(name, errors, first))
        elif name != "copy-last":  # its skill is 0: the thin line
            gone = [1 - e / c if c else None for e, c in zip(errors, copied, strict=True)]
            series.append(Series(name, gone, first))
    return series


def alt_of(title: str, series: Sequence[Series]) -> str:
    """What lines show, in words: where each begins and ends."""
    said = []
    for one in series:
        name = parts.short_name_of(one.name)
        known = [value for value in one.values if value is not None]
        said.append(f"{name} from {known[0]:.3g} to {known[-1]:.3g}" if known else f"{name} without values")
    return f"{title}: {'; '.join(said)}."


def _both_psnr(reports: Mapping[str, Mapping[str, Any]], ideal: Mapping[str, Any] | None) -> None:
    named = [*reports.items(), *([("ideal observer", ideal)] if ideal is not None else [])]
    said = "; ".join(
        f"{parts.short_name_of(name)} {s['psnr_of_mean_mse']:.2f} and {s['psnr']:.2f} dB" for name, s in named
    )
    st.caption(
        f"PSNR from mean error, and mean PSNR: {said}. The first is ruled by the worst frames, the second "
        "rewards those that are nearly perfect."
    )


# --------------------------------------------------------------------------------- where, how much, how sharp

_PHYSICS = {
    "centroid_px": ("Where: misplaced ink, px", None, "0 px is perfect"),
    "mass_ratio": ("How much: ink, predicted / true", 1.0, "1 is perfect; less: it fades"),
    "sharpness_ratio": ("How sharp: edges, predicted / true", 1.0, "1 is perfect; less: it blurs"),
}


def physics() -> None:
    """The section: what an error is made of, from frame to frame."""
    parts.begin(
        "Where, how much, how sharp",
        "A wrong place and a blur can cost the same squared error. These three tell them apart.",
    )
    mode = _choose_mode("physics_mode")
    reports = {
        name: report
        for name, report in results.scores(mode).items()
        if set(_PHYSICS) <= set(report["per_step"])
    }
    if not reports:
        parts.empty("next-frame rollout")
        return
    rows: list[dict[str, Any]] = []
    for key, (title, perfect, hint) in _PHYSICS.items():
        series = [
            Series(results.title(name), r["per_step"][key], r["first_target"]) for name, r in reports.items()
        ]
        st.markdown(f"**{title}.** {hint}.")
        figure = charts.lines(series, "", reference=perfect, digits=2)
        figure.update_layout(height=280)
        charts.plot(figure, alt_of(title, series), f"physics_{key}")
        rows += [
            {"figure": key, "model": one.name, "frame": one.first + step + 1, "value": value}
            for one in series
            for step, value in enumerate(one.values)
        ]
    parts.end(
        "**Where**: distance between the middle of the ink in the prediction and in the truth. **How much**: "
        "the sum of all pixels against the truth's. **How sharp**: the energy of the differences between "
        "neighbouring pixels against the truth's. Means over all clips.",
        rows,
        f"physics-{mode}",
    )
