"""The vectorised Moving MNIST generator beside a plain loop over clips, digits and frames."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np

from benchmarks.limits import COPY, copy_call, limit_figures
from benchmarks.measure import Figure, figure_of, interleaved_seconds, paired_ratios
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


def make_some(seed: int, clips: int, frames: int) -> int:
    """Make clips and throw them away, 16 at a time; returns the sum of their pixels."""
    rng = np.random.default_rng(seed)
    return sum(int(make_vectorised(rng, 16, frames).sum()) for _ in range(0, clips, 16))


def shared_calls(clips: int, frames: int, counts: list[int], pool: Executor) -> dict[str, Callable[[], Any]]:
    """Calls that make `clips` clips, shared by so many processes."""

    def call(processes: int) -> Callable[[], Any]:
        jobs = [(seed, clips // processes, frames) for seed in range(processes)]
        return lambda: [job.result() for job in [pool.submit(make_some, *job) for job in jobs]]

    return {f"{count} processes": call(count) for count in counts}


def run(
    *, clips: int = 64, rounds: int = 15, frames: int = STANDARD_FRAMES, many_clips: int = 32_768
) -> list[Figure]:
    """Frames a second of both, their ratio, and what a process on every core gains."""
    rng = np.random.default_rng(0)
    seconds = interleaved_seconds(
        {
            "plain": lambda: make_plain(rng, clips, frames),
            "vectorised": lambda: make_vectorised(rng, clips, frames),
            # what is written is all that must be: a frame a pixel a byte
            COPY: copy_call(1),
        },
        rounds,
    )
    figures = [
        figure_of(
            "generator",
            f"{text}, one core",
            [clips * frames / value for value in seconds[name]],
            "frames/s",
        )
        for name, text in (
            ("plain", "plain loop over clips, digits and frames"),
            ("vectorised", "vectorised"),
        )
    ]
    figures += limit_figures("generator", seconds)
    figures.append(
        figure_of(
            "generator",
            "vectorised against plain",
            paired_ratios(seconds["plain"], seconds["vectorised"]),
            "×",
            bar=5,
            at_least=True,
        )
    )
    cores = os.cpu_count() or 1
    if cores == 1:
        return figures
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        calls = shared_calls(many_clips, frames, [1, cores], pool)
        many = interleaved_seconds(calls, max(1, rounds // 3))
    gain = paired_ratios(many["1 processes"], many[f"{cores} processes"])
    return [
        *figures,
        figure_of("generator", f"{cores} processes against one, {cores} cores", gain, "×"),
    ]
