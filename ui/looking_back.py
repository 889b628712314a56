"""How far back a network looked for one predicted pixel: worked out, and put into words. No Keras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from core.inspection import Target
from ui.pictures import sprite

if TYPE_CHECKING:
    from core.attribution import Gradients

Method = Literal["gradient", "integrated", "occlusion"]
METHODS: tuple[Method, ...] = ("occlusion", "gradient", "integrated")
LEAST = 0.01  # of a pixel's brightness: less is nothing that can be seen
SQUARE_PX = 8  # side of what occlusion hides


@dataclass(frozen=True)
class Back:
    """What the frames that were seen contributed to a predicted pixel.

    Attributes
    ----------
    maps : for the frames of which there is one, by number, float32 (rows, columns)
    frames : float64 (k + 1,), what each whole frame contributed; without a sign for the method "gradient"
    value : the predicted pixel, 0 to 1
    gap : how much of it the maps leave unexplained; None where the method does not say
    """

    maps: dict[int, np.ndarray]
    frames: np.ndarray
    value: float
    gap: float | None = None


def look_back(gradients: Gradients, frames: np.ndarray, target: Target, method: Method) -> Back:
    """Work it out.

    Parameters
    ----------
    gradients : of a predictor
    frames : float32 (1, time, height, width, 1) in [0, 1]
    """
    from core.attribution import occluded_frames, occlusion_map

    if method == "occlusion":
        predictor = gradients.predictor
        last = target.prediction
        squares = occlusion_map(predictor, frames, target, last, SQUARE_PX)
        value = predictor.next_frames(frames)[0, last, target.row, target.column, 0]
        return Back({last: squares}, occluded_frames(predictor, frames, target), float(value))
    if method == "integrated":
        found = gradients.integrated_gradients(frames, target)
        signed = found.maps.sum((1, 2), dtype=np.float64)
        return Back(dict(enumerate(found.maps)), signed, found.value, found.gap)
    found = gradients.gradient_times_input(frames, target)
    size = np.abs(found.maps).sum((1, 2), dtype=np.float64)
    return Back(dict(enumerate(found.maps)), size, found.value)


def brightest(prediction: np.ndarray) -> tuple[int, int]:
    """Row and column of the brightest pixel of a picture (height, width)."""
    row, column = np.unravel_index(int(prediction.argmax()), prediction.shape)
    return int(row), int(column)


def shown(back: Back) -> dict[str, Any]:
    """Maps and figures as the browser takes them: bytes, 128 for 0, one scale for all frames."""
    limit = max((float(np.abs(one).max()) for one in back.maps.values()), default=0.0)
    limit = max(limit, LEAST)  # what is next to nothing must not look like something
    largest = max(float(np.abs(back.frames).max()), 1.0)  # a full bar is as much as white is from black
    maps = {
        number: {
            "side": one.shape[0],
            "sprite": sprite(np.round(128 + 127 * one[None] / limit).astype(np.uint8)),
        }
        for number, one in back.maps.items()
    }
    return {
        "maps": maps,
        "limit": limit,
        "frames": np.round(back.frames, 4).tolist(),
        "largest": largest,
    }


def how_far(back: Back, without_matches: bool = False) -> str:
    """How far back it looked, in a sentence.

    without_matches : whether the network compares frames, and the method does not see what came of it
    """
    size = np.abs(back.frames)[::-1]
    if size.max() < LEAST:
        return f"Nothing in any frame moved this pixel by as much as {LEAST}."
    shares = np.cumsum(size) / size.sum()
    enough = int(np.argmax(shares >= 0.9)) + 1
    last = f"The last frame has {shares[0]:.0%} of all the influence on it"
    if without_matches:
        last = f"Without what it learned by comparing frames, {last[0].lower()}{last[1:]}"
    kept = "It would be brighter without them: they keep it dark. " if back.frames.sum() <= -LEAST else ""
    far = "" if enough == 1 else f"; the last {enough} together have nine tenths"
    return f"{kept}{last}{far}."


def what_is_left(back: Back, matches: bool) -> str:
    """What the maps do not explain, in a sentence; nothing where the method does not say.

    matches : whether the network compares frames, through which no gradient goes
    """
    if back.gap is None:
        return ""
    explained = float(back.frames.sum())
    why = "the error of a sum of few steps"
    if matches:
        why += ", and what went through comparisons of frames"
    return (
        f"The pixel is {back.value:.2f}. The maps add up to {explained:+.2f}; {abs(back.gap):.2f} of the "
        f"difference to the prediction of a black clip is left: {why}."
    )
