"""Scenes: what a person composes. Flying digits with their start and velocity, checked and as JSON.

Positions are those of the top left corner of a digit's 28 x 28 stamp, in pixels, x to the right and y
downwards; velocities are in pixels a frame. `core.moving_mnist` makes the clip of a scene.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from numbers import Integral, Real
from typing import Any, Literal, get_args

import numpy as np

from core import drawings
from core.damage import read_json, shown
from core.digits import DIGIT_SIZE, SPLITS, Split, load_digits
from core.drawings import DrawingError

Bounce = Literal["clamp", "reflect"]
BOUNCES: tuple[Bounce, ...] = get_args(Bounce)

CANVAS = 64
MIN_CANVAS, MAX_CANVAS, CANVAS_STEP = 32, 256, 8
MIN_FRAMES, MAX_FRAMES = 2, 200
MAX_DIGITS = 4
MAX_SPEED_PX = 10.0
STANDARD_SPEED_PX = 3.6
STANDARD_FRAMES = 20
VARIED_MAX_SPEED_PX = 7.0  # the fastest that training sees


class SceneError(ValueError):
    """A scene that cannot be; the message says what arrived and what is accepted."""


def _require_int(name: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or not low <= int(value) <= high:
        raise SceneError(f"{name} must be a whole number from {low} to {high}; got {shown(value)}")


def _require_float(name: str, value: Any, low: float, high: float) -> None:
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not low <= value <= high:  # NaN is in no range
        raise SceneError(f"{name} must be a number from {low:g} to {high:g}; got {shown(value)}")


def _from_numpy(item: Any) -> None:
    """Numbers that NumPy made become Python's, as they are compared, hashed and written to JSON."""
    for field in fields(item):
        value = getattr(item, field.name)
        if isinstance(value, (np.integer, np.floating)):
            object.__setattr__(item, field.name, value.item())  # not after the object is made


@dataclass(frozen=True)
class Digit:
    """One flying digit. What is left None is drawn from the scene's seed.

    Attributes
    ----------
    digit_class : 0 to 9
    exemplar : which handwritten example of the class, counted from 0 in the scene's split
    x, y : start of the top left corner, px, 0 to canvas - 28
    vx, vy : velocity in px a frame; both or neither; at most 10 px a frame together
    drawing : a digit drawn by hand in the place of the exemplar, see `core.drawings`
    """

    digit_class: int
    exemplar: int | None = None
    x: float | None = None
    y: float | None = None
    vx: float | None = None
    vy: float | None = None
    drawing: str | None = None

    def __post_init__(self) -> None:
        _from_numpy(self)
        _require_int("digit class", self.digit_class, 0, 9)
        if self.drawing is not None:
            try:
                drawings.decode(self.drawing)
            except DrawingError as error:
                raise SceneError(str(error)) from error
        if self.exemplar is not None:
            _require_int("exemplar", self.exemplar, 0, 60_000)
        for name in ("x", "y"):
            if getattr(self, name) is not None:
                _require_float(name, getattr(self, name), 0, MAX_CANVAS - DIGIT_SIZE)
        if (self.vx is None) != (self.vy is None):
            raise SceneError(
                f"vx and vy must be given together; got vx={shown(self.vx)}, vy={shown(self.vy)}"
            )
        if self.vx is not None and self.vy is not None:
            _require_float("vx", self.vx, -MAX_SPEED_PX, MAX_SPEED_PX)
            _require_float("vy", self.vy, -MAX_SPEED_PX, MAX_SPEED_PX)
            # a hair of slack, so that 10 px a frame in any direction survives the trip through cos and sin
            if math.hypot(self.vx, self.vy) > MAX_SPEED_PX + 1e-9:
                raise SceneError(
                    f"speed must be {MAX_SPEED_PX:g} px a frame or less; "
                    f"got {math.hypot(self.vx, self.vy):.2f}"
                )

    @classmethod
    def from_polar(
        cls,
        digit_class: int,
        exemplar: int | None,
        x: float | None,
        y: float | None,
        speed_px: float,
        direction_deg: float,
        drawing: str | None = None,
    ) -> Digit:
        """A digit by speed and direction (degrees; 0 is right, 90 is down)."""
        _require_float("speed", speed_px, 0, MAX_SPEED_PX)
        _require_float("direction", direction_deg, -360, 360)
        angle = math.radians(direction_deg)
        # rounding keeps 90 degrees from leaving 2e-16 px of sideways drift
        vx, vy = round(speed_px * math.cos(angle), 9) + 0.0, round(speed_px * math.sin(angle), 9) + 0.0
        return cls(digit_class, exemplar, x, y, vx, vy, drawing)

    @property
    def speed_px(self) -> float:
        """Speed in px a frame; 0 while the velocity is still open."""
        return math.hypot(self.vx or 0.0, self.vy or 0.0)

    @property
    def direction_deg(self) -> float:
        """Direction in [0, 360) degrees: 0 is right, 90 is down. 0 while there is no motion."""
        return math.degrees(math.atan2(self.vy or 0.0, self.vx or 0.0)) % 360.0


