"""Start a training in a process of its own. No Keras."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.run_list import describe
from core.run_status import Status
from core.runs import Run, RunError

TRAIN = Path(__file__).resolve().parent.parent / "train.py"


def command(run: Run, learning_rate: float | None = None) -> list[str]:
    """The command line that begins a run, or goes on with it from its last checkpoint."""
    changes = [] if learning_rate is None else ["--learning-rate", f"{learning_rate:g}"]
    return [sys.executable, str(TRAIN), "--run-dir", str(run.folder.resolve()), "--resume", *changes]


def start(run: Run, learning_rate: float | None = None) -> None:
    """Begin to train a run that was created, or go on with one.

    learning_rate : the highest one of what is left; None: the run's own

    In a process and session of its own, so that it outlives whoever started it; never a fork, which a process
    with TensorFlow in it does not survive. What the process writes to standard error is added to the run's
    log. A process that ends before it says anything leaves a failed run with its last words as the reason.

    Raises
    ------
    RunError
        If the run is being trained, is not one, or the process cannot be started.
    """
    entry = describe(run)
    if entry.state == "running" or run.is_alive():
        raise RunError(f"{run.name} is being trained already")
    if entry.status is None:
        raise RunError(entry.reason)
    try:
        run.stop_path.unlink(missing_ok=True)  # from now on, a wish to stop is meant for the new process
        run.write_status(replace(entry.status, state="starting", reason="", seconds_left=None))
        try:
            process, log_bytes = _begin(run, command(run, learning_rate))
        except OSError:
            run.write_status(entry.status)
            raise
    except OSError as error:
        raise RunError(f"{run.name} cannot be started ({error.strerror})") from error
    threading.Thread(
        target=_watch, args=(run, process, log_bytes), name=f"watch-{run.name}", daemon=True
    ).start()


def _begin(run: Run, words: list[str]) -> tuple[subprocess.Popen[bytes], int]:
    """The process, and how many bytes the run's log had before it."""
    with run.log_path.open("ab") as log:
        log_bytes = log.tell()
        process = subprocess.Popen(
            words,
            cwd=TRAIN.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            **_apart(),
        )
    return process, log_bytes


def _apart() -> dict[str, Any]:
    """What makes a process live on without the one that started it, and without its terminal."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def _watch(run: Run, process: subprocess.Popen[bytes], log_bytes: int) -> None:
    """Wait for the process, so that it leaves no zombie; speak for one that ended without a word."""
    code = process.wait()
    entry = describe(run)
    if entry.state == "starting" and not run.is_alive() and entry.status is not None:
        run.write_status(_failed(entry.status, code, run.log_tail(1, since=log_bytes)))


def _failed(status: Status, code: int, words: list[str]) -> Status:
    said = words[0].strip().removeprefix(f"{TRAIN.name}: ") if words else ""
    reason = said or f"It ended with status {code} before it began."
    return replace(status, state="failed", reason=reason)
