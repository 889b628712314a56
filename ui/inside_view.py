"""The parts of the page about the inside of a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from core.inspection import CellWeights, Trace
from ui import cache, inside, own_clip, pictures, state
from ui.microscope import gate_microscope
from ui.prediction_view import refresh_when_settled, title_of

if TYPE_CHECKING:
    from ui.cache import ModelDoor

_MAP, _CHANNEL, _PIXEL, _SCOPE = "_inside_map", "_inside_channel", "_inside_pixel", "microscope"
_BEGIN_WITH = "f"
LAYERS = (1, 2, 3)  # every shipped network has three


def choose() -> int:
    """Whose inside; returns which layer."""
    settings = state.settings()
    models = cache.model_names()
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        st.segmented_control(
            "Model",
            models,
            required=True,
            default=settings.model if settings.model in models else None,
            key=(key := state.key("model")),
            on_change=state.take,
            args=("model", key),
            format_func=title_of,
            help="Whose cell to look into. **Reference** has one for every pixel, the others one for every "
            "block of 4 by 4.",
        )
        return st.segmented_control(
            "Layer",
            LAYERS,
            required=True,
            default=LAYERS[0],
            key="layer",
            bind="query-params",
            help="The first layer sees the frame, each further one what the layer below says of it.",
        )


def show(layer: int) -> None:
    """The microscope, or why it is not there yet."""
    settings = state.settings()
    if settings.model not in cache.model_names():
        st.error(f"There is no trained model named “{settings.model}” in assets/models.", icon="⚠️")
        return
    door = cache.inside_door(settings.model)
    # Each part has its place whether or not the model is there: what refreshes by itself must find its own.
    view, status = st.container(), st.container()
    with view:
        if door.ready:
            _microscope(door, _clip(), layer)
        elif door.error:
            st.error(f"The {title_of(settings.model).lower()} model cannot be used: {door.error}", icon="⚠️")
    with status:
        if not door.settled:
            door.start()
            refresh_when_settled(door)


def _clip() -> np.ndarray:
    own = own_clip.current()
    return cache.clip(state.settings().scene().to_json()) if own is None else own.frames


def _microscope(door: ModelDoor, clip: np.ndarray, layer: int) -> None:
    look = cache.look_inside(clip, layer, door)
    trace, weights = look.trace, look.weights
    name = state.remembered(_MAP, lambda: _BEGIN_WITH)
    gallery = inside.gallery(trace, name, clip)
    channel = _chosen_channel(gallery)
    pixel = _chosen_pixel(trace.h.shape[1])
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


def _chosen_channel(gallery: dict[str, Any]) -> int:
    """The channel that was chosen; before that, the one in which most happens."""
    chosen: int | None = state.remembered(_CHANNEL, lambda: None)
    if chosen is not None and chosen < gallery["channels"]:
        return chosen
    return int(np.argmax(gallery["scores"]["activity"]))


def _chosen_pixel(side: int) -> list[int] | None:
    pixel: list[int] | None = state.remembered(_PIXEL, lambda: None)
    return None if pixel is None else [min(part, side - 1) for part in pixel]


def _take_map() -> None:
    wanted = state.event(_SCOPE, "map")
    if wanted in inside.MAPS:
        state.remember(_MAP, wanted)


def _take_channel() -> None:
    wanted = state.event(_SCOPE, "channel")
    if isinstance(wanted, int) and not isinstance(wanted, bool) and wanted >= 0:
        state.remember(_CHANNEL, wanted)


def _take_pixel() -> None:
    read, pixel = inside.read_pixel(state.event(_SCOPE, "pixel"))
    if read:
        state.remember(_PIXEL, pixel)


def _explain() -> None:
    with st.expander("How a cell works"):
        st.markdown(
            "With `*` a convolution, `∘` a product place by place, and σ the curve that squeezes everything "
            "between 0 and 1:"
        )
        st.code(
            "i[t] = σ(Wxi * X[t] + Whi * H[t-1] + Wci ∘ C[t-1] + bi)\n"
            "f[t] = σ(Wxf * X[t] + Whf * H[t-1] + Wcf ∘ C[t-1] + bf)\n"
            "C[t] = f[t] ∘ C[t-1] + i[t] ∘ tanh(Wxc * X[t] + Whc * H[t-1] + bc)\n"
            "o[t] = σ(Wxo * X[t] + Who * H[t-1] + Wco ∘ C[t] + bo)\n"
            "H[t] = o[t] ∘ tanh(C[t])",
            language=None,
        )
        st.markdown(
            "Shi et al. 2015, equation 3. The terms with C inside the gates are the **peepholes**: the gates "
            "may look at the memory itself. Some descriptions print the third line without `i[t] ∘`; then "
            "everything new would be written, whatever the input gate says. The paper's line is right, and "
            "runs here."
        )
