"""Whether a network sees the frame that it is to predict: change that frame, and watch its prediction.

Prediction k is of frame k + 1, and may have read frames 0 to k only. So a change of frame j must leave
predictions 0 to j - 1 as they are, to the last bit. A last convolution that is centred in time fails:
prediction j - 1 reads frame j itself, and the score of such a network measures copying.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from core.evaluation import Model
from core.moving_mnist import to_frames


class Probe(NamedTuple):
    """What a model predicts before and after the change.

    Attributes
    ----------
    before, after : float32 (time - 1, height, width)
    max_change : float64 (time - 1,), largest change of a pixel of each prediction, 0 to 1
    causal : whether no prediction of the changed frame, or of one before it, has moved by a single bit
    """

    before: np.ndarray
    after: np.ndarray
    max_change: np.ndarray
    causal: bool


def changed_clip(clip: np.ndarray, frame: int, pixel: tuple[int, int]) -> np.ndarray:
    """The clip with one pixel of one frame turned from black to white, or the other way round.

    Parameters
    ----------
    clip : uint8 (time, height, width)
    frame : index of the frame, 0 to time - 1
    pixel : row and column

    Returns
    -------
    uint8, the shape of `clip`, which stays as it is

    Raises
    ------
    ValueError
        If there is no such frame or pixel.
    """
    if clip.ndim != 3 or clip.dtype != np.uint8:
        raise ValueError(f"clip must be uint8 (time, height, width); got {clip.dtype} {clip.shape}")
    time, height, width = clip.shape
    if not 0 <= frame < time:
        raise ValueError(f"frame must be 0 to {time - 1}; got {frame}")
    row, column = pixel
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(f"pixel must be within {height} rows and {width} columns; got {row}, {column}")
    changed = clip.copy()
    changed[frame, row, column] = 0 if changed[frame, row, column] > 127 else 255
    return changed


def probe(model: Model, clip: np.ndarray, frame: int, pixel: tuple[int, int]) -> Probe:
    """Change one pixel of a clip, and see which predictions move.

    Parameters
    ----------
    model : has `next_frames`, see `core.inference.Predictor`
    clip : uint8 (time, height, width), time 3 or more
    frame : of the pixel, 1 to time - 2: the last frame is shown to no network, and before the first there is
        no prediction
    pixel : row and column

    Returns
    -------
    Probe
    """
    changed = changed_clip(clip, frame, pixel)
    if not 1 <= frame <= len(clip) - 2:
        raise ValueError(
            f"frame must be 1 to {len(clip) - 2}, which a prediction is of and one follows; got {frame}"
        )
    # Each alone and not as a batch of two: how a batch is summed must not look like a leak.
    before, after = (
        np.asarray(model.next_frames(to_frames(one)[None, ..., None]), np.float32)[0, ..., 0]
        for one in (clip, changed)
    )
    return compared(before, after, frame)


def compared(before: np.ndarray, after: np.ndarray, frame: int) -> Probe:
    """What two predictions tell, of which the second was made after frame `frame` had been changed.

    before, after : float32 (time - 1, height, width); prediction k is of frame k + 1
    """
    change = np.abs(after.astype(np.float64) - before).max(axis=(1, 2))
    return Probe(before, after, change, causal=not change[:frame].any())


def leak_report(
    models: Mapping[str, Model], clip: np.ndarray, frame: int, pixel: tuple[int, int]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """`probe` of several models on one clip.

    Returns
    -------
    report : JSON-ready: `changed_frame`, `changed_pixel`, and `models` with `name`, `causal`, `max_change`
    arrays : `truth` (the clip as it was), and float16 `NAME_before` and `NAME_after` of each model
    """
    report: dict[str, Any] = {"changed_frame": frame, "changed_pixel": list(pixel), "models": []}
    arrays = {"truth": clip}
    for name, model in models.items():
        found = probe(model, clip, frame, pixel)
        report["models"].append(
            {"name": name, "causal": found.causal, "max_change": found.max_change.tolist()}
        )
        arrays[f"{name}_before"] = found.before.astype(np.float16)
        arrays[f"{name}_after"] = found.after.astype(np.float16)
    return report, arrays
