"""A training run on disk: a folder with its configuration, history, checkpoint and best weights.

| file | what it holds |
| --- | --- |
| `config.json` | the `TrainConfig` the run was started with |
| `model.json`, `weights.npz` | the best network so far, in the form in which models are shipped |
| `last.npz` | variables of network and optimizer after the last epoch, to go on from |
| `history.csv` | one row an epoch |
| `status.json` | state, step, minutes, process |

No Keras here: a page can list and draw runs before TensorFlow has loaded.
"""

from __future__ import annotations

import csv
import io
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.weights import write_atomically

HISTORY_FIELDS = ("epoch", "step", "minutes", "learning_rate", "loss", "val_loss", "val_psnr", "val_ssim")


class RunError(RuntimeError):
    """A run folder that cannot be used; the message says why."""


@dataclass(frozen=True)
class Run:
    """The files of one run. Creating the object touches nothing."""

    folder: Path

    @property
    def config_path(self) -> Path:
        return self.folder / "config.json"

    @property
    def checkpoint_path(self) -> Path:
        return self.folder / "last.npz"

    @property
    def weights_path(self) -> Path:
        return self.folder / "weights.npz"

    @property
    def history_path(self) -> Path:
        return self.folder / "history.csv"

    def create(self, config_json: str, model_json: str) -> None:
        """Make the folder of a new run.

        Raises
        ------
        RunError
            If there is a run already, or the folder cannot be written.
        """
        if self.config_path.exists():
            raise RunError(
                f"{self.folder} holds a run already; go on with --resume or choose another --run-dir"
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.write_text("config.json", config_json)
            self.write_text("model.json", model_json)
        except OSError as error:
            raise RunError(f"cannot write to run folder {self.folder} ({error.strerror})") from error

    def write_text(self, name: str, text: str) -> None:
        """Write one of the run's text files, atomically."""
        write_atomically(self.folder / name, (text.rstrip("\n") + "\n").encode())

    def read_config(self) -> str:
        """Text of the run's configuration; RunError if there is none."""
        try:
            return self.config_path.read_text()
        except OSError as error:
            raise RunError(f"{self.folder} holds no run to resume: config.json {error.strerror}") from error

    def write_history(self, rows: list[dict[str, float]]) -> None:
        """Replace history.csv."""
        text = io.StringIO()
        writer = csv.DictWriter(text, HISTORY_FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: f"{row[name]:.7g}" for name in HISTORY_FIELDS} for row in rows)
        self.write_text("history.csv", text.getvalue())

    def read_history(self) -> list[dict[str, float]]:
        """Rows of history.csv, one an epoch; empty before the first; RunError if it is damaged."""
        if not self.history_path.exists():
            return []
        try:
            with self.history_path.open(newline="") as file:
                return [{name: float(row[name]) for name in HISTORY_FIELDS} for row in csv.DictReader(file)]
        except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
            raise RunError(f"{self.history_path} is damaged ({type(error).__name__}: {error})") from error

    def write_status(self, state: str, **details: Any) -> None:
        """Say where the run stands: "running", "stopped" (can be resumed) or "finished"."""
        status = {"state": state, "time": time.time(), "pid": os.getpid(), **details}
        self.write_text("status.json", json.dumps(status, indent=2))
