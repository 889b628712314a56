"""What a model makes of scenes unlike those it was trained on: slower, faster, with fewer and more digits.

The clips of a cell of the map have one number of digits and one speed. All else is held: the same
handwriting, starts and directions at every speed, and the digits of a scene of two are the first two of the
scene of three. So cells differ by what their axes say and not by the draw.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from core import metrics, physics
from core.evaluation import Model, Task
from core.model_config import ModelConfig
from core.moving_mnist import VARIED_MAX_DIGITS, render
from core.scenes import MAX_DIGITS, MAX_SPEED_PX, VARIED_MAX_SPEED_PX, Digit, Scene

SPEEDS_PX = tuple(range(int(MAX_SPEED_PX) + 1))
DIGITS = tuple(range(1, MAX_DIGITS + 1))
CLIPS_A_CELL = 32
SEED = 20_260_101  # fixed: it defines the map's scenes
HEAD_KERNEL = 3  # of the last convolution, `core.layers.TemporalConv3D`


def cell_scenes(digits: int, speed_px: float, clips: int, seed: int = SEED) -> list[Scene]:
    """The scenes of one cell: MNIST test digits, 20 frames, the standard rule at the walls.

    Parameters
    ----------
    digits : of each scene, 1 to 4
    speed_px : of every digit, 0 to 10 px a frame
    clips : how many scenes, 1 or more; the first of a longer list are those of a shorter one
    seed : of digits, starts and directions

    Returns
    -------
    list of Scene
        Resolved, so that each opens the same clip everywhere.

    Raises
    ------
    ValueError
        If a number is outside of its range.
    """
    if digits not in DIGITS:
        raise ValueError(f"digits must be {DIGITS[0]} to {DIGITS[-1]}; got {digits!r}")
    if not 0 <= speed_px <= MAX_SPEED_PX:  # NaN too
        raise ValueError(f"speed must be 0 to {MAX_SPEED_PX:g} px a frame; got {speed_px!r}")
    if clips < 1:
        raise ValueError(f"clips must be 1 or more; got {clips}")
    return [_scene(digits, speed_px, np.random.default_rng([seed, index])) for index in range(clips)]


def _scene(digits: int, speed_px: float, rng: np.random.Generator) -> Scene:
    # All the digits that there can be are drawn always: fewer are then the first of them.
    classes, directions = rng.integers(10, size=MAX_DIGITS), rng.uniform(0, 360, MAX_DIGITS)
    drawn = Scene(tuple(Digit(int(digit)) for digit in classes), seed=int(rng.integers(2**31))).resolved()
    moving = tuple(
        Digit.from_polar(
            digit.digit_class, digit.exemplar, digit.x, digit.y, float(speed_px), round(float(direction), 1)
        )
        for digit, direction in zip(drawn.digits[:digits], directions, strict=False)
    )
    return Scene(moving, seed=drawn.seed)


def clips_of(scenes: Sequence[Scene]) -> np.ndarray:
    """The clips of scenes of one length: uint8 (scenes, frames, 64, 64)."""
    return np.stack([render(scene) for scene in scenes])


def score_cell(model: Model, scenes: Sequence[Scene]) -> dict[str, Any]:
    """Next-frame scores of a model over the scenes of a cell.

    Returns
    -------
    dict
        JSON-ready: `psnr` (dB), `ssim`, `mse_sum`, `copy_last_mse_sum`, `skill` (None where nothing moves),
        `centroid_px`: means over clips and predictions; `below_copy_last`: how many of the scenes with
        motion have a larger error than copying the last frame; `scene`: the one of middling error, as JSON
        data.
    """
    clips, task = clips_of(scenes), Task()
    predictions = task.predict(model, clips)
    copied = task.baselines(clips, None)["copy_last"]
    truth = metrics.align(clips, predictions, task.first_target)
    scores = metrics.per_frame(truth, predictions)
    copy_last_mse = float(np.mean((truth - copied) ** 2))
    skill = metrics.skill(float(scores["mse"].mean()), copy_last_mse)
    errors, copied_errors = scores["mse_sum"].mean(axis=1), ((truth - copied) ** 2).sum((2, 3)).mean(axis=1)
    by_error = np.argsort(errors, kind="stable")
    example = scenes[int(by_error[len(scenes) // 2])]
    return {
        **{name: float(scores[name].mean()) for name in ("psnr", "ssim", "mse_sum")},
        "skill": None if math.isnan(skill) else skill,
        "copy_last_mse_sum": copy_last_mse * truth.shape[-2] * truth.shape[-1],
        "below_copy_last": int(((errors > copied_errors) & (copied_errors > 0)).sum()),
        "centroid_px": float(physics.per_frame(truth, predictions)["centroid_px"].mean()),
        "scene": json.loads(example.to_json()),
    }


def generalisation_map(
    model: Model,
    *,
    reach: float | None = None,
    moves: float | None = None,
    speeds_px: Sequence[float] = SPEEDS_PX,
    digits: Sequence[int] = DIGITS,
    clips_a_cell: int = CLIPS_A_CELL,
    seed: int = SEED,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Score a model over speeds and numbers of digits.

    Parameters
    ----------
    model : has `next_frames` and `name`, see `core.inference.Predictor`
    reach : `reach_px` of its network, where known
    moves : how far its motion head moves pixels, px; None without such a head
    speeds_px, digits : the axes
    clips_a_cell : scenes of each cell
    seed : of the scenes
    progress : called with the number of cells done

    Returns
    -------
    dict
        JSON-ready: `model`, `speeds_px`, `digits`, `clips_a_cell`, `trained` (lowest and highest of both axes
        in the usual training mixture), `reach_px`, `moves_px`, and `cells`, those of `score_cell` with their
        `speed_px` and `digits`.
    """
    cells: list[dict[str, Any]] = []
    for number in digits:
        for speed_px in speeds_px:
            scores = score_cell(model, cell_scenes(number, speed_px, clips_a_cell, seed))
            cells.append({"speed_px": speed_px, "digits": number, **scores})
            if progress is not None:
                progress(len(cells))
    return {
        "model": model.name,
        "speeds_px": list(speeds_px),
        "digits": list(digits),
        "clips_a_cell": clips_a_cell,
        "trained": {"digits": [1, VARIED_MAX_DIGITS], "speed_px": [0, VARIED_MAX_SPEED_PX]},
        "reach_px": reach,
        "moves_px": moves,
        "cells": cells,
    }


