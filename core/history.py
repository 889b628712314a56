"""A run's history: one growing CSV file of step rows and epoch rows.

| column | what it is |
| --- | --- |
| kind | "step": means over the steps since the row before; "epoch": means over the epoch, and validation |
| epoch | of this row, from 1 |
| step | of the whole run, after which the row was written |
| minutes | of training, earlier calls included |
| learning_rate | of that step |
| rollout | share of clips that run on the network's own predictions, 0 to 1 |
| waiting | share of the time that the feed waited for data, 0 to 1; training waited that long at most |
| loss | weighted sum of the parts |
| bce, perceptual, gdl, mse, log_mse | the parts, unweighted; nan where a part has no weight |
| val_loss, val_psnr, val_ssim | on validation clips, after an epoch, see `core.scorer`; nan in step rows |

Rows are appended, so a reader that was here before reads only what is new. A last line without its line end
is one that is being written, or was torn by a crash: readers leave it alone. Files from before a column was
added (it is always the last) are read as if it were nan. No Keras here.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

COLUMNS = (
    "epoch",
    "step",
    "minutes",
    "learning_rate",
    "rollout",
    "waiting",
    "loss",
    "bce",
    "perceptual",
    "gdl",
    "val_loss",
    "val_psnr",
    "val_ssim",
    "mse",
    "log_mse",
)
HEADER = ",".join(("kind", *COLUMNS)) + "\n"
FIRST_COLUMNS = COLUMNS.index("val_ssim") + 1  # what every history has
KINDS = ("step", "epoch")
_STARTS = ("step,", "epoch,")
TAIL_BYTES = 256  # more than a row


class HistoryError(ValueError):
    """A history file that is not one; the message says where."""


@dataclass(frozen=True)
class History:
    """Columns by name, float64, one array for step rows and one for epoch rows."""

    steps: dict[str, np.ndarray] = field(default_factory=dict)
    epochs: dict[str, np.ndarray] = field(default_factory=dict)


def line_of(kind: str, row: Mapping[str, float]) -> str:
    """A row as its line of the file; what the row does not have is nan."""
    if kind not in KINDS:
        raise ValueError(f"kind must be {' or '.join(KINDS)}; got {kind!r}")
    unknown = set(row) - set(COLUMNS)
    if unknown:
        raise ValueError(f"a history has no column {', '.join(sorted(unknown))}")
    return ",".join([kind, *(f"{row.get(name, math.nan):.9g}" for name in COLUMNS)]) + "\n"


def _missing(header: str) -> str | None:
    """What rows under this header lack of the present columns, as text; None where it is no history's."""
    for count in range(FIRST_COLUMNS, len(COLUMNS) + 1):
        if header == ",".join(("kind", *COLUMNS[:count])):
            return ",nan" * (len(COLUMNS) - count)
    return None


def append(path: Path, kind: str, row: Mapping[str, float]) -> None:
    """Add a row; an epoch's is on disk when this returns. OSError where it cannot be written."""
    with path.open("ab") as file:
        begins = file.tell() == 0  # also where a crash left an empty file
        file.write(((HEADER if begins else "") + line_of(kind, row)).encode())
        if kind == "epoch":
            file.flush()
            os.fsync(file.fileno())


