"""Predictions without a network: what a model must beat.

`copy_last` knows nothing of motion. `constant_velocity` knows the true positions of the digits up to now and
how they look, and moves each on by its last step; it knows nothing of walls, except that a digit stays in
the picture. `bounce_oracle` knows the true velocities and the walls' rule as well; it is wrong only where a
digit is between two pixels. Predictions are float32 in [0, 1] without a channel axis:
(batch, predictions, height, width).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from core.moving_mnist import (
    DIGIT_SIZE,
    benchmark_clips,
    benchmark_positions,
    benchmark_stamps,
    benchmark_velocities,
    bounce_positions,
    draw_stamps,
    render,
    scene_stamps,
    scene_velocities,
    to_frames,
    trajectory,
)
from core.scenes import CANVAS, Bounce, Scene

Baseline = Literal["copy_last", "constant_velocity", "bounce_oracle"]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)


def _as_frames(frames: np.ndarray) -> np.ndarray:
    frames = np.asarray(frames)
    if frames.ndim != 4:
        raise ValueError(f"frames must be (batch, time, height, width); got {frames.shape}")
    if frames.dtype == np.uint8:
        return to_frames(frames)
    if not np.issubdtype(frames.dtype, np.floating):
        raise ValueError(f"frames must be uint8 0..255 or floats in [0, 1]; got {frames.dtype}")
    return frames.astype(np.float32, copy=False)


def _require_next_frame(frames: int) -> None:
    if frames < 2:
        raise ValueError(f"frames must be 2 or more; got {frames}")


def _require_rollout(frames: int, context_frames: int, horizon_frames: int) -> None:
    if not 1 <= context_frames <= frames:
        raise ValueError(f"context must be 1 to {frames}, the frames there are; got {context_frames}")
    if horizon_frames < 1:
        raise ValueError(f"horizon must be 1 or more; got {horizon_frames}")


def copy_last(frames: np.ndarray) -> np.ndarray:
    """Next-frame predictions that repeat the frame before.

    Parameters
    ----------
    frames : (batch, time, height, width)
        uint8 0..255 or floats in [0, 1]; time 2 or more.

    Returns
    -------
    numpy.ndarray
        float32 (batch, time - 1, height, width)
    """
    frames = _as_frames(frames)
    _require_next_frame(frames.shape[1])
    return frames[:, :-1]


def copy_last_rollout(frames: np.ndarray, context: int, horizon: int) -> np.ndarray:
    """A rollout that repeats the last frame of the context.

    Parameters
    ----------
    frames : (batch, time, height, width)
        uint8 0..255 or floats in [0, 1]; only the first `context` are read.
    context, horizon : int
        Frames seen, 1 to time, and frames predicted, 1 or more.

    Returns
    -------
    numpy.ndarray
        float32 (batch, horizon, height, width)
    """
    frames = _as_frames(frames)
    _require_rollout(frames.shape[1], context, horizon)
    return np.repeat(frames[:, context - 1 : context], horizon, axis=1)


def _check_motion(positions: np.ndarray, stamps: np.ndarray, canvas: int) -> np.ndarray:
    """Positions as float64, once they and the stamps belong together."""
    positions, stamps = np.asarray(positions, np.float64), np.asarray(stamps)
    if positions.ndim != 4 or positions.shape[-1] != 2:
        raise ValueError(f"positions must be (clips, time, digits, 2); got {positions.shape}")
    expected = (positions.shape[0], positions.shape[2], DIGIT_SIZE, DIGIT_SIZE)
    if stamps.shape != expected or stamps.dtype != np.uint8:
        raise ValueError(f"stamps must be uint8 {expected}; got {stamps.dtype} {stamps.shape}")
    if not np.isfinite(positions).all() or positions.min() < 0 or positions.max() > canvas - DIGIT_SIZE:
        raise ValueError(
            f"positions must be 0 to {canvas - DIGIT_SIZE} px; got {positions.min():g} to {positions.max():g}"
        )
    return positions


def _draw(stamps: np.ndarray, positions: np.ndarray, canvas: int) -> np.ndarray:
    """Digits at predicted positions, held in the picture and floored to pixels as the generator does."""
    corners = np.floor(np.clip(positions, 0, canvas - DIGIT_SIZE)).astype(np.int64)
    return to_frames(draw_stamps(np.asarray(stamps), corners, canvas))


def constant_velocity(positions: np.ndarray, stamps: np.ndarray, canvas: int = CANVAS) -> np.ndarray:
    """Next-frame predictions that move each digit on by its last true step.

    Before the first step no motion is known: the first prediction leaves each digit where it is.

    Parameters
    ----------
    positions : (clips, time, digits, 2)
        True x and y of the top left corners, px, 0 to canvas - 28; time 2 or more. Whole pixels, or the
        exact positions behind them, which predict better.
    stamps : uint8 (clips, digits, 28, 28)
    canvas : int
        Side of the picture, px.

    Returns
    -------
    numpy.ndarray
        float32 (clips, time - 1, canvas, canvas)
    """
    positions = _check_motion(positions, stamps, canvas)
    _require_next_frame(positions.shape[1])
    seen = positions[:, :-1]
    step = np.diff(seen, axis=1, prepend=seen[:, :1])
    return _draw(stamps, seen + step, canvas)


def constant_velocity_rollout(
    positions: np.ndarray, stamps: np.ndarray, context: int, horizon: int, canvas: int = CANVAS
) -> np.ndarray:
    """A rollout that moves each digit on by the last step of the context, frame after frame.

    A digit that reaches the picture's edge stays there. With one context frame no motion is known, and the
    digits stay where they are.

    Parameters
    ----------
    positions, stamps, canvas
        As for `constant_velocity`; only the first `context` positions are read.
    context, horizon : int
        Frames seen, 1 to time, and frames predicted, 1 or more.

    Returns
    -------
    numpy.ndarray
        float32 (clips, horizon, canvas, canvas)
    """
    positions = _check_motion(positions, stamps, canvas)
    _require_rollout(positions.shape[1], context, horizon)
    last = positions[:, context - 1]
    step = last - positions[:, max(context - 2, 0)]
    ahead = np.arange(1, horizon + 1)[:, None, None]
    return _draw(stamps, last[:, None] + ahead * step[:, None], canvas)


def _bounced(
    positions: np.ndarray, velocities: np.ndarray, stamps: np.ndarray, steps: int, canvas: int, bounce: Bounce
) -> np.ndarray:
    """Pictures 1 to `steps` frames after positions (n, digits, 2): float32 (n, steps, canvas, canvas)."""
    span = canvas - DIGIT_SIZE
    # the digit is anywhere in its pixel: its middle is the best guess; at the far wall it is exactly there
    start = np.minimum(np.floor(positions) + 0.5, span)
    path = bounce_positions(start, velocities, steps + 1, span, bounce)[1:]
    return _draw(stamps, np.moveaxis(path, 0, 1), canvas)


def bounce_oracle(
    positions: np.ndarray,
    velocities: np.ndarray,
    stamps: np.ndarray,
    canvas: int = CANVAS,
    bounce: Bounce = "clamp",
) -> np.ndarray:
    """Next-frame predictions that know every digit's velocity and the walls' rule, and its place to a pixel.

    Parameters
    ----------
    positions, stamps, canvas
        As for `constant_velocity`; of positions only the whole pixel is used.
    velocities : (clips, time, digits, 2)
        With which the digits leave each frame, px a frame.
    bounce : str
        The rule at the walls, as for `core.moving_mnist.bounce_positions`.

    Returns
    -------
    numpy.ndarray
        float32 (clips, time - 1, canvas, canvas)
    """
    positions = _check_motion(positions, stamps, canvas)
    _require_next_frame(positions.shape[1])
    velocities = _check_velocities(velocities, positions)
    clips, seen = positions.shape[0], positions.shape[1] - 1
    places, speeds = (
        array[:, :-1].reshape(clips * seen, *array.shape[2:]) for array in (positions, velocities)
    )
    drawn = _bounced(places, speeds, np.repeat(np.asarray(stamps), seen, axis=0), 1, canvas, bounce)
    return drawn.reshape(clips, seen, canvas, canvas)


def bounce_oracle_rollout(
    positions: np.ndarray,
    velocities: np.ndarray,
    stamps: np.ndarray,
    context: int,
    horizon: int,
    canvas: int = CANVAS,
    bounce: Bounce = "clamp",
) -> np.ndarray:
    """A rollout that lets each digit fly and bounce on from the last frame of the context.

    Parameters
    ----------
    positions, velocities, stamps, canvas, bounce
        As for `bounce_oracle`; only those of the last context frame are read.
    context, horizon : int
        Frames seen, 1 to time, and frames predicted, 1 or more.

    Returns
    -------
    numpy.ndarray
        float32 (clips, horizon, canvas, canvas)
    """
    positions = _check_motion(positions, stamps, canvas)
    _require_rollout(positions.shape[1], context, horizon)
    velocities = _check_velocities(velocities, positions)
    last = context - 1
    return _bounced(positions[:, last], velocities[:, last], np.asarray(stamps), horizon, canvas, bounce)


def _check_velocities(velocities: np.ndarray, positions: np.ndarray) -> np.ndarray:
    velocities = np.asarray(velocities, np.float64)
    if velocities.shape != positions.shape:
        raise ValueError(f"velocities must be {positions.shape}, as positions are; got {velocities.shape}")
    if not np.isfinite(velocities).all():
        raise ValueError("velocities must be finite; got NaN or infinity")
    return velocities


# ------------------------------------------------------------- of a scene, or a clip of the standard set


@dataclass(frozen=True)
class Truth:
    """A clip, and what is true of it beside the pixels.

    Attributes
    ----------
    clip : uint8 (time, canvas, canvas)
    positions, velocities : (time, digits, 2), as for `bounce_oracle`
    stamps : uint8 (digits, 28, 28)
    bounce : the rule at the walls
    """

    clip: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray
    stamps: np.ndarray
    bounce: Bounce = "clamp"

    @classmethod
    def of_scene(cls, scene: Scene) -> Truth:
        """Of a scene, whose exact positions, velocities and rule at the walls are known."""
        return cls(
            render(scene), trajectory(scene), scene_velocities(scene), scene_stamps(scene), scene.bounce
        )

    @classmethod
    def of_standard(cls, number: int) -> Truth:
        """Of a clip of the standard benchmark set, 0 to 9,999; ValueError if there is none."""
        one = number, number + 1
        of_all = benchmark_clips(*one), benchmark_positions(*one), benchmark_velocities(*one)
        return cls(*(array[0] for array in (*of_all, benchmark_stamps(*one))))


def told_next_frames(name: Baseline, told: Truth) -> np.ndarray:
    """Next-frame predictions of a clip of which all is known that a baseline is told.

    Parameters
    ----------
    name : str
        One of `BASELINES`.
    told : Truth

    Returns
    -------
    numpy.ndarray
        float32 (frames - 1, canvas, canvas)

    Raises
    ------
    ValueError
        If there is no such baseline.
    """
    _require_name(name)
    if name == "copy_last":
        return copy_last(told.clip[None])[0]
    positions, stamps, canvas = told.positions[None], told.stamps[None], told.clip.shape[-1]
    if name == "constant_velocity":
        return constant_velocity(positions, stamps, canvas)[0]
    return bounce_oracle(positions, told.velocities[None], stamps, canvas, told.bounce)[0]


def told_rollout(name: Baseline, told: Truth, context: int, horizon: int) -> np.ndarray:
    """A rollout of a clip of which all is known that a baseline is told, as `told_next_frames`.

    Parameters
    ----------
    name, told
        As for `told_next_frames`; only the first `context` frames are read.
    context, horizon : int
        Frames seen, 1 to those of the clip, and frames predicted, 1 or more; they may go beyond its end.

    Returns
    -------
    numpy.ndarray
        float32 (horizon, canvas, canvas)

    Raises
    ------
    ValueError
        If there is no such baseline, or the context or the horizon is something else.
    """
    _require_name(name)
    if name == "copy_last":
        return copy_last_rollout(told.clip[None], context, horizon)[0]
    positions, stamps, canvas = told.positions[None], told.stamps[None], told.clip.shape[-1]
    if name == "constant_velocity":
        return constant_velocity_rollout(positions, stamps, context, horizon, canvas)[0]
    velocities = told.velocities[None]
    return bounce_oracle_rollout(positions, velocities, stamps, context, horizon, canvas, told.bounce)[0]


def scene_next_frames(name: Baseline, scene: Scene) -> np.ndarray:
    """`told_next_frames` of a scene."""
    return told_next_frames(name, Truth.of_scene(scene))


def scene_rollout(name: Baseline, scene: Scene, context: int, horizon: int) -> np.ndarray:
    """`told_rollout` of a scene."""
    return told_rollout(name, Truth.of_scene(scene), context, horizon)


def _require_name(name: str) -> None:
    if name not in BASELINES:
        raise ValueError(f"a baseline is {', '.join(BASELINES[:-1])} or {BASELINES[-1]}; got {name!r}")
