"""Moving MNIST: scenes that a person composes, and the clips that training and scoring draw at random.

Positions are those of the top left corner of a digit's 28 x 28 stamp, in pixels, x to the right and y
downwards; velocities are in pixels a frame. A digit is drawn at `floor(position)`, and digits that overlap
combine by maximum. The standard benchmark follows the generator of Srivastava, Mansimov and Salakhutdinov
(2015), "Unsupervised learning of video representations using LSTMs".
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np

from core.digits import DIGIT_SIZE, SPLITS, Split, load_digits

Bounce = Literal["clamp", "reflect"]
BOUNCES: tuple[Bounce, ...] = get_args(Bounce)

CANVAS = 64
MIN_CANVAS, MAX_CANVAS, CANVAS_STEP = 32, 256, 8
MIN_FRAMES, MAX_FRAMES = 2, 200
MAX_DIGITS = 4
MAX_SPEED_PX = 10.0
STANDARD_SPEED_PX = 3.6
STANDARD_STEP = 0.1  # of the reachable range of 36 px
STANDARD_FRAMES = 20

BENCHMARK_SEQUENCES = 10_000
BENCHMARK_SEED = 20_150_216  # fixed for ever: it defines the standard benchmark set
BENCHMARK_DIGITS = 2

VARIED_MAX_DIGITS = 3
VARIED_MAX_SPEED_PX = 7.0


class SceneError(ValueError):
    """A scene that cannot be; the message says what arrived and what is accepted."""


# --------------------------------------------------------------------------------------------- scenes


def _require_int(name: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise SceneError(f"{name} must be a whole number from {low} to {high}; got {value!r}")


def _require_float(name: str, value: Any, low: float, high: float) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not low <= value <= high:
        raise SceneError(f"{name} must be a number from {low:g} to {high:g}; got {value!r}")


@dataclass(frozen=True)
class Digit:
    """One flying digit. What is left None is drawn from the scene's seed.

    Attributes
    ----------
    digit_class : 0 to 9
    exemplar : which handwritten example of the class, counted from 0 in the scene's split
    x, y : start of the top left corner, px, 0 to canvas - 28
    vx, vy : velocity in px a frame; both or neither; at most 10 px a frame together
    """

    digit_class: int
    exemplar: int | None = None
    x: float | None = None
    y: float | None = None
    vx: float | None = None
    vy: float | None = None

    def __post_init__(self) -> None:
        _require_int("digit class", self.digit_class, 0, 9)
        if self.exemplar is not None:
            _require_int("exemplar", self.exemplar, 0, 60_000)
        for name in ("x", "y"):
            if getattr(self, name) is not None:
                _require_float(name, getattr(self, name), 0, MAX_CANVAS - DIGIT_SIZE)
        if (self.vx is None) != (self.vy is None):
            raise SceneError(f"vx and vy must be given together; got vx={self.vx!r}, vy={self.vy!r}")
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
    ) -> Digit:
        """A digit by speed and direction (degrees; 0 is right, 90 is down)."""
        _require_float("speed", speed_px, 0, MAX_SPEED_PX)
        _require_float("direction", direction_deg, -360, 360)
        angle = math.radians(direction_deg)
        # rounding keeps 90 degrees from leaving 2e-16 px of sideways drift
        vx, vy = round(speed_px * math.cos(angle), 9) + 0.0, round(speed_px * math.sin(angle), 9) + 0.0
        return cls(digit_class, exemplar, x, y, vx, vy)

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
            raise SceneError(f"digits must be a tuple of Digit; got {self.digits!r}")
        if not 1 <= len(self.digits) <= MAX_DIGITS:
            raise SceneError(f"a scene has 1 to {MAX_DIGITS} digits; got {len(self.digits)}")
        _require_int("frames", self.frames, MIN_FRAMES, MAX_FRAMES)
        _require_int("canvas", self.canvas, MIN_CANVAS, MAX_CANVAS)
        if self.canvas % CANVAS_STEP:
            raise SceneError(f"canvas must be a multiple of {CANVAS_STEP}; got {self.canvas}")
        if self.bounce not in BOUNCES:
            raise SceneError(f"bounce must be one of {', '.join(BOUNCES)}; got {self.bounce!r}")
        _require_int("seed", self.seed, 0, 2**63 - 1)
        if self.split not in SPLITS:
            raise SceneError(f"split must be one of {', '.join(SPLITS)}; got {self.split!r}")
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
                if getattr(digit, field.name) is None
            }
            digits.append(
                replace(digit, **({**filled, "exemplar": exemplar} if "exemplar" in filled else filled))
            )
        return replace(self, digits=tuple(digits))

    def to_json(self) -> str:
        """One line of JSON that `from_json` reads back to an equal scene."""
        return json.dumps({"version": 1, **asdict(self)})

    @classmethod
    def from_json(cls, text: str) -> Scene:
        """Read a scene; raises `SceneError` with one sentence on anything that is not one."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError, TypeError) as error:
            raise SceneError(f"a scene must be JSON; {error}") from error
        if not isinstance(data, dict):
            raise SceneError(f"a scene must be a JSON object; got {type(data).__name__}")
        version = data.pop("version", 1)
        if version != 1:
            raise SceneError(f"scene version must be 1; got {version!r}")
        digits = data.pop("digits", None)
        if not isinstance(digits, list):
            raise SceneError(f"digits must be a list; got {type(digits).__name__}")
        return cls(digits=tuple(_from_mapping(Digit, digit) for digit in digits), **_known_fields(cls, data))


