"""Ship a recording of a training run: `python -m scripts.record_run runs/NAME`.

A recording is a run folder without weights: settings, history, status and snapshots, for the page that shows
how a network learned. Long histories and many snapshots are thinned evenly; the first and the last stay.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.history import COLUMNS
from core.run_list import describe, named_run
from core.runs import Run, RunError, snapshot_name
from core.train_config import BEGINNINGS, TrainConfig

RECORDINGS = Path(__file__).resolve().parent.parent / "assets" / "runs"
MAX_ROWS = 1000
MAX_SNAPSHOTS = 40


def evenly(count: int, most: int) -> list[int]:
    """At most `most` of the indices 0 to count - 1, evenly spread, with the first and the last."""
    return sorted({round(index) for index in np.linspace(0, count - 1, min(count, most))})


def record(run: Run, target: Run) -> None:
    """Write the recording of a run that is over.

    Raises
    ------
    RunError
        If the run is alive or cannot be read, has no epoch yet, or the recording is there already.
    """
    entry = describe(run)
    if entry.config is None or entry.status is None or entry.alive:
        raise RunError(f"{run.name} cannot be recorded: {entry.reason or 'it is being trained'}")
    epochs = run.snapshot_epochs()
    if not epochs:
        raise RunError(f"{run.name} has no whole epoch yet")
    target.create(_public(entry.config))
    history = run.read_history()
    for kind, columns in (("step", history.steps), ("epoch", history.epochs)):
        for index in evenly(len(columns["step"]), MAX_ROWS):
            target.append_history(kind, {name: float(columns[name][index]) for name in COLUMNS})
    for name in ("truth", *(snapshot_name(epochs[index]) for index in evenly(len(epochs), MAX_SNAPSHOTS))):
        target.write_snapshot(name, run.read_snapshot(name))
    target.keep_status(replace(entry.status, pid=0))


def _public(config: TrainConfig) -> TrainConfig:
    """The settings without the places on this machine of the models that the run began from."""
    begun = {name: getattr(config, name) for name in BEGINNINGS}
    return replace(config, **{name: Path(model).name for name, model in begun.items() if model is not None})  # type: ignore[arg-type]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Ship a recording of a training run in assets/runs.")
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--name", help="name of the recording (default: that of the run)")
    arguments = parser.parse_args(argv)
    run = Run(arguments.run)
    try:
        target = named_run(RECORDINGS, arguments.name or run.name)
        target.check_free()
        with tempfile.TemporaryDirectory() as temporary:
            draft = Run(Path(temporary) / "recording")
            record(run, draft)
            shutil.copytree(draft.folder, target.folder, dirs_exist_ok=True)
    except (RunError, OSError) as error:
        print(f"record_run: {error}", file=sys.stderr)
        return 2
    print(f"{target.folder}: {sum(path.stat().st_size for path in target.folder.rglob('*')) / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
