"""The layers against their equations, written out in NumPy, and the causality of the head."""

import numpy as np
import pytest

from core.layers import FoldPatches, PeepholeConvLSTM2D, TemporalConv3D, UnfoldPatches


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
