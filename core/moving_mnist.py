"""Moving MNIST: the clips of scenes, and those that training and scoring draw at random.

A digit is drawn at `floor(position)` of its stamp's top left corner, in pixels, x to the right and y
downwards; digits that overlap combine by maximum. The standard benchmark follows the generator of
Srivastava, Mansimov and Salakhutdinov (2015), "Unsupervised learning of video representations using LSTMs".
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from core import drawings
from core.digits import DIGIT_SIZE, DigitBank, Split, load_digits
from core.scenes import BOUNCES, CANVAS, STANDARD_FRAMES, VARIED_MAX_SPEED_PX, Bounce, Scene, SceneError

STANDARD_STEP = 0.1  # of the reachable range of 36 px

BENCHMARK_SEQUENCES = 10_000
BENCHMARK_SEED = 20_150_216  # fixed for ever: it defines the standard benchmark set
BENCHMARK_DIGITS = 2

VARIED_MAX_DIGITS = 3
STANDARD_SHARE = 0.5  # of the clips of a training, unless it asks for another
CALM_MAX_SPEED_PX = 1.5
_CALM_STREAM = 2  # beside the stream of other training clips


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

    Raises
    ------
    ValueError
        If there is no such rule.
    """
    if bounce not in BOUNCES:
        raise ValueError(f"bounce must be {' or '.join(BOUNCES)}; got {bounce!r}")
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


def _standard_paths(rng: np.random.Generator, clips: int, digits: int, frames: int) -> np.ndarray:
    """The standard generator's exact positions: float64 (clips, frames, digits, 2), 0 to 36 px."""
    start = rng.uniform(size=(clips, digits, 2))
    angle = rng.uniform(0, 2 * np.pi, (clips, digits))
    velocity = STANDARD_STEP * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    path = bounce_positions(start, velocity, frames + 1, 1.0)[1:]
    return (CANVAS - DIGIT_SIZE) * np.moveaxis(path, 0, 1)


def standard_corners(rng: np.random.Generator, clips: int, digits: int, frames: int) -> np.ndarray:
    """The standard generator's positions: int64 (clips, frames, digits, 2), px of the top left corners.

    x, y ~ U(0, 1) and angle ~ U(0, 2 pi), a step of 0.1; each step moves, clamps to exactly 0 or 1 and turns
    that component around on contact, and only then records: the first frame is one step in. The pixel is
    int(36 x).
    """
    return _standard_paths(rng, clips, digits, frames).astype(np.int64)


def _varied_corners(
    rng: np.random.Generator, clips: int, digits: int, frames: int, fastest: float = VARIED_MAX_SPEED_PX
) -> np.ndarray:
    """Like `standard_corners`, with speeds ~ U(0, fastest) px a frame."""
    span = CANVAS - DIGIT_SIZE
    start = rng.uniform(0, span, (clips, digits, 2))
    angle, speed = (
        rng.uniform(0, 2 * np.pi, (clips, digits)),
        rng.uniform(0, fastest, (clips, digits)),
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

    Raises
    ------
    ValueError
        If a corner is no whole number, or a digit would not be within the picture.
    """
    if corners.dtype.kind not in "iu":
        raise ValueError(f"corners must be integers; got {corners.dtype}")
    low, high = (int(corners.min()), int(corners.max())) if corners.size else (0, 0)
    if low < 0 or high > canvas - DIGIT_SIZE:
        raise ValueError(f"corners must be 0 to {canvas - DIGIT_SIZE} px; got {low} to {high}")
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
    corners = corners.astype(np.int64)  # a small type would not hold a place in the picture
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
    stamps, corners = scene_stamps(scene), scene_corners(scene)
    return draw_stamps(stamps[:, None], np.moveaxis(corners, 1, 0)[:, :, None], scene.canvas)


def scene_stamps(scene: Scene) -> np.ndarray:
    """The digits of a scene: uint8 (digits, 28, 28)."""
    scene = scene.resolved()
    bank = load_digits(scene.split)
    try:
        return np.stack(
            [
                drawings.decode(digit.drawing)
                if digit.drawing is not None
                else bank.exemplar(digit.digit_class, digit.exemplar or 0)
                for digit in scene.digits
            ]
        )
    except ValueError as error:
        raise SceneError(str(error)) from error


def scene_corners(scene: Scene) -> np.ndarray:
    """Where a scene's digits are drawn: int64 (frames, digits, 2), px of the top left corners."""
    return np.floor(trajectory(scene)).astype(np.int64)


def scene_velocities(scene: Scene) -> np.ndarray:
    """With which velocity a scene's digits leave each frame: float64 (frames, digits, 2), px a frame."""
    scene = scene.resolved()
    start = np.array([(digit.x, digit.y) for digit in scene.digits], np.float64)
    velocity = np.array([(digit.vx, digit.vy) for digit in scene.digits], np.float64)
    if scene.bounce == "reflect":
        time = np.arange(scene.frames).reshape(-1, 1, 1)
        outwards = (start + velocity * time) % (2 * scene.span_px) < scene.span_px
        return np.where(outwards, velocity, -velocity)
    velocities = np.empty((scene.frames, *velocity.shape))
    velocities[0] = velocity
    for frame, place in enumerate(trajectory(scene)[1:], start=1):
        # a step that meets a wall ends exactly on it
        velocity = np.where(place == 0, np.abs(velocity), velocity)
        velocity = np.where(place == scene.span_px, -np.abs(velocity), velocity)
        velocities[frame] = velocity
    return velocities


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
    seed: int,
    step: int,
    *,
    batch_size: int,
    frames: int,
    split: Split = "train",
    digits: int | None = None,
    standard_share: float = STANDARD_SHARE,
) -> np.ndarray:
    """The clips of one training step: uint8 (batch_size, frames, 64, 64).

    A share of them, usually half, is standard (two digits, 3.6 px a frame), the others are varied (1 to 3
    digits, 0 to 7 px a frame); where it is no whole number of clips, chance decides the last. With `digits`,
    every clip has that many, at standard speed. The step is part of the seed, so any step can be made at any
    time and a resumed training sees the very data it would have seen.
    """
    stamps, corners, present = training_plan(
        seed,
        step,
        batch_size=batch_size,
        frames=frames,
        split=split,
        digits=digits,
        standard_share=standard_share,
    )
    return draw_stamps(stamps, corners, present=present)


