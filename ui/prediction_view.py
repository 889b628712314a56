"""The parts of the prediction page."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import streamlit as st

from core.baselines import Baseline
from core.batching import BusyError
from core.metrics import PSNR_CAP_DB
from core.observer import MOST_FRAMES
from ui import cache, own_clip, own_weights, state
from ui.doors import YOURS, ModelDoor
from ui.link import MODES, Settings
from ui.own_clip import OwnClip
from ui.player import Chart, Emphasis, Line, Panel, clip_player
from ui.prediction import Beside, Prediction, copied, verdict
from ui.takeaway import take_prediction

_MODEL_TITLES = {"leaky": "Leaky: sees the future"}
_MODEL_HELP = {
    "fast": "**Fast** looks at the picture in blocks of 4 by 4 pixels, reads where they were up to eight "
    "frames before, and answers at once.",
    "best": "**Best** reads that more closely, tells apart what moves differently, and foresees each next "
    "frame a second way; it takes longer.",
    "reference": "**Reference** works on every single pixel and takes longer.",
    "leaky": "**Leaky** shows a mistake: it peeks at the frame that it is to predict.",
}
_LIMIT, _COMPARE = "limit", "compare"
_COPY = "copy_last"
_LAST = "_last_prediction"
_LONG = 40  # frames ahead, for which one has to wait
AGAIN_SECONDS = 2.0  # until a model that was busy is asked again
_TOLD: tuple[Baseline, ...] = (
    "constant_velocity",
    "bounce_oracle",
)  # the true places, which an own clip lacks
_BASELINES = {
    _COPY: ("Last frame", "Nothing moves: the last frame, once more."),
    "constant_velocity": (
        "Constant velocity",
        "Repeats each last true step; forgets the walls.",
    ),
    "bounce_oracle": (
        "Bounce oracle",
        "Is told velocities and walls, but sees only whole pixels.",
    ),
}
_LOADING = "The model is not ready yet."
_EMPHASES: dict[str, Emphasis] = {
    "constant_velocity": "constant_velocity",
    "bounce_oracle": "bounce_oracle",
    "limit": "limit",
    # colours of their own, as on Measure it
    "fast": "fast",
    "best": "best",
    "reference": "reference",
    "leaky": "leaky",
}
_OTHERS: tuple[Emphasis, ...] = ("other", "another")
_MOST_OTHERS = 3  # models beside one: all that are shipped and honest
_EXACT_DB = 60.0  # a squared error of a millionth: no pixel is off by more than one can see
_MODE_TITLES = {"next-frame": "One frame ahead", "rollout": "On its own"}
_EXPLANATION = """
- The **error** picture is the prediction minus the truth. Blue is ink that the model missed, orange is ink
  that it added; black is right.
- **Repeating the last frame** is the simplest guess there is. A model that cannot beat it has not understood
  motion.
- The **first prediction** is always blurred: from a single frame nobody can tell which way a digit goes.
- A **bounce** surprises the model a little: it must guess when the digit reaches the wall.
- **Constant velocity** and the **bounce oracle** are told where every digit really is, in whole pixels. The
  first repeats its last step and forgets the walls; the second is told how fast it flies, and the walls, too.
  A model gets pictures alone and has to find all of that out.
- **The limit** is what an ideal observer expects. It knows the digits, their speeds and the walls, but
  not the directions, and sees places in whole pixels. Its pictures are the average of all that may come: in
  the long run nobody who only watches errs less, though a lucky guess may on a single frame. The bounce
  oracle does: it is told the directions.
- Keys: F shows the pictures large, for a class, and Escape ends that. In the player, space plays and pauses,
  the arrow keys step. A click in the chart goes to that frame.
"""


def title_of(model: str) -> str:
    """A model's name for people."""
    return _MODEL_TITLES.get(model, model.capitalize())


def _short(model: str) -> str:
    return title_of(model).partition(":")[0]


