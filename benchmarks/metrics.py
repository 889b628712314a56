"""Every metric of 1,000 predicted clips, beside scikit-image called frame by frame."""

from __future__ import annotations

import time

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from benchmarks.measure import Figure, figure_of, interleaved_seconds, paired_ratios
from core.metrics import per_frame
from core.moving_mnist import benchmark_clips, to_frames

AT_ONCE = 50  # clips


def some_predictions(first: int, clips: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """True frames and noisy ones, both float32 (clips, frames - 1, 64, 64)."""
    truth = to_frames(benchmark_clips(first, first + clips, frames=frames)[:, 1:])
    noise = np.random.default_rng(first).normal(0, 0.1, truth.shape).astype(np.float32)
    return truth, np.clip(truth + noise, 0, 1)


def plain_scores(truth: np.ndarray, predictions: np.ndarray) -> dict[str, np.ndarray]:
    """PSNR and SSIM of each frame by scikit-image, in a loop over all."""
    pairs = [
        (true.astype(np.float64), predicted.astype(np.float64))
        for true, predicted in zip(
            truth.reshape(-1, *truth.shape[-2:]), predictions.reshape(-1, *truth.shape[-2:]), strict=True
        )
    ]
    scores = {
        "psnr": [peak_signal_noise_ratio(*pair, data_range=1.0) for pair in pairs],
        "ssim": [structural_similarity(*pair, data_range=1.0) for pair in pairs],
    }
    return {name: np.array(values).reshape(truth.shape[:-2]) for name, values in scores.items()}


def run(*, clips: int = 1000, at_once: int = AT_ONCE, rounds: int = 5, frames: int = 20) -> list[Figure]:
    """Seconds of all clips, and the ratio to the loop on some of them."""
    some = some_predictions(0, at_once, frames)
    seconds = interleaved_seconds(
        {"ours": lambda: per_frame(*some), "plain": lambda: plain_scores(*some)}, rounds
    )
    whole = 0.0
    for first in range(0, clips, at_once):
        pair = some_predictions(first, min(at_once, clips - first), frames)
        began = time.perf_counter()
        per_frame(*pair)
        whole += time.perf_counter() - began
    each = at_once * (frames - 1)
    return [
        figure_of(
            "metrics",
            f"{text}, a frame",
            [1e3 * value / each for value in seconds[name]],
            "ms",
        )
        for name, text in (
            ("ours", "MSE, MAE, PSNR and SSIM"),
            ("plain", "PSNR and SSIM by scikit-image, frame by frame"),
        )
    ] + [
        figure_of(
            "metrics", "ours against scikit-image", paired_ratios(seconds["plain"], seconds["ours"]), "×"
        ),
        Figure("metrics", f"{clips:,} clips x {frames - 1} frames", whole, "s", 20),
    ]
