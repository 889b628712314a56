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
class Told:
    """What is known of the pieces of one frame of each clip, one clip after the other.

    Attributes
    ----------
    known : float16 (n, 2, size), what is known of the motion along rows and columns, see
        `core.forecast.Pieces`
    ink : float32 (n,), the sum of each piece
    firsts : int (clips + 1,), where each clip begins, and the end
    """

    known: np.ndarray
    ink: np.ndarray
    firsts: np.ndarray

    def most(self, clips: np.ndarray) -> int:
        """The largest number of pieces that one of some clips has."""
        return int(np.diff(self.firsts)[clips].max())

    def of(self, clips: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Known and ink of some clips, (clips, width, ...); 0 where a clip has fewer pieces."""
        if not len(self.ink):  # a clip too short for a frame so early
            return np.zeros((len(clips), width, *self.known.shape[1:]), np.float16), np.zeros(
                (len(clips), width)
            )
        index, real = self.index(clips, width)
        return self.known[index], self.ink[index] * real

    def index(self, clips: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Where the pieces of some clips are, (clips, width), and which of them are there at all."""
        number = np.arange(width)
        real = number < np.diff(self.firsts)[clips, None]
        return np.where(real, self.firsts[clips, None] + number, 0), real


@dataclass(frozen=True)
class Lessons:
    """Pieces of clips, and where they go.

    Attributes
    ----------
    told : of the last frame seen, and of each earlier one that a forecast reads
    displacements : int8 (n, 2, ahead), px down and to the right, of the digit that a piece of the last frame
        belongs to, since that frame
    weights : float32 (n,), the squared ink of the piece: what an error of its place costs a picture
    """

    told: list[Told]
    displacements: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        """How many clips."""
        return len(self.told[0].firsts) - 1

    def of(self, clips: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray, np.ndarray]:
        """Of some clips what is known (float16) and the ink, as `core.forecast.Outlook` takes them, the
        displacements (int32) and the weights, each (clips, pieces, ...).

        Clips with fewer pieces than others are filled up with pieces without ink and without weight.
        """
        width = -(-max(told.most(clips) for told in self.told) // 16) * 16  # few different sizes
        known, ink = zip(*(told.of(clips, width) for told in self.told), strict=True)
        index, real = self.told[0].index(clips, width)
        return list(known), list(ink), self.displacements[index].astype(np.int32), self.weights[index] * real


def turned(
    known: list[np.ndarray], displacements: np.ndarray, parts: list[list[int]], rng: np.random.Generator
) -> tuple[list[np.ndarray], np.ndarray]:
    """The same clips as in a mirror, upside down, or with rows for columns, each by chance.

    A digit flies to the left as it flies to the right: eight lessons of one.

    Parameters
    ----------
    known, displacements : as `Lessons.of` returns them; changed in place
    parts : of each `known`, the sizes of what its last axis is made of, `core.model_shapes.piece_parts`
    """
    orders = [
        np.concatenate([np.arange(size)[::-1] + sum(sizes[:n]) for n, size in enumerate(sizes)])
        for sizes in parts
    ]
    for clip, (down, across, swap) in enumerate(rng.integers(2, size=(len(displacements), 3))):
        for axis, mirror in enumerate((down, across)):
            if mirror:
                for one, order in zip(known, orders, strict=True):
                    one[clip, :, axis] = one[clip, :, axis][:, order]
                displacements[clip, :, axis] *= -1
        if swap:
            for one in (*known, displacements):
                one[clip] = one[clip][:, ::-1].copy()
    return known, displacements


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
    ways, weights = (np.concatenate(values) for values in zip(*(part[1:] for part in parts), strict=True))
    told = [
        Told(known, ink, np.concatenate([[0], np.cumsum(counts)]))
        for known, ink, counts in (
            (np.concatenate(values) for values in zip(*frame, strict=True))
            for frame in zip(*(part[0] for part in parts), strict=True)
        )
    ]
    return Lessons(told, ways, weights)


def _lessons_of(
    found: list[object], layers: np.ndarray, moved: np.ndarray
) -> tuple[list[tuple[np.ndarray, ...]], np.ndarray, np.ndarray]:
    """Of some clips what is known of the pieces of each frame, their ink and how many each clip has; and of
    the last frame's the displacements and weights.

    layers : uint8 (clips, digits, canvas, canvas), each digit alone in the last frame seen
    moved : (clips, ahead, digits, 2), px to the right and down
    """
    pieces, places, known, *earlier = (np.asarray(part) for part in found)
    told: list[tuple[np.ndarray, ...]] = []
    for ink, motion in [(pieces.sum((-1, -2)), known), *zip(earlier[::2], earlier[1::2], strict=True)]:
        clip, piece = np.nonzero(ink > LEAST_INK)
        counts = np.bincount(clip, minlength=len(layers))
        told.append((motion[clip, piece].astype(np.float16), ink[clip, piece], counts))
    clip, piece = np.nonzero(pieces.sum((-1, -2)) > LEAST_INK)
    pieces, places = (part[clip, piece] for part in (pieces, places.astype(np.int64)))
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
    return told, np.moveaxis(ways, -1, 1).astype(np.int8), (pieces**2).sum((-1, -2))
