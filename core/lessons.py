"""What a forecast learns from, see `core.displacement_classifier`: digits, and where they went. No Keras."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.digits import Split
from core.moving_mnist import VARIED_MAX_DIGITS, training_plan


@dataclass(frozen=True)
class Lessons:
    """Digits and their ways, from which clips are drawn.

    Attributes
    ----------
    stamps : uint8 (clips, digits, 28, 28); empty where a clip lacks that digit
    corners : int32 (clips, context + ahead, digits, 2), x and y px of the top left corners
    unseen : float32 (clips, 1), how many frames at the beginning are as if they had not been
    """

    stamps: np.ndarray
    corners: np.ndarray
    unseen: np.ndarray

    def __len__(self) -> int:
        """How many clips."""
        return len(self.stamps)

    def batch(self, first: int, clips: int) -> list[np.ndarray]:
        """Some of the clips, as `DisplacementClassifier` takes them."""
        some = slice(first, first + clips)
        return [self.stamps[some], self.corners[some], self.unseen[some]]


def make_lessons(
    seed: int,
    step: int,
    *,
    clips: int,
    context: int,
    ahead: int,
    split: Split = "train",
    digits: int | None = None,
) -> Lessons:
    """Lessons from clips of `core.moving_mnist.training_batch`; a quarter is not seen from the start.

    Parameters
    ----------
    clips : how many clips
    context, ahead : frames seen, and frames ahead of them
    digits : None for the mixture of training clips, or standard clips of so many digits
    """
    stamps, corners, present = training_plan(
        seed, step, batch_size=clips, frames=context + ahead, split=split, digits=digits
    )
    stamps = stamps * present[..., None, None].astype(np.uint8)
    missing = VARIED_MAX_DIGITS - stamps.shape[1]  # one number of digits, whatever the clips
    if missing > 0:
        stamps = np.pad(stamps, [(0, 0), (0, missing), (0, 0), (0, 0)])
        corners = np.pad(corners, [(0, 0), (0, 0), (0, missing), (0, 0)])
    unseen = np.random.default_rng([seed, step, clips]).integers(context, size=(clips, 1))
    unseen[np.arange(clips) % 4 > 0] = 0
    return Lessons(stamps, corners.astype(np.int32), unseen.astype(np.float32))