def sentence_of(model: str) -> str:
    """A model at the beginning of a sentence."""
    return "Your model" if model == YOURS else f"The {_short(model).lower()} model"


# ------------------------------------------------------------------------------------------- controls


def choose(settings: Settings, models: list[str], own: OwnClip | None) -> None:
    """Which model, and how far it looks ahead."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        st.segmented_control(
            "How to predict",
            MODES,
            required=True,
            default=settings.mode,
            key=(key := state.key("mode")),
            on_change=state.take,
            args=("mode", key),
            format_func=_MODE_TITLES.__getitem__,
            help="**One frame ahead**: the model sees every true frame so far and predicts the next one. "
            "**On its own**: it sees only the first frames, then goes on from its own pictures, so that its "
            "errors add up.",
        )
        if settings.mode == "rollout" and not _all_is_known(own):
            own_clip.choose_steps()
        elif settings.mode == "rollout":
            _rollout(settings, _frames(settings, own))
        st.segmented_control(
            "Model",
            [*models, *own_weights.options()],
            required=True,
            default=settings.model,
            key=(key := state.key("model")),
            on_change=own_weights.choose,
            args=(key,),
            wrap=True,
            format_func=title_of,
            help=" ".join(_MODEL_HELP[model] for model in models if model in _MODEL_HELP),
        )


def add(settings: Settings, models: list[str], own: OwnClip | None) -> None:
    """What it is shown beside, and what somebody brings along."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        st.pills(
            "Compare with",
            _comparable(settings, models, own),
            selection_mode="multi",
            wrap=True,
            key=_COMPARE,
            bind="query-params",
            format_func=lambda name: _BASELINES[name][0] if name in _BASELINES else title_of(name),
            help="Shows these beside the model, in step. **Last frame** repeats the last frame it was given: "
            "the simplest guess there is. "
            + (
                "**Constant velocity** repeats each digit's last true step; forgets the walls. **Bounce "
                "oracle** is told the true velocities and the walls, but sees only whole pixels. Both are "
                "told where the digits really are; a model is not."
                if _all_is_known(own)
                else "Two more know the true places of the digits; your clip does not tell them."
            ),
        )
        st.toggle(
            "The limit",
            key=_LIMIT,
            disabled=not _all_is_known(own) or _frames(settings, own) > MOST_FRAMES,
            bind="query-params",
            help="Shows beside the model what nobody can beat: the prediction of somebody who knows the "
            "digits, how fast each of them flies and where the walls are, but not in which direction. Takes "
            f"about a second; for clips of at most {MOST_FRAMES} frames whose true motion is known.",
        )
        with st.container(horizontal=True, gap="small", width="content"):
            own_weights.offer()
            own_clip.offer()
    own_clip.complain()
    own_clip.preview()
    own_weights.about()


def _all_is_known(own: OwnClip | None) -> bool:
    """Whether the true motion is known: of a scene, and of a clip of the standard set."""
    return own is None or own.number is not None


def _frames(settings: Settings, own: OwnClip | None) -> int:
    return settings.frames if own is None else len(own.frames)


def _rollout_steps(settings: Settings, own: OwnClip | None) -> tuple[int, int]:
    """Frames given and to predict; beyond the end of a clip only where nobody knows what comes there."""
    return settings.rollout_steps(_frames(settings, own)) if _all_is_known(own) else own_clip.steps()


def _comparable(settings: Settings, models: list[str], own: OwnClip | None) -> list[str]:
    told = _TOLD if _all_is_known(own) else ()
    return [*_other_models(settings, models), _COPY, *told]


def _other_models(settings: Settings, models: list[str]) -> list[str]:
    return [model for model in models if model != settings.model and cache.is_causal(model)][:_MOST_OTHERS]


def compared(settings: Settings, models: list[str]) -> list[str]:
    """The models that the chosen one is shown beside."""
    wanted = state.several_chosen(_COMPARE)
    return [name for name in _other_models(settings, models) if name in wanted]


