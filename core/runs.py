"""Training runs on disk: a folder each, all that trainer, pages and command lines know of each other. Who
may train one stands in `core.run_locks`, what a list says of many in `core.run_list`.

| file | what it holds |
| --- | --- |
| `config.json` | the `TrainConfig` |
| `calls.jsonl` | a line for each call that trained it: when, on what, which settings changed |
| `model.json`, `weights.npz` | the best network so far, in the form in which models are shipped |
| `last.npz` | all variables of network and optimizer, step, epoch, minutes: what `--resume` goes on from |
| `history.csv` | rows of numbers, see `core.history` |
| `status.json` | where it stands, with a heartbeat |
| `snapshots/` | one fixed clip (`truth.png`) and its prediction after each epoch (`epoch_000012.png`) |
| `events/` | the same numbers for TensorBoard |
| `log.txt` | what it said |
| `lock` | held by the process that trains, for as long as it lives |

Whether a run is alive is told by the lock: the system frees it when its process ends, however it ends. No
Keras here: a page lists and draws runs before TensorFlow has loaded.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core import history
from core.damage import DAMAGE, read_json, shown
from core.file_locks import is_held
from core.run_status import Status, fits
from core.train_config import TrainConfig
from core.weights import write_atomically

FORMAT = 2  # of the folder, written into config.json
LOG_TAIL_BYTES = 65_536
JSON_BYTES = 2**20  # no configuration or status is larger; a list of runs reads all of them
# What `write_atomically` leaves behind when its process is killed; other hidden files are not ours.
_TEMPORARY = re.compile(
    r"\.(config\.json|model\.json|status\.json|history\.csv|(weights|last)\.npz|(truth|epoch_\d+)\.png)"
    r"\.[a-z0-9_]{8}"
)
# A folder with none of these is no run: a folder of runs may be any folder, with other things in it.
_SIGNS = frozenset({"config.json", "model.json", "status.json", "last.npz", "history.csv"})
_creating = threading.Lock()  # two people may give the same name at the same moment


class RunError(RuntimeError):
    """A run that cannot be used, or not now; the message says why."""


@dataclass(frozen=True)
class Run:
    """The files of one run. Creating the object touches nothing."""

    folder: Path

    @property
    def name(self) -> str:
        return Path(os.path.abspath(self.folder)).name  # "." has one, too

    @property
    def root(self) -> Path:
        """The folder of runs that it is in."""
        return Path(os.path.abspath(self.folder)).parent

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

    @property
    def log_path(self) -> Path:
        return self.folder / "log.txt"

    @property
    def events_path(self) -> Path:
        return self.folder / "events"

    @property
    def lock_path(self) -> Path:
        return self.folder / "lock"

    @property
    def stop_path(self) -> Path:
        return self.folder / "stop"

    @property
    def is_there(self) -> bool:
        """Whether the folder holds a run, sound or damaged; not where nobody may look into it, nor where it
        holds a model with its card, as what `scripts.train_forecast` writes.
        """
        try:
            names = set(os.listdir(self.folder))
        except OSError:
            return False
        return not _SIGNS.isdisjoint(names) and not ("card.json" in names and "config.json" not in names)

    # -------------------------------------------------------------------------------- making and reading

    def create(self, config: TrainConfig) -> None:
        """Make the folder of a new run; its configuration is written last, and makes it a run.

        Raises
        ------
        RunError
            If there is a run already, or the folder cannot be written.
        """
        with _creating:
            self.check_free()
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self.write_text("model.json", config.model.to_json())
                self.write_status(Status("starting"))
                self.write_config(config)
            except OSError as error:
                raise RunError(f"cannot write to run folder {self.folder} ({error.strerror})") from error

    def check_free(self) -> None:
        """RunError if there is a run already."""
        if self.config_path.exists():
            raise RunError(
                f"{self.folder} holds a run already; go on with --resume or choose another --run-dir"
            )

    def write_text(self, name: str, text: str) -> None:
        """Write one of the run's text files, atomically."""
        write_atomically(self.folder / name, (text.rstrip("\n") + "\n").encode())

    def write_config(self, config: TrainConfig) -> None:
        """Replace the configuration."""
        data = {"format": FORMAT, **json.loads(config.to_json())}
        self.write_text("config.json", json.dumps(data, indent=2))

    def read_config(self) -> TrainConfig:
        """The run's configuration.

        Raises
        ------
        RunError
            If there is none, or it is of another version or damaged.
        """
        try:
            data = read_json(_small_text(self.config_path))
        except OSError as error:
            raise RunError(f"{self.folder} holds no run: config.json: {error.strerror}") from error
        except ValueError as error:
            raise RunError(f"config.json of {self.name} is damaged ({error})") from error
        if not isinstance(data, dict):
            raise RunError(f"config.json of {self.name} is damaged (it is not a JSON object)")
        found = data.pop("format", 1)
        if found != FORMAT:
            raise RunError(f"{self.name} has run format {shown(found)}; this version reads {FORMAT}")
        try:
            return TrainConfig.from_json(json.dumps(data))
        # a sentence that shows a value goes deeper than the reader of JSON did
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise RunError(f"config.json of {self.name} is not valid: {error}") from error

    def checkpoint_state(self) -> dict[str, Any]:
        """Step, epoch, minutes ... of the checkpoint; all 0 where there is none yet.

        Raises
        ------
        RunError
            If the checkpoint cannot be read.
        """
        if not self.checkpoint_path.exists():
            return {"step": 0, "epoch": 0, "epoch_step": 0, "minutes": 0.0}
        try:
            with np.load(self.checkpoint_path, allow_pickle=False) as file:
                state = read_json(file["state"].tobytes())
        except DAMAGE as error:
            raise RunError(f"last.npz of {self.name} is damaged ({type(error).__name__})") from error
        names = ("step", "epoch", "epoch_step", "minutes")
        if not isinstance(state, dict) or not all(fits(state.get(name), "float") for name in names):
            raise RunError(f"last.npz of {self.name} is damaged (it does not say how far it is)")
        return state

    def log_call(self, **details: Any) -> None:
        """Add a line to the list of calls."""
        with (self.folder / "calls.jsonl").open("a") as file:
            file.write(json.dumps({"time": round(time.time()), **details}) + "\n")

    def read_calls(self) -> list[dict[str, Any]]:
        """What was written down of each call that trained it, the first one first.

        Raises
        ------
        RunError
            If the list is missing or damaged.
        """
        try:
            lines = (self.folder / "calls.jsonl").read_text().splitlines()
            return [read_json(line) for line in lines]
        except (OSError, ValueError) as error:
            raise RunError(
                f"calls.jsonl of {self.name} is missing or damaged ({type(error).__name__})"
            ) from error

    def say(self, text: str) -> None:
        """Add a line to the log."""
        with self.log_path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text.rstrip("\n") + "\n")

    def log_tail(self, lines: int = 20, since: int = 0) -> list[str]:
        """The last lines of what the log holds after its first `since` bytes; at most 64 KiB are read."""
        try:
            with self.log_path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(since, size - LOG_TAIL_BYTES))
                # not to the file's end, which moves while a process writes
                tail = file.read(LOG_TAIL_BYTES).decode(errors="replace").splitlines()
        except FileNotFoundError:
            return []
        if size - since > LOG_TAIL_BYTES and len(tail) > 1:
            tail = tail[1:]  # the first of them is cut
        return tail[-lines:]

    # ------------------------------------------------------------------------------------------- history

    def append_history(self, kind: str, row: Mapping[str, float]) -> None:
        """Add a "step" or "epoch" row."""
        history.append(self.history_path, kind, row)

    def read_history(self) -> history.History:
        """All rows; RunError if the file is damaged."""
        try:
            return history.read_history(self.history_path)
        except (OSError, history.HistoryError) as error:
            raise RunError(f"{self.name}: {error}") from error

    def rewind(self, step: int) -> None:
        """Leave out what a crash left behind after a step: rows, their snapshots, temporary files."""
        try:
            text = history.lines_until(self.history_path, step)
            epochs = history.read_history(self.history_path).epochs
        except (OSError, history.HistoryError) as error:
            raise RunError(f"{self.name}: {error}") from error
        # An epoch's row is written before its picture: no row, no picture. And it goes after its picture.
        gone = set(epochs["epoch"][epochs["step"] > step])
        for epoch in gone.intersection(self.snapshot_epochs()):
            self.snapshot_path(snapshot_name(int(epoch))).unlink(missing_ok=True)
        write_atomically(self.history_path, text.encode())
        for folder in (self.folder, self.folder / "snapshots"):
            for left in folder.glob(".*"):
                if _TEMPORARY.fullmatch(left.name):
                    left.unlink(missing_ok=True)

    # -------------------------------------------------------------------------------------------- status

    def write_status(self, status: Status) -> None:
        """Replace the status, with the present time as its heartbeat and this process as its own."""
        self.keep_status(replace(status, heartbeat=time.time(), pid=os.getpid()))

    def keep_status(self, status: Status) -> None:
        """Replace the status, heartbeat and process as they are."""
        self.write_text("status.json", json.dumps(asdict(status), indent=2))

    def read_status(self) -> Status:
        """The last status; RunError if it is missing or damaged."""
        try:
            return Status.from_json(_small_text(self.folder / "status.json"))
        except OSError as error:
            raise RunError(f"status.json of {self.name}: {error.strerror}") from error
        except (ValueError, RecursionError) as error:  # the latter of a sentence that shows a value
            raise RunError(f"status.json of {self.name} is damaged ({error})") from error

    def is_alive(self) -> bool:
        """Whether a process is training it now."""
        return is_held(self.lock_path)

    def request_stop(self) -> None:
        """Ask the training to save and end after its present step."""
        self.stop_path.touch()

    @property
    def stop_requested(self) -> bool:
        return self.stop_path.exists()

    # ----------------------------------------------------------------------------------------- snapshots

    def snapshot_path(self, name: str) -> Path:
        """File of a snapshot."""
        return self.folder / "snapshots" / f"{name}.png"

    def write_snapshot(self, name: str, frames: np.ndarray) -> None:
        """Store frames, uint8 (frames, height, width), side by side as one grey PNG picture.

        Parameters
        ----------
        name : "truth", or `snapshot_name(epoch)`
        """
        from core.outputs import png_bytes

        path = self.snapshot_path(name)
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, png_bytes(np.concatenate(list(frames), axis=1)))

    def read_snapshot(self, name: str) -> np.ndarray:
        """Frames of a snapshot: uint8 (frames, height, width); RunError if it cannot be read."""
        from PIL import Image

        try:
            with Image.open(self.snapshot_path(name), formats=("PNG",)) as picture:
                strip = np.asarray(picture)
        # Pillow's word for a broken PNG is SyntaxError
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise RunError(f"snapshot {name} of {self.name} cannot be read") from error
        if strip.ndim != 2 or strip.dtype != np.uint8 or strip.shape[1] % strip.shape[0]:
            raise RunError(f"snapshot {name} of {self.name} is not a strip of square frames")
        return np.stack(np.split(strip, strip.shape[1] // strip.shape[0], axis=1))

    def snapshot_epochs(self) -> list[int]:
        """Epochs that have a snapshot, rising."""
        stems = (path.stem for path in self.snapshot_path("x").parent.glob("epoch_*.png"))
        numbers = ((stem, stem.removeprefix("epoch_")) for stem in stems)
        return sorted(int(n) for stem, n in numbers if n.isdecimal() and snapshot_name(int(n)) == stem)


def snapshot_name(epoch: int) -> str:
    """Name of the snapshot after an epoch."""
    return f"epoch_{epoch:06d}"


def _small_text(path: Path) -> str:
    """A JSON file's text; ValueError where it is too large to be one of a run's."""
    with path.open("rb") as file:
        data = file.read(JSON_BYTES + 1)
    if len(data) > JSON_BYTES:
        raise ValueError(f"it has more than {JSON_BYTES} bytes")
    return data.decode()
