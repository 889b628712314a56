"""Where the parts of a frame were in earlier ones, and what moves alike. Nothing here is learned."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from core.layers import PACKAGE

AROUND = 3  # cells along an axis that are matched together: 12 px where a cell has 4
NO_INK = 1e-9  # far less than a grey pixel that is as likely as not to move alike
MATCH_TEMPERATURE = 1.0  # squared difference, in whole pixels, that makes a match e times less likely


def cell_windows(frames: Any, patch: int, reach: int) -> Any:
    """The surroundings of every cell of a grid: its pixels and `reach` more on each side, 0 outside.

    Parameters
    ----------
    frames : (n, height, width)
    patch : side of a cell, px
    reach : px

    Returns
    -------
    (patch + 2 reach, patch + 2 reach, n, height / patch, width / patch)
    """
    _, height, width = frames.shape
    rows, columns = height // patch, width // patch
    side = patch + 2 * reach
    # a window is so many cells long, the last one perhaps in part: whole cells are copied, not pixels
    cells = -(-side // patch)
    padding = [reach, cells * patch - patch - reach]
    padded = ops.pad(frames, [[0, 0], padding, padding])
    padded = ops.reshape(padded, (-1, rows + cells - 1, patch, columns + cells - 1, patch))
    padded = ops.transpose(padded, (2, 4, 0, 1, 3))
    windows = ops.concatenate([padded[..., n : n + columns] for n in range(cells)], axis=1)[:, :side]
    return ops.concatenate([windows[..., n : n + rows, :] for n in range(cells)], axis=0)[:side]


def _apart(windows: Any, cells: Any, taps: int) -> Any:
    """Each channel's window against a kernel of its own: sums of squared differences, place by place.

    windows : (1, window, window, n)
    cells : (side, side, n, 1)
    Returns : (1, taps, taps, n)
    """
    side = cells.shape[0]
    if keras.backend.backend() == "jax":
        import jax

        # JAX has no fast convolution of thousands of channels, but makes one loop of this sum; the barrier is
        # there so that it is not made anew for each of the nine cells that are matched together
        differences = (
            windows[:, y : y + taps, x : x + taps] - cells[y, x, :, 0]
            for y in range(side)
            for x in range(side)
        )
        return jax.lax.optimization_barrier(sum(ops.square(one) for one in differences))
    common = ops.depthwise_conv(windows, cells, padding="valid")
    energy = ops.square(windows)
    for along in ((side, 1), (1, side)):  # one axis after the other takes half the time
        energy = side * ops.average_pool(energy, along, strides=1, padding="valid")
    return energy - 2 * common + ops.sum(ops.square(cells[..., 0]), axis=(0, 1))


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
    coarse : pixels along an axis that are matched as one, their mean; reach and patch are multiples of it

    Call
    ----
    `layer(frames, before)`, both (batch, time, rows x patch, columns x patch, 1) in [0, 1]: float32 (batch,
    time, rows, columns, 2 x (2 reach / coarse + 1)), in the order in which `MotionHead` keeps its
    displacements.
    """

    def __init__(self, reach: int, patch: int, coarse: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if reach < 1:
            raise ValueError(f"reach must be 1 or more; got {reach}")
        if coarse < 1 or reach % coarse or patch % coarse:
            raise ValueError(f"coarse must be 1 or more, and divide {reach} and {patch}; got {coarse}")
        self.reach, self.patch, self.coarse = reach, patch, coarse

    def anywhere(self, frames: Any) -> Any:
        """What it returns of frames with none before them: all displacements are equally likely."""
        cells = ops.zeros_like(ops.cast(frames[:, :, :: self.patch, :: self.patch], "float32"))
        return ops.repeat(cells + 1 / self._taps, 2 * self._taps, axis=-1)

    def call(self, frames: Any, before: Any) -> Any:
        time, height, width = frames.shape[1:4]
        rows, columns = height // self.patch, width // self.patch
        side, reach, taps = self.patch // self.coarse, self.reach // self.coarse, self._taps
        now, then = (
            self._shrunk(ops.reshape(ops.cast(ops.stop_gradient(part), "float32"), (-1, height, width)))
            for part in (frames, before)
        )
        # every cell of every frame is a channel of its own, and its pixels are that channel's kernel
        window = side + 2 * reach
        windows = ops.reshape(cell_windows(then, side, reach), (1, window, window, -1))
        cells = ops.transpose(ops.reshape(now, (-1, rows, side, columns, side)), (2, 4, 0, 1, 3))
        cells = ops.reshape(cells, (side, side, -1, 1))
        apart = _apart(windows, cells, taps)
        apart = ops.reshape(ops.transpose(apart[0], (2, 0, 1)), (-1, rows, columns, taps * taps))
        around = AROUND**2 * ops.average_pool(apart, AROUND, strides=1, padding="same")
        likely = ops.reshape(
            ops.softmax(-around / MATCH_TEMPERATURE, axis=-1), (-1, rows, columns, taps, taps)
        )
        margins = ops.concatenate([ops.sum(likely, axis=-1), ops.sum(likely, axis=-2)], axis=-1)
        return ops.reshape(margins, (-1, time, rows, columns, 2 * taps))

    @property
    def _taps(self) -> int:
        return 2 * (self.reach // self.coarse) + 1

    def _shrunk(self, frames: Any) -> Any:
        """Frames of means, times `coarse`: a squared difference counts as much as those it stands for."""
        if self.coarse == 1:
            return frames
        pooled = ops.average_pool(frames[..., None], self.coarse, strides=self.coarse, padding="valid")
        return self.coarse * pooled[..., 0]

    def compute_output_shape(
        self, frames_shape: tuple[Any, ...], before_shape: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        batch, time, height, width, _ = frames_shape
        return batch, time, height // self.patch, width // self.patch, 2 * self._taps

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "reach": self.reach, "patch": self.patch, "coarse": self.coarse}


def cells_found(match: Match, patch: int, frames: Any, before: Any) -> Any:
    """Where each part of the frames was in those before, see `Match`, for each cell of `patch` px.

    before : as many as frames, or fewer: those before the last of the frames; the first had none before them
    """
    first = frames.shape[1] - before.shape[1]
    parts = [match.anywhere(frames[:, :first])] if first else []
    if before.shape[1]:
        parts.append(match(frames[:, first:], before))
    places = ops.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
    cells = match.patch // patch
    return ops.repeat(ops.repeat(places, cells, axis=2), cells, axis=3) if cells > 1 else places


def by_axis(parts: list[Any]) -> list[Any]:
    """Several parts, each over rows and then over columns, as one over rows and one over columns."""
    axes = zip(*(ops.split(part, 2, axis=-1) for part in parts), strict=True)
    return [ops.concatenate(axis, axis=-1) for axis in axes]


@keras.saving.register_keras_serializable(package=PACKAGE)
class MotionCentre(keras.layers.Layer):
    """Where the thing that each part of a frame belongs to is: the centre of all ink that moves alike.

    Common fate, as Gestalt psychology calls it, makes one thing of many parts (Wertheimer 1923). Two cells
    move alike with the probability that the same displacement brought both here. The centre is the mean place
    of the ink of the cells nearby, weighted with that probability: two digits that cross keep each its own,
    as long as they move differently. From it follows when a thing reaches a wall. Nothing in the layer is
    learned, and no gradient goes through it.

    With `others` it is about the ink nearby that moves otherwise, as far as its own match is sure: where two
    digits cross, a cell sees the one and hears of the other.

    Parameters
    ----------
    patch : side of a cell, px
    near : largest distance along an axis, px, of the cells that are looked at
    others : whether it is about what moves otherwise

    Call
    ----
    `layer(frames, match, known=None)`, frames (batch, time, height, width, 1) in [0, 1], match as `Match`
    returns it for cells of that side: float32 (batch, time, rows, columns, height + width), the place of the
    centre along both axes, rows first: 1 at its pixel, or shared by the two nearest. With `known`, anything
    that is known of each cell (batch, time, rows, columns, n), a pair of that and the mean of what is known
    of that ink, float32 of the shape of `known`; 0 where there is none.
    """

    def __init__(self, patch: int, near: int = 28, others: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if patch < 1 or near < 1:
            raise ValueError(f"patch and near must be 1 or more; got {patch} and {near}")
        self.patch, self.near, self.others = patch, near, others

    def call(self, frames: Any, match: Any, known: Any = None) -> Any:
        time, height, width = frames.shape[1:4]
        side = self.patch
        rows, columns = height // side, width // side
        cells = rows * columns
        middles = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), -1).reshape(-1, 2)
        weights = self._weights(ops.reshape(match, (-1, cells, match.shape[-1])), middles)
        pixels = ops.reshape(ops.cast(frames, "float32"), (-1, rows, side, columns, side))
        places = [
            np.arange(height).reshape(1, rows, side, 1, 1),
            np.arange(width).reshape(1, 1, 1, columns, side),
        ]
        # ink of each cell, and the sums of its places along both axes
        ink = [
            ops.sum(pixels * weight.astype("float32"), axis=(2, 4)) for weight in (np.ones((1,) * 5), *places)
        ]
        told = ops.reshape(ops.stack(ink, axis=-1), (-1, cells, 3))
        if known is not None:
            flat = ops.cast(ops.reshape(known, (-1, cells, known.shape[-1])), "float32")
            told = ops.concatenate([told, told[..., :1] * flat], axis=-1)
        around = ops.matmul(weights, told)
        # where there is no ink at all, a cell is its own centre
        own = np.concatenate([np.ones((cells, 1)), (middles + 0.5) * side - 0.5], axis=-1)
        around = ops.concatenate([around[..., :3] + NO_INK * own.astype("float32"), around[..., 3:]], axis=-1)
        means = ops.stop_gradient(around[..., 1:] / around[..., :1])
        marked = [
            ops.relu(1 - ops.abs(means[..., n : n + 1] - np.arange(size).astype("float32")))
            for n, size in enumerate((height, width))
        ]
        marked = ops.reshape(ops.concatenate(marked, axis=-1), (-1, time, rows, columns, height + width))
        if known is None:
            return marked
        return marked, ops.reshape(means[..., 2:], (-1, time, rows, columns, known.shape[-1]))

    def _weights(self, match: Any, middles: np.ndarray) -> Any:
        """How much each cell counts for each: (n, cells, cells)."""
        apart = np.abs(middles[:, None] - middles[None]).max(-1) * self.patch
        near = ops.convert_to_tensor((apart <= self.near).astype("float32"))
        margins = ops.split(ops.cast(match, "float32"), 2, axis=-1)
        first, second = (ops.matmul(margin, ops.swapaxes(margin, 1, 2)) for margin in margins)
        if not self.others:
            return near * first * second
        sure = ops.prod(ops.stack([ops.sum(margin * margin, axis=-1) for margin in margins]), axis=0)
        return near * (1 - first * second) * sure[:, None]

    def compute_output_shape(
        self,
        frames_shape: tuple[Any, ...],
        match_shape: tuple[Any, ...],
        known_shape: tuple[Any, ...] | None = None,
    ) -> Any:
        centre = (*match_shape[:-1], frames_shape[2] + frames_shape[3])
        return centre if known_shape is None else (centre, known_shape)

    def get_config(self) -> dict[str, Any]:
        own = {"patch": self.patch, "near": self.near, "others": self.others}
        return {**super().get_config(), **own}