def _rollout(settings: Settings, frames: int) -> None:
    context, horizon = settings.rollout_steps(frames)
    most = frames - 1
    _steps("context", "Frames given", context, most, "How many true frames the model may watch first.")
    text = "How many frames it then makes on its own. Together they cannot be more than the clip has."
    _steps("horizon", "Frames to predict", horizon, frames - context, text)


def _steps(field: str, label: str, value: int, most: int, text: str) -> None:
    # a slider needs two ends: where only one value is left, it stands still
    st.slider(
        label,
        1,
        max(most, 2),
        value,
        # other ends, another slider: the old one may hold what does not fit any more
        key=(key := state.key(f"{field}_of_{most}")),
        on_change=state.take,
        args=(field, key),
        disabled=most < 2,
        width=200,
        help=text,
    )


# ------------------------------------------------------------------------------------- what can happen


def no_model(settings: Settings) -> None:
    """Say that there is nothing to predict with."""
    st.error(f"There is no trained model named “{settings.model}” in assets/models.", icon="⚠️")


def predicted(settings: Settings, door: ModelDoor, own: OwnClip | None) -> Prediction:
    """What a model makes of the scene, or of somebody's own clip."""
    if own is None:
        return cache.prediction(settings, door)
    return cache.own_prediction(own, settings.mode, _rollout_steps(settings, own), door.name, door)


def beside(settings: Settings, models: list[str], own: OwnClip | None) -> dict[str, Prediction | str]:
    """Predictions of the models to compare with; for one that is not there, which is begun, why."""
    found: dict[str, Prediction | str] = {}
    for name in compared(settings, models):
        door = cache.model_door(name)
        door.start()
        if door.ready:
            found[name] = predicted(replace(settings, model=name), door, own)
        else:
            found[name] = f"It cannot be used: {door.error}" if door.error else _LOADING
    return found


def show_predicted(settings: Settings, door: ModelDoor, models: list[str], own: OwnClip | None) -> None:
    """The prediction with all that is beside it; while too many ask at once, the last one there was."""
    shown: tuple[Settings, Prediction, dict[str, Prediction | str], OwnClip | None] | None
    long = settings.mode == "rollout" and _rollout_steps(settings, own)[1] > _LONG
    try:
        # there in any case: what stands below it stays as it is
        with st.container(), st.spinner("Predicting …") if long else nullcontext():
            shown = settings, predicted(settings, door, own), beside(settings, models, own), own
    except BusyError as error:
        shown = st.session_state.get(_LAST)
        _busy(str(error), time.monotonic(), shown is not None)
        if shown is None:
            show_stored(settings, own)
            return
    st.session_state[_LAST] = shown
    show(*shown)


@st.fragment(run_every=AGAIN_SECONDS)
def _busy(error: str, since: float, shows_last: bool) -> None:
    """Say so, and ask again a little later."""
    last = " What you see is the last prediction that you had." if shows_last else ""
    with st.container(border=True):
        st.markdown(f"**The model is busy:** {error}.{last} It is asked again by itself.")
    if time.monotonic() - since > AGAIN_SECONDS / 2:
        st.rerun()


def show(
    settings: Settings,
    prediction: Prediction,
    others: dict[str, Prediction | str],
    own: OwnClip | None,
) -> None:
    """The verdict, the pictures, the numbers.

    others : what it is shown beside, by model; a sentence where that is not there
    """
    if not own_weights.is_causal(settings.model):
        st.warning(
            "**This model cheats.** Its last convolution reads the very frame that it pretends to foresee, "
            "so its score means nothing. The last prediction gives it away: there it has no frame to read. "
            "**Leak** on the page *Look inside* lets you change a frame and see it; *Measure it* has its "
            "scores.",
            icon="⚠️",
        )
    st.header(verdict(prediction), anchor=False)
    shown = _beside(settings, prediction, others, own)
    _player(settings, prediction.clip, prediction, shown, own)
    if len(prediction.scores["psnr"]):
        _numbers(prediction)
        _averages(_title(settings, shown), prediction, shown)
    honest = own_weights.is_causal(settings.model)  # or it has read the frame
    if honest and settings.mode == "next-frame" and len(prediction.frames) > 1:
        psnr = prediction.scores["psnr"]
        st.caption(
            f"The first prediction alone: {psnr[0]:.1f} dB; it is made from one frame, which cannot show "
            f"where a digit heads. The others: {psnr[1:].mean():.1f} dB."
        )
    with st.container(key="takeaway"):
        take_prediction(settings, prediction, own, shown, _title(settings, shown))


