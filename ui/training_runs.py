"""The runs that the training page lists, and what is read of them, cached."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

from core import curves
from core.history import History, HistoryError, HistoryReader
from core.run_list import RunEntry, list_runs
from core.run_locks import training_now
from core.runs import Run, RunError, snapshot_name
from ui import training_access
from ui.markdown import plain

_STATE_WORDS = {
    "starting": ":primary[**Starting**]",
    "running": ":primary[**Running**]",
    "finished": "Finished",
    "stopped": "Stopped",
    "failed": ":red[**Failed**]",
    "interrupted": ":red[**Interrupted**]",
    "unreadable": ":red[**Unreadable**]",
}


@dataclass(frozen=True)
class Item:
    """A run of the list: one of this server's own, or a recording that ships with the app."""

    entry: RunEntry
    recorded: bool

    @property
    def key(self) -> str:
        return f"{'recorded' if self.recorded else 'own'}/{self.entry.run.name}"

    @property
    def name(self) -> str:
        return self.entry.run.name

    @property
    def label(self) -> str:
        """The name for people: a run of one's own may be named like a recording."""
        return self.name + (" (recorded)" if self.recorded else "")

    @property
    def title(self) -> str:
        """The label as Markdown."""
        return plain(self.name) + self.label.removeprefix(self.name)

    @property
    def stopping(self) -> bool:
        return self.entry.alive and self.entry.run.stop_requested


def items() -> list[Item]:
    """Own runs, the one that is being trained first, then the latest; after them the recordings."""
    own = [Item(entry, recorded=False) for entry in list_runs(training_access.runs_folder())]
    own.sort(key=lambda item: not item.entry.alive)
    return own + [Item(entry, recorded=True) for entry in list_runs(training_access.RECORDED)]


def busy(listed: list[Item]) -> str | None:
    """Why no other run can begin now, one sentence of plain text; None if one can."""
    alive = next((item for item in listed if item.entry.alive and not item.recorded), None)
    if alive is None and not training_now(training_access.runs_folder()):
        return None
    name = f"“{alive.name}”" if alive else "Another run"
    return f"{name} is being trained, and a machine trains one run at a time well. Stop it, or wait for it."


def signature(listed: list[Item]) -> tuple[tuple[str, str, bool], ...]:
    """What makes the page another one when it changes: which runs there are, and in which state."""
    return tuple((item.key, item.entry.state, item.stopping) for item in listed)


# ---------------------------------------------------------------------------------------------- reading


@st.cache_resource(max_entries=12, show_spinner=False)
def _reader(path: str) -> HistoryReader:
    return HistoryReader(Path(path))


def history_of(run: Run) -> History:
    """All rows of a run by now; only what is new is read.

    Raises
    ------
    RunError
        If the file is damaged or cannot be read.
    """
    try:
        return _reader(str(run.history_path)).read()
    except (OSError, HistoryError) as error:
        raise RunError(f"The curves of {run.name} cannot be read: {error}.") from error


def best_of(item: Item) -> tuple[int, float] | None:
    """Number and validation PSNR (dB) of a run's best epoch; None where none can be read."""
    try:
        if item.entry.alive:
            return curves.best_epoch(history_of(item.entry.run))
        return _best(str(item.entry.run.history_path), _stamp(item.entry.run.history_path))
    except (RunError, OSError, HistoryError):
        return None


@st.cache_data(max_entries=512, show_spinner=False)
def _best(path: str, stamp: tuple[int, int]) -> tuple[int, float] | None:
    return curves.best_epoch(HistoryReader(Path(path)).read())


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return (0, 0)
    return (stat.st_mtime_ns, stat.st_size)


def snapshot(run: Run, name: str) -> np.ndarray:
    """Frames of a snapshot, uint8 (frames, 64, 64); RunError if it cannot be read."""
    return _snapshot(str(run.folder), name, _stamp(run.snapshot_path(name)))


@st.cache_data(max_entries=256, show_spinner=False)
def _snapshot(folder: str, name: str, stamp: tuple[int, int]) -> np.ndarray:
    return Run(Path(folder)).read_snapshot(name)


def prediction_at(run: Run, epoch: int) -> np.ndarray:
    """The fixed clip as the network predicted it after an epoch: uint8 (19, 64, 64), frames 2 to 20."""
    return snapshot(run, snapshot_name(epoch))


# ------------------------------------------------------------------------------------------------ words


def state_words(item: Item) -> str:
    """The state in a word, Markdown."""
    return ":primary[**Stopping**]" if item.stopping else _STATE_WORDS[item.entry.state]


def steps_words(steps: int) -> str:
    """How many steps, in words."""
    return "1 step" if steps == 1 else f"{steps:,} steps"


def summary(item: Item) -> str:
    """What the list says below a run's name: state, best PSNR, steps, network, when. Markdown."""
    entry = item.entry
    if entry.config is None or entry.status is None:
        return f"{state_words(item)}: {plain(entry.reason)}"
    parts = [state_words(item)]
    if entry.state == "running":
        parts[0] += f" {entry.status.share:.0%}"
    best = best_of(item)
    if best is not None:
        parts.append(f"best {best[1]:.1f} dB")
    parts.append(steps_words(entry.status.step))
    parts += [plain(entry.config.model.name), ago(entry.status.heartbeat)]
    # lines break between the parts, not in "1 h ago"
    return "\u00a0· ".join(part.replace(" ", "\u00a0") for part in parts if part)


def ago(when: float, now: float | None = None) -> str:
    """How long ago a Unix time was, in the words of a person."""
    seconds = (time.time() if now is None else now) - when
    if when <= 0:
        return ""
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min ago"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.0f} h ago"
    moment = time.localtime(when)
    return f"{moment.tm_mday} {time.strftime('%b %Y', moment)}"


def duration(seconds: float) -> str:
    """A span of time, to the precision that a person waits in."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"
