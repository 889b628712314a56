"""The form that starts a run: a preset, a name, a time; the rest for those who ask."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import streamlit as st

from core.loss_weights import PARTS
from core.model_config import CONFIGS, PATCHES
from core.moving_mnist import STANDARD_SHARE
from core.run_list import named_run
from core.runs import RunError
from core.train_config import SCHEDULES, TrainConfig, default_config
from ui import state, training_actions, training_runs
from ui.markdown import plain
from ui.training_access import Access, runs_folder
from ui.training_runs import Item

MAX_LAYERS = 5
MAX_MINUTES = 600
_FILTERS = (8, 16, 32, 64, 96, 128)
_KERNELS = (1, 3, 5, 7)
_PRESET = "new_preset"


@dataclass(frozen=True)
class Preset:
    """What a preset is called, what to expect of it, and how many minutes make sense."""

    title: str
    text: str
    minutes: float


# in the order in which a class meets them
_PRESETS = {
    "classroom": Preset(
        "Classroom",
        "**Learns visibly in under 3 minutes.** A small network of two layers watches a single digit: "
        "its first predictions are fog, then a moving blot, then the digit.",
        2.5,
    ),
    "fast": Preset(
        "Fast",
        "The network of the page *Predict it*: three layers that look at blocks of 4 by 4 pixels. "
        "Good after half an hour, better with every hour.",
        30.0,
    ),
    "reference": Preset(
        "Reference",
        "The described architecture, on every single pixel, with all three parts of the loss. "
        "Slow: plan for hours, or for a graphics card.",
        120.0,
    ),
}
_WITHOUT = "none"  # peepholes: a menu has no entry that is None
_PEEPHOLES = {"channel": "One weight a channel", "spatial": "One weight a pixel", _WITHOUT: "None"}
_SCHEDULES = {"cosine": "Cosine", "one-cycle": "One cycle", "constant": "Constant"}
_PARTS = {
    "bce": ("Cross entropy", "Binary cross entropy: every pixel for itself, as a coin that is ink or paper."),
    "mse": ("Squared error", "Averages what may come: little error, and a blur where motion is unknown."),
    "log_mse": (
        "Log squared error",
        "What the mean PSNR counts: a frame that is nearly exact is worth being made more so.",
    ),
    "perceptual": (
        "Perceptual",
        "Compares what the first layers of VGG16 see in both pictures. Sharper, slower.",
    ),
    "gdl": (
        "Gradient difference",
        "Compares edges instead of pixels, to make them sharper. *Blur* on Measure it shows whether it did.",
    ),
}


def show(listed: list[Item], allowed: Access) -> None:
    """The form; with a way back where there are runs."""
    st.header("Start a run", anchor=False)
    preset = st.segmented_control(
        "What to train",
        list(_PRESETS),
        required=True,
        default="classroom",
        key=_PRESET,
        format_func=lambda name: _PRESETS[name].title,
        help="A preset fills in everything below. Each setting can be changed.",
    )
    preset = preset if preset in _PRESETS else "classroom"
    st.markdown(_PRESETS[preset].text)
    with st.container(horizontal=True, vertical_alignment="top"):
        name = st.text_input(
            "Name",
            free_name(runs_folder(), preset),
            max_chars=60,
            key=(name_key := f"new_name_{preset}"),
            width=320,
            help="A folder of this name is made for the run: letters, digits, spaces and _ . + -",
        )
        st.number_input(
            "Minutes",
            0.5,
            float(MAX_MINUTES),
            default_config(preset).minutes or _PRESETS[preset].minutes,
            step=0.5,
            format="%.1f",
            key=f"new_minutes_{preset}",
            width=160,
            help="How long it trains. The learning rate falls over just this time.",
        )
    _say_what_is_wrong_with(name)
    with st.expander("More settings"):
        _architecture(preset)
        _loss(preset)
        _clips(preset)
        _rate(preset)
    reason = training_runs.busy(listed)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Start training",
            key="start",
            type="primary",
            disabled=reason is not None or not allowed.allowed,
            on_click=training_actions.start,
            args=(lambda: read(preset), lambda: str(state.value(name_key) or "")),
            help="Trains in a process of its own: it goes on when this page is closed.",
        )
        if listed:
            st.button(
                "Back to the runs",
                key="back",
                on_click=training_actions.show,
                args=("run",),
                help="Leave without starting anything.",
            )
    if reason:
        st.caption(plain(reason))


def _say_what_is_wrong_with(name: str) -> None:
    with st.container():  # which is there in any case: what stands below it stays as it is
        try:
            named_run(runs_folder(), name.strip())
        except RunError as error:
            st.markdown(f":red[{plain(str(error)[:1].upper() + str(error)[1:])}.]")


def free_name(root: Path, preset: str) -> str:
    """The first of "classroom 1", "classroom 2" ... that is not taken."""
    number = 1
    while (root / f"{preset} {number}").exists():
        number += 1
    return f"{preset} {number}"


# --------------------------------------------------------------------------------------- more settings


def _architecture(preset: str) -> None:
    model = CONFIGS[preset]
    st.markdown("**Network**")
    layers = st.slider(
        "ConvLSTM layers",
        1,
        MAX_LAYERS,
        len(model.filters),
        key=f"new_layers_{preset}",
        width=240,
        help="Each layer remembers something of its own about what moves.",
    )
    for number in range(int(layers)):
        like = min(number, len(model.filters) - 1)
        with st.container(horizontal=True):
            st.selectbox(
                f"Filters, layer {number + 1}",
                _FILTERS,
                _FILTERS.index(model.filters[like]),
                key=f"new_filters_{preset}_{number}",
                width=160,
                help="How many things the layer can remember at a place. Time grows with the square.",
            )
            st.selectbox(
                f"Kernel, layer {number + 1}",
                _KERNELS,
                _KERNELS.index(model.kernels[like]),
                key=f"new_kernel_{preset}_{number}",
                format_func=lambda side: f"{side} × {side}",
                width=160,
                help="How far the layer sees from one frame to the next, in blocks.",
            )
    with st.container(horizontal=True):
        st.selectbox(
            "Blocks",
            PATCHES,
            PATCHES.index(model.patch),
            key=f"new_patch_{preset}",
            format_func=lambda side: f"{side} × {side} pixels" if side > 1 else "Single pixels",
            width=160,
            help="Blocks of pixels become channels before the first layer: 4 × 4 is up to 16 times cheaper.",
        )
        st.selectbox(
            "Peepholes",
            list(_PEEPHOLES),
            list(_PEEPHOLES).index(model.peepholes or _WITHOUT),
            key=f"new_peepholes_{preset}",
            format_func=_PEEPHOLES.__getitem__,
            width=220,
            help="Through peepholes the gates see the cell state itself.",
        )


def _loss(preset: str) -> None:
    weights = default_config(preset).loss
    st.markdown("**Loss**: the sum of these parts, each times its weight; 0 leaves a part out")
    with st.container(horizontal=True):
        for part in PARTS:
            title, text = _PARTS[part]
            st.number_input(
                title,
                0.0,
                1000.0,
                float(weights.get(part, 0.0)),
                step=0.1,
                format="%.2f",
                key=f"new_loss_{part}_{preset}",
                width=170,
                help=text,
            )


def _clips(preset: str) -> None:
    config = default_config(preset)
    if config.digits is not None:  # then there are no standard ones among them
        return
    st.markdown("**Clips**: 1 to 3 digits of any start, speed and direction, and a share of standard ones")
    st.number_input(
        "Share of standard clips",
        0.0,
        1.0,
        config.standard_share,
        step=0.125,
        format="%.3f",
        key=f"new_share_{preset}",
        width=200,
        help="Two digits at 3.6 pixels a frame, as in published tests. 1 makes a specialist: better at these "
        "clips, worse at all others.",
    )


def _rate(preset: str) -> None:
    config = default_config(preset)
    st.markdown("**Learning rate**")
    with st.container(horizontal=True):
        st.number_input(
            "Highest rate",
            1e-5,
            1e-1,
            config.learning_rate,
            step=1e-4,
            format="%.5f",
            key=f"new_rate_{preset}",
            width=170,
            help="How far each step moves the weights: too low learns slowly, too high falls apart.",
        )
        st.selectbox(
            "Schedule",
            SCHEDULES,
            SCHEDULES.index(config.schedule),
            key=f"new_schedule_{preset}",
            format_func=lambda name: _SCHEDULES.get(name, name),
            width=170,
            help="Cosine falls gently to nearly nothing. One cycle rises first. Constant stays.",
        )


DESCRIPTION_HELP = (
    "A **layer** works on what the layer before it found. Each of its **filters** looks for one thing, in a "
    "square of the picture, its **kernel**. The **loss** is what training makes small. The **learning rate** "
    "is how far a step moves the weights; it changes on the way as its schedule says."
)


# ------------------------------------------------------------------------------------------- reading it

# They are neither matched nor moved nor followed: each is like many others, and there are thousands.
_SINGLE_PIXELS: dict[str, Any] = {
    "motions": 0,
    "match": (),
    "encode": (),
    "coarse": (),
    "others": False,
    "forecast": 0,
    "deep": False,
    "followed": 1,
    "foresees": False,
}


def read(preset: str) -> TrainConfig:
    """The configuration that the form holds; ValueError with one sentence where it makes no sense."""

    def value(name: str) -> Any:
        return state.value(f"new_{name}_{preset}")

    base, layers = CONFIGS[preset], range(int(value("layers")))
    patch = value("patch")
    model = replace(
        base,
        name="custom",
        filters=tuple(int(state.value(f"new_filters_{preset}_{number}")) for number in layers),
        kernels=tuple(int(state.value(f"new_kernel_{preset}_{number}")) for number in layers),
        patch=patch,
        peepholes=None if value("peepholes") == _WITHOUT else value("peepholes"),
        # coarser grids are the preset's own
        scales=base.scales if len(layers) == len(base.filters) else (),
        **(_SINGLE_PIXELS if patch == 1 else {}),
    )
    if replace(model, name=preset) == base:
        model = base
    minutes = float(value("minutes"))
    if not 0 < minutes <= MAX_MINUTES:  # the browser holds this limit, but a message can be forged
        raise ValueError(f"minutes must be above 0 and at most {MAX_MINUTES}; got {minutes:g}")
    weights = {part: float(value(f"loss_{part}")) for part in PARTS}
    config = default_config(
        preset,
        minutes=minutes,
        loss={part: weight for part, weight in weights.items() if weight > 0},
        learning_rate=float(value("rate")),
        schedule=value("schedule"),
    )
    share = config.standard_share if config.digits is not None else float(value("share"))
    return replace(config, model=model, standard_share=share)


def describe(config: TrainConfig) -> str:
    """A run's settings in one line of Markdown."""
    model = config.model
    sizes = sorted(set(model.filters), reverse=True)
    filters = f"{model.filters[0]}" if len(sizes) == 1 else " + ".join(str(count) for count in model.filters)
    kernels = ", ".join(f"{side}×{side}" for side in model.kernels)
    layers = f"{len(model.filters)} layer" + ("s" if len(model.filters) > 1 else "")
    names = {part: _PARTS[part][0].lower() for part in config.loss}
    loss = " + ".join(
        names[p] if weight == 1 else f"{weight:g} {names[p]}" for p, weight in config.loss.items()
    )
    schedule = _SCHEDULES[config.schedule].lower()
    begun = f", goes on from {config.init_from}" if config.init_from else ""
    if config.average_with:
        begun = f", goes on from the mean of {config.init_from} and {config.average_with}"
    digits = {None: "1 to 3 digits", 1: "1 digit"}.get(config.digits, f"{config.digits} digits")
    if config.standard_share != STANDARD_SHARE:
        digits += f", {100 * config.standard_share:g} % of them standard"
    return plain(
        f"{model.name}{begun}: {layers} of {filters} filters, kernels {kernels}. Loss {loss}. "
        f"Learning rate {config.learning_rate:g}, {schedule}. Clips of {digits}, tested on "
        f"{config.validation_clips} other clips."
    )


def tested_alike(config: TrainConfig, other: TrainConfig) -> bool:
    """Whether two runs are tested on the same clips in the same way, so that their figures compare."""

    return config.judged_by == other.judged_by
