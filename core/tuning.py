"""Where motion lives: how each channel answers to one digit that flies in eight directions at several speeds.

Neurons of the visual cortex are described so: a moving stimulus, its direction turned step by step, and the
response to each. A channel that answers to one direction alone codes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from core.digits import DIGIT_SIZE, Split, load_digits
from core.moving_mnist import draw_stamps, to_frames

if TYPE_CHECKING:
    from core.inference import Predictor

DIRECTIONS_DEG = tuple(range(0, 360, 45))  # clockwise: 0 right, 90 down
SPEEDS_PX = (1.0, 2.0, 3.6, 5.0)  # a frame
FRAMES = 8  # of a clip; at the highest speed it just stays clear of the walls
LEAST_ANSWER = 0.05  # of the strongest channel's; less is hardly an answer, whatever direction it prefers
SETTLED = 4  # frames after which a response is counted: from one frame nobody knows a direction


def flying_digits(
    speed_px: float, direction_deg: float, canvas: int = 64, split: Split = "validation"
) -> np.ndarray:
    """One digit of each class, that flies through the middle of the picture.

    Parameters
    ----------
    speed_px : px a frame, 0 or more
    direction_deg : clockwise, 0 is to the right
    canvas : side of the picture, px
    split : whose digits

    Returns
    -------
    float32 (10, FRAMES, canvas, canvas, 1) in [0, 1]

    Raises
    ------
    ValueError
        If it would meet a wall.
    """
    span = canvas - DIGIT_SIZE
    angle = np.deg2rad(direction_deg)
    time = np.arange(FRAMES)[:, None] - (FRAMES - 1) / 2
    path = span / 2 + time * speed_px * np.array([np.cos(angle), np.sin(angle)])
    if speed_px < 0 or path.min() < 0 or path.max() > span:
        raise ValueError(
            f"speed_px must be 0 to {span / (FRAMES - 1):.3g}, so that no wall is met; got {speed_px:g}"
        )
    bank = load_digits(split)
    stamps = np.stack([bank.exemplar(digit_class, 0) for digit_class in range(10)])[:, None]
    corners = np.broadcast_to(np.floor(path).astype(np.int64)[None, :, None], (10, FRAMES, 1, 2))
    return to_frames(draw_stamps(stamps, corners, canvas))[..., None]


def responses(predictor: Predictor, layer: int, progress: Callable[[int], None] | None = None) -> np.ndarray:
    """How far each channel's hidden state moves from where it is while nothing is to be seen.

    A channel that is active all the time, whatever there is, tells nothing of a direction; so what it does
    on an empty clip, its spontaneous activity, is taken away first.

    Parameters
    ----------
    predictor : the network
    layer : its number, from 1
    progress : told how many of the speeds and directions are done

    Returns
    -------
    float32 (filters, speeds, directions), 0 to 2: mean absolute difference over ten digits, the frames from
    `SETTLED` on and all cells
    """
    canvas = predictor.config.canvas
    nothing = np.zeros((1, FRAMES + 1, canvas, canvas, 1), np.float32)
    spontaneous = predictor.inspect(nothing, layer).h[SETTLED:]
    found = np.zeros((predictor.config.filters[layer - 1], len(SPEEDS_PX), len(DIRECTIONS_DEG)), np.float32)
    for s, speed in enumerate(SPEEDS_PX):
        for d, direction in enumerate(DIRECTIONS_DEG):
            clips = flying_digits(speed, direction, canvas)
            # one frame more at the end: the last of a clip is only predicted
            clips = np.concatenate([clips, clips[:, -1:]], axis=1)
            hidden = [predictor.inspect(clip[None], layer).h[SETTLED:] for clip in clips]
            found[:, s, d] = np.abs(np.stack(hidden) - spontaneous).mean((0, 1, 2, 3))
            if progress is not None:
                progress(s * len(DIRECTIONS_DEG) + d + 1)
    return found


def answers_at_all(found: np.ndarray) -> np.ndarray:
    """Which channels answer to anything: at best at least `LEAST_ANSWER` of what the strongest one does.

    found : (filters, speeds, directions), as `responses` returns them
    """
    at_best = found.max((1, 2))
    return (at_best >= LEAST_ANSWER * at_best.max()) & (at_best > 0)


def selectivity(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much channels prefer a direction, and which.

    The length of the mean of unit vectors in all directions, weighted with the responses: 1 minus the
    circular variance (Mazurek, Kager and Van Hooser 2014).

    Parameters
    ----------
    found : (..., directions), 0 or more

    Returns
    -------
    selectivity : (...), 0 for all directions alike to 1 for one alone; 0 where there is no response
    direction_deg : (...), 0 to 360
    """
    vectors = np.exp(1j * np.deg2rad(DIRECTIONS_DEG))
    total = found.sum(-1)
    mean = (found * vectors).sum(-1) / np.where(total > 0, total, 1)
    return np.abs(mean), np.rad2deg(np.angle(mean)) % 360
