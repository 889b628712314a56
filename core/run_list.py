"""The runs of a folder: what a list says of each, how one is found by its name, and how it goes. No Keras."""

from __future__ import annotations

import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from core.damage import shown
from core.run_status import Status
from core.runs import Run, RunError
from core.train_config import TrainConfig

STARTING_SECONDS = 60.0  # a process that was started has to hold the lock by then
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.+-]{0,59}")
_DELETED = ".deleted-"  # how the name of a folder begins that is being deleted


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


def running_name(root: Path, except_for: str | None = None) -> str | None:
    """Name of a run of a folder that is being trained, or None."""
    for folder in _run_folders(root):
        if folder.name != except_for and Run(folder).is_alive():
            return folder.name
    return None


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
