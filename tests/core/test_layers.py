"""The layers against their equations, written out in NumPy, and the causality of the head."""

import keras
import numpy as np
import pytest
from keras import ops

from core.layers import (
    FoldPatches,
    PeepholeConvLSTM2D,
    TemporalConv3D,
    UnfoldPatches,
    apply_gates,
    fused,
)


def conv2d(image, kernel):
    """`*` of the equations: same padding, (height, width, in) by (side, side, in, out), float64."""
    side = kernel.shape[0]
    padded = np.pad(image.astype(np.float64), ((side // 2,) * 2, (side // 2,) * 2, (0, 0)))
    height, width = image.shape[:2]
    out = np.zeros((height, width, kernel.shape[-1]))
    for row in range(side):
        for column in range(side):
            out += padded[row : row + height, column : column + width] @ kernel[row, column].astype(
                np.float64
            )
    return out


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def cell_step(x, hidden, cell, kernel, recurrent_kernel, bias, peepholes):
    """The five equations of Shi et al. 2015, one by one."""
    wxi, wxf, wxc, wxo = np.split(kernel, 4, axis=-1)
    whi, whf, whc, who = np.split(recurrent_kernel, 4, axis=-1)
    bi, bf, bc, bo = np.split(bias.astype(np.float64), 4)
    wci, wcf, wco = (weight.astype(np.float64) for weight in peepholes)
    i = sigmoid(conv2d(x, wxi) + conv2d(hidden, whi) + wci * cell + bi)
    f = sigmoid(conv2d(x, wxf) + conv2d(hidden, whf) + wcf * cell + bf)
    new_cell = f * cell + i * np.tanh(conv2d(x, wxc) + conv2d(hidden, whc) + bc)
    o = sigmoid(conv2d(x, wxo) + conv2d(hidden, who) + wco * new_cell + bo)
    return o * np.tanh(new_cell), new_cell


def random_layer(peepholes, kernel_size=3, filters=4, channels=2, side=7):
    """A layer whose every variable, peepholes too, is far from zero."""
    rng = np.random.default_rng(5)
    layer = PeepholeConvLSTM2D(filters, kernel_size, peepholes)
    layer.build((None, 3, side, side, channels))
    for variable in layer.variables:
        variable.assign(rng.uniform(0.1, 0.6, variable.shape) * rng.choice([-1, 1], variable.shape))
    return layer, rng


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("peepholes", ["spatial", "channel", None])
def test_cell_follows_the_five_equations(peepholes, kernel_size):
    layer, rng = random_layer(peepholes, kernel_size)
    frames = rng.normal(size=(2, 3, 7, 7, 2)).astype(np.float32)
    hidden, cell = (rng.normal(size=(2, 7, 7, 4)).astype(np.float32) for _ in "HC")
    outputs, last_hidden, last_cell = (np.asarray(x) for x in layer(frames, [hidden, cell]))

    weights = [np.asarray(layer.kernel), np.asarray(layer.recurrent_kernel), np.asarray(layer.bias)]
    peephole_weights = [np.asarray(weight) for weight in layer.peephole_weights] or [np.zeros(4)] * 3
    if peepholes:
        assert all((weight != 0).all() for weight in peephole_weights)
    for clip in range(2):
        h, c = hidden[clip].astype(np.float64), cell[clip].astype(np.float64)
        for time in range(3):
            h, c = cell_step(frames[clip, time], h, c, *weights, peephole_weights)
            np.testing.assert_allclose(outputs[clip, time], h, atol=1e-5)
        np.testing.assert_allclose(last_hidden[clip], h, atol=1e-5)
        np.testing.assert_allclose(last_cell[clip], c, atol=1e-5)


def hidden_states(frames, weights):
    """All H of one clip from empty memory, by `cell_step`; weights in the order of the layer's variables."""
    kernel, recurrent_kernel, bias, *peepholes = weights
    h = c = np.zeros((*frames.shape[1:3], recurrent_kernel.shape[2]))
    outputs = []
    for x in frames:
        h, c = cell_step(x, h, c, kernel, recurrent_kernel, bias, peepholes or [np.zeros(1)] * 3)
        outputs.append(h)
    return np.stack(outputs)


@pytest.mark.parametrize("peepholes", ["spatial", "channel", None])
def test_gradients_are_those_of_the_equations(peepholes):
    """Of two layers, so that the gradient of the input counts too; against differences in float64."""
    (first, rng), (second, _) = (random_layer(peepholes, 3, 2, channels, side=4) for channels in (1, 2))
    frames, weight_of = rng.normal(size=(1, 3, 4, 4, 1)), rng.normal(size=(1, 3, 4, 4, 2))
    model_input = keras.Input((3, 4, 4, 1))
    model = keras.Model(model_input, second(first(model_input)[0])[0])
    before = [np.asarray(variable, np.float64) for variable in model.trainable_variables]
    # plain descent with rate 1: a step is the gradient
    model.compile(keras.optimizers.SGD(1.0), loss=lambda truth, output: ops.sum(truth * output))
    model.train_on_batch(frames.astype(np.float32), weight_of.astype(np.float32))
    gradients = [old - np.asarray(new) for old, new in zip(before, model.trainable_variables, strict=True)]

    def loss(weights):
        half = len(weights) // 2
        return (weight_of[0] * hidden_states(hidden_states(frames[0], weights[:half]), weights[half:])).sum()

    for n, gradient in enumerate(gradients):
        for _ in range(3):
            direction = rng.normal(size=gradient.shape)
            moved = [
                loss([*before[:n], before[n] + sign * 1e-5 * direction, *before[n + 1 :]]) for sign in (1, -1)
            ]
            expected = (moved[0] - moved[1]) / 2e-5
            scale = np.linalg.norm(gradient) * np.linalg.norm(direction)
            assert (gradient * direction).sum() == pytest.approx(expected, abs=1e-5 * scale)
            assert scale > 0


@pytest.mark.parametrize(("dtype", "atol"), [("float32", 1e-6), ("bfloat16", 2**-6)])
@pytest.mark.parametrize("peepholes", ["spatial", "channel", None])
def test_compiled_gates_are_the_gates(peepholes, dtype, atol):
    rng = np.random.default_rng(0)
    shapes = {"spatial": [(5, 6, 4)] * 3, "channel": [(4,)] * 3, None: []}[peepholes]
    sums, cell = (ops.cast(rng.normal(size=(2, 5, 6, size)), dtype) for size in (16, 4))
    weights = [ops.cast(rng.normal(size=shape), dtype) for shape in shapes]
    plain, compiled = (gates(sums, cell, weights) for gates in (apply_gates, fused(apply_gates)))
    for expected, actual in zip(plain, compiled, strict=True):
        assert keras.backend.standardize_dtype(actual.dtype) == dtype
        np.testing.assert_allclose(
            *(ops.convert_to_numpy(ops.cast(x, "float32")) for x in (actual, expected)), atol=atol
        )


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="others compile the whole model")
def test_compiled_gates_round_once_and_not_after_each_operation():
    rng = np.random.default_rng(1)
    sums, cell = (ops.cast(rng.normal(size=(2, 5, 6, size)), "bfloat16") for size in (16, 4))
    weights = [ops.cast(rng.normal(size=(4,)), "bfloat16") for _ in range(3)]
    given = (sums, cell, weights)
    exact = apply_gates(*keras.tree.map_structure(lambda one: ops.cast(one, "float32"), given))
    for expected, actual in zip(exact, fused(apply_gates)(*given), strict=True):
        rounded = ops.cast(expected, "bfloat16")
        np.testing.assert_array_equal(*(np.asarray(ops.cast(x, "float32")) for x in (actual, rounded)))


def test_tensorflow_has_the_gates_compiled_and_others_compile_them_with_the_model():
    assert (fused(apply_gates) is apply_gates) == (keras.backend.backend() != "tensorflow")


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="others compile the whole model")
def test_without_xla_the_gates_run_one_by_one_and_the_log_says_so(monkeypatch, caplog):
    import tensorflow as tf

    def refuse(function, jit_compile, autograph):
        def call(*arguments):
            raise tf.errors.UnimplementedError(None, None, "no XLA here")

        return call

    fused.cache_clear()
    monkeypatch.setattr(tf, "function", refuse)
    try:
        assert fused(apply_gates) is apply_gates
    finally:
        fused.cache_clear()
    assert "no XLA here" in caplog.text


def test_memory_starts_empty_and_the_forget_gate_open():
    layer = PeepholeConvLSTM2D(3, 3)
    frames = np.random.default_rng(0).normal(size=(1, 2, 5, 5, 1)).astype(np.float32)
    zeros = np.zeros((1, 5, 5, 3), np.float32)
    without, given = layer(frames), layer(frames, [zeros, zeros])
    np.testing.assert_array_equal(np.asarray(without[0]), np.asarray(given[0]))
    assert np.asarray(layer.bias).tolist() == [0] * 3 + [1] * 3 + [0] * 6
    assert all((np.asarray(weight) == 0).all() for weight in layer.peephole_weights)


def test_peephole_shapes():
    shapes = {}
    for kind in ("spatial", "channel", None):
        layer = PeepholeConvLSTM2D(3, 3, kind)
        layer.build((None, 2, 5, 6, 1))
        shapes[kind] = [tuple(weight.shape) for weight in layer.peephole_weights]
    assert shapes == {"spatial": [(5, 6, 3)] * 3, "channel": [(3,)] * 3, None: []}


def test_running_in_parts_with_the_state_is_running_at_once():
    layer, rng = random_layer("spatial")
    frames = rng.normal(size=(1, 6, 7, 7, 2)).astype(np.float32)
    whole = np.asarray(layer(frames)[0])
    first, hidden, cell = layer(frames[:, :2])
    second, _, _ = layer(frames[:, 2:], [hidden, cell])
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 3), "filters must be 1 or more; got 0"),
        ((4, 2), "kernel_size must be odd and positive; got 2"),
        ((4, 3, "all"), "peepholes must be 'spatial', 'channel' or None; got 'all'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        PeepholeConvLSTM2D(*arguments)


def conv3d(features, kernel, bias, pad):
    """3-D convolution in NumPy: (time, height, width, in) by (3, 3, 3, in, out), padded in time."""
    time, height, width, _ = features.shape
    padded = np.pad(features.astype(np.float64), (pad, (1, 1), (1, 1), (0, 0)))
    out = np.zeros((time, height, width, kernel.shape[-1])) + bias
    for t in range(3):
        for row in range(3):
            for column in range(3):
                out += (
                    padded[t : t + time, row : row + height, column : column + width] @ kernel[t, row, column]
                )
    return out


@pytest.mark.parametrize(("causal", "pad"), [(True, (2, 0)), (False, (1, 1))])
@pytest.mark.parametrize("time", [1, 2, 5])
def test_head_is_the_three_dimensional_convolution(causal, pad, time):
    rng = np.random.default_rng(0)
    layer = TemporalConv3D(3, causal=causal)
    features = rng.normal(size=(2, time, 6, 5, 4)).astype(np.float32)
    layer.build(features.shape)
    layer.bias.assign([0.5, -1, 2])
    outputs = np.asarray(layer(features)[0])
    for clip in range(2):
        expected = conv3d(features[clip], np.asarray(layer.kernel, np.float64), [0.5, -1, 2], pad)
        np.testing.assert_allclose(outputs[clip], expected, atol=1e-5)


@pytest.mark.parametrize("cut", [1, 2, 4])
def test_head_in_parts_with_the_state_is_the_head_at_once(cut):
    rng = np.random.default_rng(1)
    layer = TemporalConv3D(2)
    features = rng.normal(size=(2, 5, 6, 6, 3)).astype(np.float32)
    whole, _ = layer(features)
    first, state = layer(features[:, :cut])
    second, _ = layer(features[:, cut:], state)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), np.asarray(whole), atol=1e-5)


def test_leaking_head_refuses_to_run_step_by_step():
    layer = TemporalConv3D(1, causal=False)
    features = np.zeros((1, 1, 4, 4, 1), np.float32)
    with pytest.raises(ValueError, match="needs the future"):
        layer(features, np.zeros((1, 2, 4, 4, 1), np.float32))


def test_folding_keeps_neighbours_together_and_unfolding_undoes_it():
    frames = np.arange(2 * 3 * 8 * 8, dtype=np.float32).reshape(2, 3, 8, 8, 1)
    folded = np.asarray(FoldPatches(4)(frames))
    assert folded.shape == (2, 3, 2, 2, 16)
    np.testing.assert_array_equal(folded[1, 2, 1, 0], frames[1, 2, 4:8, 0:4, 0].ravel())
    np.testing.assert_array_equal(np.asarray(UnfoldPatches(4)(folded)), frames)
