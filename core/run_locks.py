"""Who may train: one process a run, and one run of a folder at a time. No Keras."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import Timeout

from core.file_locks import is_held, lock
from core.run_list import running_name
from core.runs import Run, RunError

# A page that looks whether a lock is held holds it for an instant itself.
LOCK_PATIENCE_SECONDS = 1.0


def _lock_of_all(root: Path) -> Path:
    return root / ".training.lock"


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
        _hold(stack, run.lock_path, lambda: _trained_elsewhere(run))
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
    locks = [run.lock_path, *([_lock_of_all(run.root)] if alone else [])]
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
            _remove(path for path in locks if not unlocked and not is_held(path))
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
        stack.enter_context(lock(path).acquire(timeout=LOCK_PATIENCE_SECONDS))
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
    return is_held(_lock_of_all(root)) or running_name(root) is not None
