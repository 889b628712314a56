"""The clips of the standard benchmark set that a model predicts worst, and what sets them apart.

What sets a clip apart is read off by comparing it with the others that were scored; it is a reason to look
closer and no proof of a cause.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from core import metrics, physics
from core.clip_sets import StandardSet
from core.evaluation import SLICE_SEQUENCES, Model, Task
from core.moving_mnist import benchmark_clips, draw_stamps
from core.scenes import CANVAS

WORST = 10
UNUSUAL_PERCENTILE = 75  # a clip stands out in a figure where it is beyond that of three in four
NOTABLE_MASS = 0.95  # ink that is kept: above it nobody sees that some is gone
NOTABLE_TIMES = 1.2  # what differs by less from the usual explains nothing, rare as it may be
FIGURES = (
    "mse_sum", "psnr", "copy_last_mse_sum", "overlap_frames", "bounces",
    "centroid_px", "mass_ratio", "sharpness_ratio", "step_of_worst",
)  # fmt: skip


def overlap_frames(stamps: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Frames of each clip in which some pixel has ink of two digits or more.

    Parameters
    ----------
    stamps : uint8 (clips, digits, 28, 28)
    corners : integer (clips, frames, digits, 2), px

    Returns
    -------
    int64 (clips,), 0 to frames
    """
    count = np.zeros((*corners.shape[:2], CANVAS, CANVAS), np.uint8)
    for digit in range(stamps.shape[1]):
        count += draw_stamps(stamps[:, [digit]], corners[:, :, [digit]]) > 0
    return (count > 1).any(axis=(2, 3)).sum(axis=1)


def wall_contacts(velocities: np.ndarray) -> np.ndarray:
    """How often the digits of each clip turn around at a wall, from the second frame on; a corner is two.

    Parameters
    ----------
    velocities : (clips, frames, digits, 2), with which the digits leave each frame

    Returns
    -------
    int64 (clips,)
    """
    directions = np.sign(velocities)
    return (directions[:, 1:] * directions[:, :-1] < 0).sum(axis=(1, 2, 3))


def clip_figures(model: Model, start: int, stop: int) -> dict[str, np.ndarray]:
    """The `FIGURES` of benchmark clips `start` to `stop`, next-frame: each (stop - start,).

    Means over the clip's predictions but the first, which is made before any motion is seen and is bad for
    every clip; `overlap_frames` and `bounces` are counts, and `step_of_worst` is the index of the prediction
    with the largest error, 1 or more (of frame index + 1).
    """
    clip_set, task = StandardSet(), Task()
    clips, motion = clip_set.clips(start, stop), clip_set.motion(start, stop)
    predictions = task.predict(model, clips)
    truth = metrics.align(clips, predictions, task.first_target)[:, 1:]
    predictions, copied = predictions[:, 1:], task.baselines(clips, None)["copy_last"][:, 1:]
    squares = ((truth - predictions) ** 2).sum(axis=(2, 3))
    clipped = np.clip(predictions, 0.0, 1.0)
    psnr = metrics.psnr_db(((truth - clipped) ** 2).mean(axis=(2, 3)))
    return {
        "mse_sum": squares.mean(axis=1),
        "psnr": psnr.mean(axis=1),
        "copy_last_mse_sum": ((truth - copied) ** 2).sum(axis=(2, 3)).mean(axis=1),
        "overlap_frames": overlap_frames(motion.stamps, motion.positions),
        "bounces": wall_contacts(motion.velocities),
        **{name: values.mean(axis=1) for name, values in physics.per_frame(truth, predictions).items()},
        "step_of_worst": 1 + squares.argmax(axis=1),
    }


