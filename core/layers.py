"""Layers of the ConvLSTM network: the peephole cell, the output convolution, patch folding.

All are written with `keras.ops`, so they run unchanged on TensorFlow and JAX. Shapes use the words
`(batch, time, height, width, channels)`.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras
from keras import ops

Peepholes = Literal["spatial", "channel"]
PACKAGE = "convlstm_video"
_LOG = logging.getLogger(__name__)


def apply_gates(sums: Any, cell: Any, peepholes: list[Any]) -> tuple[Any, Any]:
    """The element-wise half of a ConvLSTM step, Shi et al. 2015, equation 3.

    Parameters
    ----------
    sums : Wx * X[t] + Wh * H[t-1] + b of the gates i, f, c, o, side by side: (..., 4 x filters)
    cell : C[t-1], (..., filters)
    peepholes : Wci, Wcf, Wco, each of a shape that broadcasts to the cell; or none

    Returns
    -------
    H[t], C[t]
    """
    i, f, c, o = ops.split(sums, 4, axis=-1)
    if peepholes:
        w_i, w_f, w_o = peepholes
        i, f = i + w_i * cell, f + w_f * cell
    cell = ops.sigmoid(f) * cell + ops.sigmoid(i) * ops.tanh(c)
    if peepholes:
        o = o + w_o * cell
    return ops.sigmoid(o) * ops.tanh(cell), cell


def controlled_gates(
    sums: Any, cell: Any, peepholes: list[Any], gates: Any, alive: Any, flow: Any
) -> tuple[Any, ...]:
    """`apply_gates` that shows its parts, and in which each may be taken hold of.

    Parameters
    ----------
    sums, cell, peepholes : as those of `apply_gates`
    gates : (batch, 2, 4 x filters), for i, f, c, o side by side: by what each gate's value is multiplied, and
        what is added then; 1 and 0 leave it as it is
    alive : (batch, filters), by what H[t] is multiplied
    flow : (batch, 2): by what the peepholes are multiplied, and 1 where the cell moves on, 0 where C[t] stays
        C[t-1]

    Returns
    -------
    H[t], C[t], i[t], f[t], tanh of the candidate, o[t]
    """
    gates, alive, flow = gates[:, :, None, None], alive[:, None, None], flow[:, :, None, None, None]
    i, f, c, o = ops.split(sums, 4, axis=-1)
    (i_by, f_by, c_by, o_by), (i_to, f_to, c_to, o_to) = (
        ops.split(gates[:, n], 4, axis=-1) for n in range(2)
    )
    if peepholes:
        w_i, w_f, w_o = (flow[:, 0] * weight for weight in peepholes)
        i, f = i + w_i * cell, f + w_f * cell
    i, f, c = ops.sigmoid(i) * i_by + i_to, ops.sigmoid(f) * f_by + f_to, ops.tanh(c) * c_by + c_to
    cell = flow[:, 1] * (f * cell + i * c) + (1 - flow[:, 1]) * cell
    if peepholes:
        o = o + w_o * cell
    o = ops.sigmoid(o) * o_by + o_to
    return alive * o * ops.tanh(cell), cell, i, f, c, o


@functools.cache
def fused(gates: Callable[..., Any]) -> Callable[..., Any]:
    """`apply_gates` or `controlled_gates` as one kernel.

    JAX compiles a model as a whole. TensorFlow on a CPU runs one operation after the other, each a pass over
    memory, and the twenty of a step take longer than its convolution. So they are compiled with XLA; the
    convolutions are not, since oneDNN's are the faster ones. A TensorFlow built without XLA says so once, in
    the log, and runs them one by one.

    Compiled, they compute in float32, and round what they return: a processor has no sigmoid of bfloat16, so
    XLA would round after every single operation, which takes as long as all of them. JAX, and TensorFlow
    without XLA, compute them in the precision of what comes in.
    """
    if keras.backend.backend() != "tensorflow":
        return gates
    import tensorflow as tf

    def in_float32(*given: Any) -> tuple[Any, ...]:
        exact = keras.tree.map_structure(lambda one: ops.cast(one, "float32"), given)
        return tuple(ops.cast(one, given[0].dtype) for one in gates(*exact))

    # there is nothing for AutoGraph to convert; to look, it would take the code apart, which Python 3.11
    # cannot do in two threads at once
    kernel = tf.function(in_float32, jit_compile=True, autograph=False)
    try:
        with tf.init_scope():  # even when a model is being traced: this is to run, once
            tf.function(apply_gates, jit_compile=True, autograph=False)(
                tf.zeros((1, 4)), tf.zeros((1, 1)), []
            )
    except tf.errors.OpError as error:
        _LOG.warning("The gates are not compiled, and predictions take longer: %s", error.message)
        return gates
    return kernel


@keras.saving.register_keras_serializable(package=PACKAGE)
class PeepholeConvLSTM2D(keras.layers.Layer):
    """ConvLSTM with peepholes, Shi et al. 2015 ("Convolutional LSTM Network"), equation 3.

    With `*` the convolution and `o` the Hadamard product::

        i[t] = sigmoid(Wxi * X[t] + Whi * H[t-1] + Wci o C[t-1] + bi)
        f[t] = sigmoid(Wxf * X[t] + Whf * H[t-1] + Wcf o C[t-1] + bf)
        C[t] = f[t] o C[t-1] + i[t] o tanh(Wxc * X[t] + Whc * H[t-1] + bc)
        o[t] = sigmoid(Wxo * X[t] + Who * H[t-1] + Wco o C[t] + bo)
        H[t] = o[t] o tanh(C[t])

    The four gates share one kernel, in the order i, f, c, o along its last axis. Convolutions are padded
    to keep height and width. The forget gate's bias starts at 1, the peepholes at 0.

    Parameters
    ----------
    filters : channels of the hidden and the cell state
    kernel_size : side of the square kernel, odd
    peepholes : "spatial" (one weight per row, column and channel, the paper's Hadamard product),
        "channel" (one per channel) or None

    Call
    ----
    `layer(frames, states=None)` with frames (batch, time, height, width, channels), time known, and
    states None (zeros) or a pair H, C of (batch, height, width, filters). Returns the hidden states
    (batch, time, height, width, filters), and H and C after the last frame.
    """

    def __init__(
        self, filters: int, kernel_size: int, peepholes: Peepholes | None = "spatial", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if filters < 1:
            raise ValueError(f"filters must be 1 or more; got {filters}")
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd and positive; got {kernel_size}")
        if peepholes not in ("spatial", "channel", None):
            raise ValueError(f"peepholes must be 'spatial', 'channel' or None; got {peepholes!r}")
        self.filters, self.kernel_size, self.peepholes = filters, kernel_size, peepholes

    def build(self, input_shape: tuple[Any, ...], *_: Any) -> None:
        _, _, height, width, channels = input_shape
        side, gates = self.kernel_size, 4 * self.filters
        self.kernel = self.add_weight(
            name="kernel", shape=(side, side, channels, gates), initializer="glorot_uniform"
        )
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=(side, side, self.filters, gates), initializer="orthogonal"
        )
        self.bias = self.add_weight(name="bias", shape=(gates,), initializer=self._bias_start)
        self.peephole_weights: list[Any] = []
        if self.peepholes is not None:
            shape = (height, width, self.filters) if self.peepholes == "spatial" else (self.filters,)
            self.peephole_weights = [
                self.add_weight(name=f"peephole_{gate}", shape=shape, initializer="zeros") for gate in "ifo"
            ]
        self.built = True

    def _bias_start(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        zeros, ones = ops.zeros((self.filters,), dtype), ops.ones((self.filters,), dtype)
        return ops.concatenate([zeros, ones, zeros, zeros])  # forget gate open: memory from the first step

    def call(self, frames: Any, states: Any = None) -> tuple[Any, Any, Any]:
        return self.steps(frames, states)[:3]

    def steps(
        self, frames: Any, states: Any = None, controls: Sequence[Any] | None = None
    ) -> tuple[Any, ...]:
        """What `call` does; under control, it also returns what it did in between.

        controls : None, or tensors as `core.inspection.neutral_controls` makes them
        Returns : what `call` returns; and under control i, f, the candidate's tanh, o and C, each (batch,
            time, height, width, filters)
        """
        height, width = frames.shape[2:4]
        empty = states is None
        if states is None:
            hidden = cell = ops.zeros((ops.shape(frames)[0], height, width, self.filters), frames.dtype)
        else:
            hidden, cell = states
        # Variables are read once, not once a step: in mixed precision each reading is a cast.
        bias, *peepholes = (
            ops.cast(weight, self.compute_dtype) for weight in (self.bias, *self.peephole_weights)
        )
        # Wx * X[t] + Wh * H[t-1] is one convolution of X and H side by side.
        kernel = ops.concatenate([self.kernel, self.recurrent_kernel], axis=2)
        gates = fused(apply_gates if controls is None else controlled_gates)
        outputs, parts = [], []
        # unstack, not x[:, t]: the gradient of each slice would be a whole tensor of zeros
        for t, frame in enumerate(ops.unstack(frames, axis=1)):
            held: list[Any] = []
            if controls is not None:
                flow, *held = controls
                kept = ops.reshape(flow[:, t, :2], (-1, 2, 1, 1, 1))
                hidden, cell = hidden * kept[:, 0], cell * kept[:, 1]
                held.append(flow[:, t, 2:])
            if t == 0 and empty:  # then Wh * H[t-1] is 0
                sums = ops.conv(frame, self.kernel, padding="same")
            else:
                sums = ops.conv(ops.concatenate([frame, hidden], axis=-1), kernel, padding="same")
            hidden, cell, *between = gates(sums + bias, cell, peepholes, *held)
            outputs.append(hidden)
            parts.append([*between, cell])
        seen = [] if controls is None else [ops.stack(part, axis=1) for part in zip(*parts, strict=True)]
        return ops.stack(outputs, axis=1), hidden, cell, *seen

    def compute_output_shape(self, input_shape: tuple[Any, ...], *_: Any) -> tuple[Any, Any, Any]:
        batch, time, height, width, _ = input_shape
        state = (batch, height, width, self.filters)
        return (batch, time, height, width, self.filters), state, state

    def get_config(self) -> dict[str, Any]:
        own = {"filters": self.filters, "kernel_size": self.kernel_size, "peepholes": self.peepholes}
        return {**super().get_config(), **own}


class WatchedCell(keras.layers.Layer):
    """A layer of a network, under control, with its parts shown; it shares the layer's weights.

    Call
    ----
    `layer(frames, flow, gates, alive, states=None)`: what `PeepholeConvLSTM2D.steps` returns under control.
    """

    def __init__(self, cell: PeepholeConvLSTM2D) -> None:
        super().__init__(name=f"watched_{cell.name}", dtype=cell.dtype_policy)
        self.cell = cell

    def call(self, frames: Any, flow: Any, gates: Any, alive: Any, states: Any = None) -> tuple[Any, ...]:
        return self.cell.steps(frames, states, (flow, gates, alive))


@keras.saving.register_keras_serializable(package=PACKAGE)
class TemporalConv3D(keras.layers.Layer):
    """3-D convolution over time and space, 3 x 3 x 3, linear; causal in time, or leaking to show the error.

    `causal=True`: output t reads inputs t-2, t-1, t (the past is padded with two frames of zeros).
    `causal=False` is what `padding="same"` does: output t reads t-1, t, t+1, so a prediction of frame t+1
    has seen the features of frame t+1 itself.

    A kernel with 3 time slices is the sum of three 2-D convolutions of the frames t-2, t-1 and t. The three
    run as one 2-D convolution over all frames with 3 x `filters` output channels; the results are then
    shifted in time and added. That is the same number, faster on a CPU, and the unfinished sums are all the
    state that stepping needs.

    Call
    ----
    `layer(features, state=None)` with features (batch, time, height, width, channels) and state None
    (zeros) or (batch, 2, height, width, filters): what the frames before contribute to the next two outputs.
    Returns (batch, time, height, width, filters) and the state after the last frame. Only the causal form
    has a state; the leaking form refuses one and returns zeros.
    """

    def __init__(self, filters: int, causal: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if filters < 1:
            raise ValueError(f"filters must be 1 or more; got {filters}")
        self.filters, self.causal = filters, causal

    def build(self, input_shape: tuple[Any, ...], *_: Any) -> None:
        # the layout of a Keras Conv3D kernel: (time, height, width, in, out)
        self.kernel = self.add_weight(
            name="kernel", shape=(3, 3, 3, input_shape[-1], self.filters), initializer="glorot_uniform"
        )
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")
        self.built = True

    def call(self, features: Any, state: Any = None) -> tuple[Any, Any]:
        time, height, width, channels = features.shape[1:]
        flat = ops.reshape(features, (-1, height, width, channels))
        kernel = ops.concatenate(ops.unstack(ops.convert_to_tensor(self.kernel), axis=0), axis=-1)
        taps = ops.conv(flat, kernel, padding="same")
        taps = ops.reshape(taps, (-1, time, height, width, 3 * self.filters))
        # taps of frame s: what it adds to outputs s + 2, s + 1, s (causal), or s + 1, s, s - 1 (leaking)
        far, near, now = ops.split(taps, 3, axis=-1)
        empty = ops.zeros((ops.shape(features)[0], 2, height, width, self.filters), taps.dtype)
        if not self.causal:
            if state is not None:
                raise ValueError("the leaking convolution needs the future, so it cannot run step by step")
            one = empty[:, :1]
            before = ops.concatenate([one, far[:, :-1]], axis=1)
            after = ops.concatenate([now[:, 1:], one], axis=1)
            return before + near + after + self.bias, empty
        pending = empty if state is None else state
        # sums[t] = far[t - 2] + near[t - 1] + now[t], two outputs beyond the last frame stay pending
        sums = ops.concatenate([pending, far], axis=1)
        sums = sums + ops.concatenate([empty[:, :1], near, empty[:, :1]], axis=1)
        sums = sums + ops.concatenate([now, empty], axis=1)
        return sums[:, :time] + self.bias, sums[:, time:]

    def compute_output_shape(self, input_shape: tuple[Any, ...], *_: Any) -> tuple[Any, Any]:
        batch, time, height, width, _ = input_shape
        return (batch, time, height, width, self.filters), (batch, 2, height, width, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, "causal": self.causal}


@keras.saving.register_keras_serializable(package=PACKAGE)
class FoldPatches(keras.layers.Layer):
    """Space to depth: (batch, time, h, w, c) to (batch, time, h / patch, w / patch, patch * patch * c)."""

    def __init__(self, patch: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.patch = patch

    def call(self, frames: Any) -> Any:
        time, height, width, channels = frames.shape[1:]
        side = self.patch
        # batch and time are merged: transposing six axes is slower than five
        x = ops.reshape(frames, (-1, height // side, side, width // side, side * channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4))
        return ops.reshape(x, (-1, time, height // side, width // side, side * side * channels))

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        batch, time, height, width, channels = input_shape
        side = self.patch
        return batch, time, height // side, width // side, side * side * channels

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "patch": self.patch}


@keras.saving.register_keras_serializable(package=PACKAGE)
class UnfoldPatches(FoldPatches):
    """Depth to space, the inverse of `FoldPatches`."""

    def call(self, frames: Any) -> Any:
        time, height, width, depth = frames.shape[1:]
        side = self.patch
        channels = depth // (side * side)
        x = ops.reshape(frames, (-1, height, width, side, side * channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4))
        return ops.reshape(x, (-1, time, height * side, width * side, channels))

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        batch, time, height, width, depth = input_shape
        side = self.patch
        return batch, time, height * side, width * side, depth // (side * side)
