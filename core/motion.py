"""Motion: where things were in earlier frames, and a head that moves what it sees and paints the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from core.layers import PACKAGE

AROUND = 3  # cells along an axis that are matched together: 12 px where a cell has 4
HIDDEN = 128
MATCH_TEMPERATURE = 1.0  # squared difference, in whole pixels, that makes a match e times less likely
UNLIKELY = 1e-4  # share of a displacement that is all but ruled out: its logarithm is to be a number


def cell_windows(frames: Any, patch: int, reach: int) -> Any:
    """The surroundings of every cell of a grid: its pixels and `reach` more on each side, 0 outside.

    Parameters
    ----------
    frames : (n, height, width)
    patch : side of a cell, px
    reach : px

    Returns
    -------
    (n, height / patch, width / patch, patch + 2 reach, patch + 2 reach)
    """
    _, height, width = frames.shape
    side = patch + 2 * reach
    padded = ops.pad(frames, [[0, 0], [reach, reach], [reach, reach]])
    rows, columns = height // patch, width // patch
    padded = ops.take(padded, _starts(rows, patch, side), axis=1)
    padded = ops.take(padded, _starts(columns, patch, side), axis=2)
    return ops.transpose(ops.reshape(padded, (-1, rows, side, columns, side)), (0, 1, 3, 2, 4))


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


@keras.saving.register_keras_serializable(package=PACKAGE)
class Match(keras.layers.Layer):
    """Where each part of a frame was in an earlier frame: a correlation layer, as in FlowNet.

    For every cell and every displacement of up to `reach` px along each axis: the sum of squared differences
    between a cell with its eight neighbours and the earlier frame, displaced (Dosovitskiy et al. 2015
    correlate; the squared difference also tells a faint match from a strong one). A softmax makes of these
    a distribution over displacements, and the layer returns its two margins: over rows and over columns.
    Where nothing is to be seen, or before the first frame, all displacements are equally likely.
    The frame before tells the last step, in whole pixels; one further back tells the speed between them.
    Nothing in it is learned, and no gradient goes through it.

    Parameters
    ----------
    reach : largest displacement along an axis, px
    patch : side of a cell, px

    Call
    ----
    `layer(frames, before)`, both (batch, time, rows x patch, columns x patch, 1) in [0, 1]: float32 (batch,
    time, rows, columns, 2 x (2 reach + 1)), in the order in which `MotionHead` keeps its displacements.
    """

    def __init__(self, reach: int, patch: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if reach < 1:
            raise ValueError(f"reach must be 1 or more; got {reach}")
        self.reach, self.patch = reach, patch

    def call(self, frames: Any, before: Any) -> Any:
        time, height, width = frames.shape[1:4]
        rows, columns = height // self.patch, width // self.patch
        side, taps = self.patch, 2 * self.reach + 1
        now, then = (
            ops.reshape(ops.cast(ops.stop_gradient(part), "float32"), (-1, height, width))
            for part in (frames, before)
        )
        # every cell of every frame is a channel of its own, and its pixels are that channel's kernel
        windows = cell_windows(then, side, self.reach)
        window = side + 2 * self.reach
        windows = ops.transpose(ops.reshape(windows, (-1, window, window)), (1, 2, 0))[None]
        cells = ops.transpose(ops.reshape(now, (-1, rows, side, columns, side)), (2, 4, 0, 1, 3))
        cells = ops.reshape(cells, (side, side, -1, 1))
        common = ops.depthwise_conv(windows, cells, padding="valid")
        energy = side**2 * ops.average_pool(ops.square(windows), side, strides=1, padding="valid")
        apart = energy - 2 * common + ops.sum(ops.square(cells[..., 0]), axis=(0, 1))
        apart = ops.reshape(ops.transpose(apart[0], (2, 0, 1)), (-1, rows, columns, taps * taps))
        around = AROUND**2 * ops.average_pool(apart, AROUND, strides=1, padding="same")
        likely = ops.reshape(
            ops.softmax(-around / MATCH_TEMPERATURE, axis=-1), (-1, rows, columns, taps, taps)
        )
        margins = ops.concatenate([ops.sum(likely, axis=-1), ops.sum(likely, axis=-2)], axis=-1)
        return ops.reshape(margins, (-1, time, rows, columns, 2 * taps))

    def compute_output_shape(
        self, frames_shape: tuple[Any, ...], before_shape: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        batch, time, height, width, _ = frames_shape
        return batch, time, height // self.patch, width // self.patch, 2 * (2 * self.reach + 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "reach": self.reach, "patch": self.patch}


@keras.saving.register_keras_serializable(package=PACKAGE)
class MotionEncoder(keras.layers.Layer):
    """Where a thing was in several earlier frames, read together: where it heads.

    One match tells a displacement in whole pixels; only several tell the speed between pixels, and when the
    next whole pixel is due. Two dense layers read the margins of all matches of a cell, as the motion encoder
    of RAFT (Teed and Deng 2020) reads correlations, and propose a displacement for each motion of a
    `MotionHead`: logits, to be added to its own. Rows and columns share the weights, since a digit flies down
    as it flies to the right.

    Parameters
    ----------
    motions, reach : those of the head
    hidden : units of the first layer

    Call
    ----
    `layer(rows, columns)`, both (batch, time, height, width, n), the margins of all matches over the
    displacements along one axis: (batch, time, height, width, 2 x motions x (2 reach + 1)), rows first.
    """

    def __init__(self, motions: int, reach: int, hidden: int = HIDDEN, **kwargs: Any) -> None:
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
        def dense(name: str, *shape: int) -> tuple[Any, Any]:
            return (
                self.add_weight(name=f"{name}kernel", shape=shape, initializer="glorot_uniform"),
                self.add_weight(name=f"{name}bias", shape=shape[1:], initializer="zeros"),
            )

        self.kernel, self.bias = dense("", rows_shape[-1], self.hidden)
        self.out_kernel, self.out_bias = dense("out_", self.hidden, self._proposed)
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
class MotionDecoder(keras.layers.Layer):
    """Where things head, told from all that is known of a cell: matches, features and place.

    Two dense layers for each axis of each cell, like those of `MotionEncoder`; the hidden one also hears the
    features around the cell (a 3x3 convolution), which remember more than the matches see, and where the cell
    lies along the axis, since a wall throws things back. Returns logits, to be added to those of a
    `MotionHead`.

    Parameters
    ----------
    motions : those of the head
    reaches : largest displacement along an axis, px, of the last frame and then of each recalled one
    hidden : units of the first layer, for each axis

    Call
    ----
    `layer(rows, columns, features)`, rows and columns (batch, time, height, width, n) as for `MotionEncoder`,
    features (batch, time, height, width, channels): for each of `reaches`, (batch, time, height, width,
    2 x motions x (2 reach + 1)), rows first.
    """

    def __init__(self, motions: int, reaches: tuple[int, ...], hidden: int = HIDDEN, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if min(motions, hidden, *reaches) < 1:
            raise ValueError(
                f"motions, reaches and hidden must be 1 or more; got {motions}, {reaches} and {hidden}"
            )
        self.motions, self.reaches, self.hidden = motions, tuple(reaches), hidden

    @property
    def _sizes(self) -> list[int]:
        return [self.motions * (2 * reach + 1) for reach in self.reaches]

    def build(
        self, rows_shape: tuple[Any, ...], columns_shape: tuple[Any, ...], features_shape: tuple[Any, ...]
    ) -> None:
        height, width = rows_shape[2:4]
        if height != width:
            raise ValueError(
                f"rows and columns share their places, so a canvas is square; got {height, width}"
            )

        def add(name: str, *shape: int, start: str = "glorot_uniform") -> Any:
            return self.add_weight(name=name, shape=shape, initializer=start)

        self.kernel = add("kernel", rows_shape[-1], self.hidden)
        self.features_kernel = add("features_kernel", 3, 3, features_shape[-1], 2 * self.hidden)
        self.place = add("place", height, self.hidden, start="zeros")
        self.out_kernel = add("out_kernel", self.hidden, sum(self._sizes))
        self.out_bias = add("out_bias", sum(self._sizes), start="zeros")
        self.built = True

    def call(self, rows: Any, columns: Any, features: Any) -> list[Any]:
        time, height, width, channels = features.shape[1:]
        flat = ops.reshape(features, (-1, height, width, channels))
        around = ops.conv(flat, self.features_kernel, padding="same")
        x = ops.reshape(around, (-1, time, height, width, 2, self.hidden))
        x = x + ops.matmul(ops.stack([rows, columns], axis=-2), self.kernel)
        x = x + ops.stack(
            [
                ops.broadcast_to(place, (height, width, self.hidden))
                for place in (self.place[:, None], self.place[None])
            ],
            axis=2,
        )
        x = ops.matmul(ops.relu(x), self.out_kernel) + self.out_bias
        parts = ops.split(x, np.cumsum(self._sizes)[:-1].tolist(), axis=-1)
        return [
            ops.reshape(part, (-1, time, height, width, 2 * size))
            for part, size in zip(parts, self._sizes, strict=True)
        ]

    def compute_output_shape(
        self, rows_shape: tuple[Any, ...], columns_shape: tuple[Any, ...], features_shape: tuple[Any, ...]
    ) -> list[tuple[Any, ...]]:
        return [(*rows_shape[:-1], 2 * size) for size in self._sizes]

    def get_config(self) -> dict[str, Any]:
        own = {"motions": self.motions, "reaches": list(self.reaches), "hidden": self.hidden}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package=PACKAGE)
class MotionHead(keras.layers.Layer):
    """Predicts a frame as a mixture of moved copies of earlier ones and of painted pixels.

    Each cell of the grid proposes `motions` displacements of its surroundings, each as a distribution over
    rows times one over columns (a dynamic filter, De Brabandere et al. 2016; Finn, Goodfellow and Levine
    2016 drive such filters by ConvLSTM layers, too). Each pixel then chooses, by a softmax, among the moved
    copies and the pixel that the network painted::

        p[y, x] = m[0] paint[y, x] + sum over k of m[k] sum over dy, dx of u[k, dy] v[k, dx] X[y - dy, x - dx]

    where m is of the pixel, u and v of its cell; their weights are stored from dy = reach down to -reach. A
    digit that flies on is moved, and stays as sharp as it was seen; what was hidden is painted.

    Frames before the last may be recalled and moved, too, once for each motion: what is hidden now was
    seen then, and in a rollout they have been predicted fewer times over, so they are sharper. A recalled
    frame moves as far as its match with the last frame, and on by the motion: the distribution of the sum of
    both. What is proposed for it is added to the logarithm of that.

    Parameters
    ----------
    motions : displacements a cell, 1 or more
    reach : largest displacement along an axis, px
    patch : side of a cell, px
    recalled : number of frames before the last that are moved, too

    Call
    ----
    `layer(features, frames, paint, proposed=None, recalled=())` with features (batch, time, rows, columns,
    channels), frames and paint (batch, time, rows x patch, columns x patch, 1) in [0, 1], what a
    `MotionEncoder` or `MotionDecoder` proposes, which is added to the logits of the displacements, and for
    each recalled frame: that frame, its match with the last one, see `Match`, and what a `MotionDecoder`
    proposes for it. Returns float32 of the frames' shape, in [0, 1].
    """

    def __init__(self, motions: int, reach: int, patch: int, recalled: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if motions < 1 or reach < 1:
            raise ValueError(f"motions and reach must be 1 or more; got {motions} and {reach}")
        self.motions, self.reach, self.patch, self.recalled = motions, reach, patch, recalled

    @property
    def _choices(self) -> int:
        return self.motions * (1 + self.recalled) + 1

    @property
    def _sizes(self) -> tuple[int, int, int]:
        """Channels of the displacements along rows, along columns, and of the choice."""
        taps = self.motions * (2 * self.reach + 1)
        return taps, taps, self.patch**2 * self._choices

    def build(self, features_shape: tuple[Any, ...], *_: Any) -> None:
        filters = sum(self._sizes)
        self.kernel = self.add_weight(
            name="kernel", shape=(3, 3, features_shape[-1], filters), initializer="glorot_uniform"
        )
        self.bias = self.add_weight(name="bias", shape=(filters,), initializer="zeros")
        self.built = True

    def call(
        self,
        features: Any,
        frames: Any,
        paint: Any,
        proposed: Any = None,
        recalled: Sequence[tuple[Any, Any, Any]] = (),
    ) -> Any:
        time, rows, columns, channels = features.shape[1:]
        side = self.patch
        flat = ops.reshape(features, (-1, rows, columns, channels))
        logits = ops.cast(ops.conv(flat, self.kernel, padding="same") + self.bias, "float32")
        first, second, _ = self._sizes
        both, choice = ops.split(logits, [first + second], axis=-1)
        if proposed is not None:
            both = both + self._of_cells(proposed, rows, columns)
        choice = ops.softmax(ops.reshape(choice, (-1, rows, columns, side * side, self._choices)), axis=-1)
        shares = [ops.reshape(one, (-1, rows, columns, side, side)) for one in ops.unstack(choice, axis=-1)]
        motion = [ops.softmax(logits, axis=-1) for logits in self._axes(both)]
        copies = [self._moved(frames, *motion)]
        for then, match, more in recalled:
            since = ops.split(self._of_cells(match, rows, columns), 2, axis=-1)
            more = self._axes(self._of_cells(more, rows, columns))
            path = [
                ops.softmax(ops.log(_sum_of(*steps) + UNLIKELY) + logits, axis=-1)
                for *steps, logits in zip(since, motion, more, strict=True)
            ]
            copies.append(self._moved(ops.stop_gradient(then), *path))
        painted = ops.reshape(ops.cast(paint, "float32"), (-1, rows, side, columns, side))
        painted = ops.transpose(painted, (0, 1, 3, 2, 4))
        candidates = [painted, *(copy for moved in copies for copy in ops.unstack(moved, axis=3))]
        mixed = sum(share * candidate for share, candidate in zip(shares, candidates, strict=True))
        mixed = ops.transpose(mixed, (0, 1, 3, 2, 4))
        return ops.reshape(mixed, (-1, time, rows * side, columns * side, 1))

    @staticmethod
    def _of_cells(values: Any, rows: int, columns: int) -> Any:
        """(batch, time, rows, columns, n) as float32, with batch and time in one axis."""
        return ops.cast(ops.reshape(values, (-1, rows, columns, values.shape[-1])), "float32")

    def _axes(self, logits: Any) -> list[Any]:
        """Logits over displacements along rows and along columns: (n, rows, columns, motions, taps) each."""
        return [
            ops.reshape(axis, (-1, *logits.shape[1:3], self.motions, axis.shape[-1] // self.motions))
            for axis in ops.split(logits, 2, axis=-1)
        ]

    def _moved(self, frames: Any, down: Any, across: Any) -> Any:
        """Moved copies, cell by cell: (n, rows, columns, motions, patch, patch)."""
        rows, columns, motions, taps = down.shape[1:]
        height, width = frames.shape[2:4]
        side, around = self.patch, taps - 1
        window = side + around
        # products with whole strips of the frame: to cut out the surroundings of each cell would take longer
        frames = ops.reshape(ops.cast(frames, "float32"), (-1, height, width))
        frames = ops.pad(frames, [[0, 0], [around // 2] * 2, [around // 2] * 2])
        strips = ops.take(frames, _starts(rows, side, window), axis=1)
        strips = ops.reshape(strips, (-1, window, width + around))
        down = ops.reshape(sliding_rows(down, side), (-1, columns, motions * side, window))
        down = ops.reshape(ops.swapaxes(down, 1, 2), (-1, motions * side * columns, window))
        moved = ops.reshape(ops.matmul(down, strips), (-1, motions * side, columns, width + around))
        moved = ops.swapaxes(_windows_along(moved, side, window), 1, 2)
        moved = ops.reshape(moved, (-1, rows, columns, motions, side, window))
        return ops.matmul(moved, ops.swapaxes(sliding_rows(across, side), -1, -2))

    def compute_output_shape(
        self, features_shape: tuple[Any, ...], frames_shape: tuple[Any, ...], *_: Any
    ) -> tuple[Any, ...]:
        return frames_shape

    def get_config(self) -> dict[str, Any]:
        own = {
            "motions": self.motions,
            "reach": self.reach,
            "patch": self.patch,
            "recalled": self.recalled,
        }
        return {**super().get_config(), **own}


def _sum_of(first: Any, second: Any) -> Any:
    """Distribution of the sum of two displacements.

    Parameters
    ----------
    first : (..., taps), of one displacement
    second : (..., motions, more taps), of as many others

    Returns
    -------
    (..., motions, taps + more taps - 1)
    """
    return ops.matmul(second, sliding_rows(first, second.shape[-1]))
