"""A head that moves what it sees and paints the rest, and what it is told of motions."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from core.layers import PACKAGE
from core.model_config import ENCODER_HIDDEN


def _starts(cells: int, patch: int, side: int) -> np.ndarray:
    return (np.arange(cells)[:, None] * patch + np.arange(side)).ravel().astype("int32")


def sliding_rows(weights: Any, patch: int) -> Any:
    """Rows that slide a kernel along an axis: row i is the kernel moved by i, as a banded matrix.

    Parameters
    ----------
    weights : (..., taps)
    patch : number of rows

    Returns
    -------
    (..., patch, taps + patch - 1)
    """
    taps = weights.shape[-1]
    side = taps + patch - 1
    lead = weights.shape[1:-1]
    padded = ops.pad(weights, [[0, 0]] * (len(lead) + 1) + [[0, patch]])
    # rows of side + 1 places, read as rows of side: each begins one place later
    flat = _first(ops.concatenate([padded] * patch, axis=-1), patch * side)
    return ops.reshape(flat, (-1, *lead, patch, side))


def _windows_along(rows: Any, by: int, window: int) -> Any:
    """Of row i the part that begins at i times `by`: (..., n, length) to (..., n, window)."""
    n, length = rows.shape[-2:]
    lead = rows.shape[1:-2]
    flat = ops.reshape(rows, (-1, *lead, n * length))
    # read as longer rows, each begins `by` places later
    flat = ops.pad(flat, [[0, 0]] * (len(lead) + 1) + [[0, n * by]])
    return _first(ops.reshape(flat, (-1, *lead, n, length + by)), window)


def _first(values: Any, n: int) -> Any:
    """`values[..., :n]`, whose gradient is slow in TensorFlow."""
    return ops.split(values, [n], axis=-1)[0]


def moved_copies(frames: Any, down: Any, across: Any, patch: int) -> Any:
    """Copies of frames, moved cell by cell by distributions over displacements.

    Parameters
    ----------
    frames : (batch, time, height, width, 1)
    down, across : (n, rows, columns, motions, taps), n frames in all; weights along rows and along columns,
        stored from (taps - 1) / 2 px down to as many up
    patch : side of a cell, px

    Returns
    -------
    float32 (n, rows, columns, motions, patch, patch)
    """
    rows, columns, motions, taps = down.shape[1:]
    height, width = frames.shape[2:4]
    around = taps - 1
    window = patch + around
    # products with whole strips of the frame: to cut out the surroundings of each cell would take longer
    frames = ops.reshape(ops.cast(frames, "float32"), (-1, height, width))
    frames = ops.pad(frames, [[0, 0], [around // 2] * 2, [around // 2] * 2])
    strips = ops.take(frames, _starts(rows, patch, window), axis=1)
    strips = ops.reshape(strips, (-1, window, width + around))
    down = ops.reshape(sliding_rows(down, patch), (-1, columns, motions * patch, window))
    down = ops.reshape(ops.swapaxes(down, 1, 2), (-1, motions * patch * columns, window))
    moved = ops.reshape(ops.matmul(down, strips), (-1, motions * patch, columns, width + around))
    moved = ops.swapaxes(_windows_along(moved, patch, window), 1, 2)
    moved = ops.reshape(moved, (-1, rows, columns, motions, patch, window))
    return ops.matmul(moved, ops.swapaxes(sliding_rows(across, patch), -1, -2))


def dense_weights(
    layer: keras.layers.Layer, name: str, *shape: int, kernel: str = "glorot_uniform"
) -> tuple[Any, Any]:
    """Kernel (inputs, outputs) and bias of a dense layer within a layer."""
    return (
        layer.add_weight(name=f"{name}kernel", shape=shape, initializer=kernel),
        layer.add_weight(name=f"{name}bias", shape=shape[1:], initializer="zeros"),
    )


@keras.saving.register_keras_serializable(package=PACKAGE)
class MotionEncoder(keras.layers.Layer):
    """Where a thing was in several earlier frames, read together: where it heads.

    One match tells a displacement in whole pixels; only several tell the speed between pixels, and when the
    next whole pixel is due; and only the place tells when a wall turns a thing around. Two dense layers read
    the margins of all matches of a cell and the place of its `MotionCentre`, as the motion encoder of RAFT
    (Teed and Deng 2020) reads correlations, and propose a displacement for each motion of a `MotionHead`:
    logits, to be added to its own. Rows and columns share the weights, since a digit flies down as it flies
    to the right.

    Parameters
    ----------
    motions, reach : those of the head
    hidden : units of the first layer

    Call
    ----
    `layer(rows, columns)`, both (batch, time, height, width, n), what is known along one axis: the margins of
    all matches over the displacements, and the place. Returns (batch, time, height, width, 2 x motions x
    (2 reach + 1)), rows first.
    """

    def __init__(self, motions: int, reach: int, hidden: int = ENCODER_HIDDEN, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if min(motions, reach, hidden) < 1:
            raise ValueError(
                f"motions, reach and hidden must be 1 or more; got {motions}, {reach} and {hidden}"
            )
        self.motions, self.reach, self.hidden = motions, reach, hidden

    @property
    def _proposed(self) -> int:
        return self.motions * (2 * self.reach + 1)

    def build(self, rows_shape: tuple[Any, ...], columns_shape: tuple[Any, ...]) -> None:
        self.kernel, self.bias = dense_weights(self, "", rows_shape[-1], self.hidden)
        self.out_kernel, self.out_bias = dense_weights(self, "out_", self.hidden, self._proposed)
        self.built = True

    def call(self, rows: Any, columns: Any) -> Any:
        x = ops.stack([rows, columns], axis=-2)
        x = ops.relu(ops.matmul(x, self.kernel) + self.bias)
        x = ops.matmul(x, self.out_kernel) + self.out_bias
        return ops.reshape(x, (-1, *rows.shape[1:4], 2 * self._proposed))

    def compute_output_shape(
        self, rows_shape: tuple[Any, ...], columns_shape: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        return (*rows_shape[:-1], 2 * self._proposed)

    def get_config(self) -> dict[str, Any]:
        own = {"motions": self.motions, "reach": self.reach, "hidden": self.hidden}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package=PACKAGE)
class MotionHead(keras.layers.Layer):
    """Predicts a frame as a mixture of moved copies of the last one and of painted pixels.

    Each cell of the grid proposes `motions` displacements of its surroundings, each as a distribution over
    rows times one over columns (a dynamic filter, De Brabandere et al. 2016; Finn, Goodfellow and Levine
    2016 drive such filters by ConvLSTM layers, too). Each pixel then chooses, by a softmax, among the moved
    copies and the pixel that the network painted::

        p[y, x] = m[0] paint[y, x] + sum over k of m[k] sum over dy, dx of u[k, dy] v[k, dx] X[y - dy, x - dx]

    where m is of the pixel, u and v of its cell; their weights are stored from dy = reach down to -reach. A
    digit that flies on is moved, and stays as sharp as it was seen; what was hidden is painted.

    Parameters
    ----------
    motions : displacements a cell, 1 or more
    reach : largest displacement along an axis, px
    patch : side of a cell, px

    Call
    ----
    `layer(features, frames, paint, proposed=None)` with features (batch, time, rows, columns, channels),
    frames and paint (batch, time, rows x patch, columns x patch, 1) in [0, 1], and what a `MotionEncoder`
    proposes, which is added to the logits of the displacements: float32 of the frames' shape, in [0, 1].
    """

    def __init__(self, motions: int, reach: int, patch: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if motions < 1 or reach < 1:
            raise ValueError(f"motions and reach must be 1 or more; got {motions} and {reach}")
        self.motions, self.reach, self.patch = motions, reach, patch

    @property
    def _sizes(self) -> tuple[int, int, int]:
        """Channels of the displacements along rows, along columns, and of the choice."""
        taps = self.motions * (2 * self.reach + 1)
        return taps, taps, self.patch**2 * (self.motions + 1)

    def build(self, features_shape: tuple[Any, ...], *_: Any) -> None:
        filters = sum(self._sizes)
        self.kernel = self.add_weight(
            name="kernel", shape=(3, 3, features_shape[-1], filters), initializer="glorot_uniform"
        )
        self.bias = self.add_weight(name="bias", shape=(filters,), initializer="zeros")
        self.built = True

    def call(self, features: Any, frames: Any, paint: Any, proposed: Any = None) -> Any:
        time, rows, columns, channels = features.shape[1:]
        side = self.patch
        flat = ops.reshape(features, (-1, rows, columns, channels))
        logits = ops.cast(ops.conv(flat, self.kernel, padding="same") + self.bias, "float32")
        first, second, _ = self._sizes
        both, choice = ops.split(logits, [first + second], axis=-1)
        if proposed is not None:
            both = both + ops.cast(ops.reshape(proposed, (-1, rows, columns, first + second)), "float32")
        vertical, horizontal = ops.split(both, [first], axis=-1)
        choice = ops.softmax(ops.reshape(choice, (-1, rows, columns, side * side, self.motions + 1)), axis=-1)
        shares = [ops.reshape(one, (-1, rows, columns, side, side)) for one in ops.unstack(choice, axis=-1)]
        size = (-1, rows, columns, self.motions, 2 * self.reach + 1)
        down, across = (ops.softmax(ops.reshape(part, size), axis=-1) for part in (vertical, horizontal))
        moved = moved_copies(frames, down, across, side)
        painted = ops.reshape(ops.cast(paint, "float32"), (-1, rows, side, columns, side))
        painted = ops.transpose(painted, (0, 1, 3, 2, 4))
        candidates = [painted, *ops.unstack(moved, axis=3)]
        mixed = sum(share * candidate for share, candidate in zip(shares, candidates, strict=True))
        mixed = ops.transpose(mixed, (0, 1, 3, 2, 4))
        return ops.reshape(mixed, (-1, time, rows * side, columns * side, 1))

    def compute_output_shape(
        self, features_shape: tuple[Any, ...], frames_shape: tuple[Any, ...], *_: Any
    ) -> tuple[Any, ...]:
        return frames_shape

    def get_config(self) -> dict[str, Any]:
        own = {"motions": self.motions, "reach": self.reach, "patch": self.patch}
        return {**super().get_config(), **own}
