"""The ideal observer: the best that any predictor can do on the standard benchmark set.

It knows the generator and the digits' handwriting, and sees every digit's place in whole pixels, even where
digits overlap; it does not know where between the pixels a digit began, nor its angle. Its belief about them
is a cloud of particles, every one of which agrees with all that was seen. What it predicts is the mean of the
pictures that the particles draw: of all predictions the one with the least expected squared error. No model
can do better, on average; it is a limit and not a rival, since a model also has to make out the digits.

The belief is uniform over all (start x, start y, angle) that explain the positions seen, because the
generator draws the three uniformly and everything after is determined. It is sampled by a resample-move
particle filter (Gilks and Berzuini 2001), whose moves are those of differential evolution (ter Braak 2006).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core import metrics
from core.moving_mnist import (
    STANDARD_STEP,
    benchmark_clips,
    benchmark_positions,
    benchmark_stamps,
    bounce_positions,
    draw_stamps,
    scene_corners,
    scene_stamps,
    to_frames,
)
from core.scenes import CANVAS, DIGIT_SIZE, STANDARD_FRAMES, Bounce, Scene

PARTICLES = 1000
MOVES = 6  # of every particle, after each frame seen
FIRST_PARTICLES = 4  # times as many at first, since the second frame contradicts most of them
MORE_PARTICLES = 4  # times as many where none is left
ANGLES_TRIED = 4  # first angles tried, for each of these
CONTEXT_FRAMES = 10
MOST_PARTICLES = 100_000  # tried before it gives up
NEAR_PARTICLES = 4000  # tried around a known motion where chance found none
NEAR_WIDTHS = (1e-7, 1e-2)  # how far around it, as shares of the span and in rad
NEAR_MOVES = 40  # until they have spread from there over all that agrees
MOST_FRAMES = 60  # of a person's own scene: every frame seen is checked again after each new one


class ObserverError(RuntimeError):
    """No motion was found that explains what was seen."""


@dataclass(frozen=True)
class Flight:
    """What the observer knows of how a digit flies.

    Attributes
    ----------
    step : length of a step, as a share of the range that the digit's corner can reach
    span_px : that range, px: the canvas less the 28 px of a digit
    bounce : the rule at the walls
    moves_first : whether the first frame is one step in, as in the standard generator, or is the start
    """

    step: float = STANDARD_STEP
    span_px: int = CANVAS - DIGIT_SIZE
    bounce: Bounce = "clamp"
    moves_first: bool = True

    def steps(self, angle: np.ndarray) -> np.ndarray:
        """Steps in the direction of angles (rad): float64 (n, 2)."""
        return self.step * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


STANDARD_FLIGHT = Flight()


def place(particles: np.ndarray, frames: int, flight: Flight = STANDARD_FLIGHT) -> np.ndarray:
    """Where particles see their digit, as the generator draws it.

    Parameters
    ----------
    particles : float64 (n, 3): start x and y in [0, 1], angle in rad
    frames : number of frames

    Returns
    -------
    int64 (frames, n, 2), px of the top left corner, 0 to 36 in the standard generator
    """
    before = int(flight.moves_first)
    path = bounce_positions(
        particles[:, :2], flight.steps(particles[:, 2]), frames + before, 1.0, flight.bounce
    )
    return (flight.span_px * path[before:]).astype(np.int64)


def first_belief(
    seen: np.ndarray, particles: int, rng: np.random.Generator, flight: Flight = STANDARD_FLIGHT
) -> np.ndarray:
    """Particles after one frame: all (start, angle) that put the digit into the pixel seen.

    Where the first frame is the start, that is every angle. Where it is one step in, the starts that lead to
    a pixel are, for a given angle, an interval on each axis, so the angle's weight is the product of their
    lengths, and a start is uniform between their ends.

    Parameters
    ----------
    seen : (2,), px of the top left corner, whole numbers from 0 to the flight's span

    Returns
    -------
    float64 (particles, 3), as for `place`
    """
    span = flight.span_px
    if not flight.moves_first:
        start = np.minimum((seen + rng.uniform(size=(particles, 2))) / span, 1.0)
        return np.column_stack([start, rng.uniform(0, 2 * np.pi, particles)])
    angle = rng.uniform(0, 2 * np.pi, particles * ANGLES_TRIED)
    step = flight.steps(angle)
    # a digit at the wall may have been stopped there: any start that would have passed it
    low = np.where(seen == 0, 0.0, np.maximum(seen / span - step, 0.0))
    high = np.where(seen == span, 1.0, np.minimum((seen + 1) / span - step, 1.0))
    lengths = np.maximum(high - low, 0.0)
    weights = lengths.prod(axis=1)
    kept = rng.choice(len(angle), particles, p=weights / weights.sum())
    start = low[kept] + lengths[kept] * rng.uniform(size=(particles, 2))
    return np.column_stack([start, angle[kept]])


def belief_after(
    belief: np.ndarray,
    seen: np.ndarray,
    particles: int,
    rng: np.random.Generator,
    flight: Flight = STANDARD_FLIGHT,
) -> np.ndarray:
    """Particles that agree with the positions seen so far, from those that agreed with all but the last.

    Particles that the new frame contradicts go. Where fewer than `particles` are left, copies fill them up,
    and all move along the differences between others, wherever the new place agrees with everything seen
    (Metropolis' rule for a uniform belief).

    Parameters
    ----------
    belief : float64 (n, 3), as for `place`
    seen : int64 (frames, 2), px
    particles : least number of them

    Returns
    -------
    float64 (at least `particles`, 3); empty where no particle agrees with what was seen
    """
    alive = belief[_agree(belief, seen, flight)]
    if not 0 < len(alive) < particles:
        return alive
    return _spread(alive[rng.integers(len(alive), size=particles)], seen, rng, flight, MOVES)


def belief_near(
    motion: np.ndarray, seen: np.ndarray, particles: int, rng: np.random.Generator, flight: Flight
) -> np.ndarray:
    """Particles that agree with the positions seen, where it is known one motion that does.

    A cloud drawn at random misses a belief that has become as small as a millionth of it; moves that begin
    near a motion inside of it do not. They run on until they have forgotten where they began.

    Parameters
    ----------
    motion : float64 (3,), as for `place`

    Returns
    -------
    float64 (`particles`, 3); empty where no motion next to this one agrees, as when a digit flies along the
    grid by whole pixels: then it is the only one
    """
    low, high = np.log(NEAR_WIDTHS)
    widths = np.exp(rng.uniform(low, high, (NEAR_PARTICLES, 1)))
    near = motion + widths * rng.normal(size=(NEAR_PARTICLES, 3))
    near[:, :2] = near[:, :2].clip(0, 1)
    alive = near[_agree(near, seen, flight)]
    if not len(alive):
        return alive
    return _spread(alive[rng.integers(len(alive), size=particles)], seen, rng, flight, NEAR_MOVES)


def _spread(
    belief: np.ndarray, seen: np.ndarray, rng: np.random.Generator, flight: Flight, moves: int
) -> np.ndarray:
    """Particles moved along the differences between others, wherever the new place agrees with all seen."""
    for _ in range(moves):
        one, other = rng.integers(len(belief), size=(2, len(belief)))
        between = belief[one] - belief[other]
        between[:, 2] = (between[:, 2] + np.pi) % (2 * np.pi) - np.pi
        moved = belief + rng.uniform(0, 1.2, (len(belief), 1)) * between
        inside = ((moved[:, :2] >= 0) & (moved[:, :2] <= 1)).all(axis=1)
        moved = np.where(inside[:, None], moved, belief)
        belief = np.where(_agree(moved, seen, flight)[:, None], moved, belief)
    return belief


def _agree(belief: np.ndarray, seen: np.ndarray, flight: Flight) -> np.ndarray:
    return (place(belief, len(seen), flight) == seen[:, None]).all(axis=(0, 2))


def predicted_places(
    seen: np.ndarray,
    particles: int,
    rng: np.random.Generator,
    context: int,
    flight: Flight = STANDARD_FLIGHT,
    motion: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """What an observer of one digit expects. Where all particles die, it begins again with more.

    With `motion`, the true one, it looks around that one instead, and where no other is left, it is certain.

    Parameters
    ----------
    seen : int64 (frames, 2), px, true positions
    particles : number of them
    context : frames seen before a rollout
    motion : float64 (3,), as for `place`, or None where it is not known

    Returns
    -------
    next_places : int64 (frames - 1, n, 2), px: entry t is of frame t + 1, after frames 0 to t; n is
        `particles` or more
    rollout_places : int64 (frames - context, n, 2): of frames `context` on, after that many

    Raises
    ------
    ObserverError
        If the motion is not known and 100,000 particles are too few to find one that explains what was seen.
    """
    if particles > MOST_PARTICLES:
        raise ObserverError(f"no motion with a step of {flight.step:g} was found that explains what was seen")
    frames = len(seen)
    belief = first_belief(seen[0], FIRST_PARTICLES * particles, rng, flight)
    next_places = np.empty((frames - 1, particles, 2), np.int64)
    rollout_places = np.empty((frames - context, particles, 2), np.int64)
    for t in range(frames - 1):
        if t > 0:
            belief = belief_after(belief, seen[: t + 1], particles, rng, flight)
        if motion is not None and not len(belief):
            belief = belief_near(motion, seen[: t + 1], particles, rng, flight)
            if not len(belief):
                next_places[t:] = seen[t + 1 :, None]
                if t < context:
                    rollout_places[:] = seen[context:, None]
                break
        if not len(belief):
            return predicted_places(seen, MORE_PARTICLES * particles, rng, context, flight)
        some = belief[rng.permutation(len(belief))[:particles]]
        if t + 1 == context:
            rollout_places = place(some, frames, flight)[context:]
        next_places[t] = place(some, t + 2, flight)[-1]
    return next_places, rollout_places


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
    motions : float64 (digits, 3), the true start and angle of each as for `place`, to look around where
        chance finds no motion that explains what was seen; None: more is left to chance

    Returns
    -------
    next_frames : float32 (frames - 1, 64, 64), entry k is of frame k + 1
    rollout : float32 (frames - context, 64, 64), entry k is of frame context + k
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

    Where its particles die out, it looks for others around the true motion, see `belief_near`. A person often
    chooses whole pixels and right angles, which are a single point of all motions; chance never draws it.

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
