"""The frames that were seen, coloured by what they did to one predicted pixel, chosen by a click."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ui.component import element

_BACKWARD = element(
    "looking_back",
    "backward",
    '<div class="backward" role="group" aria-label="Looking back" tabindex="-1"></div>',
)


def looking_back(data: dict[str, Any], *, key: str, on_pixel: Callable[[], None]) -> None:
    """Show what was seen and what it did.

    Parameters
    ----------
    data : `prediction` and `clip`, sprites, one of a single picture and one of all frames
        that it has seen; `canvas`, their side; `pixel`, row and column; `back`, as `ui.looking_back.shown`
        makes it, or None before it was asked for
    on_pixel : called when another pixel is chosen: `event(key, "pixel")` is `{"at": [row, column]}`
    """
    # in a list: Streamlit searches a dictionary for data frames, and loads pandas to know one
    _BACKWARD(data=[data], key=key, on_pixel_change=on_pixel)
