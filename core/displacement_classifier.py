"""A forecast is taught where the pieces of the last frame seen really went.

Pictures teach a forecast slowly: each is a sum of many pieces, each of which is a blend of many
displacements, and the gradient has to find its way through both. But whoever makes the clips knows the
displacement of every digit. To learn it is to classify: the cross entropy between the forecast's distribution
and the truth, for each piece, axis and frame ahead, with no prediction to be painted.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from core.forecast import Displacements
from core.learning_models import pieces_model
from core.model import Network


class DisplacementClassifier(keras.Model):
    """A forecast as a classifier of displacements: how surprised it is by where digits went.

    Clips are drawn and cut into pieces where the forecast is taught: digits and their ways are a hundredth of
    what is known of their pieces.

    Parameters
    ----------
    network : the network whose forecast learns, and nothing else of it
    context, ahead : frames seen, and frames ahead of them

    Call
    ----
    `model([stamps, corners, unseen])`, see `core.lessons.Lessons`: the cross entropy of each
    displacement, in nats, (batch, pieces, 2, ahead); and how much a piece counts, (batch, pieces): its
    squared ink, which is what an error of its place costs a picture. The loss is their weighted mean.
    """

    def __init__(self, network: Network, context: int, ahead: int) -> None:
        super().__init__(name="displacement_classifier")
        self.pieces = pieces_model(network, context)
        self.displacements = Displacements(network.outlook, network.outlook_step, network.forecast, ahead)
        self.canvas, self.context = network.config.canvas, context
        self.surprise = keras.metrics.Mean("cross_entropy")
        self.belief = keras.metrics.Mean("probability")  # of the truth

    def call(self, inputs: list[Any]) -> tuple[Any, Any]:
        stamps, corners, unseen = inputs
        layers = drawn(stamps, corners[:, : self.context], self.canvas)
        ways = corners[:, self.context :, :, ::-1] - corners[:, self.context - 1 : self.context, :, ::-1]
        pieces, places, known, *earlier = self.pieces([ops.max(layers, axis=2)[..., None], unseen])
        ink = [ops.sum(pieces, axis=(-1, -2)), *earlier[::2]]
        logits = self.displacements([known, *earlier[1::2], *ink])
        moved = ops.einsum("bpd,btda->bpat", whose(pieces, places, layers[:, -1]), ops.cast(ways, "float32"))
        taps = ops.cast(ops.round(moved), "int32") + self.canvas - 1  # 0 is all the way up or to the left
        surprise = keras.losses.sparse_categorical_crossentropy(taps, logits, from_logits=True)
        return surprise, ops.sum(ops.square(pieces), axis=(-1, -2))

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        surprise, weights = y_pred
        mean = ops.mean(surprise, axis=(-1, -2))
        self.surprise.update_state(mean, weights)
        self.belief.update_state(ops.mean(ops.exp(-surprise), axis=(-1, -2)), weights)
        return ops.sum(mean * weights) / ops.sum(weights)


def drawn(stamps: Any, corners: Any, canvas: int) -> Any:
    """Each digit alone: float32 (batch, frames, digits, canvas, canvas) in [0, 1].

    Parameters
    ----------
    stamps : uint8 (batch, digits, side, side)
    corners : int32 (batch, frames, digits, 2), x and y px of the top left corners, 0 to canvas - side
    """
    side = np.arange(stamps.shape[-1], dtype="int32")
    across, down = (ops.one_hot(corners[..., axis, None] + side, canvas) for axis in (0, 1))
    # products with 0 and 1 of whole numbers below 256, which are exact in any precision of a matrix product
    rows = ops.einsum("bdij,btdjx->btdix", ops.cast(stamps, "float32"), across)
    return ops.einsum("btdiy,btdix->btdyx", down, rows) / 255


def whose(pieces: Any, places: Any, layers: Any) -> Any:
    """The digit of each piece, one-hot, (batch, pieces, digits): that with most of its ink.

    Parameters
    ----------
    pieces, places : as `core.forecast.Pieces` returns them
    layers : (batch, digits, canvas, canvas), each digit alone
    """
    most, side = pieces.shape[1:3]
    digits, rows, columns = layers.shape[1], *(length // side for length in layers.shape[2:])
    cells = ops.reshape(layers, (-1, digits, rows, side, columns, side))
    cells = ops.reshape(ops.transpose(cells, (0, 2, 4, 1, 3, 5)), (-1, rows * columns, digits * side * side))
    row, column = ops.unstack(ops.cast(ops.round(places / side), "int32"), axis=-1)
    there = ops.matmul(ops.one_hot(row * columns + column, rows * columns), cells)
    there = ops.reshape(there, (-1, most, digits, side * side))
    shared = ops.sum(ops.minimum(there, ops.reshape(pieces, (-1, most, 1, side * side))), axis=-1)
    return ops.one_hot(ops.argmax(shared, axis=-1), digits)
