"""What a forecast learns from: pieces of the last frame seen, and where their digits really went.

Pictures teach a forecast slowly: each is a sum of many pieces, each of which is a blend of many
displacements, and the gradient has to find its way through both. But whoever makes the clips knows the
displacement of every piece. To learn it is to classify: the cross entropy between the forecast's distribution
and the truth, for each piece, axis and frame ahead, with no picture to be drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from core.digits import Split
from core.moving_mnist import draw_stamps, to_frames, training_plan

LEAST_INK = 0.3  # of a piece that teaches anything
AT_ONCE = 16  # clips


@dataclass(frozen=True)
class Lessons:
    """Pieces of clips, one clip after the other.

    Attributes
    ----------
    known : float16 (n, 2, size), what is known of the motion along rows and columns, see
        `core.forecast.Pieces`
    ink : float32 (n,), the sum of each piece
    displacements : int8 (n, 2, ahead), px down and to the right, of the digit that a piece belongs to, since
        the last frame seen
    weights : float32 (n,), the squared ink of the piece: what an error of its place costs a picture
    firsts : int (clips + 1,), where each clip begins, and the end
    """

    known: np.ndarray
    ink: np.ndarray
    displacements: np.ndarray
    weights: np.ndarray
    firsts: np.ndarray

    def __len__(self) -> int:
        """How many clips."""
        return len(self.firsts) - 1

    def of(self, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Known (float32), ink, displacements (int32) and weights of some clips, each (clips, pieces, ...).

        Clips with fewer pieces than others are filled up with pieces without ink and without weight.
        """
        counts = np.diff(self.firsts)[clips, None]
        number = np.arange(-(-counts.max() // 16) * 16)  # few different sizes
        real = number < counts
        index = np.where(real, self.firsts[clips, None] + number, 0)
        return (
            self.known[index].astype(np.float32),
            self.ink[index] * real,
            self.displacements[index].astype(np.int32),
            self.weights[index] * real,
        )


def make_lessons(
    pieces_model: keras.Model,
    seed: int,
    step: int,
    *,
    clips: int,
    ahead: int,
    split: Split = "train",
    digits: int | None = None,
) -> Lessons:
    """Lessons from clips of `core.moving_mnist.training_batch`; a quarter is not seen from the start.

    Parameters
    ----------
    pieces_model : see `core.model.Network.pieces_model`; it says how many frames are seen
    clips : how many clips
    ahead : frames ahead
    digits : None for the mixture of training clips, or standard clips of so many digits
    """
    context = pieces_model.inputs[0].shape[1]
    stamps, corners, present = training_plan(
        seed, step, batch_size=clips, frames=context + ahead, split=split, digits=digits
    )
    frames = to_frames(draw_stamps(stamps, corners[:, :context], present=present))[..., None]
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
    moved = corners[:, context:] - corners[:, last]
    parts = [
        _lessons_of(
            pieces_model.predict_on_batch([frames[part], unseen[part].astype(np.float32)]),
            layers[part],
            moved[part],
        )
        for part in (slice(first, first + AT_ONCE) for first in range(0, clips, AT_ONCE))
    ]
    known, ink, ways, weights, counts = (np.concatenate(values) for values in zip(*parts, strict=True))
    return Lessons(known, ink, ways, weights, np.concatenate([[0], np.cumsum(counts)]))


def _lessons_of(found: list[object], layers: np.ndarray, moved: np.ndarray) -> tuple[np.ndarray, ...]:
    """Known, ink, displacements and weights of the pieces of some clips, and how many each clip has.

    layers : uint8 (clips, digits, canvas, canvas), each digit alone in the last frame seen
    moved : (clips, ahead, digits, 2), px to the right and down
    """
    pieces, places, known = (np.asarray(part) for part in found)
    clip, piece = np.nonzero(pieces.sum((-1, -2)) > LEAST_INK)
    pieces, places, known = (part[clip, piece] for part in (pieces, places.astype(np.int64), known))
    side = np.arange(pieces.shape[-1])
    rows, columns = (places[:, axis, None] + side for axis in (0, 1))
    ink = to_frames(
        layers[
            clip[:, None, None, None],
            np.arange(layers.shape[1])[:, None, None],
            rows[:, None, :, None],
            columns[:, None, None],
        ]
    )
    digit = np.minimum(ink, pieces[:, None]).sum((-1, -2)).argmax(1)
    ways = moved[clip, :, digit][..., ::-1]  # down and to the right, as the axes of what is known
    return (
        known.astype(np.float16),
        pieces.sum((-1, -2)),
        np.moveaxis(ways, -1, 1).astype(np.int8),
        (pieces**2).sum((-1, -2)),
        np.bincount(clip, minlength=len(layers)),
    )