def reach_px(config: ModelConfig) -> int:
    """How far along a row or a column the newest frame can move a prediction: the one-step receptive field.

    Half a kernel (rounded down) of every layer's input convolution, in cells of the layer's own grid, and of
    the head's, times the side of a patch: ``patch * (sum(scale * (k - 1) / 2 over the layers) + 1)``. A dot
    of ink that goes further in a frame lands where the network, in that one step, cannot see it coming from.

    What it is and what it is not:

    - It counts each axis on its own, since kernels are square: a diagonal flight of 1.4 times the speed
      still fits.
    - With patches it is the distance reached from every place inside a patch; from the better places it is
      up to patch - 1 px more, and with coarser grids up to a cell of these.
    - It is no wall. Older frames reach further, through the memory (half a kernel of the hidden state's
      convolution more for each frame back), so that a network may learn to expect a digit where this step
      cannot see it. And a digit is wide: one stroke may stand for another.
    - It is no promise. To know a speed the network has to match two frames, and what lies in reach has to
      have been learned.
    - A motion head moves pixels by its own `reach` at most; what comes from further away has to be painted,
      or foreseen: a forecast moves pieces as far as the canvas goes.

    Parameters
    ----------
    config : what the network looks like

    Returns
    -------
    int, px
    """
    layers = zip(config.kernels, config.layer_scales, strict=True)
    half_widths = sum(scale * (side // 2) for side, scale in layers) + HEAD_KERNEL // 2
    return config.patch * half_widths
