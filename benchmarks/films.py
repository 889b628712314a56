"""Films to take away, as the app makes them: truth, prediction and error side by side as GIF and as MP4."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.measure import Figure, interleaved_seconds, medians
from core import films, zoo
from core.moving_mnist import render, to_frames
from core.scenes import preset_scenes


def run(*, rounds: int = 9, model: str = "fast") -> list[Figure]:
    """Milliseconds from a clip and a prediction to the file's bytes; the first MP4 loads the encoder, too."""
    clip = render(preset_scenes()["standard"])
    prediction = zoo.load(model).next_frames(to_frames(clip)[None, ..., None])[0, ..., 0]

    def film() -> np.ndarray:
        return films.comparison(clip, prediction, 1)

    began = time.perf_counter()
    films.mp4_bytes(film())
    first = time.perf_counter() - began
    seconds = medians(
        interleaved_seconds(
            {"gif": lambda: films.gif_bytes(film()), "mp4": lambda: films.mp4_bytes(film())}, rounds
        )
    )
    what = f"of {len(clip)} frames with three pictures"
    return [
        Figure("films", f"GIF {what}", seconds["gif"] * 1000, "ms", 1000),
        Figure("films", f"MP4 {what}", seconds["mp4"] * 1000, "ms", 2000),
        Figure("films", "the first MP4 of a server, with the encoder's start", first * 1000, "ms", 2000),
    ]