def calm_batch(seed: int, step: int, *, batch_size: int, frames: int) -> np.ndarray:
    """Clips like the varied ones of `training_batch`, at 0 to 1.5 px a frame: uint8 (batch_size, frames, 64,
    64). Among the clips of a training hardly any digit stands still.
    """
    rng = np.random.default_rng([seed, step, _CALM_STREAM])
    stamps, present = _varied_digits(rng, load_digits("train"), batch_size)
    corners = _varied_corners(rng, batch_size, VARIED_MAX_DIGITS, frames, CALM_MAX_SPEED_PX)
    return draw_stamps(stamps, corners, present=present)


def _varied_digits(rng: np.random.Generator, bank: DigitBank, clips: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each clip 1 to 3 digits: uint8 (clips, 3, 28, 28), and which of them are there: bool (clips, 3)."""
    counts = rng.integers(1, VARIED_MAX_DIGITS + 1, clips)
    stamps = bank.images[rng.integers(len(bank), size=(clips, VARIED_MAX_DIGITS))]
    return stamps, np.arange(VARIED_MAX_DIGITS) < counts[:, None]


def training_plan(
    seed: int,
    step: int,
    *,
    batch_size: int,
    frames: int,
    split: Split = "train",
    digits: int | None = None,
    standard_share: float = STANDARD_SHARE,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `training_batch` draws: the digits and their ways.

    Returns
    -------
    stamps : uint8 (batch_size, digits, 28, 28)
    corners : int64 (batch_size, frames, digits, 2), x and y px of the top left corners
    present : bool (batch_size, digits), False where a clip lacks that digit
    """
    rng = np.random.default_rng([seed, step])
    bank = load_digits(split)
    if digits is not None:
        stamps = bank.images[rng.integers(len(bank), size=(batch_size, digits))]
        return (
            stamps,
            standard_corners(rng, batch_size, digits, frames),
            np.ones((batch_size, digits), np.bool_),
        )
    # of a half the first bit of the draw decides, as a coin did: a seed makes the clips that it always made
    n_standard = int(batch_size * standard_share + rng.integers(1024) / 1024)
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
    return stamps, np.concatenate([standard, varied]), present


@lru_cache(maxsize=2)
def _benchmark_plan(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Exact positions and digit indices of the whole set: a clip is the same in whichever slice it is made.

    The positions are those of one frame more, so that every frame's velocity is known.
    """
    rng = np.random.default_rng(BENCHMARK_SEED)
    digits = rng.integers(len(load_digits("test")), size=(BENCHMARK_SEQUENCES, BENCHMARK_DIGITS))
    return _standard_paths(rng, BENCHMARK_SEQUENCES, BENCHMARK_DIGITS, frames + 1), digits


def _require_slice(start: int, stop: int) -> None:
    if not 0 <= start < stop <= BENCHMARK_SEQUENCES:
        raise ValueError(
            f"a slice of the benchmark set lies within 0 to {BENCHMARK_SEQUENCES}; got {start} to {stop}"
        )


def benchmark_positions(start: int, stop: int, frames: int = STANDARD_FRAMES) -> np.ndarray:
    """True corners of benchmark clips: int64 (stop - start, frames, 2 digits, 2), px."""
    _require_slice(start, stop)
    return _benchmark_plan(frames)[0][start:stop, :frames].astype(np.int64)


def benchmark_velocities(start: int, stop: int, frames: int = STANDARD_FRAMES) -> np.ndarray:
    """Velocities with which the digits leave each frame, px: float64 (stop - start, frames, 2 digits, 2).

    A step that a wall cuts short is shorter than the velocity; the velocity is that of the longest step.
    """
    _require_slice(start, stop)
    steps = np.diff(_benchmark_plan(frames)[0][start:stop], axis=1)
    return np.sign(steps) * np.abs(steps).max(axis=1, keepdims=True)


def benchmark_stamps(start: int, stop: int) -> np.ndarray:
    """The digits of benchmark clips: uint8 (stop - start, 2, 28, 28)."""
    _require_slice(start, stop)
    return load_digits("test").images[_benchmark_plan(STANDARD_FRAMES)[1][start:stop]]


def benchmark_clips(start: int, stop: int, *, frames: int = STANDARD_FRAMES) -> np.ndarray:
    """Clips of the standard benchmark set, 10,000 of MNIST test digits: uint8 (clips, frames, 64, 64)."""
    return draw_stamps(benchmark_stamps(start, stop), benchmark_positions(start, stop, frames))
