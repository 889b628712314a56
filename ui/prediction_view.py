"""The parts of the prediction page."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import streamlit as st

from core.observer import MOST_FRAMES
from ui import cache, own_clip, state
from ui.cache import ModelDoor
from ui.link import MODES, Settings
from ui.own_clip import OwnClip
from ui.player import Chart, Line, Panel, clip_player
from ui.prediction import Limit, Prediction, verdict
from ui.takeaway import take_prediction

_MODEL_TITLES = {"leaky": "Leaky: sees the future"}
_MODEL_HELP = {
    "fast": "**Fast** looks at the picture in blocks of 4 by 4 pixels and answers at once.",
    "best": "**Best** also reads where things were up to eight frames before, and tells apart what moves "
    "differently: it knows speeds between whole pixels, foresees walls, and takes longer.",
    "reference": "**Reference** works on every single pixel and takes longer.",
    "leaky": "**Leaky** shows a mistake: it peeks at the frame that it is to predict.",
}
_LIMIT, _COMPARE = "limit", "compare"
_COPY = "copy"
_LOADING = "The model is loading."
_OTHERS: tuple[Literal["other", "another"], ...] = ("other", "another")
_EXACT_DB = 60.0  # a squared error of a millionth: no pixel is off by more than one can see
_MODE_TITLES = {"next-frame": "One frame ahead", "rollout": "On its own"}
_EXPLANATION = """
- The **error** picture is the prediction minus the truth. Blue is ink that the model missed, orange is ink
  that it added; black is right.
- **Repeating the last frame** is the simplest guess there is. A model that cannot beat it has not understood
  motion.
- The **first prediction** is always blurred: from a single frame nobody can tell which way a digit goes.
- A **bounce** surprises the model a little: it must guess when the digit reaches the wall.
- **Best possible** is what an ideal observer expects. It knows the digits, their speeds and the walls, but
  not the directions, and sees places in whole pixels. Its pictures are the average of all that may come: in
  the long run nobody errs less, though a lucky guess may on a single frame.
- Keys: space plays and pauses, the arrow keys step. A click in the chart goes to that frame.
"""


def title_of(model: str) -> str:
    """A model's name for people."""
    return _MODEL_TITLES.get(model, model.capitalize())


# ------------------------------------------------------------------------------------------- controls


