"""What a person can do to runs. Every action asks again whether it is allowed: a hidden button is no lock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from core import launch, run_list
from core.run_list import named_run
from core.runs import Run, RunError
from core.train_config import TrainConfig
from ui import state, training_runs
from ui.training_access import current_access, runs_folder

View = Literal["run", "new"]
_VIEW, _TROUBLE, _DOOMED = "training_view", "training_trouble", "training_doomed"
CHOICE = "training_run"  # the key of the list's widget
RUN, EPOCH = "run", "epoch"  # in the address: the key of the run in focus, and where its slider was put


def view() -> View:
    """What fills the page: a run, or the form for a new one."""
    return state.remembered(_VIEW, lambda: "run")


def trouble() -> str:
    """Why the last action was refused; empty when it was not."""
    return state.remembered(_TROUBLE, str)


def doomed() -> str:
    """Name of the run whose deletion waits for a second yes; empty otherwise."""
    return state.remembered(_DOOMED, str)


def show(wanted: View) -> None:
    """Callback: turn to the form, or back to the runs."""
    state.remember(_VIEW, wanted)
    _calm()


def start(config: Callable[[], TrainConfig], name: Callable[[], str]) -> None:
    """Callback: create a run and begin to train it.

    Parameters
    ----------
    config, name : read what the form holds at this moment; ValueError if it makes no sense
    """

    def begin() -> None:
        run = named_run(runs_folder(), name().strip())
        reason = training_runs.busy(training_runs.items())
        if reason:
            raise RunError(reason)
        if run.config_path.exists():
            raise RunError(f"There is a run named “{run.name}” already; choose another name.")
        wanted = config()
        # Whatever asks for the session's state may be the end of a callback, as the next click cuts it short.
        # So it comes first, and what must not be done by halves last.
        state.remember(CHOICE, f"own/{run.name}")
        state.remember(_VIEW, "run")
        try:
            run.create(wanted)
            launch.start(run)
        except (RunError, OSError):
            state.remember(_VIEW, "new")
            raise
        state.note(EPOCH, "")
        state.note(RUN, f"own/{run.name}")

    _try(begin)


def resume(name: str, rate: Callable[[], float] | None = None) -> None:
    """Callback: go on with a run.

    Parameters
    ----------
    rate : reads another highest learning rate for the rest of it; None leaves the run's own
    """

    def go_on() -> None:
        reason = training_runs.busy(training_runs.items())
        if reason:
            raise RunError(reason)
        run = _own(name)
        wanted = None
        if rate is not None:
            config = run.read_config()
            changed = replace(config, learning_rate=rate())  # says what is wrong with it
            wanted = changed.learning_rate if changed != config else None
        launch.start(run, wanted)

    _try(go_on)


def stop(name: str) -> None:
    """Callback: ask a run to save and end."""

    def ask() -> None:
        run = _own(name)
        if run_list.describe(run).alive:  # it may have ended by itself meanwhile
            run.request_stop()

    _try(ask)


def ask_to_delete(name: str) -> None:
    """Callback: the first of the two questions."""
    _calm()
    state.remember(_DOOMED, name)


def keep() -> None:
    """Callback: the answer no."""
    _calm()


def delete(name: str) -> None:
    """Callback: the answer yes."""
    asked = doomed()

    def remove() -> None:
        if asked != name:
            raise RunError(f"The deletion of “{name}” was not confirmed.")
        run_list.delete(_own(name))

    _try(remove)


def _own(name: str) -> Run:
    run = named_run(runs_folder(), name)
    if not run.folder.is_dir():
        raise RunError(f"There is no run named “{name}” any more.")
    return run


def _try(action: Callable[[], None]) -> None:
    _calm()
    allowed = current_access()
    try:
        if not allowed.allowed:
            raise RunError(allowed.reason)
        action()
    except (RunError, ValueError, OSError) as error:
        state.remember(_TROUBLE, f"That was not done: {str(error).rstrip('.')}.")


def _calm() -> None:
    state.remember(_TROUBLE, "")
    state.remember(_DOOMED, "")
