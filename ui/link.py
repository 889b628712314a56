"""Everything a person has set, and its short form in a link.

A link keeps the scene in one parameter, `scene=1-20-c-7_3_3_22_3.6_330-...`: version, frames, bounce rule,
then for each digit class, exemplar, x, y, speed and direction, and the drawing of one drawn by hand. The
other settings have a parameter each. What equals the default is left out, so an untouched app has a clean
address.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from core import drawings
from core.digits import load_digits
from core.drawings import DrawingError
from core.evaluation import MODES, Mode
from core.moving_mnist import DIGIT_SIZE
from core.scenes import (
    CANVAS,
    MAX_DIGITS,
    MAX_FRAMES,
    MAX_SPEED_PX,
    MIN_FRAMES,
    Bounce,
    Digit,
    Scene,
    preset_scenes,
)

MAX_START_PX = CANVAS - DIGIT_SIZE
LINK_VERSION = "1"
MAX_TEXT = 200 + MAX_DIGITS * drawings.MAX_TEXT
PARAMETERS = ("scene", "model", "mode", "context", "horizon")
_BOUNCE_LETTERS: dict[str, Bounce] = {"c": "clamp", "r": "reflect"}
_LETTERS = {rule: letter for letter, rule in _BOUNCE_LETTERS.items()}


class LinkError(ValueError):
    """A link that cannot be followed; the message says in plain words what was wrong."""


@dataclass(frozen=True)
class DigitSettings:
    """One digit as the controls have it. Direction is kept apart from speed, so that 0 px a frame does not
    forget which way the digit faced."""

    digit_class: int
    exemplar: int
    x: int
    y: int
    speed_px: float
    direction_deg: int
    drawing: str | None = None

    def to_digit(self) -> Digit:
        """The digit of a scene."""
        return Digit.from_polar(
            self.digit_class,
            self.exemplar,
            float(self.x),
            float(self.y),
            self.speed_px,
            self.direction_deg,
            self.drawing,
        )


@dataclass(frozen=True)
class Settings:
    """Everything a person can set.

    Attributes
    ----------
    digits : always 4; those beyond `count` wait, so that taking a digit away and back loses nothing
    count : how many digits are in the scene
    model : name of a shipped model
    context, horizon : of a rollout, as asked for; `rollout_steps` says what fits the clip
    """

    digits: tuple[DigitSettings, ...]
    count: int = 2
    frames: int = 20
    bounce: Bounce = "clamp"
    model: str = "fast"
    mode: Mode = "next-frame"
    context: int = 10
    horizon: int = 10

    def scene(self) -> Scene:
        """The scene that core renders."""
        digits = tuple(digit.to_digit() for digit in self.digits[: self.count])
        return Scene(digits, frames=self.frames, canvas=CANVAS, bounce=self.bounce)

    def rollout_steps(self, frames: int | None = None) -> tuple[int, int]:
        """(context, horizon) that fit the clip: at least one frame each.

        frames : of the clip; None: of the scene's
        """
        frames = self.frames if frames is None else frames
        context = min(self.context, frames - 1)
        return context, min(self.horizon, frames - context)


def digit_settings(digit: Digit) -> DigitSettings:
    """A digit of a resolved scene on the grid of the controls: whole px, 0.1 px a frame, whole degrees."""
    return DigitSettings(
        digit.digit_class,
        digit.exemplar or 0,
        round(min(max(digit.x or 0.0, 0.0), MAX_START_PX)),
        round(min(max(digit.y or 0.0, 0.0), MAX_START_PX)),
        min(round(digit.speed_px, 1), MAX_SPEED_PX),
        round(digit.direction_deg) % 360,
        digit.drawing,
    )


def with_scene(settings: Settings, scene: Scene) -> Settings:
    """The settings with the digits, frames and bounce rule of a resolved scene."""
    shown = tuple(digit_settings(digit) for digit in scene.digits)
    return replace(
        settings,
        digits=shown + settings.digits[len(shown) :],
        count=len(shown),
        frames=scene.frames,
        bounce=scene.bounce,
    )


def with_scene_of(settings: Settings, other: Settings) -> Settings:
    """The settings with the scene of others, and the digits that wait there."""
    return replace(settings, digits=other.digits, count=other.count, frames=other.frames, bounce=other.bounce)


def same_scene(settings: Settings, other: Settings) -> bool:
    """Whether two settings show the same scene."""
    return encode_scene(settings) == encode_scene(other)


def beside(digit: DigitSettings, by_px: int = 6) -> DigitSettings:
    """A copy of a digit, a little aside of it."""

    def aside(place: int) -> int:
        return place + by_px if place + by_px <= MAX_START_PX else place - by_px

    return replace(digit, x=aside(digit.x), y=aside(digit.y))


@lru_cache(maxsize=1)
def default_settings() -> Settings:
    """What a fresh visit shows: the standard preset, with two more digits in waiting."""
    presets = preset_scenes()
    standard, waiting = presets["standard"].digits, presets["three digits"].digits
    digits = tuple(digit_settings(digit) for digit in (*standard, *waiting))[:MAX_DIGITS]
    return Settings(digits, count=len(standard))


# -------------------------------------------------------------------------------------------- writing


def encode_scene(settings: Settings) -> str:
    """The scene as one short word that needs no escaping in an address."""
    digits = (
        f"{digit.digit_class}_{digit.exemplar}_{digit.x}_{digit.y}_{digit.speed_px:g}_{digit.direction_deg}"
        + (f"_{digit.drawing}" if digit.drawing is not None else "")
        for digit in settings.digits[: settings.count]
    )
    return "-".join([LINK_VERSION, str(settings.frames), _LETTERS[settings.bounce], *digits])


def encode(settings: Settings, default_model: str) -> dict[str, str]:
    """The parameters of a link: those that differ from the default."""
    default = replace(default_settings(), model=default_model)
    written = {name: _text(settings, name) for name in PARAMETERS}
    return {name: text for name, text in written.items() if text != _text(default, name)}


def _text(settings: Settings, name: str) -> str:
    return encode_scene(settings) if name == "scene" else str(getattr(settings, name))


# -------------------------------------------------------------------------------------------- reading


def _whole(text: str, what: str, low: int, high: int) -> int:
    # ASCII digits only: int() would also take "1_0", " 7" and digits of other scripts
    if not re.fullmatch(r"[0-9]{1,4}", text):
        raise LinkError(f"the {what} in it cannot be read")
    if not low <= int(text) <= high:
        raise LinkError(f"it asks for {what} {int(text)}, and {what} goes from {low} to {high}")
    return int(text)


def _decode_digit(text: str) -> DigitSettings:
    parts = text.split("_")
    if len(parts) not in (6, 7):
        raise LinkError("a digit in it is incomplete")
    digit_class = _whole(parts[0], "digit", 0, 9)
    exemplar = _whole(parts[1], "handwriting", 0, load_digits("test").count(digit_class) - 1)
    x, y = _whole(parts[2], "start", 0, MAX_START_PX), _whole(parts[3], "start", 0, MAX_START_PX)
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9])?", parts[4]):
        raise LinkError("the speed in it cannot be read")
    speed_px = float(parts[4])
    if speed_px > MAX_SPEED_PX:
        raise LinkError(f"it asks for speed {speed_px:g}, and speed goes from 0 to {MAX_SPEED_PX:g}")
    drawing = parts[6] if len(parts) == 7 else None
    if drawing is not None:
        try:
            drawings.decode(drawing)
        except DrawingError as error:
            raise LinkError(str(error)) from error
    direction_deg = _whole(parts[5], "direction", 0, 359)
    return DigitSettings(digit_class, exemplar, x, y, speed_px, direction_deg, drawing)


def decode_scene(settings: Settings, text: str) -> Settings:
    """The settings with the scene that `encode_scene` wrote.

    Raises
    ------
    LinkError
        If the text is anything else, in words a person understands.
    """
    if len(text) > MAX_TEXT:
        raise LinkError("it is too long")
    version, *rest = text.split("-")
    if version != LINK_VERSION:
        raise LinkError("it is not one that this version can read")
    if not 3 <= len(rest) <= 2 + MAX_DIGITS:
        raise LinkError(f"it must hold 1 to {MAX_DIGITS} digits")
    frames = _whole(rest[0], "number of frames", MIN_FRAMES, MAX_FRAMES)
    if rest[1] not in _BOUNCE_LETTERS:
        raise LinkError("the way it bounces cannot be read")
    digits = tuple(_decode_digit(part) for part in rest[2:])
    return replace(
        settings,
        digits=digits + settings.digits[len(digits) :],
        count=len(digits),
        frames=frames,
        bounce=_BOUNCE_LETTERS[rest[1]],
    )


def _decode_one(settings: Settings, name: str, text: str, models: Sequence[str]) -> Settings:
    if name == "scene":
        return decode_scene(settings, text)
    if name == "model":
        if text not in models:
            raise LinkError("there is no such model here")
        return replace(settings, model=text)
    if name == "mode":
        if text not in MODES:
            raise LinkError("there is no such way to predict")
        return replace(settings, mode=text)  # type: ignore[arg-type]  # just checked
    value = _whole(text, name, 1, MAX_FRAMES - 1)
    return replace(settings, context=value) if name == "context" else replace(settings, horizon=value)


_NAMES = {
    "scene": "scene",
    "model": "model",
    "mode": "way to predict",
    "context": "number of frames given",
    "horizon": "number of frames to predict",
}


def decode(parameters: Mapping[str, str], models: Sequence[str]) -> tuple[Settings, list[str]]:
    """Settings from the parameters of a link, and one plain sentence for each that had to be left out.

    Never raises for what a link holds: a parameter that makes no sense falls back to its default.
    """
    settings = replace(default_settings(), model=models[0])
    notices = []
    for name in PARAMETERS:
        if name not in parameters:
            continue
        try:
            settings = _decode_one(settings, name, parameters[name], models)
        except LinkError as error:
            notices.append(
                f"The {_NAMES[name]} in this link was not used: {error}. You see the usual one instead."
            )
    return settings, notices