def choose(settings: Settings, models: list[str], own: OwnClip | None) -> None:
    """Which model, and how far it looks ahead."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="top"):
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
        st.segmented_control(
            "Model",
            models,
            required=True,
            default=settings.model,
            key=(key := state.key("model")),
            on_change=state.take,
            args=("model", key),
            format_func=title_of,
            help=" ".join(_MODEL_HELP[model] for model in models if model in _MODEL_HELP),
        )
        if settings.mode == "rollout" and own is not None:
            own_clip.choose_steps()
        elif settings.mode == "rollout":
            _rollout(settings)
        st.pills(
            "Compare with",
            _comparable(settings, models),
            selection_mode="multi",
            key=_COMPARE,
            bind="query-params",
            format_func=lambda name: "Last frame" if name == _COPY else title_of(name),
            help="Shows these beside the model, in step. “Last frame” repeats the last frame it was given: "
            "the simplest guess there is.",
        )
        own_clip.offer()
        st.toggle(
            "Best possible",
            key=_LIMIT,
            disabled=own is not None or settings.frames > MOST_FRAMES,
            bind="query-params",
            help="Shows beside the model what nobody can beat: the prediction of somebody who knows the "
            "digits, how fast each of them flies and where the walls are, but not in which direction. Takes "
            f"about a second; for scenes of at most {MOST_FRAMES} frames.",
        )
    own_clip.complain()


def _comparable(settings: Settings, models: list[str]) -> list[str]:
    others = [model for model in models if model != settings.model and cache.is_causal(model)]
    return [*others[: len(_OTHERS)], _COPY]


def compared(settings: Settings, models: list[str]) -> list[str]:
    """The models that the chosen one is shown beside."""
    wanted = state.several_chosen(_COMPARE)
    return [name for name in _comparable(settings, models) if name in wanted and name != _COPY]


def _rollout(settings: Settings) -> None:
    context, horizon = settings.rollout_steps()
    most = settings.frames - 1
    _steps("context", "Frames given", context, most, "How many true frames the model may watch first.")
    text = "How many frames it then makes on its own. Together they cannot be more than the clip has."
    _steps("horizon", "Frames to predict", horizon, settings.frames - context, text)


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
    return cache.own_prediction(own, settings.mode, own_clip.steps(), door.name, door)


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


def show(
    settings: Settings,
    prediction: Prediction,
    others: dict[str, Prediction | str],
    own: OwnClip | None,
) -> None:
    """The verdict, the pictures, the numbers.

    others : what it is shown beside, by model; a sentence where that is not there
    """
    if not cache.is_causal(settings.model):
        st.warning(
            "**This model cheats.** Its last convolution reads the very frame that it pretends to foresee, "
            "so its score means nothing. The last prediction gives it away: there it has no frame to read. "
            "See *Leak* on the page Measure it.",
            icon="⚠️",
        )
    st.header(verdict(prediction), anchor=False)
    limit = _limit(settings) if own is None else None
    _player(settings, prediction.clip, prediction, limit, others, own)
    if len(prediction.scores["psnr"]):
        _numbers(prediction, limit)
    if settings.mode == "next-frame" and len(prediction.frames) > 1:
        psnr = prediction.scores["psnr"]
        st.caption(
            f"The first prediction alone: {psnr[0]:.1f} dB; it is made from one frame, which cannot show "
            f"where a digit heads. The others: {psnr[1:].mean():.1f} dB."
        )
    with st.container(key="takeaway"):
        take_prediction(settings, prediction, own)


def _limit(settings: Settings) -> Limit | None:
    """What nobody can beat, where it was asked for."""
    if not state.chosen(_LIMIT) or settings.frames > MOST_FRAMES:
        return None
    return cache.limit(settings)


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
        _player(settings, own.frames, None, own=own)
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
    st.caption(f"The {title_of(door.name).lower()} model is loading; this takes some seconds after a start.")
    if door.settled:
        st.rerun()


def failed(settings: Settings, error: str, models: list[str]) -> None:
    """Say why the model cannot be used, and offer the others."""
    st.error(f"The {title_of(settings.model).lower()} model cannot be used: {error}", icon="⚠️")
    for other in models:
        if other != settings.model and cache.is_causal(other):
            _use_instead(other)


def _use_instead(model: str) -> None:
    label = f"Use the {title_of(model).lower()} model instead"
    st.button(label, key=f"use_{model}", on_click=state.use_model, args=(model,))


# -------------------------------------------------------------------------------- pictures and numbers


def _player(
    settings: Settings,
    clip: np.ndarray,
    prediction: Prediction | None,
    limit: Limit | None = None,
    others: dict[str, Prediction | str] | None = None,
    own: OwnClip | None = None,
) -> None:
    """Truth, predictions and error in step; without a prediction its place is kept."""
    others = others or {}
    rollout = settings.mode == "rollout"
    first, ahead = settings.rollout_steps() if own is None else own_clip.steps()
    first = first if rollout else 1
    if prediction is None:
        early = _LOADING
    elif rollout:
        early = "The model is still watching."
    else:
        early = "Nothing predicted yet: the model has not seen a frame."
    made = f"What the model makes of {'its own last frames' if rollout else 'the frames before'}."
    several = bool(others)
    panels = [
        Panel("truth", "Truth", "What really happens.", clip, waiting="The clip ends here."),
        Panel(
            "prediction",
            title_of(settings.model) if several else "Prediction",
            made,
            prediction.frames if prediction else None,
            first,
            early,
        ),
    ]
    for name, other in others.items():
        frames, wait = (None, other) if isinstance(other, str) else (other.frames, early)
        panels.append(Panel(name, title_of(name), made, frames, first, wait))
    if prediction is not None and _COPY in state.several_chosen(_COMPARE):
        panels.append(
            Panel(
                _COPY,
                "Last frame",
                "What one gets who repeats it.",
                np.repeat(clip[first - 1 : first], ahead, axis=0) if rollout else clip[:-1],
                first,
                early,
            )
        )
    if limit is not None:
        said = "What nobody can beat: the average of all that may come."
        panels.append(Panel("limit", "Best possible", said, limit.frames, first, early))
    waiting = "No error to show here."
    error = f"Error of {title_of(settings.model)}" if several else "Error"
    panels.append(Panel("error", error, difference=("prediction", "truth"), waiting=waiting))
    panels += [
        Panel(f"error_{name}", f"Error of {title_of(name)}", difference=(name, "truth"), waiting=waiting)
        for name in others
    ]
    measured = prediction is not None and len(prediction.scores["psnr"]) > 0
    charts = _charts(settings, prediction, limit, others) if prediction and measured else []
    clip_player(panels, key="prediction", charts=charts, given=first if rollout else 0)


def _charts(
    settings: Settings,
    prediction: Prediction,
    limit: Limit | None,
    others: dict[str, Prediction | str],
) -> list[Chart]:
    def chart(key: str, name: str, hint: str, digits: int, exact: float | None = None) -> Chart:
        model = title_of(settings.model) if others else "Model"
        lines = [Line(model, prediction.scores[key].tolist(), "strong")]
        for (other, made), emphasis in zip(others.items(), _OTHERS, strict=False):
            if not isinstance(made, str):
                lines.append(Line(title_of(other), made.scores[key].tolist(), emphasis))
        if limit is not None:
            lines.append(Line("Best possible", limit.scores[key].tolist(), "limit"))
        lines.append(Line("Repeating the last frame", prediction.copy_scores[key].tolist(), "quiet"))
        question = "How good is each predicted frame?"
        return Chart(key, name, question, hint, digits, lines, prediction.first, exact)

    return [
        chart("psnr", "PSNR", "PSNR in decibels (dB): the higher, the closer to the truth.", 1, _EXACT_DB),
        chart(
            "mse",
            "MSE",
            "Mean squared error of a pixel, black being 0 and white 1: the lower, the better.",
            4,
        ),
        chart("ssim", "SSIM", "SSIM compares shapes: 1 means the same picture, 0 nothing in common.", 3),
    ]


def _numbers(prediction: Prediction, limit: Limit | None) -> None:
    model = {name: float(values.mean()) for name, values in prediction.scores.items()}
    gain = {name: model[name] - float(values.mean()) for name, values in prediction.copy_scores.items()}
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
            "MSE",
            f"{model['mse']:.4f}",
            f"{gain['mse']:+.4f}",
            delta_color="inverse",
            help="Mean squared error of a pixel, black being 0 and white 1. The small number compares with "
            "repeating the last frame.",
        )
        if limit is not None:
            st.metric(
                "MSE of the best possible",
                f"{limit.scores['mse'].mean():.4f}",
                help="What an ideal observer would have as MSE on these frames; compare it with the model's.",
            )
        if prediction.seconds is not None:
            made = len(prediction.frames)
            st.metric(
                f"Time on {prediction.device}",
                f"{prediction.seconds * 1000:.0f} ms",
                f"{made / max(prediction.seconds, 1e-9):.0f} frames a second",
                delta_color="off",
                delta_arrow="off",
                help=f"How long the model took for these {made} frames on this machine.",
            )


def explain() -> None:
    """What the pictures mean, for those who ask."""
    with st.expander("How to read this"):
        st.markdown(_EXPLANATION)
