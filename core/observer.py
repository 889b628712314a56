"""The ideal observer: the best that any predictor can do on the standard benchmark set.

It knows the generator and the digits' handwriting, and sees every digit's place in whole pixels, even where
digits overlap; it does not know where between the pixels a digit began, nor its angle. Its belief about them
is a cloud of particles, every one of which agrees with all that was seen (`core.belief`). What it predicts is
the mean of the pictures that the particles draw: of all predictions the one with the least expected squared
error. No model can do better, on average; it is a limit and not a rival, since a model also has to make out
the digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from core import metrics
from core.belief import STANDARD_FLIGHT, Flight, predicted_places
from core.moving_mnist import (
    benchmark_clips,
    benchmark_positions,
    benchmark_stamps,
    draw_stamps,
    scene_corners,
    scene_stamps,
    to_frames,
)
from core.scenes import CANVAS, DIGIT_SIZE, STANDARD_FRAMES, Scene

PARTICLES = 1000
CONTEXT_FRAMES = 10
MOST_FRAMES = 60  # of a person's own scene: every frame seen is checked again after each new one


def mean_picture(stamps: np.ndarray, places: np.ndarray, canvas: int = CANVAS) -> np.ndarray:
    """Mean of the pictures that are drawn with each digit at each of its places, overlaps by maximum.

    Parameters
    ----------
    stamps : uint8 (digits, 28, 28)
    places : int64 (particles, digits, 2), px

    Returns
    -------
    float32 (canvas, canvas) in [0, 1]
    """
    different, counts = np.unique(places.reshape(len(places), -1), axis=0, return_counts=True)
    corners = different.reshape(1, len(different), len(stamps), 2)
    pictures = to_frames(draw_stamps(stamps[None], corners, canvas))[0]
    return np.tensordot(counts.astype(np.float32) / np.float32(len(places)), pictures, axes=1)


def predict(
    stamps: np.ndarray,
    corners: np.ndarray,
    rng: np.random.Generator,
    *,
    particles: int = PARTICLES,
    context: int = CONTEXT_FRAMES,
    flights: Sequence[Flight] | None = None,
    motions: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The ideal observer's predictions of one clip.

    Parameters
    ----------
    stamps : uint8 (digits, 28, 28)
    corners : int64 (frames, digits, 2), px, true positions, of which it sees only the past
    particles : of each digit; the digits move independently, so one particle of each makes a picture
    context : frames seen before the rollout, 1 to frames - 1
    flights : what it knows of how each digit flies; None: as in the standard generator
    motions : float64 (digits, 3), the true start and angle of each as for `core.belief.place`, to look around
        where chance finds no motion that explains what was seen; None: more is left to chance

    Returns
    -------
    next_frames : float32 (frames - 1, 64, 64), entry k is of frame k + 1
    rollout : float32 (frames - context, 64, 64), entry k is of frame context + k

    Raises
    ------
    ValueError
        If the context or the number of particles is something else.
    core.belief.BeliefError
        If no motion was found that explains the positions.
    """
    flights = flights or [STANDARD_FLIGHT] * len(stamps)
    if not 1 <= context < len(corners):
        raise ValueError(f"context must be 1 to {len(corners) - 1}; got {context}")
    if particles < 2:
        raise ValueError(f"particles must be 2 or more; got {particles}")
    known = [None] * len(stamps) if motions is None else list(motions)
    digits = [
        predicted_places(corners[:, n], particles, own_rng, context, flight, known[n])
        for n, (own_rng, flight) in enumerate(zip(rng.spawn(len(stamps)), flights, strict=True))
    ]
    next_places, rollout_places = (
        np.stack([of_digit[:, :particles] for of_digit in places], axis=2)
        for places in zip(*digits, strict=True)
    )
    canvas = flights[0].span_px + DIGIT_SIZE
    return (
        np.stack([mean_picture(stamps, places, canvas) for places in next_places]),
        np.stack([mean_picture(stamps, places, canvas) for places in rollout_places]),
    )


