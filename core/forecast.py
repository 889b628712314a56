"""Forecast: what was seen last, moved on for as long as nothing new is seen.

In a rollout a network is fed with its own predictions. They are no evidence: where it was in doubt by how far
a digit moves, its prediction is a blend of several displacements, and to match that blend with the frames
before says that the likeliest one was true. Moved on and blended again, it also gets softer from step to
step. A Kalman filter, which has no measurement, does not take its own prediction for one, but carries on
from the last measurement there was. So does this: each piece of the last frame that was seen keeps what was
known of its motion, and is moved from there by as many steps as were imagined since.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from core.layers import PACKAGE
from core.mixture import shares
from core.model_config import (
    DEEP_ROUNDS,
    DEEP_STEP,
    OUTLOOK_HEADS,
    OUTLOOK_HIDDEN,
    OUTLOOK_ROUNDS,
)
from core.motion import dense_weights, moved_copies

UNTRUSTED = -6.0  # logit with which the trust begins: a forecast that nobody has trained does no harm


@keras.saving.register_keras_serializable(package=PACKAGE)
class Pieces(keras.layers.Layer):
    """The ink of a frame as pieces, each with one motion.

    Where two digits cross, a cell holds ink of both. What is both in the cell and in the frame before, moved
    by the motion of the cell's own thing, is of that thing (common fate); of the rest that is a piece of
    its own which moved as the other thing nearby did. All other ink stays with the first. The pieces with
    most ink are kept. Nothing in the layer is learned, and no gradient goes through it.

    Parameters
    ----------
    patch : side of a cell, px
    reach : largest displacement of a match with the frame before, px
    most : how many pieces are kept

    Call
    ----
    `layer(frame, before, own, other)`: frame and the one before, (batch, 1, height, width, 1) in [0, 1]; what
    is known along rows and columns of the motion of the cell's own thing and of the other, each (batch, 1,
    rows, columns, 2, n), of which the first 2 reach + 1 are the margins of the match with the frame before.
    Returns the pieces, float32 (batch, most, patch, patch); their places, float32 (batch, most, 2), px from
    the top and from the left; and what is known of each, (batch, most, 2, n + rows): of its motion, and in
    which row or column of cells it is, one-hot.
    """

    def __init__(self, patch: int, reach: int, most: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if min(patch, reach, most) < 1:
            raise ValueError(f"patch, reach and most must be 1 or more; got {patch}, {reach} and {most}")
        self.patch, self.reach, self.most = patch, reach, most

    def count(self, canvas: int) -> int:
        """How many pieces there are of a square frame."""
        return min(self.most, 2 * (canvas // self.patch) ** 2)

    def call(self, frame: Any, before: Any, own: Any, other: Any) -> Any:
        side, taps = self.patch, 2 * self.reach + 1
        rows, columns, _, n = own.shape[2:]
        ink = ops.reshape(ops.cast(frame, "float32"), (-1, rows, side, columns, side))
        ink = ops.transpose(ink, (0, 1, 3, 2, 4))
        came = []
        for known in (own, other):
            margins = ops.cast(ops.reshape(known, (-1, rows, columns, 2, n))[..., :taps], "float32")
            down, across = (
                ops.reshape(one, (-1, rows, columns, 1, taps)) for one in ops.unstack(margins, axis=3)
            )
            came.append(moved_copies(before, down, across, side)[:, :, :, 0])
        second = ops.minimum(ops.relu(ink - came[0]), came[1])
        cells = rows * columns
        pieces = ops.reshape(ops.stack([ink - second, second], axis=1), (-1, 2 * cells, side * side))
        known = ops.reshape(ops.concatenate([own, other], axis=1), (-1, 2 * cells, 2 * n))
        corners = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), -1) * side
        places = np.tile(corners.reshape(cells, 2), (2, 1)).astype("float32")
        _, most = ops.top_k(ops.sum(pieces, axis=-1), self.count(frame.shape[2]))
        kept = ops.one_hot(most, 2 * cells, dtype="float32")
        known = ops.reshape(ops.matmul(ops.cast(kept, known.dtype), known), (-1, most.shape[1], 2, n))
        places = ops.matmul(kept, places)
        cell = ops.one_hot(ops.cast(ops.round(places / side), "int32"), rows, dtype=known.dtype)
        return tuple(
            ops.stop_gradient(part)
            for part in (
                ops.reshape(ops.matmul(kept, pieces), (-1, most.shape[1], side, side)),
                places,
                ops.concatenate([known, cell], axis=-1),
            )
        )

    def get_config(self) -> dict[str, Any]:
        own = {"patch": self.patch, "reach": self.reach, "most": self.most}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Outlook(keras.layers.Layer):
    """What is known of a piece's motion along an axis, as a vector that can be carried on: a latent state of
    motion, which `OutlookStep` moves on as a recurrent network does.

    A dense layer with ReLU, one for the pieces of the last frame and one for those of each earlier frame.
    Then, several times, attention (Vaswani et al. 2017, "Attention is all you need"), by which a piece hears
    all others, weighted with their ink, and a residual dense layer with ReLU, which takes in what they know.
    A straight stroke does not tell how far it moved along itself, nor ink of two digits that cross whose it
    is; the rest of the digit does, the places of its pieces tell where it is, and the pieces of frames before
    where it was while nothing crossed it. All weights are shared by rows and columns; whom a piece hears is
    asked once, for both.

    Parameters
    ----------
    hidden : length of the vector
    heads : how many questions are asked, each answered by an equal part of the vector
    deep : whether the pieces hear each other three times, each time with weights of its own, instead of twice
        with the same

    Call
    ----
    `layer(known, ink)`: a list (batch, pieces, 2, n), as `Pieces` returns it, of the last frame and of
    earlier ones; and a list of the sum of each piece, 0 or more, (batch, pieces). Returns the vectors of the
    last frame's pieces, float32 (batch, pieces, 2, hidden). A piece without ink is not heard.
    """

    def __init__(
        self,
        hidden: int = OUTLOOK_HIDDEN,
        heads: int = OUTLOOK_HEADS,
        deep: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if hidden % heads:
            raise ValueError(f"hidden must be a multiple of heads; got {hidden} and {heads}")
        self.hidden, self.heads, self.deep = hidden, heads, deep

    def build(self, known_shape: list[tuple[Any, ...]], *_: Any) -> None:
        hidden = self.hidden
        self.first = [
            dense_weights(self, f"earlier_{n}_" if n else "", shape[-1], hidden)
            for n, shape in enumerate(known_shape)
        ]
        own = [
            self._round(f"round_{n}_" if n > 1 else "") for n in range(1, DEEP_ROUNDS + 1 if self.deep else 2)
        ]
        self.rounds = own if self.deep else own * OUTLOOK_ROUNDS
        self.built = True

    def _round(self, name: str) -> dict[str, Any]:
        """Weights with which pieces hear each other."""
        hidden = self.hidden
        sizes = {
            "query": (2 * hidden, hidden // 2),
            "key": (2 * hidden, hidden // 2),
            "value": (hidden, hidden),
        }
        kernels = {
            part: self.add_weight(name=f"{name}{part}_kernel", shape=shape, initializer="glorot_uniform")
            for part, shape in sizes.items()
        }
        return {**kernels, "heard": dense_weights(self, f"{name}heard_", 2 * hidden, hidden)}

    def call(self, known: list[Any], ink: list[Any]) -> Any:
        read = [
            ops.relu(ops.matmul(one, kernel) + bias)
            for one, (kernel, bias) in zip(known, self.first, strict=True)
        ]
        outlook = ops.concatenate(read, axis=1)
        loud = ops.log(ops.cast(ops.concatenate(ink, axis=1), outlook.dtype) + 1e-9)[:, None, None]
        latest = ops.shape(known[0])[1]
        for number, weights in enumerate(self.rounds, 1):
            # in the last round those of earlier frames only speak: what they hear is not asked for
            listening = outlook if number < len(self.rounds) else outlook[:, :latest]
            together = ops.concatenate([listening, self._heard(listening, outlook, loud, weights)], axis=-1)
            kernel, bias = weights["heard"]
            outlook = listening + ops.relu(ops.matmul(together, kernel) + bias)
        # computed in what the layer computes in, carried on in float32: what is rounded there adds up
        return ops.cast(outlook, "float32")

    def _heard(self, listening: Any, speaking: Any, loud: Any, weights: dict[str, Any]) -> Any:
        """What each of some pieces hears of others, (batch, pieces, 2, hidden).

        loud : (batch, 1, 1, pieces), log of the ink of those that speak
        weights : those of this round
        """
        hidden, heads = self.hidden, self.heads
        asking, offering = (
            one.shape[1] if one.shape[1] is not None else ops.shape(one)[1] for one in (listening, speaking)
        )
        asked, offered = (
            ops.reshape(
                ops.matmul(ops.reshape(one, (-1, count, 2 * hidden)), kernel),
                (-1, count, heads, hidden // 2 // heads),
            )
            for one, count, kernel in (
                (listening, asking, weights["query"]),
                (speaking, offering, weights["key"]),
            )
        )
        scores = ops.einsum("bphd,bqhd->bhpq", asked, offered) / np.sqrt(hidden // 2 // heads)
        shares = ops.softmax(scores + loud, axis=-1)
        value = ops.matmul(speaking, weights["value"])
        value = ops.reshape(value, (-1, offering, 2, heads, hidden // heads))
        return ops.reshape(ops.einsum("bhpq,bqahd->bpahd", shares, value), (-1, asking, 2, hidden))

    def get_config(self) -> dict[str, Any]:
        own = {"hidden": self.hidden, "heads": self.heads, "deep": self.deep}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package=PACKAGE)
class OutlookStep(keras.layers.Layer):
    """One frame further: a residual dense layer with ReLU on the vector of `Outlook`, of the same shape.

    Parameters
    ----------
    deep : whether a wider layer with ReLU and a linear one stand in its place
    """

    def __init__(self, deep: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deep = deep

    def build(self, outlook_shape: tuple[Any, ...]) -> None:
        hidden = outlook_shape[-1]
        self.kernel, self.bias = dense_weights(self, "", hidden, DEEP_STEP * hidden if self.deep else hidden)
        self.further_kernel = (
            self.add_weight(
                name="further_kernel", shape=(DEEP_STEP * hidden, hidden), initializer="glorot_uniform"
            )
            if self.deep
            else None
        )
        self.built = True

    def call(self, outlook: Any) -> Any:
        change = ops.relu(ops.matmul(outlook, self.kernel) + self.bias)
        return outlook + (change if self.further_kernel is None else ops.matmul(change, self.further_kernel))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "deep": self.deep}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Forecast(keras.layers.Layer):
    """The picture of all pieces, each moved by a distribution over displacements along rows and columns.

    Every displacement that keeps a piece in the picture is possible. Pieces add up, to 1 at most.

    Parameters
    ----------
    canvas : side of the picture, px
    followed : of how many frames there are pieces; see `core.mixture.shares`

    Call
    ----
    `layer(outlook, pieces, places, since=None)`, the first three as `Outlook` and `Pieces` return them, those
    of the last frame first; where there are several frames, `since` is for how many they have been followed,
    (batch, 1): float32 (batch, 1, canvas, canvas, 1) in [0, 1].
    """

    def __init__(self, canvas: int, followed: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.canvas, self.followed = canvas, followed

    def build(self, outlook_shape: tuple[Any, ...], *_: Any) -> None:
        self.kernel, self.bias = dense_weights(
            self, "", outlook_shape[-1], 2 * self.canvas - 1, kernel="zeros"
        )
        # before anything is learned: the nearer, the likelier
        self.bias.assign(-np.abs(np.arange(2 * self.canvas - 1) - self.canvas + 1) / 8)
        self.built = True

    def logits(self, outlook: Any) -> Any:
        """Of each displacement, 1 - canvas to canvas - 1 px: float32 (..., 2 canvas - 1)."""
        return ops.cast(ops.matmul(outlook, self.kernel) + self.bias, "float32")

    def call(self, outlook: Any, pieces: Any, places: Any, since: Any = None) -> Any:
        count, side = pieces.shape[1:3]
        likely = ops.softmax(self.logits(outlook), axis=-1)
        if since is not None:
            sureness = ops.prod(ops.max(likely, axis=-1), axis=-1)
            pieces = shares(sureness, pieces, since, self.followed) * pieces
        down, across = (
            self._at(likely[:, :, axis], places[..., axis], count, side) for axis in (0, 1)
        )  # (batch, count, side, canvas)
        columns = ops.matmul(ops.swapaxes(down, -1, -2), pieces)  # (batch, count, canvas, side)
        columns = ops.reshape(ops.transpose(columns, (0, 2, 1, 3)), (-1, self.canvas, count * side))
        picture = ops.matmul(columns, ops.reshape(across, (-1, count * side, self.canvas)))
        return ops.minimum(picture, 1.0)[:, None, ..., None]

    def _at(self, likely: Any, place: Any, count: int, side: int) -> Any:
        """Where each line of a piece may be: displacements to places in the picture."""
        first = ops.cast(place, "int32")[..., None] + np.arange(side, dtype="int32")
        taps = self.canvas - 1 - first[..., None] + np.arange(self.canvas, dtype="int32")
        taken = ops.take_along_axis(likely, ops.reshape(taps, (-1, count, side * self.canvas)), axis=-1)
        return ops.reshape(taken, (-1, count, side, self.canvas))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "canvas": self.canvas, "followed": self.followed}


class Displacements(keras.Model):
    """What is known of motions along an axis to where they lead, frame after frame.

    Parameters
    ----------
    outlook, step, forecast : layers of a network, whose weights it shares
    ahead : how many frames

    Call
    ----
    `model([*known, *ink])`, as `Outlook` takes them: logits (batch, pieces, 2, ahead, 2 canvas - 1) of the
    displacements 1 - canvas to canvas - 1 px since the last frame seen.
    """

    def __init__(self, outlook: Outlook, step: OutlookStep, forecast: Forecast, ahead: int) -> None:
        super().__init__(name="displacements")
        self.outlook, self.step, self.forecast, self.ahead = outlook, step, forecast, ahead

    def call(self, inputs: Any) -> Any:
        frames = len(inputs) // 2
        outlook = self.outlook(list(inputs[:frames]), list(inputs[frames:]))
        logits = [self.forecast.logits(outlook)]
        for _ in range(1, self.ahead):
            outlook = self.step(outlook)
            logits.append(self.forecast.logits(outlook))
        return ops.stack(logits, axis=3)


@keras.saving.register_keras_serializable(package=PACKAGE)
class Trust(keras.layers.Layer):
    """How much each pixel believes the forecast, and how much what the network made of its own prediction.

    A learned gating mask between two pictures: a 3x3 convolution with a sigmoid, over the network's features
    and both pictures.

    Parameters
    ----------
    patch : side of a cell, px

    Call
    ----
    `layer(features, made, forecast)`: features (batch, 1, rows, columns, channels), pictures float32 (batch,
    1, height, width, 1) in [0, 1]; a picture like these.
    """

    def __init__(self, patch: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.patch = patch

    def build(self, features_shape: tuple[Any, ...], *_: Any) -> None:
        area = self.patch**2
        self.kernel = self.add_weight(
            name="kernel", shape=(3, 3, features_shape[-1] + 2 * area, area), initializer="zeros"
        )
        self.bias = self.add_weight(
            name="bias", shape=(area,), initializer=keras.initializers.Constant(UNTRUSTED)
        )
        self.built = True

    def call(self, features: Any, made: Any, forecast: Any) -> Any:
        rows, columns, channels = features.shape[2:]
        side = self.patch
        seen = [ops.reshape(features, (-1, rows, columns, channels))]
        for picture in (made, forecast):
            folded = ops.reshape(picture, (-1, rows, side, columns, side))
            folded = ops.reshape(ops.transpose(folded, (0, 1, 3, 2, 4)), (-1, rows, columns, side * side))
            seen.append(folded)
        logits = ops.conv(ops.concatenate(seen, axis=-1), self.kernel, padding="same") + self.bias
        share = ops.reshape(ops.sigmoid(ops.cast(logits, "float32")), (-1, rows, columns, side, side))
        share = ops.reshape(ops.transpose(share, (0, 1, 3, 2, 4)), (-1, *made.shape[1:]))
        return made + share * (forecast - made)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "patch": self.patch}
