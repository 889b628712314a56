"""The MNIST digit bank, read from `assets/mnist.npz`. NumPy only: no network, no TensorFlow."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
DIGIT_SIZE = 28
ASSET = Path(__file__).resolve().parent.parent / "assets" / "mnist.npz"
# The last 5,000 training digits are kept back to follow a training; test digits are for scoring alone.
TRAIN_DIGITS = 55_000
_REBUILD = "rebuild it with: python scripts/build_digits.py FOLDER_WITH_THE_FOUR_IDX_FILES"


class AssetError(RuntimeError):
    """A shipped file is missing or damaged; the message names it and says how to rebuild it."""


@dataclass(frozen=True, eq=False)
class DigitBank:
    """The digits of one split.

    Attributes
    ----------
    images : uint8 array (digits, 28, 28), 0 (background) to 255 (ink)
    labels : uint8 array (digits,), 0 to 9
    split : "train", "validation" or "test"
    """

    images: np.ndarray
    labels: np.ndarray
    split: Split

    @cached_property
    def _by_class(self) -> tuple[np.ndarray, ...]:
        return tuple(np.flatnonzero(self.labels == digit_class) for digit_class in range(10))

    def __len__(self) -> int:
        return len(self.labels)

    def indices(self, digit_class: int) -> np.ndarray:
        """Positions in `images` of every exemplar of a class, in file order."""
        if digit_class not in range(10):
            raise ValueError(f"digit class must be 0 to 9; got {digit_class!r}")
        return self._by_class[digit_class]

    def count(self, digit_class: int) -> int:
        """Number of exemplars of a class."""
        return len(self.indices(digit_class))

    def exemplar(self, digit_class: int, exemplar: int) -> np.ndarray:
        """The n-th exemplar of a class, uint8 (28, 28).

        Raises
        ------
        ValueError
            If the class is not 0 to 9 or it has no such exemplar.
        """
        indices = self.indices(digit_class)
        if not 0 <= exemplar < len(indices):
            raise ValueError(
                f"exemplar of digit {digit_class} must be 0 to {len(indices) - 1} in split {self.split!r}; "
                f"got {exemplar}"
            )
        return self.images[indices[exemplar]]


def _damaged(path: Path, what: str) -> AssetError:
    return AssetError(f"{path} {what}; {_REBUILD}")


@lru_cache(maxsize=4)
def _verified(path: Path) -> Path:
    """The path, once its bytes have been compared with the checksum in the record beside it."""
    if not path.is_file():
        raise _damaged(path, "is missing")
    try:
        expected = json.loads(path.with_suffix(".json").read_text())["sha256"]
    except (OSError, ValueError, KeyError) as error:
        raise _damaged(
            path.with_suffix(".json"), f"is missing or damaged ({type(error).__name__})"
        ) from error
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != expected:
        raise _damaged(path, f"is damaged (SHA-256 {digest[:12]}..., expected {expected[:12]}...)")
    return path


def read_bank(path: Path, split: Split) -> DigitBank:
    """Read one split from an asset file; `load_digits` is the cached form for the shipped one."""
    source = "test" if split == "test" else "train"
    try:
        with np.load(_verified(path), allow_pickle=False) as file:
            images, labels = file[f"{source}_images"], file[f"{source}_labels"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(path, f"cannot be read ({type(error).__name__})") from error
    if split != "test":
        part = slice(0, TRAIN_DIGITS) if split == "train" else slice(TRAIN_DIGITS, None)
        images, labels = images[part], labels[part]
    images.setflags(write=False)  # the bank is shared by everything in the process
    labels.setflags(write=False)
    return DigitBank(images, labels, split)


@lru_cache(maxsize=3)
def load_digits(split: Split = "test") -> DigitBank:
    """The shipped digits of one split, cached.

    Parameters
    ----------
    split : "train" (first 55,000 training digits), "validation" (last 5,000) or "test" (10,000)

    Raises
    ------
    ValueError
        If there is no such split.
    AssetError
        If the asset is missing or damaged.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}; got {split!r}")
    return read_bank(ASSET, split)
