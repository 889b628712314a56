"""A pad to draw a digit on."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

import numpy as np

from core import drawings
from ui.component import element

SIDE = 56  # px of what the browser sends
_PAD = element("drawing_pad", "pad", '<div class="pad"></div>')


def drawing_pad(drawing: str | None = None, *, key: str, on_drawn: Callable[[], None]) -> None:
    """A black square to draw on; `read_drawing` reads `event(key, "drawn")`, sent after every line.

    drawing : a word of `core.drawings`, which a pad that was just opened shows, to be gone on with
    """
    shown = "" if drawing is None else base64.b64encode(drawings.decode(drawing).tobytes()).decode()
    _PAD(key=key, data=[shown], on_drawn_change=on_drawn)


def read_drawing(event: Any) -> str | None:
    """The drawn digit as a word, see `core.drawings`; None for what is none, and while there is no ink."""
    if not isinstance(event, str) or len(event) > 2 * SIDE**2:
        return None
    try:
        pixels = np.frombuffer(base64.b64decode(event, validate=True), np.uint8)
        if pixels.size != SIDE**2:
            return None
        word = drawings.encode(drawings.as_digit(pixels.reshape(SIDE, SIDE)))
    except (binascii.Error, ValueError):  # also a DrawingError
        return None
    return word if len(word) <= drawings.MAX_TEXT else None
