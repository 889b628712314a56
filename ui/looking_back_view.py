"""How far back: which pixels of which earlier frames made one predicted pixel what it is."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.inspection import Target
from ui import cache, inside, looking_back, pictures, state
from ui.backward import looking_back as element
from ui.doors import ModelDoor
from ui.looking_back import METHODS, SQUARE_PX, Method

_ELEMENT, _PIXEL, _ASKED, _AT = "looking_back", "_back_pixel", "_back_asked", "at"
_TITLES = {"gradient": "Gradient × input", "occlusion": "Occlusion", "integrated": "Integrated gradients"}
_SAYS = {
    "gradient": "How the pixel would follow a small change of each earlier pixel, times how bright that was "
    "(Shrikumar et al. 2016). Orange made it brighter, blue darker; the figures are sums without signs.",
    "occlusion": "A part is hidden, and the pixel predicted anew: orange where it gets darker, blue where it "
    "gets brighter. The figures are for a whole frame, where 1 is the way from black to white. The picture "
    f"is for squares of {SQUARE_PX} by {SQUARE_PX} pixels of the last frame.",
    "integrated": "Gradients on the way from a black clip to this one, added up (Sundararajan, Taly and Yan "
    "2017). What all maps add up to is the pixel, less what a black clip would give.",
}
_MATCHING = (
    "This network compares each frame with earlier ones, and no gradient goes through a comparison: what "
    "it learned that way shows under *Occlusion* only."
)
_LEAKING = (
    "This network also reads the very frame that it predicts; what that one gave is not shown here, see "
    "*Leak*."
)
_STEP = 10
_QUICK_FRAMES = 24
_BLOCKS = 4  # side of a cell from which on a network is quick enough not to be asked first


def show(door: ModelDoor, clip: np.ndarray, layer: int) -> None:
    """The section."""
    st.markdown(
        "One pixel of a prediction is made of what was seen before: of which frames, and where in them? "
        "**Try it:** click on a digit's front edge, then on its back."
    )
    last = len(clip) - 1
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        method: Method = st.segmented_control(
            "How to find out",
            METHODS,
            default=METHODS[0],
            required=True,
            key="back_method",
            bind="query-params",
            format_func=_TITLES.__getitem__,
            help="Three ways to ask, which do not always agree.",
        )
        number = _choose_frame(last)
    predictions = cache.next_frames(clip, door)
    row, column = _pixel(predictions[number - 1])
    target = Target(number - 1, row, column)
    seen = _what_counts(clip, number, door)
    ask = (door.name, door.version, cache.digest(clip), method, number, row, column)
    costs = _costs(method, door, len(seen))
    back = None
    if not costs or state.remembered(_ASKED, lambda: None) == ask:
        back = cache.back(seen, target, method, door)
    element(
        {
            "prediction": pictures.sprite(predictions[number - 1 : number]),
            "clip": pictures.sprite(clip[:number]),
            "count": number,
            "canvas": clip.shape[-1],
            "pixel": [row, column],
            "back": None if back is None else looking_back.shown(back),
        },
        key=_ELEMENT,
        on_pixel=_take_pixel,
    )
    if back is None:
        st.button(
            "Work it out",
            on_click=state.remember,
            args=(_ASKED, ask),
            key="back_ask",
            type="primary",
            help="For this pixel, with this network.",
        )
        st.caption("This takes a while for each pixel, up to a minute or so, and waits until you ask.")
        return
    matches = bool(door.config().match)
    said = (
        looking_back.how_far(back, matches and method != "occlusion"),
        looking_back.what_is_left(back, matches),
    )
    st.markdown(" ".join(filter(None, said)))
    st.caption(_SAYS[method])
    if door.config().head != "causal":
        st.caption(_LEAKING)
    if matches and method != "occlusion":
        st.caption(_MATCHING)


def _costs(method: Method, door: ModelDoor, frames: int) -> bool:
    """Whether it takes so long that a person is asked first."""
    config = door.config()
    many = method == "integrated" or (method == "occlusion" and config.others)
    return many or config.patch < _BLOCKS or frames > _QUICK_FRAMES


def _what_counts(clip: np.ndarray, number: int, door: ModelDoor) -> np.ndarray:
    """The part of a clip that can matter for a prediction, in steps: each length is a graph of its own."""
    if door.config().head != "causal":
        return clip
    return clip[: min(-(-(number + 1) // _STEP) * _STEP, len(clip))]


def _choose_frame(last: int) -> int:
    if last < 2:  # there is one prediction, of frame 2
        return last
    return int(
        st.slider(
            "Frame that is predicted",
            2,
            last + 1,
            min(last // 2 + 2, last + 1),
            key=f"back_frame_{last}",
            bind="query-params",
            width=320,
            help="It is predicted from all frames before it.",
        )
        - 1
    )


def _pixel(prediction: np.ndarray) -> tuple[int, int]:
    """The pixel that was chosen; before that, the brightest one."""
    if state.arrived_by() == "history":
        state.forget(_PIXEL)
    chosen = state.remembered(_PIXEL, lambda: inside.place_from_text(state.noted(_AT)))
    if chosen is None:
        return looking_back.brightest(prediction)
    if state.arrived_by() == "menu":
        state.note(_AT, inside.place_to_text(chosen))
    row, column = (min(part, side - 1) for part, side in zip(chosen, prediction.shape, strict=True))
    return row, column


def _take_pixel() -> None:
    read, pixel = inside.read_pixel(state.event(_ELEMENT, "pixel"))
    if read and pixel is not None:
        state.remember(_PIXEL, pixel)
        state.note(_AT, inside.place_to_text(pixel))