def _known_fields(cls: type, data: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(cls)} - {"digits"}
    unknown = sorted(set(data) - names)
    if unknown:
        raise SceneError(f"{cls.__name__} has no field {unknown[0]!r}; it has {', '.join(sorted(names))}")
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
        "collision": Scene((polar(1, 4, 0, 18, 3.0, 0), polar(0, 2, 36, 18, 3.0, 180))),
        "corner bounce": Scene((polar(5, 6, 6, 6, 3.6, 45),)),
        "three digits": Scene(
            (polar(3, 1, 2, 4, 2.5, 20), polar(8, 7, 30, 10, 3.6, 160), polar(4, 2, 14, 30, 3.0, 280))
        ),
        "too fast": Scene((polar(6, 3, 4, 10, 9.5, 35), polar(9, 5, 28, 24, 10.0, 205))),
    }


# --------------------------------------------------------------------------------------- trajectories


def bounce_positions(
    start: np.ndarray, velocity: np.ndarray, frames: int, span: float, bounce: Bounce = "clamp"
) -> np.ndarray:
    """Positions of bouncing points, each axis on its own; frame 0 is the start.

    Parameters
    ----------
    start, velocity : float arrays of one shape (...), any unit, start within [0, span]
    frames : number of positions
    span : the walls are at 0 and at span
    bounce : "clamp": a step that reaches or passes a wall ends exactly on it and turns that component
        around (the standard generator's rule); "reflect": the path is folded at the wall, like light

    Returns
    -------
    float64 array (frames, ...)
    """
    start, velocity = np.asarray(start, np.float64), np.array(velocity, np.float64)
    if bounce == "reflect":
        time = np.arange(frames).reshape((frames,) + (1,) * start.ndim)
        return span - np.abs((start + velocity * time) % (2 * span) - span)
    positions = np.empty((frames, *start.shape))
    positions[0] = start
    for frame in range(1, frames):
        moved = positions[frame - 1] + velocity
        low, high = moved <= 0, moved >= span
        velocity = np.where(low, np.abs(velocity), np.where(high, -np.abs(velocity), velocity))
        positions[frame] = np.clip(moved, 0, span)
    return positions


def trajectory(scene: Scene) -> np.ndarray:
    """Path of every digit of a scene: float64 (frames, digits, 2), x and y in px of the top left corner."""
    scene = scene.resolved()
    start = np.array([(digit.x, digit.y) for digit in scene.digits], np.float64)
    velocity = np.array([(digit.vx, digit.vy) for digit in scene.digits], np.float64)
    return bounce_positions(start, velocity, scene.frames, scene.span_px, scene.bounce)


