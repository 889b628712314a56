"""Result files that appear whole or not at all, in places checked before the work begins."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np


class OutputError(ValueError):
    """A result cannot be written where it was asked for; one sentence says why."""


class PendingFile:
    """A file under a temporary name beside its own, renamed when it is whole."""

    def __init__(self, path: Path) -> None:
        if os.path.exists(path) and not os.path.isfile(path):
            # A folder; or a device such as /dev/null, which a rename would replace by a plain file.
            raise OutputError(f"{path} cannot be written: it is there and is not a regular file")
        # Through a link to the file itself: a rename would replace the link.
        self.path = Path(os.path.realpath(path))
        # a name by chance: in a container a process that was killed has had the number of this one
        self._part = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}.part")
        try:
            self._file = self._part.open("xb")
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror}") from error

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Say in one sentence what the disk did not take."""
        try:
            yield
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {error.strerror}") from error

    def write(self, data: bytes | memoryview) -> int:
        """Append bytes; raises OutputError where the disk takes no more."""
        with self._telling():
            return self._file.write(data)

    def write_at(self, place: int, data: bytes | memoryview) -> None:
        """Write bytes at a place of the file, which may lie beyond its end; raises OutputError as `write`."""
        with self._telling():
            self._file.seek(place)  # which first writes what is still in memory
            self._file.write(data)

    def flush(self) -> None:
        """Hand on what is still in memory; raises OutputError where the disk takes no more."""
        with self._telling():
            self._file.flush()

    def finish(self) -> None:
        """Give the file its name."""
        with self._telling():
            self._file.close()
            os.replace(self._part, self.path)

    def discard(self) -> None:
        """Leave nothing behind."""
        with suppress(OSError):  # what could not be flushed is not wanted any more
            self._file.close()
        self._part.unlink(missing_ok=True)


@contextmanager
def pending_file(path: Path) -> Iterator[PendingFile]:
    """A file that gets its name when the block ends well, and leaves no trace when it does not.

    Raises
    ------
    OutputError
        On entering, where the place cannot be written; so that hours of work do not end there.
    """
    file = PendingFile(path)
    try:
        yield file
        file.finish()
    finally:
        file.discard()


class ArrayWriter:
    """A `.npy` file of float32 written part by part, whose shape is known beforehand."""

    def __init__(self, file: PendingFile, shape: tuple[int, ...]) -> None:
        self._file, self._shape, self._rows = file, shape, 0
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)

    def append(self, rows: np.ndarray) -> None:
        """Write the next rows: float32 (n, *shape[1:])."""
        if rows.shape[1:] != self._shape[1:] or self._rows + len(rows) > self._shape[0]:
            raise ValueError(f"rows must fit {self._shape} after {self._rows} rows; got {rows.shape}")
        self._file.write(np.ascontiguousarray(rows, "<f4").data)
        self._rows += len(rows)


def make_folder(path: Path) -> None:
    """Make sure of a folder to write into; its parent has to be there, since a mistyped path is likelier."""
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path} cannot be used as a folder: {error.strerror}") from error


def png_bytes(picture: np.ndarray) -> bytes:
    """A picture, uint8 (height, width), (height, width, 3) or (height, width, 4), as a PNG file's bytes."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(out, "PNG")
    return out.getvalue()
