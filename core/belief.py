"""What can be known of a digit's flight from the places, in whole pixels, where it was seen.

The belief is uniform over all (start x, start y, angle) that explain the positions seen, because the
generator draws the three uniformly and everything after is determined. It is sampled by a resample-move
particle filter (Gilks and Berzuini 2001), whose moves are those of differential evolution (ter Braak 2006).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.moving_mnist import STANDARD_STEP, bounce_positions
from core.scenes import CANVAS, DIGIT_SIZE, Bounce

MOVES = 6  # of every particle, after each frame seen
FIRST_PARTICLES = 4  # times as many at first, since the second frame contradicts most of them
MORE_PARTICLES = 4  # times as many where none is left
ANGLES_TRIED = 4  # first angles tried, for each of these
MOST_PARTICLES = 100_000  # tried before it gives up
NEAR_PARTICLES = 4000  # tried around a known motion where chance found none
NEAR_WIDTHS = (1e-7, 1e-2)  # how far around it, as shares of the span and in rad
NEAR_MOVES = 40  # until they have spread from there over all that agrees


class BeliefError(RuntimeError):
    """No motion was found that explains what was seen."""


@dataclass(frozen=True)
class Flight:
    """What is known of how a digit flies.

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
    BeliefError
        If the motion is not known and 100,000 particles are too few to find one that explains what was seen.
    """
    if particles > MOST_PARTICLES:
        raise BeliefError(f"no motion with a step of {flight.step:g} was found that explains what was seen")
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
