"""What a forecast learns from, see `core.teacher`: clips, and where their digits went. No Keras is needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.digits import Split
from core.moving_mnist import VARIED_MAX_DIGITS, draw_stamps, training_plan


@dataclass(frozen=True)
class Lessons:
    """Clips, and the ways of their digits after them.

    Attributes
    ----------
    frames : uint8 (clips, context, canvas, canvas)
    unseen : float32 (clips, 1), how many frames at the beginning are as if they had not been
    layers : uint8 (clips, digits, canvas, canvas), each digit alone in the last frame
    ways : int8 (clips, ahead, digits, 2), px down and to the right since the last frame
    """

    frames: np.ndarray
    unseen: np.ndarray
    layers: np.ndarray
    ways: np.ndarray

    def __len__(self) -> int:
        """How many clips."""
        return len(self.frames)

    def batch(self, first: int, clips: int) -> list[np.ndarray]:
        """Some of the clips, as `Teacher` takes them."""
        some = slice(first, first + clips)
        return [self.frames[some], self.unseen[some], self.layers[some], self.ways[some]]


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
    missing = VARIED_MAX_DIGITS - stamps.shape[1]  # one number of digits, whatever the clips
    if missing > 0:
        stamps = np.pad(stamps, [(0, 0), (0, missing), (0, 0), (0, 0)])
        present = np.pad(present, [(0, 0), (0, missing)])
        corners = np.pad(corners, [(0, 0), (0, 0), (0, missing), (0, 0)])
    last = slice(context - 1, context)
    layers = np.stack(
        [
            draw_stamps(stamps[:, [n]], corners[:, last, [n]], present=present[:, [n]])[:, 0]
            for n in range(stamps.shape[1])
        ],
        axis=1,
    )
    unseen = np.random.default_rng([seed, step, clips]).integers(context, size=(clips, 1))
    unseen[np.arange(clips) % 4 > 0] = 0
    ways = (corners[:, context:] - corners[:, last])[..., ::-1]
    frames = draw_stamps(stamps, corners[:, :context], present=present)
    return Lessons(frames, unseen.astype(np.float32), layers, ways.astype(np.int8))
