"""The sections of the evaluation page: each says what to see, how it is measured, and offers its numbers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from core.outputs import png_bytes
from core.scenes import Scene, SceneError
from ui import cache, link, paper, results, state
from ui import evaluation_charts as charts
from ui.evaluation_charts import Series
from ui.player import Panel, clip_player

_MODE_TITLES = {"next-frame": "One frame ahead", "rollout": "On its own"}
_MODE_HELP = (
    "**One frame ahead**: every prediction is made from true frames. **On its own**: 10 frames are given, "
    "the next 10 are predicted from the model's own pictures."
)
_SPEED, _DIGITS, _MAP = "map_speed", "map_digits", "map_chart"
SHOWN_PX = 136  # width of a picture of 64 px in the galleries: three pairs fill a row


# ------------------------------------------------------------------------------------------- the frame


def choose_section() -> str:
    """The section to show; its name is in the address, so that a link leads there."""
    return st.segmented_control(
        "Section",
        list(SECTIONS),
        default=next(iter(SECTIONS)),
        required=True,
        key="section",
        bind="query-params",
        help="What to look at. Each part has an address of its own.",
        label_visibility="collapsed",
        wrap=True,
    )


def show(section: str) -> None:
    """One section; what is wrong with its files is one sentence, and the others still work."""
    try:
        SECTIONS[section]()
    except results.ResultError as error:
        _failed(error)


def _failed(error: results.ResultError) -> None:
    st.error(results.what_to_do(error), icon="⚠️")


def _begin(title: str, what: str) -> None:
    st.header(title, anchor=False)
    st.markdown(what)


def _end(how: str, rows: Sequence[Mapping[str, Any]], name: str) -> None:
    with st.expander("How it is measured"):
        st.markdown(how)
    st.download_button(
        "Numbers (CSV)",
        lambda: as_csv(rows),
        file_name=f"{name}.csv",
        mime="text/csv",
        on_click="ignore",
        key=f"csv_{name}",
        help="What this section shows, as a table for a spreadsheet.",
    )


def _empty(what: str) -> None:
    st.info(f"Not measured yet. This command does it: `{results.COMMAND} {what}`")


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV, with the columns of all of them; what a row lacks stays empty."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _choose_mode(key: str) -> str:
    return st.segmented_control(
        "How to predict",
        results.MODES,
        default=results.MODES[0],
        required=True,
        key=key,
        format_func=_MODE_TITLES.__getitem__,
        help=_MODE_HELP,
    )


# ---------------------------------------------------------------------------------------- 1. the headline


def headline() -> None:
    """How good, in one line of figures: best model, copy-last, limit."""
    try:
        reports, ideal = results.scores("next-frame"), results.limit("next-frame")
        rollouts = results.scores("rollout")
    except results.ResultError as error:
        _failed(error)
        return
    candidates = {name: report for name, report in reports.items() if name not in results.LEAKING}
    if not candidates:
        _empty("next-frame rollout")
        return
    name, best = max(candidates.items(), key=lambda item: item[1]["psnr"])
    with st.container(horizontal=True, gap="large"):
        _three("One frame ahead", best, ideal)
        if name in rollouts:
            _three("On its own, 10 frames from 10", rollouts[name], results.limit("rollout"))
    gone = 1 - best["mse_sum"] / best["baselines"]["copy_last"]["mse_sum"]
    st.caption(
        f"PSNR from the mean error: higher is better. Our best network is the one named **{name}**. On "
        f"{best['sequences']:,} clips that none of them learned from, it makes {gone:.0%} less squared error "
        "than copying the last frame."
    )


def _three(title: str, best: Mapping[str, Any], ideal: Mapping[str, Any] | None) -> None:
    """What one has to beat, our best, and what nobody beats."""
    with st.container(width="content"):
        st.markdown(f"**{title}**")
        with st.container(horizontal=True):
            _metric("Copy-last", best["baselines"]["copy_last"], "For showing the last frame once more.")
            _metric("Our best", best, "PSNR (peak signal-to-noise ratio) of the mean squared error.")
            if ideal is not None:
                _metric("The limit", ideal, "For an ideal observer: nobody predicts better.")


def _metric(label: str, scores: Mapping[str, Any], text: str) -> None:
    # not the mean of PSNR: frames that the limit predicts exactly would lift it without bound
    st.metric(label, f"{scores['psnr_of_mean_mse']:.1f} dB", help=text, width=104)


# ------------------------------------------------------------------------------------- 2. the leaderboard


def _leaderboard() -> None:
    _begin(
        "Leaderboard",
        "Ours beside the published ones: click on a column to sort. Compare only figures of the same "
        "definition.",
    )
    mode = _choose_mode("board_mode")
    rows = results.leaderboard(mode)
    if not rows:
        _empty("next-frame rollout")
        return
    number = st.column_config.NumberColumn
    paper.wide_table(
        {name: [row[name] for row in rows] for name in rows[0]},
        hide_index=True,
        height="content",
        column_order=("model", "kind", *list(rows[0])[2:]),
        column_config={
            "model": st.column_config.TextColumn("Model", pinned=True),
            "kind": st.column_config.TextColumn(
                "Kind",
                help="ours; a baseline: a simple rule to beat; the limit: nobody can beat it; published: as "
                "others reported it; leaks: it sees what it is to predict",
            ),
            "psnr": number(
                "PSNR, mean", format="%.2f", help="dB; each frame's, then the mean: lucky frames lift it"
            ),
            "psnr_of_mean_mse": number(
                "PSNR, from mean error", format="%.2f", help="dB; of the mean squared error"
            ),
            "ssim": number("SSIM", format="%.3f", help="With a data range of 1, as the pixels have"),
            "ssim_openstl": number(
                "SSIM, OpenSTL",
                format="%.3f",
                help="With a data range of 2, as OpenSTL measured: about 0.02 more",
            ),
            "mse_sum": number("MSE a frame", format="%.1f", help="summed over the 4,096 pixels of a frame"),
            "mae_sum": number("MAE a frame", format="%.1f", help="summed over the 4,096 pixels of a frame"),
            "lpips": number("LPIPS", format="%.3f", help="perceptual distance; lower is better"),
            "definition": st.column_config.TextColumn("Definition", width="large"),
            "source": st.column_config.TextColumn("Source", width="large"),
            "year": number("Year", format="%d"),
            "command": "Command",
        },
        alt=f"Table of {len(rows)} models, baselines and published figures, {_MODE_TITLES[mode].lower()}.",
    )
    _end(
        "Ours: clips made from MNIST test digits, which no model has trained on, scored by the command in "
        "the last column. **PSNR, mean** is the mean over frames of each frame's value; **PSNR, from mean "
        "error** is that of the mean squared error. The first is higher wherever some frames are easy: no "
        "model passes the limit in the second. Published figures are copied from their source, and most are "
        "of another set of clips, made by the same rules; an empty field was not published. OpenSTL's SSIM "
        "has a column of its own: its values are higher for the same pictures.",
        rows,
        f"leaderboard-{mode}",
    )


# ---------------------------------------------------------------------------------------- 3. error by step


def _by_step() -> None:
    _begin(
        "Error by step",
        "The more frames a model has seen, the better it should get; on its own, the error should grow "
        "slowly. The space between a model and the limit is what is left to learn.",
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        mode = _choose_mode("step_mode")
        shown = st.segmented_control(
            "Show", ["Squared error", "Skill"], default="Squared error", required=True, key="step_value",
            help="**Skill**: the share of copy-last's squared error that is gone. 1 is perfect, 0 is no "
            "better.",
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
        _empty("next-frame rollout")
        return
    series = step_series(reports, results.limit(mode), skill=shown == "Skill")
    if shown == "Skill":
        figure = charts.lines(series, "Skill", reference=0, digits=2)
    else:
        figure = charts.lines(series, "Squared error a frame", log=log)
    charts.plot(figure, alt_of(f"{shown} by frame, {_MODE_TITLES[mode].lower()}", series), "step_chart")
    _both_psnr(reports, results.limit(mode))
    _end(
        "**Squared error a frame**: summed over its 4,096 pixels, mean over all clips. Copy-last shows the "
        "last known frame again. Constant velocity and the bounce oracle are told the true places; the "
        "second also knows the velocities and the walls. The ideal observer knows the digits and sees "
        "their places in whole pixels, and averages all motions that fit: the least squared error that "
        "anybody can expect.",
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
    """Lines of the models, the baselines and the limit: squared error a frame, or skill over copy-last."""
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
        known = [value for value in one.values if value is not None]
        said.append(
            f"{one.name} from {known[0]:.3g} to {known[-1]:.3g}" if known else f"{one.name} without values"
        )
    return f"{title}: {'; '.join(said)}."


def _both_psnr(reports: Mapping[str, Mapping[str, Any]], ideal: Mapping[str, Any] | None) -> None:
    named = [*reports.items(), *([("ideal observer", ideal)] if ideal is not None else [])]
    said = "; ".join(
        f"{results.title(name)} {s['psnr']:.2f} and {s['psnr_of_mean_mse']:.2f} dB" for name, s in named
    )
    st.caption(
        f"PSNR as the mean over frames, and of the mean squared error: {said}. The first rewards frames "
        "that are nearly perfect, the second is ruled by the worst ones."
    )


# --------------------------------------------------------------------------------------------- 4. the map


def _map() -> None:
    _begin(
        "Generalisation map",
        "How well does it do with scenes unlike those it learned from? Inside the orange frame it trained. "
        "Click on a cell, or use the controls below.",
    )
    found = results.maps()
    if not found:
        _empty("map")
        return
    with st.container(horizontal=True):
        model = _choose_model(list(found), "map_model")
        value = st.segmented_control(
            "Colour", list(charts.MAP_VALUES), default="psnr", required=True, key="map_value",
            format_func=lambda name: charts.MAP_VALUES[name][0],
            help="What the colour and the number of a cell say.",
        )  # fmt: skip
    result = found[model]
    speeds, digits = result["speeds_px"], result["digits"]
    chosen = (
        state.remembered(_SPEED, lambda: speeds[len(speeds) // 2]),
        state.remembered(_DIGITS, lambda: digits[min(1, len(digits) - 1)]),
    )
    st.plotly_chart(
        charts.generalisation_map(result, value, chosen),
        width="stretch",
        config=charts.CONFIG,
        key=_MAP,
        on_select=_take_cell,
        selection_mode="points",
        alt=f"{charts.MAP_VALUES[value][0]} of {model} for {len(result['cells'])} combinations of speed and "
        "number of digits; the numbers are in the CSV file.",
    )
    st.caption(_reach_text(result))
    _cell(model, result)
    rows = [{k: v for k, v in cell.items() if k != "scene"} for cell in result["cells"]]
    _end(
        f"Each cell: {result.get('clips_a_cell', 'some')} clips of 20 frames, all digits with that speed, "
        "next-frame, means over frames. **Skill** is the share of copy-last's squared error that is gone; "
        "without motion there is none to take away. **Misplaced** is how far the middle of the ink is "
        "from where it should be.",
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
            f"Reach, {where}: in one step it moves pixels by up to {reach:g} px along each axis. What flies "
            f"further has to be painted anew; for that it looks {result['reach_px']:g} px far."
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


def _cell(model: str, result: Mapping[str, Any]) -> None:
    with st.container(horizontal=True):
        speed = st.select_slider(
            "Speed, px a frame",
            result["speeds_px"],
            key=_SPEED,
            width=260,
            help="The column of the map to look at.",
        )
        count = st.segmented_control(
            "Digits", result["digits"], key=_DIGITS, required=True, help="The row of the map to look at."
        )
    cell = next((c for c in result["cells"] if (c["speed_px"], c["digits"]) == (speed, count)), None)
    if cell is None:
        st.info("This cell was not measured.")
        return
    skill = "no motion" if cell["skill"] is None else f"{cell['skill']:.0%}"
    with st.container(horizontal=True):
        st.metric("PSNR", f"{cell['psnr']:.1f} dB", width=130, help="Mean over frames. Higher is better.")
        st.metric("Skill", skill, width=130, help="The share of copy-last's squared error that is gone.")
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
        parameters = predict_parameters(cell["scene"], model, cache.model_names())
    except (SceneError, ValueError) as error:
        raise results.ResultError(f"the scene of the cell {speed} px, {count} digits: {error}") from error
    st.page_link(
        "pages/predict.py", label="Open such a scene in Predict it", icon="▶️", query_params=parameters
    )


def predict_parameters(scene: Mapping[str, Any], model: str, models: Sequence[str]) -> dict[str, str]:
    """Parameters of a link that opens a scene in Predict; with the model, where it is shipped.

    Raises
    ------
    core.scenes.SceneError
        If the scene cannot be.
    """
    resolved = Scene.from_json(json.dumps(dict(scene))).resolved()
    settings = replace(link.with_scene(link.default_settings(), resolved), mode="next-frame")
    # the scene even where it is the default: an empty address would bring back the visitor's own
    found = {"scene": link.encode_scene(settings)}
    return {**found, "model": model} if model in models else found


def _choose_model(models: list[str], key: str) -> str:
    return st.segmented_control(
        "Model",
        models,
        default=models[0],
        required=True,
        key=key,
        help="Which of our networks, as on the page Predict it.",
    )


# ----------------------------------------------------------------------------- 5. where, how much, how sharp

_PHYSICS = {
    "centroid_px": ("Where: misplaced ink, px", None, "0 px is perfect"),
    "mass_ratio": ("How much: ink, predicted / true", 1.0, "1 is perfect; less: it fades"),
    "sharpness_ratio": ("How sharp: edges, predicted / true", 1.0, "1 is perfect; less: it blurs"),
}


def _physics() -> None:
    _begin(
        "Where, how much, how sharp",
        "A wrong place and a blur cost the same squared error. These three tell them apart.",
    )
    mode = _choose_mode("physics_mode")
    reports = {
        name: report
        for name, report in results.scores(mode).items()
        if set(_PHYSICS) <= set(report["per_step"])
    }
    if not reports:
        _empty("next-frame rollout")
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
    _end(
        "**Where**: distance between the middle of the ink in the prediction and in the truth. **How much**: "
        "the sum of all pixels against the truth's. **How sharp**: the energy of the differences between "
        "neighbouring pixels against the truth's. Means over all clips.",
        rows,
        f"physics-{mode}",
    )


# ---------------------------------------------------------------------------------------- 6. the blur lesson


def _blur() -> None:
    _begin(
        "The blur lesson",
        "The same small network, data and steps; only the loss differs. Squared error is content with a "
        "blur, because a blur is never very wrong. Edge and feature losses ask for sharp pictures; sharpness "
        "and LPIPS below tell which of them got any.",
    )
    found = results.blur()
    if found is None:
        _empty("blur")
        return
    data, truth, predictions = found
    panels = [Panel("blur_truth", "Truth", frames=truth)]
    panels += [
        Panel(model["name"], short_loss(model["name"]), _what_added(model["name"]), frames, 1, "no frame yet")
        for model, frames in zip(data["models"], predictions, strict=True)
    ]
    clip_player(panels, key="blur_player")
    columns = {
        "name": "Loss", "lpips": "LPIPS", "sharpness_ratio": "Sharpness", "psnr": "PSNR", "ssim": "SSIM",
        "mse_sum": "MSE", "mass_ratio": "Ink", "centroid_px": "Misplaced, px",
    }  # fmt: skip
    st.dataframe(
        {
            title: [full_loss(model["name"]) if key == "name" else model.get(key) for model in data["models"]]
            for key, title in columns.items()
        },
        hide_index=True,
        column_config={
            title: st.column_config.NumberColumn(format="%.1f" if title in ("PSNR", "MSE") else "%.3f")
            for key, title in columns.items()
            if key != "name"
        },
        alt="; ".join(
            f"{m['title']}: LPIPS {m['lpips']:.3f}, sharpness {m['sharpness_ratio']:.2f}"
            for m in data["models"]
        ),
    )
    _end(
        "**MSE** is the squared error, **BCE** cross entropy, **GDL** the gradient difference, **VGG** the "
        f"perceptual distance. {data.get('sequences', 'Some')} clips of the standard set, next-frame. "
        "**LPIPS**: distance of features of a network that knows photographs; lower is better, and it minds "
        "a blur as an eye does. **Sharpness**: 1 is as sharp as the truth.",
        [{k: v for k, v in model.items() if k != "loss"} for model in data["models"]],
        "blur",
    )


# What each part of a loss compares, in the words of the picture below which it stands.
_COMPARED = {
    "mse": "Loss: squared error of each pixel.",
    "bce": "Loss: cross entropy of each pixel.",
    "gdl": "The same, and edges (gradient difference).",
    "vgg": "The same, and what a network for photographs sees.",
}


def _what_added(name: str) -> str:
    return _COMPARED.get(name.rpartition("+")[2], "")


def full_loss(name: str) -> str:
    """All parts of a loss: "bce+gdl" is "BCE + GDL"."""
    return " + ".join(name.upper().split("+"))


def short_loss(name: str) -> str:
    """What a loss adds, short enough for five pictures side by side on a phone: "bce+gdl" is "+GDL"."""
    return ("+" if "+" in name else "") + name.rpartition("+")[2].upper()


# ----------------------------------------------------------------------------------------------- 7. the leak


def _leak() -> None:
    _begin(
        "The leak",
        "Change one pixel of one frame. An honest prediction made **before** that frame cannot move. The "
        "leaky one does: it has read the frame that it pretends to foresee.",
    )
    found = results.leak()
    if found is None:
        _empty("leak")
        return
    data, arrays = found
    changed = data["changed_frame"]
    row, column = data["changed_pixel"]
    said = charts.moved_before(data["models"], changed)
    charts.plot(
        charts.leak_bars(data["models"], changed), f"Largest change in each prediction. {said}.", "leak_chart"
    )
    st.caption(
        f"Frame {changed + 1} was changed at row {row + 1}, column {column + 1}. Left of the dashed "
        f"line nothing may move; {said}."
    )
    for model in data["models"]:
        kind = "honest" if model["causal"] else "leaks"
        st.markdown(
            f"**{model['name']}** ({kind}), the prediction of frame {changed + 1}: {model['psnr']:.1f} dB"
        )
        _before_after(model["name"], arrays, changed - 1)
    st.markdown(
        "**Why its score means nothing.** The last convolution of the architecture as it is often published "
        "is centred in time: its output at each step also reads the next frame, the very one it is scored "
        "on. Copying that frame beats even the limit, on the test set as well; but live there is no next "
        "frame to copy, and the last prediction of a clip shows it."
    )
    _end(
        "The same clip is predicted twice, with and without the change. The bars are the largest "
        "difference of any pixel (black 0, white 1); a 0 means not a single bit moved in any model.",
        [
            {"model": m["name"], "frame": index + 2, "max_change": change}
            for m in data["models"]
            for index, change in enumerate(m["max_change"])
        ],
        "leak",
    )


def _before_after(name: str, arrays: Mapping[str, np.ndarray], index: int) -> None:
    before = np.asarray(arrays[f"{name}_before"][index], np.float32)
    after = np.asarray(arrays[f"{name}_after"][index], np.float32)
    apart = np.abs(after - before)
    largest = float(apart.max())
    # stretched to full white: a change of a hundredth would not be seen
    difference = apart / largest if largest else apart
    label = f"Difference, × {1 / largest:.3g}" if largest else "Difference: none"
    with st.container(horizontal=True, gap="small"):
        for title, picture in (("Before", before), ("After", after), (label, difference)):
            _picture(np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8), title, f"{title}, {name}", 112)


def _picture(pixels: np.ndarray, caption: str, alt: str, width: int) -> None:
    large = pixels.repeat(4, axis=0).repeat(4, axis=1)  # a browser would blur the small one
    with st.container(width=width):
        st.image(png_bytes(large), caption=caption or None, width=width, alt=alt)


# ---------------------------------------------------------------------------------------------- 8. the worst


def _worst() -> None:
    _begin(
        "The worst clips",
        "Ten clips that the network predicts worst of all, most squared error first, at their worst moment: "
        "truth left, prediction right. The first prediction of a clip does not count: from one frame nobody "
        "can tell where a digit heads.",
    )
    models = results.worst_models()
    if not models:
        _empty("worst")
        return
    model = _choose_model(models, "worst_model")
    found = results.worst(model)
    if found is None:
        _empty("worst")
        return
    data, truth, predictions = found
    clips = data["clips"]
    chosen = st.selectbox(
        "Play one", range(len(clips)), key="worst_clip",
        format_func=lambda place: f"{place + 1}: clip {clips[place]['index']}, "
        f"error {clips[place]['mse_sum']:.0f}",
        help="Plays one of the ten, from its first frame to its last.",
    )  # fmt: skip
    clip_player(
        [
            Panel("worst_truth", "Truth", frames=truth[chosen]),
            Panel("worst_made", "Prediction", frames=predictions[chosen], first=1, waiting="no frame yet"),
            Panel("worst_error", "Error", difference=("worst_made", "worst_truth"), first=1),
        ],
        key="worst_player",
    )
    with st.container(horizontal=True):
        for place, clip in enumerate(clips):
            with st.container(width=2 * SHOWN_PX):
                _worst_pair(place, clip, truth[place], predictions[place])
    _end(
        f"Of {data.get('sequences', 'all')} clips, those with the largest mean squared error, next-frame, "
        "summed over the pixels of a frame; without the first prediction. The sentence below each names in "
        "what the clip is unlike the others.",
        clips,
        f"worst-{model}",
    )


def _worst_pair(place: int, clip: Mapping[str, Any], truth: np.ndarray, prediction: np.ndarray) -> None:
    step = clip["step_of_worst"]
    if not 0 <= step < len(prediction):
        raise results.ResultError(f"step_of_worst must be 0 to {len(prediction) - 1}; got {step}")
    gap = np.full((truth.shape[1], 2), 128, np.uint8)
    pair = np.hstack([truth[step + 1], gap, prediction[step]])
    _picture(
        pair,
        f"{place + 1}. Error {clip['mse_sum']:.0f}, at frame {step + 2}. {clip['why']}",
        f"Clip {clip['index']}, frame {step + 2}: truth and prediction.",
        2 * SHOWN_PX - 20,
    )


SECTIONS: dict[str, Callable[[], None]] = {
    "Leaderboard": _leaderboard,
    "By step": _by_step,
    "Map": _map,
    "Where and how sharp": _physics,
    "Blur": _blur,
    "Leak": _leak,
    "Worst": _worst,
}