class HistoryReader:
    """Reads a history as it grows: each `read` costs what is new since the one before.

    A file that was replaced (a run that was resumed rewrites its history) is read from its start again. What
    tells is its identity, and its bytes just before the place where the last read ended: systems give a new
    file the identity of a deleted one. Safe to use from several threads.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._reset()

    def _reset(self) -> None:
        self._identity: tuple[int, int] | None = None
        self._offset = 0
        self._tail = b""  # what was read last, up to `_offset`
        self._line = 0
        self._missing = ""
        self._tables = {kind: _Table(len(COLUMNS)) for kind in KINDS}

    def read(self) -> History:
        """Everything that is there by now; empty before the first row.

        Raises
        ------
        HistoryError
            If a line is not a history's.
        """
        with self._lock:
            try:
                with self.path.open("rb") as file:
                    new = self._new_bytes(file)
            except FileNotFoundError:
                self._reset()
                new = b""
            self._take(new[: new.rfind(b"\n") + 1])
            return History(*(self._tables[kind].columns() for kind in KINDS))

    def _new_bytes(self, file: BinaryIO) -> bytes:
        stat = os.fstat(file.fileno())
        if self._identity == (stat.st_dev, stat.st_ino):
            file.seek(self._offset - len(self._tail))
            if file.read(len(self._tail)) == self._tail:
                return file.read()
        self._reset()
        self._identity = (stat.st_dev, stat.st_ino)
        file.seek(0)
        return file.read()

    def _take(self, data: bytes) -> None:
        try:
            lines = data.decode("ascii").splitlines()
        except UnicodeDecodeError as error:
            raise HistoryError(f"{self.path.name} is damaged: it is not plain text") from error
        first = self._line
        if lines and first == 0:
            missing = _missing(lines[0])
            if missing is None:
                raise HistoryError(f"{self.path.name} is damaged: its first line is not a history's")
            self._missing, lines, first = missing, lines[1:], 1
        lines = [line + self._missing for line in lines] if self._missing else lines
        try:
            found = _numbers(lines)
        except ValueError as error:
            fault = _first_fault(lines, first + 1) or str(error)
            raise HistoryError(f"{self.path.name} is damaged: {fault}") from error
        for kind, numbers in found.items():
            self._tables[kind].extend(numbers)
        self._offset += len(data)
        self._tail = (self._tail + data)[-TAIL_BYTES:]
        self._line = first + len(lines)


def _numbers(lines: list[str]) -> dict[str, np.ndarray]:
    """The numbers of the lines of each kind, (rows, columns); ValueError where one is not a row."""
    if any(not line.startswith(_STARTS) or line.count(",") != len(COLUMNS) for line in lines):
        raise ValueError("a line is not a row")
    found = {}
    for kind, start in zip(KINDS, _STARTS, strict=True):
        mine = [line[len(start) :] for line in lines if line.startswith(start)]
        found[kind] = (
            np.loadtxt(mine, delimiter=",", comments=None, ndmin=2) if mine else np.empty((0, len(COLUMNS)))
        )
    return found


def _first_fault(lines: list[str], number: int) -> str | None:
    """What is wrong with the first line that is not a row; lines are numbered from `number`."""
    for line_number, line in enumerate(lines, number):
        kind, *values = line.split(",")
        if kind not in KINDS:
            return f"line {line_number} is neither a step's nor an epoch's"
        if len(values) != len(COLUMNS):
            return f"line {line_number} has {len(values) + 1} values, not {len(COLUMNS) + 1}"
        try:
            np.loadtxt([line], delimiter=",", comments=None, usecols=range(1, len(COLUMNS) + 1))
        except ValueError:
            return f"line {line_number} has a value that is not a number"
    return None


class _Table:
    """Rows of numbers in an array that doubles when it is full; each column lies in one piece."""

    def __init__(self, width: int) -> None:
        self._rows = np.empty((64, width), order="F")
        self._count = 0

    def extend(self, rows: np.ndarray) -> None:
        needed = self._count + len(rows)
        if needed > len(self._rows):
            shape = (max(needed, 2 * len(self._rows)), self._rows.shape[1])
            larger = np.empty(shape, order="F")
            larger[: self._count] = self._rows[: self._count]
            self._rows = larger
        self._rows[self._count : needed] = rows
        self._count = needed

    def columns(self) -> dict[str, np.ndarray]:
        view = self._rows[: self._count]
        view.flags.writeable = False
        return dict(zip(COLUMNS, view.T, strict=True))


def read_history(path: Path) -> History:
    """The whole history of a file; HistoryError if it is damaged."""
    return HistoryReader(path).read()


def lines_until(path: Path, step: int) -> str:
    """The file's text without a torn last line and the rows after a step: where a resumed run goes on."""
    if not path.exists():
        return HEADER
    read_history(path)  # a damaged file is refused before it is rewritten
    column = 1 + COLUMNS.index("step")
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1].decode("ascii")  # a torn line need not be text
    header, *lines = whole.splitlines() or [HEADER.strip()]
    kept = [line for line in lines if float(line.split(",")[column]) <= step]
    return HEADER + "".join(f"{line}{_missing(header)}\n" for line in kept)