def why(
    clip: dict[str, float], low: dict[str, float], typical: dict[str, float], high: dict[str, float]
) -> str:
    """One plain sentence: in what a clip is unlike the others.

    Parameters
    ----------
    clip : the `FIGURES` of one clip
    low, typical, high : the same figures that a quarter, half and three quarters of the clips stay below
    """

    def more(name: str) -> bool:
        return clip[name] > high[name] and clip[name] >= NOTABLE_TIMES * typical[name]

    causes = []
    if more("copy_last_mse_sum"):
        times = clip["copy_last_mse_sum"] / typical["copy_last_mse_sum"]
        causes.append(f"much ink moves (repeating the last frame errs {times:.1f} times as much as usual)")
    if more("overlap_frames"):
        causes.append(
            f"the digits overlap in {clip['overlap_frames']:.0f} frames "
            f"(usual: {typical['overlap_frames']:.0f})"
        )
    if more("bounces"):
        causes.append(f"digits turn at a wall {clip['bounces']:.0f} times (usual: {typical['bounces']:.0f})")
    signs = []
    if more("centroid_px"):
        signs.append(f"the ink is {clip['centroid_px']:.2f} px off (usual: {typical['centroid_px']:.2f})")
    sharpness = clip["sharpness_ratio"]
    if sharpness < low["sharpness_ratio"] and sharpness <= typical["sharpness_ratio"] / NOTABLE_TIMES:
        signs.append(
            f"it is blurred to {clip['sharpness_ratio']:.0%} of the true sharpness "
            f"(usual: {typical['sharpness_ratio']:.0%})"
        )
    if clip["mass_ratio"] < min(low["mass_ratio"], NOTABLE_MASS):
        signs.append(f"{1 - clip['mass_ratio']:.0%} of the ink is lost")
    sentence = "; ".join(causes + signs) or "nothing that is measured here sets it apart but its error"
    return f"{sentence[0].upper()}{sentence[1:]}."


def worst_clips(
    model: Model, sequences: int, count: int = WORST, progress: Callable[[int], None] | None = None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The clips with the largest error among the first of the standard benchmark set, next-frame.

    Parameters
    ----------
    model : has `next_frames` and `name`, see `core.inference.Predictor`
    sequences : how many are scored, `count` to 10,000
    count : how many are kept, 1 or more
    progress : called with the number of sequences done

    Returns
    -------
    report : `model`, `sequences` and `clips`, worst first: `index`, the `FIGURES` and `why`
    arrays : uint8, in the same order: `truth` (count, 20, 64, 64), `prediction` (count, 19, 64, 64)
    """
    if not 1 <= count <= sequences <= StandardSet.sequences:
        raise ValueError(
            f"sequences must be {max(count, 1)} to {StandardSet.sequences} for the worst {count}; "
            f"got {sequences}"
        )
    parts = []
    for start in range(0, sequences, SLICE_SEQUENCES):
        stop = min(start + SLICE_SEQUENCES, sequences)
        parts.append(clip_figures(model, start, stop))
        if progress is not None:
            progress(stop)
    figures = {name: np.concatenate([part[name] for part in parts]) for name in FIGURES}
    low, typical, high = (
        {name: float(np.percentile(values, share)) for name, values in figures.items()}
        for share in (100 - UNUSUAL_PERCENTILE, 50, UNUSUAL_PERCENTILE)
    )
    worst = np.argsort(-figures["mse_sum"], kind="stable")[:count]
    truth = np.concatenate([benchmark_clips(int(index), int(index) + 1) for index in worst])
    report = {
        "model": model.name,
        "sequences": sequences,
        "clips": [
            {"index": int(index), **clip, "why": why(clip, low, typical, high)}
            for index in worst
            for clip in [{name: values[index].item() for name, values in figures.items()}]
        ],
    }
    return report, {"truth": truth, "prediction": as_pixels(Task().predict(model, truth))}


def as_pixels(frames: np.ndarray) -> np.ndarray:
    """Predictions as uint8 0 to 255, rounded; what overshoots [0, 1] is clipped."""
    return (np.clip(frames, 0.0, 1.0) * 255).round().astype(np.uint8)
