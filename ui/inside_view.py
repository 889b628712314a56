"""The parts of the page about the inside of a cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from core.inspection import CellWeights, Trace
from core.zoo import ModelError
from ui import (
    cache,
    inside,
    inside_more_view,
    layout,
    looking_back_view,
    own_clip,
    own_weights,
    pictures,
    results,
    state,
    what_if_view,
)
from ui.doors import ModelDoor
from ui.inside import Choice
from ui.microscope import gate_microscope
from ui.prediction_view import refresh_when_settled, sentence_of, title_of

MOST_FRAMES = 40
_CHOICE, _SCOPE, _LOOK = "_inside_choice", "microscope", "look"


def _show_gates(door: ModelDoor, clip: np.ndarray, layer: int) -> None:
    st.markdown(
        "What each gate says, at every place and time. **Try it:** click *i*, the input gate, in the "
        "diagram, play, and watch where it lets in what is new."
    )
    _microscope(door, clip, layer)


SECTIONS: dict[str, Callable[[ModelDoor, np.ndarray, int], None]] = {
    "Gates": _show_gates,
    "What if": what_if_view.show,
    "Looks back": looking_back_view.show,
    "Directions": inside_more_view.show_directions,
    "Leak": inside_more_view.show_leak,
    "Weights": inside_more_view.show_weights,
}
_TITLES = {
    "Gates": "The gates at work",
    "What if": "What if …",
    "Looks back": "How far it looks back",
    "Directions": "Channels that know directions",
    "Leak": "A leak, live",
    "Weights": "Kernels and peepholes",
}
_WHOLE = ("Looks back", "Leak")  # about a network and not one of its layers


def choose() -> tuple[str, int]:
    """What to look at, and whose inside; returns the section and the layer."""
    section = st.segmented_control(
        "Section",
        list(SECTIONS),
        default=next(iter(SECTIONS)),
        required=True,
        key="inside",
        bind="query-params",
        help="What to look at. Each part has an address of its own.",
        label_visibility="collapsed",
        wrap=True,
    )
    settings = own_weights.shown(state.settings())
    models = [*cache.model_names(), *own_weights.options()]
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        st.segmented_control(
            "Model",
            models,
            required=True,
            default=settings.model if settings.model in models else None,
            key=(key := state.key("model")),
            on_change=own_weights.choose,
            args=(key,),
            format_func=title_of,
            help="Whose cell to look into. **Reference** has one for every pixel, **Fast** and **Best** "
            "have one for every block of 4 by 4 or, in the second layer, of 8 by 8.",
        )
        layers = _layers(settings.model)
        if section in _WHOLE or len(layers) < 2:
            return section, layers[0]
        layer = st.segmented_control(
            "Layer",
            layers,
            required=True,
            default=layers[0],
            key="layer",
            bind="query-params",
            help="The first layer sees the frame, each further one what the layer below says of it.",
        )
    return section, layer


def _layers(model: str) -> list[int]:
    try:
        return list(range(1, len(own_weights.config_of(model).filters) + 1))
    except ModelError:  # its door says what is wrong
        return [1]


def show(section: str, layer: int) -> None:
    """One section, or why it is not there yet."""
    settings = own_weights.shown(state.settings())
    if settings.model not in [*cache.model_names(), *own_weights.options()]:
        st.error(f"There is no trained model named “{settings.model}” in assets/models.", icon="⚠️")
        return
    door = own_weights.inside_door(settings.model)
    # Each part has its place whether or not the model is there: what refreshes by itself must find its own.
    view, status = st.container(), st.container()
    with view:
        st.header(_TITLES[section], anchor=False)
        with layout.place_of(section, "_inside_shown"):
            if door.ready:
                _section(section, door, _beginning(_clip()), layer)
                if door.note:
                    st.caption(door.note)
            elif door.error:
                st.error(f"{sentence_of(settings.model)} cannot be used: {door.error}", icon="⚠️")
    with status:
        if not door.settled:
            door.start()
            refresh_when_settled(door)


@st.fragment
def _section(section: str, door: ModelDoor, clip: np.ndarray, layer: int) -> None:
    """Runs by itself after a click in it: the scene and the sidebar have nothing to do with that."""
    try:
        SECTIONS[section](door, clip, layer)
    except results.ResultError as error:
        st.error(results.what_to_do(error), icon="⚠️")


def _beginning(clip: np.ndarray) -> np.ndarray:
    """As much of a clip as is looked into: the maps of all of it take memory."""
    if len(clip) > MOST_FRAMES:
        st.caption(f"Of a long clip the first {MOST_FRAMES} frames are looked into.")
    return clip[:MOST_FRAMES]


def _clip() -> np.ndarray:
    own = own_clip.current()
    return cache.clip(state.settings().scene().to_json()) if own is None else own.frames


def _microscope(door: ModelDoor, clip: np.ndarray, layer: int) -> None:
    look = cache.look_inside(clip, layer, door)
    trace, weights = look.trace, look.weights
    if state.arrived_by() == "history":
        state.forget(_CHOICE)
    choice = _choice()
    if state.arrived_by() == "menu" and choice != Choice():
        state.note(_LOOK, choice.to_text())
    name = choice.map
    gallery = cache.gallery(clip, layer, door, trace, name)
    channel = _chosen_channel(choice, gallery)
    pixel = _chosen_pixel(choice, trace.h.shape[1])
    gate_microscope(
        {
            "clip": pictures.sprite(clip[: len(trace.predictions)]),
            "prediction": pictures.sprite(trace.predictions),
            "canvas": clip.shape[-1],
            "maps": {key: {"title": one.title, "says": one.says} for key, one in inside.MAPS.items()},
            "chosen": name,
            "gallery": gallery,
            "large": inside.one_channel(trace, name, channel),
            "activity": look.activity,
            "pixel": pixel,
            "receipts": _receipts(trace, weights, pixel, channel, name),
            "peepholes": bool(weights.peepholes),
            "scale": trace.scale,
            "reach": inside.reach_px(door.config(), layer),
            "kernel": weights.kernel.shape[0],
        },
        key=_SCOPE,
        on_map=_take_map,
        on_channel=_take_channel,
        on_pixel=_take_pixel,
    )
    st.caption(inside.agreement(look.apart))
    _explain()


def _receipts(
    trace: Trace, weights: CellWeights, pixel: list[int] | None, channel: int, name: str
) -> list[dict[str, Any]]:
    if pixel is None or name == "x":  # what comes in is not worked out here
        return []
    return inside.receipts(trace, weights, pixel[0], pixel[1], channel)


def _choice() -> Choice:
    """What was chosen, by a click or by the address that somebody came with."""
    return state.remembered(_CHOICE, lambda: Choice.from_text(state.noted(_LOOK)))


def _choose(choice: Choice) -> None:
    state.remember(_CHOICE, choice)
    state.note(_LOOK, choice.to_text())


def _chosen_channel(choice: Choice, gallery: dict[str, Any]) -> int:
    """The channel that was chosen; before that, the one in which most happens."""
    if choice.channel is not None and choice.channel < gallery["channels"]:
        return choice.channel
    return int(np.argmax(gallery["scores"]["activity"]))


def _chosen_pixel(choice: Choice, side: int) -> list[int] | None:
    return None if choice.pixel is None else [min(part, side - 1) for part in choice.pixel]


def _take_map() -> None:
    wanted = state.event(_SCOPE, "map")
    if wanted in inside.MAPS:
        _choose(replace(_choice(), map=wanted))


def _take_channel() -> None:
    wanted = state.event(_SCOPE, "channel")
    if isinstance(wanted, int) and not isinstance(wanted, bool) and wanted >= 0:
        _choose(replace(_choice(), channel=wanted))


def _take_pixel() -> None:
    read, pixel = inside.read_pixel(state.event(_SCOPE, "pixel"))
    if read:
        _choose(replace(_choice(), pixel=pixel))


def _explain() -> None:
    with st.expander("How a cell works"):
        st.markdown(
            "With `*` a convolution, `∘` a product place by place, and σ the curve that squeezes everything "
            "between 0 and 1:"
        )
        st.code(
            "i[t] = σ(Wxi * X[t] + Whi * H[t-1] + Wci ∘ C[t-1] + bi)\n"
            "f[t] = σ(Wxf * X[t] + Whf * H[t-1] + Wcf ∘ C[t-1] + bf)\n"
            "g[t] = tanh(Wxc * X[t] + Whc * H[t-1] + bc)\n"
            "C[t] = f[t] ∘ C[t-1] + i[t] ∘ g[t]\n"
            "o[t] = σ(Wxo * X[t] + Who * H[t-1] + Wco ∘ C[t] + bo)\n"
            "H[t] = o[t] ∘ tanh(C[t])",
            language=None,
        )
        st.markdown(
            "Shi et al. 2015, equation 3, which has no letter for *g*, the candidate, and writes it out in "
            "the line of C. The terms with C inside the gates are the **peepholes**: the gates may look at "
            "the memory itself. Some descriptions print the line of C without `i[t] ∘`; then everything new "
            "would be written, whatever the input gate says. The paper's line is right, and runs here."
        )