@dataclass(frozen=True)
class Scene:
    """What a person composes. The same scene makes the same clip, byte for byte.

    Attributes
    ----------
    digits : 1 to 4 `Digit`
    frames : 2 to 200
    canvas : side of the square picture in px; a multiple of 8 from 32 to 256
    bounce : "clamp" (the standard: stop exactly at the wall, then turn back) or "reflect" (a mirror)
    seed : fills in what the digits leave open; 0 or more
    split : MNIST split the exemplars come from
    """

    digits: tuple[Digit, ...]
    frames: int = STANDARD_FRAMES
    canvas: int = CANVAS
    bounce: Bounce = "clamp"
    seed: int = 0
    split: Split = "test"

    def __post_init__(self) -> None:
        if not isinstance(self.digits, tuple) or not all(isinstance(digit, Digit) for digit in self.digits):
            raise SceneError(f"digits must be a tuple of Digit; got {shown(self.digits)}")
        if not 1 <= len(self.digits) <= MAX_DIGITS:
            raise SceneError(f"a scene has 1 to {MAX_DIGITS} digits; got {len(self.digits)}")
        _from_numpy(self)
        _require_int("frames", self.frames, MIN_FRAMES, MAX_FRAMES)
        _require_int("canvas", self.canvas, MIN_CANVAS, MAX_CANVAS)
        if self.canvas % CANVAS_STEP:
            raise SceneError(f"canvas must be a multiple of {CANVAS_STEP}; got {self.canvas}")
        if self.bounce not in BOUNCES:
            raise SceneError(f"bounce must be one of {', '.join(BOUNCES)}; got {shown(self.bounce)}")
        _require_int("seed", self.seed, 0, 2**63 - 1)
        if self.split not in SPLITS:
            raise SceneError(f"split must be one of {', '.join(SPLITS)}; got {shown(self.split)}")
        for number, digit in enumerate(self.digits, 1):
            for name in ("x", "y"):
                if getattr(digit, name) is not None:
                    _require_float(f"{name} of digit {number}", getattr(digit, name), 0, self.span_px)

    @property
    def span_px(self) -> int:
        """How far a corner can travel: canvas - 28."""
        return self.canvas - DIGIT_SIZE

    def resolved(self) -> Scene:
        """The scene with nothing left open. Each digit draws from a stream of its own, so that editing
        one never moves another."""
        bank = load_digits(self.split)
        digits = []
        for number, digit in enumerate(self.digits):
            rng = np.random.default_rng([self.seed, number])
            # draw all of them always: giving one field must not change what the others become
            exemplar = int(rng.integers(bank.count(digit.digit_class)))
            x, y = (round(float(value), 2) for value in rng.uniform(0, self.span_px, 2))
            drawn = Digit.from_polar(0, 0, x, y, STANDARD_SPEED_PX, round(float(rng.uniform(0, 360)), 1))
            filled = {
                field.name: getattr(drawn, field.name)
                for field in fields(Digit)
                if getattr(digit, field.name) is None and field.name != "drawing"
            }
            digits.append(
                replace(digit, **({**filled, "exemplar": exemplar} if "exemplar" in filled else filled))
            )
        return replace(self, digits=tuple(digits))

    def to_json(self) -> str:
        """One line of JSON that `from_json` reads back to an equal scene."""
        digits = [asdict(digit) for digit in self.digits]
        for digit in digits:
            if digit["drawing"] is None:
                del digit["drawing"]
        return json.dumps({"version": 1, **asdict(self), "digits": digits})

    @classmethod
    def from_json(cls, text: str) -> Scene:
        """Read a scene; raises `SceneError` with one sentence on anything that is not one."""
        try:
            data = read_json(text)
        except (ValueError, TypeError) as error:
            raise SceneError(f"a scene must be JSON; {error}") from error
        if not isinstance(data, dict):
            raise SceneError(f"a scene must be a JSON object; got {type(data).__name__}")
        version = data.pop("version", 1)
        if version != 1:
            raise SceneError(f"scene version must be 1; got {shown(version)}")
        digits = data.pop("digits", None)
        if not isinstance(digits, list):
            raise SceneError(f"digits must be a list; got {type(digits).__name__}")
        return cls(digits=tuple(_from_mapping(Digit, digit) for digit in digits), **_known_fields(cls, data))


