"""The scene to lay hands on: drag a digit to its start, drag its arrow for its velocity.

The browser draws and drags; what it reports is checked here, since a message can be forged.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

from core import drawings
from core.digits import DIGIT_SIZE, load_digits
from core.outputs import png_bytes
from core.scenes import CANVAS, MAX_DIGITS, MAX_SPEED_PX
from ui.component import element
from ui.link import MAX_START_PX, Settings
from ui.pictures import DIGIT_COLORS, data_url

ACTIONS = ("select", "add", "duplicate", "remove", "undo", "redo")
_STAGE = element("scene_stage", "stage", '<div class="stage"></div>')


@lru_cache(maxsize=256)
def _picture(digit_class: int, exemplar: int, drawing: str | None) -> str:
    if drawing is not None:
        return data_url(png_bytes(drawings.decode(drawing)))
    return data_url(png_bytes(load_digits("test").exemplar(digit_class, exemplar)))


def scene_stage(
    settings: Settings,
    *,
    selected: int,
    undo: bool,
    redo: bool,
    key: str,
    on_move: Callable[[], None],
    on_act: Callable[[], None],
) -> None:
    """The first frame of the scene, with the digits, their arrows and the ways they go.

    Parameters
    ----------
    selected : number of the chosen digit
    undo, redo : whether there is something to undo, and to redo
    on_move, on_act : called when digits were moved (`read_moves` reads `event(key, "move")`), or when
        something else is asked for (`read_action` reads `event(key, "act")`)
    """
    data = {
        "size": CANVAS,
        "side": DIGIT_SIZE,
        "most_speed": MAX_SPEED_PX,
        "most_digits": MAX_DIGITS,
        "frames": settings.frames,
        "rule": settings.bounce,
        "selected": selected,
        "undo": undo,
        "redo": redo,
        "digits": [
            {
                "name": "of your own" if digit.drawing is not None else str(digit.digit_class),
                "picture": _picture(digit.digit_class, digit.exemplar, digit.drawing),
                "color": color,
                "x": digit.x,
                "y": digit.y,
                "speed": digit.speed_px,
                "direction": digit.direction_deg,
            }
            for digit, color in zip(settings.digits[: settings.count], DIGIT_COLORS, strict=False)
        ],
    }
    # in a list: Streamlit searches a dictionary for data frames, and loads pandas to know one
    _STAGE(data=[data], key=key, on_move_change=on_move, on_act_change=on_act)


def read_moves(event: Any, settings: Settings) -> tuple[Settings, str, bool] | None:
    """The settings after digits were moved, the gesture that did it, and whether it is over.

    What lies outside the picture is put at its edge; None for anything that is not such a message, or one
    about other digits than there are.
    """
    if not isinstance(event, dict) or not isinstance(event.get("digits"), list):
        return None
    moves, gesture = event["digits"], event.get("gesture")
    if len(moves) != settings.count or not isinstance(gesture, str) or len(gesture) > 50:
        return None
    digits = list(settings.digits)
    for number, move in enumerate(moves):
        if not isinstance(move, list) or len(move) != 4 or not all(map(_is_finite, move)):
            return None
        x, y, speed_px, direction_deg = move
        digits[number] = replace(
            digits[number],
            x=round(min(max(x, 0), MAX_START_PX)),
            y=round(min(max(y, 0), MAX_START_PX)),
            speed_px=round(min(max(float(speed_px), 0.0), MAX_SPEED_PX), 1),
            direction_deg=round(direction_deg) % 360,
        )
    return replace(settings, digits=tuple(digits)), gesture, event.get("final") is not False


def _is_finite(value: Any) -> bool:
    # a whole number of JSON may be larger than any float; NaN is within nothing
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    )


def read_action(event: Any, settings: Settings) -> tuple[str, int] | None:
    """What was asked for and for which digit; None for anything else."""
    if not isinstance(event, dict) or event.get("name") not in ACTIONS:
        return None
    number = event.get("number")
    if type(number) is not int or not 0 <= number < settings.count:
        return None
    return event["name"], number
