"""Where clips to score a model on come from: the standard benchmark set, or a file of a person's own."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from core.damage import DAMAGE
from core.moving_mnist import (
    BENCHMARK_SEQUENCES,
    benchmark_clips,
    benchmark_positions,
    benchmark_stamps,
    benchmark_velocities,
)
from core.scenes import CANVAS, MAX_FRAMES, MIN_FRAMES, STANDARD_FRAMES

_LOOKED_AT = 8  # frames and sequences
_ALIKE = 0.85  # difference of successive frames by that of unrelated ones: standard clips have 0.7
_NPY_MAGIC, _ZIP_MAGIC = b"\x93NUMPY", b"PK"


class ClipSetError(ValueError):
    """A file is not one of clips; one sentence says why."""


class Motion(NamedTuple):
    """How the digits of clips truly move.

    Attributes
    ----------
    positions : (clips, time, digits, 2), px of the top left corners
    stamps : uint8 (clips, digits, 28, 28)
    velocities : as positions, px a frame, with which the digits leave each frame
    """

    positions: np.ndarray
    stamps: np.ndarray
    velocities: np.ndarray


class ClipSet(Protocol):
    """Clips that can be had by slices, so that ten thousand never lie in memory at once."""

    name: str
    sequences: int
    frames: int

    def clips(self, start: int, stop: int) -> np.ndarray:
        """Sequences `start` to `stop`: uint8 (n, time, 64, 64)."""

    def motion(self, start: int, stop: int) -> Motion | None:
        """The true motion of sequences `start` to `stop`, or None if unknown."""


class StandardSet:
    """The standard benchmark set: 10,000 clips of MNIST test digits, made on demand from a fixed seed."""

    name = "standard benchmark set"
    sequences = BENCHMARK_SEQUENCES
    frames = STANDARD_FRAMES

    def clips(self, start: int, stop: int) -> np.ndarray:
        """Sequences `start` to `stop`: uint8 (n, 20, 64, 64)."""
        return benchmark_clips(start, stop)

    def motion(self, start: int, stop: int) -> Motion:
        """The true motion of sequences `start` to `stop`."""
        return Motion(
            benchmark_positions(start, stop), benchmark_stamps(start, stop), benchmark_velocities(start, stop)
        )


class ClipFile:
    """Clips in a `.npy` file laid out as the public test file is: uint8 (time, sequences, 64, 64).

    The file is mapped, not read: a slice costs what the slice weighs. Or the `clips` of a `.npz` file as
    `core.bulk` makes it, uint8 (sequences, time, 64, 64), which are read.

    Raises
    ------
    ClipSetError
        If the file is missing, empty, truncated, pickled, neither `.npy` nor such a `.npz`, of another dtype
        or shape, or too dark to be of pixels from 0 to 255.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._clips = _map_clips(path)
        self.frames, self.sequences = self._clips.shape[:2]
        if self._clips[:, :_LOOKED_AT].max() == 1:
            raise ClipSetError(
                f"{path}: the brightest pixel of its clips is 1, where white is 255; multiply them by 255"
            )

    @property
    def looks_swapped(self) -> bool:
        """Whether what should be sequences follow on each other, and what should be frames do not."""
        some = self._clips[:_LOOKED_AT, :_LOOKED_AT].astype(np.float32)
        steps = [np.abs(np.diff(some, axis=axis)).mean() for axis in (0, 1) if some.shape[axis] > 1]
        return len(steps) == 2 and bool(steps[1] < _ALIKE * steps[0])

    def clips(self, start: int, stop: int) -> np.ndarray:
        """Sequences `start` to `stop`: uint8 (n, time, 64, 64)."""
        return np.ascontiguousarray(np.moveaxis(self._clips[:, start:stop], 0, 1))

    def motion(self, start: int, stop: int) -> None:
        """Positions are not in the file."""


def _map_clips(path: Path) -> np.ndarray:
    """The array of a file of clips, mapped from disk and checked."""
    if path.exists() and not (path.is_file() or path.is_dir()):  # to open a pipe would wait for ever
        raise ClipSetError(f"{path} cannot be read: it is no regular file")
    try:
        with path.open("rb") as file:
            start = file.read(len(_NPY_MAGIC))
    except OSError as error:
        raise ClipSetError(f"{path} cannot be read: {error.strerror}") from error
    if not start:
        raise ClipSetError(f"{path} is empty")
    archive = start.startswith(_ZIP_MAGIC)
    if start != _NPY_MAGIC and not archive:
        raise ClipSetError(
            f"{path} is neither a .npy file nor a .npz of clips; imageio reads films and pictures into arrays"
        )
    try:
        with np.errstate(all="ignore"):  # a header that claims more than any disk holds overflows first
            clips = _clips_of_archive(path) if archive else np.load(path, mmap_mode="r", allow_pickle=False)
    except DAMAGE as error:
        raise ClipSetError(_why_not_mapped(path, str(error))) from error
    if clips is None:
        raise ClipSetError(f"{path} has no array of the name clips")
    _check_layout(path, clips)
    return clips


def _clips_of_archive(path: Path) -> np.ndarray | None:
    """The `clips` of a file of `core.bulk`, time first; None if there are none."""
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        if "clips" not in file.files:
            return None
        clips = file["clips"]
    return np.moveaxis(clips, 1, 0) if clips.ndim == 4 else clips


def _why_not_mapped(path: Path, error: str) -> str:
    if "object" in error.lower():
        return (
            f"{path} holds pickled Python objects; clips must be uint8 (time, sequences, {CANVAS}, {CANVAS})"
        )
    return f"{path} is damaged or truncated"


def _check_layout(path: Path, clips: np.ndarray) -> None:
    layout = f"(time, sequences, {CANVAS}, {CANVAS})"
    if clips.dtype != np.uint8:
        hint = ""
        if np.issubdtype(clips.dtype, np.floating):
            # Not converted in silence: whether 1.0 means white or nearly black is for the person to say.
            hint = "; frames in [0, 1] become clips by (frames * 255).round().astype('uint8')"
        raise ClipSetError(f"{path}: clips must be uint8 {layout}; got {clips.dtype} {clips.shape}{hint}")
    if clips.ndim != 4 or clips.shape[2:] != (CANVAS, CANVAS):
        raise ClipSetError(f"{path}: clips must be uint8 {layout}; got {clips.shape}")
    time, sequences = clips.shape[:2]
    if sequences < 1:
        raise ClipSetError(f"{path}: there must be 1 sequence or more; got {clips.shape}")
    if not MIN_FRAMES <= time <= MAX_FRAMES:
        hint = ": are time and sequences swapped?" if time > MAX_FRAMES else ""
        raise ClipSetError(
            f"{path}: clips {layout} must have {MIN_FRAMES} to {MAX_FRAMES} frames; got {clips.shape}{hint}"
        )