def _known_fields(cls: type, data: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(cls)} - {"digits"}
    unknown = sorted(set(data) - names)
    if unknown:
        raise SceneError(
            f"{cls.__name__} has no field {shown(unknown[0])}; it has {', '.join(sorted(names))}"
        )
    return dict(data)


def _from_mapping(cls: type[Digit], data: Any) -> Digit:
    if not isinstance(data, dict):
        raise SceneError(f"each digit must be a JSON object; got {type(data).__name__}")
    if "digit_class" not in data:
        raise SceneError("a digit needs a digit_class")
    return cls(**_known_fields(cls, data))


def random_scene(
    seed: int,
    *,
    n_digits: int = 2,
    frames: int = STANDARD_FRAMES,
    speed_px: float | None = STANDARD_SPEED_PX,
    split: Split = "test",
) -> Scene:
    """A resolved scene drawn from a seed; `speed_px` None draws each speed from 0 to 7 px a frame."""
    _require_int("number of digits", n_digits, 1, MAX_DIGITS)
    rng = np.random.default_rng(seed)
    classes = [int(value) for value in rng.integers(10, size=n_digits)]
    scene = Scene(tuple(Digit(value) for value in classes), frames, seed=seed, split=split).resolved()
    digits = []
    for digit in scene.digits:
        drawn = float(rng.uniform(0, VARIED_MAX_SPEED_PX)) if speed_px is None else speed_px
        digits.append(
            Digit.from_polar(
                digit.digit_class, digit.exemplar, digit.x, digit.y, round(drawn, 2), digit.direction_deg
            )
        )
    return replace(scene, digits=tuple(digits))


def preset_scenes() -> dict[str, Scene]:
    """Named scenes to start from; each shows one thing."""
    polar = Digit.from_polar
    return {
        "standard": Scene((polar(7, 3, 3, 22, 3.6, 330), polar(2, 5, 27, 6, 3.6, 120))),
        # 35: who sees whole pixels alone knows when it meets the wall, which at 36 he would not
        "collision": Scene((polar(1, 4, 0, 18, 3.0, 0), polar(0, 2, 35, 18, 3.0, 180))),
        "corner bounce": Scene((polar(5, 6, 6, 6, 3.6, 45),)),
        "three digits": Scene(
            (polar(3, 1, 2, 4, 2.5, 20), polar(8, 7, 30, 10, 3.6, 160), polar(4, 2, 14, 30, 3.0, 280))
        ),
        "too fast": Scene((polar(6, 3, 4, 10, 9.5, 35), polar(9, 5, 28, 24, 10.0, 205))),
    }
