"""The gate microscope: a cell as a diagram, its maps channel by channel, and one pixel worked out.

One clock for all of it. The server is asked when another map, channel or pixel is chosen; time passes
without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ui.component import element

_MICROSCOPE = element(
    "gate_microscope",
    "microscope",
    '<div class="microscope" role="group" aria-label="Inside the cell" tabindex="0"></div>',
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
    # in a list: Streamlit searches a dictionary for data frames, and loads pandas to know one
    _MICROSCOPE(
        data=[data], key=key, on_map_change=on_map, on_channel_change=on_channel, on_pixel_change=on_pixel
    )