def _beside(
    settings: Settings, prediction: Prediction, others: dict[str, Prediction | str], own: OwnClip | None
) -> list[Beside]:
    """All that was asked for beside the model, in the order in which it is shown."""
    wanted = state.several_chosen(_COMPARE)
    found = []
    for name, other in others.items():
        said = _made(settings, name)
        if isinstance(other, str):
            found.append(Beside("model", name, title_of(name), said, None, {}, other))
        else:
            found.append(Beside("model", name, title_of(name), said, other.frames, other.scores))
    if _COPY in wanted:
        copy = copied(prediction, settings.mode)
        found.append(Beside("baseline", _COPY, *_BASELINES[_COPY], copy.frames, copy.scores))
    number = None if own is None else own.number
    steps = prediction.first, len(prediction.frames)  # as it was made: the sliders may be elsewhere by now
    for name in _TOLD if _all_is_known(own) else ():
        if name in wanted:
            made = cache.baseline(name, settings, number, steps)
            found.append(Beside("baseline", name, *_BASELINES[name], made.frames, made.scores))
    if _all_is_known(own) and state.chosen(_LIMIT) and _frames(settings, own) <= MOST_FRAMES:
        limit = cache.limit(settings, number, steps)
        said = "Nobody who only watches can beat it: the average of all that may come."
        found.append(Beside("limit", "limit", "The limit", said, limit.frames, limit.scores))
    return found


def _made(settings: Settings, model: str) -> str:
    seen = "its own last frames" if settings.mode == "rollout" else "the frames before"
    if not own_weights.is_causal(model):
        seen += ", and of the very frame that it predicts"
    return f"What the model makes of {seen}."


def _title(settings: Settings, beside: Sequence[Beside]) -> str:
    """What the model's own picture is called: its name only where there are others."""
    return title_of(settings.model) if any(one.kind == "model" for one in beside) else "Prediction"


def cannot_roll(settings: Settings, models: list[str]) -> None:
    """Say that a model cannot go on alone, and offer what can."""
    st.warning(
        "The leaky model cannot go on **on its own**: for each picture it needs the true frame after it, and "
        "there is none. That alone shows that it does not predict.",
        icon="⚠️",
    )
    with st.container(horizontal=True):
        st.button(
            "Show it one frame ahead",
            key="use_leaky_one_ahead",
            on_click=state.use_mode,
            args=("next-frame",),
        )
        for other in models:
            if cache.is_causal(other):
                _use_instead(other)


def show_stored(settings: Settings, own: OwnClip | None) -> None:
    """What there is to see before the model is there: the stored prediction, or the truth alone."""
    stored = cache.first_paint(settings)
    if own is not None:
        cut = _all_is_known(own) and settings.mode == "rollout"
        end = sum(_rollout_steps(settings, own)) if cut else None
        _player(settings, own.frames[:end], None, own=own)
    elif stored is not None:
        # without the numbers below: what draws them is large, and would hold up the picture
        st.header(verdict(stored), anchor=False)
        _player(settings, stored.clip, stored)
    else:
        clip = cache.clip(settings.scene().to_json())
        _player(settings, clip[: sum(settings.rollout_steps())] if settings.mode == "rollout" else clip, None)


@st.fragment(run_every=0.5)
def refresh_when_settled(door: ModelDoor) -> None:
    """Say that the model is loading, and show the page anew once that is over."""
    st.caption(f"{sentence_of(door.name)} is loading; this takes some seconds after a start.")
    if door.settled:
        st.rerun()


