"""Training runs on disk: a folder each, all that trainer, pages and command lines know of each other.

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
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from core import history
from core.damage import DAMAGE, read_json, shown
from core.run_status import Status, fits
from core.train_config import TrainConfig
from core.weights import write_atomically

FORMAT = 2  # of the folder, written into config.json
# A page that looks whether a lock is held holds it for an instant itself.
LOCK_PATIENCE_SECONDS = 1.0
STARTING_SECONDS = 60.0  # a process that was started has to hold the lock by then
LOG_TAIL_BYTES = 65_536
JSON_BYTES = 2**20  # no configuration or status is larger; a list of runs reads all of them
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.+-]{0,59}")
# What `write_atomically` leaves behind when its process is killed; other hidden files are not ours.
_TEMPORARY = re.compile(
    r"\.(config\.json|model\.json|status\.json|history\.csv|(weights|last)\.npz|(truth|epoch_\d+)\.png)"
    r"\.[a-z0-9_]{8}"
)
# A folder with none of these is no run: a folder of runs may be any folder, with other things in it.
_SIGNS = frozenset({"config.json", "model.json", "status.json", "last.npz", "history.csv"})
_DELETED = ".deleted-"  # how the name of a folder begins that is being deleted
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
        return _is_held(_own_lock(self))

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


# ------------------------------------------------------------------------------------------------- locks


def _own_lock(run: Run) -> Path:
    return run.folder / "lock"


def _lock_of_all(root: Path) -> Path:
    return root / ".training.lock"


def _lock(path: Path) -> FileLock:
    # a lock object each: the same object may be acquired twice, which is no lock at all
    return FileLock(path, is_singleton=False)


def _is_held(path: Path) -> bool:
    if sys.platform == "win32":
        return path.exists() and _cannot_be_locked(path)
    try:
        file = path.open("rb")  # no more than reading: a folder that is deleted meanwhile stays deleted
    except OSError:
        return False
    import fcntl

    with file:
        try:
            # shared: two pages that look at the same moment do not take each other for a training
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # a file system without such locks: filelock has a way of its own
            return _cannot_be_locked(path)
    return False


def _cannot_be_locked(path: Path) -> bool:
    lock = _lock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    except OSError:  # a read-only folder of a recorded run: nobody trains there
        return False
    lock.release()
    return False


@contextmanager
def training_lock(run: Run, *, alone: bool = True) -> Iterator[None]:
    """Hold a run, and, with `alone`, all runs of its parent folder: one training at a time.

    Raises
    ------
    RunError
        If the run, or with `alone` another of the folder, is being trained; or the folder cannot be written.
    """
    with ExitStack() as stack:
        if alone:  # first, so that a run that is refused leaves no folder behind
            way_out = ", which lets one training of the folder run at a time; --alongside does without it"
            _hold(stack, _lock_of_all(run.root), lambda: _busy(run), way_out)
        _hold(stack, _own_lock(run), lambda: _trained_elsewhere(run))
        yield


@contextmanager
def new_run(run: Run, worth_keeping: Callable[[], bool], *, alone: bool = True) -> Iterator[None]:
    """`training_lock` for a run that is to begin: of one that comes to nothing, nothing is left.

    What was in its folder before stays there.

    Parameters
    ----------
    worth_keeping : asked when the block ends, in any way

    Raises
    ------
    RunError
        As `training_lock`.
    """
    folders = [folder for folder in (run.folder, *run.folder.parents) if not folder.exists()]
    locks = [_own_lock(run), *([_lock_of_all(run.root)] if alone else [])]
    locks = [path for path in locks if not path.exists()]
    keep = unlocked = False
    try:
        with training_lock(run, alone=alone):
            there = set(run.folder.glob("*")) | set(locks)
            try:
                yield
            finally:
                keep = worth_keeping()
                if not keep:
                    _remove(set(run.folder.glob("*")) - there)
                    # while they are held, so that nobody waits for a file that is gone; Windows refuses that
                    unlocked = sys.platform != "win32"
                    _remove(locks if unlocked else ())
    finally:
        if not keep:
            _remove(path for path in locks if not unlocked and not _is_held(path))
            for folder in folders:  # the innermost first
                with suppress(OSError):  # somebody else has put something there
                    folder.rmdir()


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        with suppress(OSError):  # what went wrong first is what counts
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _hold(stack: ExitStack, path: Path, refusal: Callable[[], str], way_out: str = "") -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot write to run folder {path.parent} ({error.strerror})") from error
    try:
        stack.enter_context(_lock(path).acquire(timeout=LOCK_PATIENCE_SECONDS))
    except Timeout:
        raise RunError(refusal()) from None
    except OSError as error:
        raise RunError(f"cannot write {path} ({error.strerror}){way_out}") from error


def _trained_elsewhere(run: Run) -> str:
    return f"{run.folder} is being trained by another process; wait or stop it"


def _busy(run: Run) -> str:
    if run.is_alive():
        return _trained_elsewhere(run)
    other = running_name(run.root, except_for=run.name) or "another run"
    return (
        f"{other} is being trained, and one training at a time is what a machine can do well; "
        "stop it or wait (train.py --alongside trains all the same)"
    )


def training_now(root: Path) -> bool:
    """Whether any run of a folder is being trained."""
    return _is_held(_lock_of_all(root)) or running_name(root) is not None


def running_name(root: Path, except_for: str | None = None) -> str | None:
    """Name of a run of a folder that is being trained, or None."""
    for folder in _run_folders(root):
        if folder.name != except_for and Run(folder).is_alive():
            return folder.name
    return None


# ----------------------------------------------------------------------------------------------- listing


@dataclass(frozen=True)
class RunEntry:
    """One run of a list.

    Attributes
    ----------
    run : its files
    config, status : None where the folder is unreadable
    state : as that of a `Status`, or "interrupted" (its process ended without a word) or "unreadable"
    reason : one sentence for stopped, failed, interrupted and unreadable runs; else empty
    """

    run: Run
    config: TrainConfig | None
    status: Status | None
    state: str
    reason: str = ""

    @property
    def alive(self) -> bool:
        """Whether a process is training it, or is about to."""
        return self.state in ("starting", "running")


def describe(run: Run) -> RunEntry:
    """What a list says of a run; never raises for what is in the folder."""
    # Before the status: a process says how it ended before it lets go of the lock.
    alive = run.is_alive()
    try:
        config, status = run.read_config(), run.read_status()
    except RunError as error:
        return RunEntry(run, None, None, "unreadable", str(error))
    state, reason = status.state, status.reason
    if state in ("starting", "running") and not alive:
        # a clock that was set back puts the heartbeat into the future
        silent = abs(time.time() - status.heartbeat)
        if state == "running" or silent >= STARTING_SECONDS:
            state, reason = "interrupted", _last_words(status)
    return RunEntry(run, config, status, state, reason)


def _last_words(status: Status) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(status.heartbeat))
    if status.state == "starting":
        return f"It was started on {when}, and ended before it trained."
    return (
        f"Process {status.pid} ended without saving, after step {status.step}; last sign of life {when}. "
        "It goes on from what it saved last."
    )


def list_runs(root: Path) -> list[RunEntry]:
    """All runs of a folder, the latest first; those that cannot be read are in it with their reason."""
    runs = [Run(folder) for folder in _run_folders(root)]
    entries = [describe(run) for run in runs if run.is_there or not os.access(run.folder, os.R_OK | os.X_OK)]

    def latest(entry: RunEntry) -> tuple[float, str]:
        return (entry.status.heartbeat if entry.status else 0.0, entry.run.name)

    return sorted(entries, key=latest, reverse=True)


def _run_folders(root: Path) -> list[Path]:
    try:
        return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunError(f"the folder of runs {root} cannot be read ({error.strerror})") from error


def named_run(root: Path, name: str) -> Run:
    """The run of that name in a folder of runs, there or not.

    Raises
    ------
    RunError
        If the name is not one, or would lead out of the folder.
    """
    if not _NAME.fullmatch(name) or name.endswith((".", " ")):
        raise RunError(
            "a run's name has 1 to 60 letters, digits, spaces and _ . + -, and begins with a letter or a "
            f"digit; got {shown(name)}"
        )
    folder = root / name
    if folder.is_symlink() or folder.resolve().parent != root.resolve():
        raise RunError(f"{name} leads out of the folder of runs")
    return Run(folder)


def delete(run: Run) -> None:
    """Remove a run and all its files.

    Raises
    ------
    RunError
        If it is no run, is being trained, or cannot be removed.
    """
    if run.folder.is_symlink():
        raise RunError(f"{run.name} is a link to a run elsewhere; it is not deleted from here")
    if not run.is_there:
        raise RunError(f"{run.name} is not a run, and is left alone")
    if describe(run).alive or run.is_alive():  # a run that has said its last word may still write
        raise RunError(f"{run.name} is being trained; stop it before deleting it")
    doomed = run.root / f"{_DELETED}{run.name}-{os.getpid()}-{time.time_ns()}"
    try:
        run.folder.rename(doomed)  # at once: no list ever shows half a run
        if Run(doomed).is_alive():  # it was started in this very moment; its lock went along
            doomed.rename(run.folder)
            raise RunError(f"{run.name} is being trained; stop it before deleting it")
    except OSError as error:
        raise RunError(f"{run.name} cannot be deleted ({error.strerror})") from error
    try:
        shutil.rmtree(doomed)
    except OSError as error:
        raise RunError(
            f"{run.name} is deleted, but some of its files stay in {doomed} ({error.strerror})"
        ) from error
    for left in run.root.glob(f"{_DELETED}*"):  # of a process that was killed while it deleted
        if not Run(left).is_alive():
            shutil.rmtree(left, ignore_errors=True)
