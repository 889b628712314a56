"""The vectorised Moving MNIST generator beside a plain loop over clips, digits and frames."""

from __future__ import annotations

import math

import numpy as np

from benchmarks.measure import Figure, interleaved_seconds, medians
from core.digits import DIGIT_SIZE, load_digits
from core.moving_mnist import STANDARD_STEP, draw_stamps, standard_corners
from core.scenes import CANVAS, STANDARD_FRAMES

DIGITS = 2


def plain_path(x: float, y: float, angle: float, frames: int) -> list[tuple[int, int]]:
    """One digit's corners, a step at a time: move, clamp and turn around on contact, then record."""
    vx, vy = STANDARD_STEP * math.cos(angle), STANDARD_STEP * math.sin(angle)
    span = CANVAS - DIGIT_SIZE
    corners = []
    for _ in range(frames):
        x, y = x + vx, y + vy
        if x <= 0:
            x, vx = 0.0, -vx
        if x >= 1:
            x, vx = 1.0, -vx
        if y <= 0:
            y, vy = 0.0, -vy
        if y >= 1:
            y, vy = 1.0, -vy
        corners.append((int(span * x), int(span * y)))
    return corners


def plain_clips(stamps: np.ndarray, start: np.ndarray, angle: np.ndarray, frames: int) -> np.ndarray:
    """Clips drawn the way public generators do: one stamp into one float32 frame at a time.

    stamps uint8 (clips, digits, 28, 28), start (clips, digits, 2), angle (clips, digits)
    -> uint8 (clips, frames, 64, 64)
    """
    out = np.empty((len(stamps), frames, CANVAS, CANVAS), np.uint8)
    for clip in range(len(stamps)):
        pictures = np.zeros((frames, CANVAS, CANVAS), np.float32)
        for digit in range(stamps.shape[1]):
            x, y = start[clip, digit]
            for frame, (left, top) in enumerate(plain_path(x, y, angle[clip, digit], frames)):
                bottom, right = top + DIGIT_SIZE, left + DIGIT_SIZE
                under = pictures[frame, top:bottom, left:right]
                pictures[frame, top:bottom, left:right] = np.maximum(under, stamps[clip, digit])
        out[clip] = pictures
    return out


def make_plain(rng: np.random.Generator, clips: int, frames: int) -> np.ndarray:
    """Random clips by the plain loop, drawn from `rng` in the same order as `make_vectorised`."""
    start = rng.uniform(size=(clips, DIGITS, 2))
    angle = rng.uniform(0, 2 * np.pi, (clips, DIGITS))
    images = load_digits("train").images
    return plain_clips(images[rng.integers(len(images), size=(clips, DIGITS))], start, angle, frames)


def make_vectorised(rng: np.random.Generator, clips: int, frames: int) -> np.ndarray:
    """Random clips by the project's generator."""
    corners = standard_corners(rng, clips, DIGITS, frames)
    images = load_digits("train").images
    return draw_stamps(images[rng.integers(len(images), size=(clips, DIGITS))], corners)


def run(*, clips: int = 64, rounds: int = 15, frames: int = STANDARD_FRAMES) -> list[Figure]:
    """Frames a second of both, and their ratio."""
    rng = np.random.default_rng(0)
    seconds = medians(
        interleaved_seconds(
            {
                "plain": lambda: make_plain(rng, clips, frames),
                "vectorised": lambda: make_vectorised(rng, clips, frames),
            },
            rounds,
        )
    )
    rate = {name: clips * frames / value for name, value in seconds.items()}
    return [
        Figure("generator", "plain loop over clips, digits and frames", rate["plain"], "frames/s"),
        Figure("generator", "vectorised", rate["vectorised"], "frames/s"),
        Figure(
            "generator",
            "vectorised against plain",
            seconds["plain"] / seconds["vectorised"],
            "×",
            4,
            at_least=True,
        ),
    ]