def failed(settings: Settings, error: str, models: list[str]) -> None:
    """Say why the model cannot be used, and offer the others."""
    st.error(f"{sentence_of(settings.model)} cannot be used: {error}", icon="⚠️")
    for other in models:
        if other != settings.model and cache.is_causal(other):
            _use_instead(other)


def _use_instead(model: str) -> None:
    label = f"Use the {title_of(model).lower()} model instead"
    st.button(label, key=f"use_{model}", on_click=own_weights.use_shipped, args=(model,))


# -------------------------------------------------------------------------------- pictures and numbers


def _player(
    settings: Settings,
    clip: np.ndarray,
    prediction: Prediction | None,
    beside: Sequence[Beside] = (),
    own: OwnClip | None = None,
) -> None:
    """Truth, predictions and error in step; without a prediction its place is kept."""
    models = [one for one in beside if one.kind == "model"]
    rollout = settings.mode == "rollout"
    first = _rollout_steps(settings, own)[0] if rollout else 1
    if prediction is not None:
        first = prediction.first
    if prediction is None:
        early = _LOADING
    elif rollout:
        early = "Nothing predicted yet: these frames are given."
    else:
        early = "Nothing predicted yet: no frame has been seen."
    panels = [
        Panel("truth", "Truth", "What really happens.", clip, waiting="The clip ends here."),
        Panel(
            "prediction",
            _title(settings, beside),
            _made(settings, settings.model),
            prediction.frames if prediction else None,
            first,
            early,
        ),
    ]
    panels += [
        Panel(
            one.key,
            one.title,
            "" if one.frames is None else one.caption,  # nothing is made yet
            one.frames,
            first,
            one.waiting or early,
        )
        for one in beside
    ]
    waiting = "No error to show here."
    error = f"Error of {_short(settings.model)}" if models else "Error"
    if first < len(clip):  # else nothing is known of what is predicted
        panels.append(Panel("error", error, difference=("prediction", "truth"), waiting=waiting))
        panels += [
            Panel(
                f"error_{one.key}",
                f"Error of {_short(one.key)}",
                difference=(one.key, "truth"),
                waiting=waiting,
            )
            for one in models
            if one.frames is not None
        ]
    measured = prediction is not None and len(prediction.scores["psnr"]) > 0
    charts = _charts(settings, prediction, beside) if prediction and measured else []
    said = verdict(prediction).replace("**", "") if prediction else ""
    clip_player(
        panels,
        key="prediction",
        charts=charts,
        given=first if rollout else 0,
        heading=f"{title_of(settings.model)}. {said}" if said else "",
    )


def _charts(settings: Settings, prediction: Prediction, beside: Sequence[Beside]) -> list[Chart]:
    several = any(one.kind == "model" for one in beside)

    def chart(
        key: str, name: str, hint: str, digits: int, unit: str = "", exact: float | None = None
    ) -> Chart:
        model = title_of(settings.model) if several else "Model"
        own = _EMPHASES.get(settings.model, "strong") if several else "strong"
        lines = [Line(model, prediction.scores[key].tolist(), own)]
        others = iter(_OTHERS)
        for one in beside:
            emphasis = _EMPHASES.get(one.key) or (next(others, None) if one.kind == "model" else None)
            if one.frames is not None and emphasis is not None:
                values = one.scores[key].tolist()
                lines.append(Line(one.title, values, emphasis, may_leave=one.kind != "model"))
        lucky = bool(_exact(prediction.copy_scores).any())
        copied = prediction.copy_scores[key].tolist()
        lines.append(Line("Repeating the last frame", copied, "quiet", may_leave=lucky))
        question = "How good is each predicted frame?"
        return Chart(key, name, question, hint, digits, lines, prediction.first, unit, exact)

    return [
        chart(
            "psnr", "PSNR", "PSNR in decibels (dB): the higher, the closer to the truth.", 1, "dB", _EXACT_DB
        ),
        chart(
            "mse",
            "MSE",
            "Mean squared error of a pixel, black being 0 and white 1: the lower, the better.",
            4,
        ),
        chart("ssim", "SSIM", "SSIM compares shapes: 1 means the same picture, 0 nothing in common.", 3),
    ]


