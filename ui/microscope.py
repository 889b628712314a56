"""The gate microscope: a cell as a diagram, its maps channel by channel, and one pixel worked out.

One clock for all of it. The server is asked when another map, channel or pixel is chosen; time passes
without it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import streamlit as st

from ui.component import element

_MICROSCOPE = element(
    "gate_microscope",
    "microscope",
    '<div class="microscope" role="group" aria-label="Inside the cell" tabindex="0"></div>',
)
_SHEET = st.components.v2.component(
    "gallery_sheet",
    html="<span hidden></span>\n",
    js="""
export default function (component) {
  window.gallerySheet = component.data[0];
  window.dispatchEvent(new Event("gallerysheet"));
}
""",
)


def gate_microscope(
    data: dict[str, Any],
    *,
    key: str,
    on_map: Callable[[], None],
    on_channel: Callable[[], None],
    on_pixel: Callable[[], None],
) -> None:
    """Show the inside of a cell.

    Parameters
    ----------
    data : `clip` and `prediction`, sprites; `maps`, by name `title` and `says`; `chosen`, the name of one;
        `gallery`, `large` and `activity` as `ui.inside` makes them; `pixel`, row and column or None, and its
        `receipts`; `scale`, px of a cell; `kernel`, cells along a side of a convolution
    on_map, on_channel, on_pixel : called when another is chosen: `event(key, "map")` is a name,
        `event(key, "channel")` a number, `event(key, "pixel")` row and column, or None to close it
    """
    gallery = data["gallery"]
    sprite = dict(gallery["sprite"])
    src = sprite.pop("src")
    sprite["name"] = hashlib.sha256(src.encode()).hexdigest()
    with st.container(gap=None):
        # in a list: Streamlit searches a dictionary for data frames, and loads pandas to know one
        _MICROSCOPE(
            data=[{**data, "gallery": {**gallery, "sprite": sprite}}],
            key=key,
            on_map_change=on_map,
            on_channel_change=on_channel,
            on_pixel_change=on_pixel,
        )
        # by itself: after a click that leaves it as it is, Streamlit does not send it again
        _SHEET(data=[{"name": sprite["name"], "src": src}], key=f"{key}_sheet", height=1)
