"""Many clips in one file, made part by part: a data set of one's own.

A `.npy` file has the layout of the public test set, uint8 (frames, clips, 64, 64). A `.npz` file also says
what is in it: `clips` uint8 (clips, frames, 64, 64), `labels` int8 (clips, digits), -1 where a clip has fewer
digits, and `corners` int16 (clips, frames, digits, 2), x and y px of the top left corners.
`evaluate.py --data` reads the clips of both.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.digits import DIGIT_SIZE, SPLITS, Split, load_digits
from core.moving_mnist import bounce_positions, draw_stamps
from core.outputs import PendingFile
from core.scenes import (
    BOUNCES,
    CANVAS,
    MAX_DIGITS,
    MAX_FRAMES,
    MAX_SPEED_PX,
    MIN_FRAMES,
    STANDARD_FRAMES,
    STANDARD_SPEED_PX,
    Bounce,
)

MOST_CLIPS = 10_000
AT_ONCE = 64
FORMATS = ("npy", "npz")
_PICTURE = CANVAS * CANVAS


@dataclass(frozen=True)
class BulkPlan:
    """What clips to make. The same plan makes the same clips, byte for byte.

    Attributes
    ----------
    clips : 1 to 10,000
    digits : fewest and most digits of a clip, 1 to 4
    speed_px : slowest and fastest speed, px a frame, 0 to 10
    classes : the classes that digits are drawn from, each 0 to 9
    frames : 2 to 200
    split : MNIST split of the handwriting
    bounce : rule at the walls, see `core.scenes.Scene`
    seed : 0 or more
    """

    clips: int
    digits: tuple[int, int] = (2, 2)
    speed_px: tuple[float, float] = (STANDARD_SPEED_PX, STANDARD_SPEED_PX)
    classes: tuple[int, ...] = tuple(range(10))
    frames: int = STANDARD_FRAMES
    split: Split = "train"
    bounce: Bounce = "clamp"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("clips", self.clips, 1, MOST_CLIPS),
            ("frames", self.frames, MIN_FRAMES, MAX_FRAMES),
            ("seed", self.seed, 0, 2**63 - 1),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise ValueError(f"{name} must be a whole number from {low} to {high}; got {value!r}")
        ranges: list[tuple[str, tuple[float, float], float, float]] = [
            ("digits", self.digits, 1, MAX_DIGITS),
            ("speeds", self.speed_px, 0, MAX_SPEED_PX),
        ]
        for what, (slowest, fastest), least, most in ranges:
            if not least <= slowest <= fastest <= most:
                raise ValueError(
                    f"{what} must be from {least} to {most:g}, in order; got {slowest} to {fastest}"
                )
        if not self.classes or not set(self.classes) <= set(range(10)):
            raise ValueError(f"classes must be one or more of 0 to 9; got {self.classes}")
        for name, choice, known in (("split", self.split, SPLITS), ("bounce", self.bounce, BOUNCES)):
            if choice not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}; got {choice!r}")

    @property
    def size_bytes(self) -> int:
        """What the pixels take, unpacked."""
        return self.clips * self.frames * _PICTURE


@dataclass(frozen=True)
class Part:
    """Some of the clips, see the layout of `.npz` files."""

    clips: np.ndarray
    labels: np.ndarray
    corners: np.ndarray


def parts(plan: BulkPlan) -> Iterator[Part]:
    """The clips of a plan, at most 64 at a time."""
    bank = load_digits(plan.split)
    chosen = np.flatnonzero(np.isin(bank.labels, plan.classes))
    span, most = CANVAS - DIGIT_SIZE, plan.digits[1]
    for number, first in enumerate(range(0, plan.clips, AT_ONCE)):
        rng = np.random.default_rng([plan.seed, number])
        shape = (min(AT_ONCE, plan.clips - first), most)
        images = rng.choice(chosen, shape)
        present = np.arange(most) < rng.integers(plan.digits[0], most + 1, (shape[0], 1))
        start, angle = rng.uniform(0, span, (*shape, 2)), rng.uniform(0, 2 * np.pi, shape)
        speed = rng.uniform(*plan.speed_px, shape)
        velocity = speed[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        places = bounce_positions(start, velocity, plan.frames, span, plan.bounce)
        corners = np.moveaxis(places, 0, 1).astype(np.int64)
        clips = draw_stamps(bank.images[images], corners, present=present)
        labels = np.where(present, bank.labels[images], -1).astype(np.int8)
        yield Part(clips, labels, corners.astype(np.int16))


def write_clips(plan: BulkPlan, path: Path, report: Callable[[int], bool] = lambda done: True) -> bool:
    """Write the clips of a plan to a `.npy` or `.npz` file, a part at a time.

    Parameters
    ----------
    report : called after each part with how many clips are done; False ends the work, and nothing is left

    Returns
    -------
    bool
        Whether the file is there.

    Raises
    ------
    ValueError
        If the name ends in something else.
    core.outputs.OutputError
        If the file cannot be written.
    """
    kind = path.suffix.lstrip(".")
    if kind not in FORMATS:
        raise ValueError(f"the file must be a .npy or a .npz; got {path.name}")
    file = PendingFile(path)
    try:
        going_on = (_write_npy if kind == "npy" else _write_npz)(plan, file, report)
        if going_on:
            file.finish()
    finally:
        file.discard()
    return going_on


def _write_npy(plan: BulkPlan, file: PendingFile, report: Callable[[int], bool]) -> bool:
    header = _header("|u1", (plan.frames, plan.clips, CANVAS, CANVAS))
    file.write(header)
    done = 0
    for part in parts(plan):
        for frame in range(plan.frames):  # a clip's frames lie far apart in this layout
            place = len(header) + (frame * plan.clips + done) * _PICTURE
            file.write_at(place, np.ascontiguousarray(part.clips[:, frame]).data)
        done += len(part.clips)
        if not report(done):
            return False
    return True


def _write_npz(plan: BulkPlan, file: PendingFile, report: Callable[[int], bool]) -> bool:
    labels, corners = [], []  # not the clips, which may be gigabytes
    done = 0
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:  # type: ignore[call-overload]
        with archive.open("clips.npy", "w", force_zip64=True) as member:
            member.write(_header("|u1", (plan.clips, plan.frames, CANVAS, CANVAS)))
            for part in parts(plan):
                member.write(part.clips.data)
                labels.append(part.labels)
                corners.append(part.corners)
                done += len(part.clips)
                if not report(done):
                    return False
        for name, arrays in (("labels", labels), ("corners", corners)):
            content = io.BytesIO()
            np.save(content, np.concatenate(arrays), allow_pickle=False)
            archive.writestr(f"{name}.npy", content.getvalue())
    return True


def _header(kind: str, shape: tuple[int, ...]) -> bytes:
    out = io.BytesIO()
    about = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, about)
    return out.getvalue()