def _numbers(prediction: Prediction) -> None:
    model = {name: float(values.mean()) for name, values in prediction.scores.items()}
    gain = {name: model[name] - float(values.mean()) for name, values in prediction.copy_scores.items()}
    exact = _exact(prediction.copy_scores)
    by_chance = exact.any() and not exact.all()
    if by_chance:  # one frame of 100 dB would say more than all others together
        gain["psnr"] = float((prediction.scores["psnr"] - prediction.copy_scores["psnr"])[~exact].mean())
    st.header("On average over the predicted frames", anchor=False)
    with st.container(horizontal=True, gap="medium"):
        st.metric(
            "PSNR",
            f"{model['psnr']:.1f} dB",
            f"{gain['psnr']:+.1f} dB",
            help="Peak signal-to-noise ratio: how little the pictures differ. 10 dB more is ten times less "
            "squared error. The small number compares with repeating the last frame.",
        )
        st.metric(
            "SSIM",
            f"{model['ssim']:.3f}",
            f"{gain['ssim']:+.3f}",
            help="Structural similarity: how alike the shapes are; 1 is the same picture. The small number "
            "compares with repeating the last frame.",
        )
        st.metric(
            "MSE a pixel",
            f"{model['mse']:.4f}",
            f"{gain['mse']:+.4f}",
            delta_color="inverse",
            help="Mean squared error of a pixel, black being 0 and white 1; times 4,096 it is that of a "
            "frame, as on Measure it. The small number compares with repeating the last frame.",
        )
        if prediction.seconds is not None:
            made, seconds = len(prediction.frames), prediction.seconds
            st.metric(
                f"Time on {prediction.device}",
                f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s",
                f"{made / max(seconds, 1e-9):.{0 if made > 9 * seconds else 1}f} frames a second",
                delta_color="off",
                delta_arrow="off",
                help=f"How long the model took for these {made} frames. For the first clip of a length the "
                "network is prepared, which takes seconds and does not count.",
            )
    if by_chance:
        frames = ", ".join(str(prediction.first + k + 1) for k in np.flatnonzero(exact))
        st.caption(
            f"In frame {frames} repeating the last frame happens to be exactly right; the PSNR is compared "
            "without."
        )
    if prediction.note:
        st.caption(prediction.note)


def _exact(scores: Mapping[str, np.ndarray]) -> np.ndarray:
    """Which frames are exactly right."""
    return scores["psnr"] >= PSNR_CAP_DB


def _averages(title: str, prediction: Prediction, beside: Sequence[Beside]) -> None:
    """The means of all that is shown beside the model in one table, where there is anything."""
    rows = [(f"**{title}**", prediction.scores)]
    rows += [(one.title, one.scores) for one in beside if one.frames is not None]
    if len(rows) == 1:
        return
    lines = ["| | PSNR | SSIM | MSE a pixel |", "| :--- | ---: | ---: | ---: |"]
    for name, scores in rows:
        psnr, ssim, mse = (float(scores[key].mean()) for key in ("psnr", "ssim", "mse"))
        lines.append(f"| {name} | {psnr:.1f} dB | {ssim:.3f} | {mse:.4f} |")
    st.markdown("\n".join(lines), width="content")
    if any(_exact(scores).any() for _, scores in rows):
        st.caption(
            f"A frame that is exactly right counts as {PSNR_CAP_DB:.0f} dB and lifts the mean PSNR a lot: "
            "there, compare the MSE."
        )


def explain() -> None:
    """What the pictures mean, for those who ask."""
    with st.expander("How to read this"):
        st.markdown(_EXPLANATION)