def predict_scene(
    scene: Scene, *, context: int = CONTEXT_FRAMES, particles: int = PARTICLES, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """What the ideal observer expects of a person's own scene: it knows how fast each digit is, not where to.

    Where its particles die out, it looks for others around the true motion, see `core.belief.belief_near`. A
    person often chooses whole pixels and right angles, which are a single point of all motions; chance never
    draws it.

    Parameters
    ----------
    scene : of at most 60 frames
    context : frames seen before the rollout, 1 to frames - 1
    particles, seed : of the belief

    Returns
    -------
    next_frames, rollout : as of `predict`

    Raises
    ------
    ValueError
        If the scene is longer, or the context is something else.
    """
    scene = scene.resolved()
    if scene.frames > MOST_FRAMES:
        raise ValueError(
            f"the limit is computed for scenes of {MOST_FRAMES} frames at most; got {scene.frames}"
        )
    flights = [
        Flight(digit.speed_px / scene.span_px, scene.span_px, scene.bounce, moves_first=False)
        for digit in scene.digits
    ]
    starts = np.array([(digit.x, digit.y) for digit in scene.digits], np.float64) / scene.span_px
    angles = np.radians([digit.direction_deg for digit in scene.digits])
    return predict(
        scene_stamps(scene),
        scene_corners(scene),
        np.random.default_rng(seed),
        particles=particles,
        context=context,
        flights=flights,
        motions=np.column_stack([starts, angles]),
    )


def predict_standard(
    number: int, *, context: int = CONTEXT_FRAMES, particles: int = PARTICLES, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """What the ideal observer expects of a clip of the standard benchmark set.

    Parameters
    ----------
    number : 0 to 9,999
    context, particles, seed : as for `predict_scene`

    Returns
    -------
    next_frames, rollout : as of `predict`
    """
    stamps, corners = benchmark_stamps(number, number + 1)[0], benchmark_positions(number, number + 1)[0]
    return predict(
        stamps, corners, np.random.default_rng([seed, number]), particles=particles, context=context
    )


def observe(
    sequences: int,
    particles: int = PARTICLES,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Score the ideal observer on the first sequences of the standard benchmark set.

    Parameters
    ----------
    sequences : 1 to 10,000
    particles : of each digit
    seed : of the particles; another one shows how much they matter
    progress : called with the number of sequences done

    Returns
    -------
    dict
        JSON-ready: `sequences`, `particles`, and for `next_frame` and `rollout` (10 frames seen, 10
        predicted) the means `psnr`, `psnr_of_mean_mse`, `ssim`, `mse`, `mae`, `mse_sum`, `mae_sum`, the same
        as lists in `per_step`, and `first_target`; next-frame also `without_first_prediction`.
    """
    scores: dict[str, list[dict[str, np.ndarray]]] = {"next_frame": [], "rollout": []}
    for index in range(sequences):
        truth = to_frames(benchmark_clips(index, index + 1))
        made = predict_standard(index, particles=particles, seed=seed)
        for name, pictures in zip(scores, made, strict=True):
            aligned = metrics.align(truth, pictures[None], STANDARD_FRAMES - len(pictures))
            scores[name].append(metrics.per_frame(aligned, pictures[None]))
        if progress is not None:
            progress(index + 1)
    report: dict[str, Any] = {"sequences": sequences, "particles": particles}
    for name, of_clips in scores.items():
        steps = {key: np.concatenate([one[key] for one in of_clips]).mean(axis=0) for key in of_clips[0]}
        first_target = STANDARD_FRAMES - len(steps["mse"])
        report[name] = {**metrics.summary(steps), "first_target": first_target}
        report[name]["per_step"] = {key: values.tolist() for key, values in steps.items()}
    report["rollout"] |= {"context": CONTEXT_FRAMES, "horizon": STANDARD_FRAMES - CONTEXT_FRAMES}
    next_steps = {key: np.array(values)[1:] for key, values in report["next_frame"]["per_step"].items()}
    report["next_frame"]["without_first_prediction"] = metrics.summary(next_steps)
    return report
