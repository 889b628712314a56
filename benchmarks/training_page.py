"""What a refresh of the training page costs with a long history: read what is new, thin it, draw it."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import Figure, interleaved_seconds, medians
from core.history import HEADER, HistoryReader, line_of

ROWS = 100_000
NEW_ROWS = 5  # in two seconds of a quick training
REFRESH_MS = 200


def write_history(path: Path, rows: int, *, steps_per_epoch: int = 50) -> None:
    """A history of a noisy training with all three parts of the loss."""
    rng = np.random.default_rng(0)
    losses = (0.05 + np.exp(-np.arange(rows) / rows * 5)) * rng.uniform(0.8, 1.2, rows)
    with path.open("w") as file:
        file.write(HEADER)
        for number, loss in enumerate(losses, 1):
            file.write(line_of("step", row(number, float(loss), steps_per_epoch)))
            if number % steps_per_epoch == 0:
                scores = {
                    "val_loss": float(loss),
                    "val_psnr": 20 - 10 * float(loss),
                    "val_ssim": 1 - float(loss),
                }
                file.write(line_of("epoch", row(number, float(loss), steps_per_epoch) | scores))


def row(number: int, loss: float, steps_per_epoch: int) -> dict[str, float]:
    """A step row."""
    return {
        "epoch": (number - 1) // steps_per_epoch + 1,
        "step": number * 10,
        "minutes": number / 60,
        "learning_rate": 1e-3,
        "rollout": 0.1,
        "waiting": 0.02,
        "loss": loss,
        "bce": loss,
        "perceptual": 3 * loss,
        "gdl": loss / 2,
    }


def refresh_of(reader: HistoryReader) -> int:
    """A refresh: what is new is read, every chart made and packed. Returns the most points that one has."""
    from ui import charts

    runs = [charts.Drawn("run", reader.read(), 0)]
    shown = [
        charts.chart(plot, runs, "step", smoothing=0.8, log=False, height=300, revision="")
        for plot in charts.plots_for(runs)
    ]
    json.dumps(shown)
    return max(sum(len(line["x"]) for line in chart["lines"]) for chart in shown)


def run(*, rows: int = ROWS, rounds: int = 15) -> list[Figure]:
    """First read, and the refresh after a few new rows, with all eight charts of a run."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.csv"
        write_history(path, rows)
        reader = HistoryReader(path)
        began = time.perf_counter()
        reader.read()
        first = time.perf_counter() - began
        written = rows

        def refresh() -> int:
            nonlocal written
            with path.open("a") as file:
                for _ in range(NEW_ROWS):
                    written += 1
                    file.write(line_of("step", row(written, 0.1, 50)))
            return refresh_of(reader)

        points = refresh()
        seconds = medians(interleaved_seconds({"refresh": refresh}, rounds))
    return [
        Figure("training_page", f"first read of {rows:,} rows", first * 1000, "ms"),
        Figure(
            "training_page", f"refresh with {NEW_ROWS} new rows", seconds["refresh"] * 1000, "ms", REFRESH_MS
        ),
        Figure("training_page", "points drawn in one chart", points, "points", 2000),
    ]