def standard_corners(rng: np.random.Generator, clips: int, digits: int, frames: int) -> np.ndarray:
    """The standard generator's positions: int64 (clips, frames, digits, 2), px of the top left corners.

    x, y ~ U(0, 1) and angle ~ U(0, 2 pi), a step of 0.1; each step moves, clamps to exactly 0 or 1 and turns
    that component around on contact, and only then records: the first frame is one step in. The pixel is
    int(36 x).
    """
    start = rng.uniform(size=(clips, digits, 2))
    angle = rng.uniform(0, 2 * np.pi, (clips, digits))
    velocity = STANDARD_STEP * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    path = bounce_positions(start, velocity, frames + 1, 1.0)[1:]
    return ((CANVAS - DIGIT_SIZE) * np.moveaxis(path, 0, 1)).astype(np.int64)


def _varied_corners(rng: np.random.Generator, clips: int, digits: int, frames: int) -> np.ndarray:
    """Like `standard_corners`, with speeds ~ U(0, 7) px a frame."""
    span = CANVAS - DIGIT_SIZE
    start = rng.uniform(0, span, (clips, digits, 2))
    angle, speed = (
        rng.uniform(0, 2 * np.pi, (clips, digits)),
        rng.uniform(0, VARIED_MAX_SPEED_PX, (clips, digits)),
    )
    velocity = speed[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return np.moveaxis(bounce_positions(start, velocity, frames, span), 0, 1).astype(np.int64)


# ------------------------------------------------------------------------------------------ rendering


_CLIPS_DRAWN_TOGETHER = 16  # 1.3 MB of pictures: what is being drawn stays in a core's cache


def draw_stamps(
    stamps: np.ndarray, corners: np.ndarray, canvas: int = CANVAS, present: np.ndarray | None = None
) -> np.ndarray:
    """Draw digits into clips, overlaps combined by maximum.

    Parameters
    ----------
    stamps : uint8 (clips, digits, 28, 28)
    corners : integer (clips, frames, digits, 2), x and y px of the top left corners, 0 to canvas - 28
    canvas : side of the picture
    present : bool (clips, digits), False where a clip lacks that digit; None: all are there

    Returns
    -------
    uint8 (clips, frames, canvas, canvas), 0 to 255
    """
    out = np.zeros((*corners.shape[:2], canvas, canvas), np.uint8)
    for first in range(0, len(out), _CLIPS_DRAWN_TOGETHER):
        part = slice(first, first + _CLIPS_DRAWN_TOGETHER)
        _draw(out[part], stamps[part], corners[part], None if present is None else present[part])
    return out


def _draw(out: np.ndarray, stamps: np.ndarray, corners: np.ndarray, present: np.ndarray | None) -> None:
    """Draw into empty clips (clips, frames, canvas, canvas), all at once."""
    clips, frames, digits, _ = corners.shape
    canvas = out.shape[-1]
    pictures = out.reshape(clips * frames, canvas * canvas)  # a view: out is contiguous
    # Stored row by row, a stamp is one contiguous run of a picture (28 rows, canvas apart), wherever it is:
    # moving it is choosing where the run starts, so drawing is one copy of `run` bytes a frame.
    run = (DIGIT_SIZE - 1) * canvas + DIGIT_SIZE
    rows = np.zeros((clips, digits, DIGIT_SIZE, canvas), np.uint8)
    rows[..., :DIGIT_SIZE] = stamps
    runs = rows.reshape(clips, digits, -1)[..., :run]
    places = np.lib.stride_tricks.sliding_window_view(pictures, run, axis=1, writeable=True)
    offsets = (corners[..., 1] * canvas + corners[..., 0]).reshape(clips * frames, digits)
    for digit in range(digits):
        has = np.arange(clips) if present is None else np.flatnonzero(present[:, digit])
        frame = (has[:, None] * frames + np.arange(frames)).ravel()
        offset = offsets[frame, digit]
        ink = np.repeat(runs[has, digit], frames, axis=0)
        if digit > 0:  # the first digit meets an empty picture
            np.maximum(ink, places[frame, offset], out=ink)
        places[frame, offset] = ink


def render_layers(scene: Scene) -> np.ndarray:
    """Each digit of a scene drawn alone: uint8 (digits, frames, canvas, canvas)."""
    scene = scene.resolved()
    bank = load_digits(scene.split)
    try:
        stamps = np.stack([bank.exemplar(digit.digit_class, digit.exemplar or 0) for digit in scene.digits])
    except ValueError as error:
        raise SceneError(str(error)) from error
    corners = np.floor(trajectory(scene)).astype(np.int64)
    return draw_stamps(stamps[:, None], np.moveaxis(corners, 1, 0)[:, :, None], scene.canvas)


def render(scene: Scene) -> np.ndarray:
    """The clip of a scene: uint8 (frames, canvas, canvas), 0 to 255."""
    return render_layers(scene).max(axis=0)


def to_frames(clips: np.ndarray) -> np.ndarray:
    """uint8 pixels 0..255 as float32 in [0, 1]; the shape stays."""
    if clips.dtype != np.uint8:
        raise ValueError(f"clips must be uint8; got {clips.dtype}")
    return clips.astype(np.float32) / np.float32(255)


# ------------------------------------------------------------------------- training and the benchmark


def training_batch(
    seed: int, step: int, *, batch_size: int, frames: int, split: Split = "train"
) -> np.ndarray:
    """The clips of one training step: uint8 (batch_size, frames, 64, 64).

    Half of them standard (two digits, 3.6 px a frame), half varied (1 to 3 digits, 0 to 7 px a frame); of an
    odd batch a coin decides the last. The step is part of the seed, so any step can be made at any time and
    a resumed training sees the very data it would have seen.
    """
    rng = np.random.default_rng([seed, step])
    bank = load_digits(split)
    n_standard = (batch_size + int(rng.integers(2))) // 2
    standard = np.zeros((n_standard, frames, VARIED_MAX_DIGITS, 2), np.int64)
    standard[:, :, :BENCHMARK_DIGITS] = standard_corners(rng, n_standard, BENCHMARK_DIGITS, frames)
    varied = _varied_corners(rng, batch_size - n_standard, VARIED_MAX_DIGITS, frames)
    n_digits = np.concatenate(
        [
            np.full(n_standard, BENCHMARK_DIGITS),
            rng.integers(1, VARIED_MAX_DIGITS + 1, batch_size - n_standard),
        ]
    )
    stamps = bank.images[rng.integers(len(bank), size=(batch_size, VARIED_MAX_DIGITS))]
    present = np.arange(VARIED_MAX_DIGITS) < n_digits[:, None]
    return draw_stamps(stamps, np.concatenate([standard, varied]), present=present)


@lru_cache(maxsize=2)
def _benchmark_plan(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Corners and digit indices of the whole set: a clip is the same in whichever slice it is made."""
    rng = np.random.default_rng(BENCHMARK_SEED)
    digits = rng.integers(len(load_digits("test")), size=(BENCHMARK_SEQUENCES, BENCHMARK_DIGITS))
    return standard_corners(rng, BENCHMARK_SEQUENCES, BENCHMARK_DIGITS, frames), digits


def _require_slice(start: int, stop: int) -> None:
    if not 0 <= start < stop <= BENCHMARK_SEQUENCES:
        raise ValueError(
            f"a slice of the benchmark set lies within 0 to {BENCHMARK_SEQUENCES}; got {start} to {stop}"
        )


def benchmark_positions(start: int, stop: int, frames: int = STANDARD_FRAMES) -> np.ndarray:
    """True corners of benchmark clips: int64 (stop - start, frames, 2 digits, 2), px."""
    _require_slice(start, stop)
    return _benchmark_plan(frames)[0][start:stop]


def benchmark_stamps(start: int, stop: int) -> np.ndarray:
    """The digits of benchmark clips: uint8 (stop - start, 2, 28, 28)."""
    _require_slice(start, stop)
    return load_digits("test").images[_benchmark_plan(STANDARD_FRAMES)[1][start:stop]]


def benchmark_clips(start: int, stop: int, *, frames: int = STANDARD_FRAMES) -> np.ndarray:
    """Clips of the standard benchmark set, 10,000 of MNIST test digits: uint8 (clips, frames, 64, 64)."""
    return draw_stamps(benchmark_stamps(start, stop), benchmark_positions(start, stop, frames))
