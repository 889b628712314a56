"""The frozen networks against their convolutions written out in NumPy, on three equal colours."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from core.features import (
    ALEXNET_LAYERS,
    ASSETS,
    IMAGENET_MEAN,
    IMAGENET_STD,
    VGG16_LAYERS,
    alexnet_features,
    network_weights,
    read_weights,
    vgg16_features,
)
from core.weights import WeightsError


def grey(*shape, seed=0):
    return np.random.default_rng(seed).random((*shape, 1)).astype("float32")


def convolved(x, kernel, bias, pad, stride=1):
    """ReLU of a zero-padded convolution: (height, width, in) to (rows, columns, out), float64."""
    x, side = np.pad(x, ((pad, pad), (pad, pad), (0, 0))), len(kernel)
    windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(0, 1))[::stride, ::stride]
    return np.maximum(np.einsum("yxcij,ijco->yxo", windows, kernel.astype(np.float64)) + bias, 0)


def pooled(x, side, stride):
    windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(0, 1))
    return windows[::stride, ::stride].max(axis=(-2, -1))


def colours(frame):
    """A grey frame (height, width, 1) as three equal colours, normalised as the networks were trained."""
    return (np.repeat(frame.astype(np.float64), 3, axis=-1) - IMAGENET_MEAN) / IMAGENET_STD


def plain_vgg16(frame):
    weights, x, seen = read_weights(ASSETS / "vgg16.npz"), colours(frame), {}
    for layer in VGG16_LAYERS:
        x = pooled(x, 2, 2) if layer == "conv2_1" else x
        x = seen[layer] = convolved(x, weights[f"{layer}/kernel"], weights[f"{layer}/bias"], pad=1)
    return seen


def plain_alexnet(frame):
    weights, x, seen = read_weights(ASSETS / "lpips_alexnet.npz"), colours(frame), []
    for layer, pad, stride in zip(ALEXNET_LAYERS, (2, 2, 1, 1, 1), (4, 1, 1, 1, 1), strict=True):
        x = pooled(x, 3, 2) if layer in ("conv2", "conv3") else x
        x = convolved(x, weights[f"{layer}/kernel"], weights[f"{layer}/bias"], pad, stride)
        seen.append(x)
    return seen


@pytest.mark.parametrize("layer", VGG16_LAYERS)
def test_vgg16_is_the_plain_three_colour_network_up_to_the_border(layer):
    frames = grey(2, 9, 12)  # an odd side: the pooling drops the last row
    seen = ops.convert_to_numpy(vgg16_features(frames, layer))
    for features, frame in zip(seen, frames, strict=True):
        np.testing.assert_allclose(features, plain_vgg16(frame)[layer], atol=2e-4)


def test_alexnet_is_the_plain_three_colour_network_up_to_the_border():
    frame = grey(37, 50)
    for features, expected in zip(alexnet_features(frame), plain_alexnet(frame), strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(features)[0], expected, atol=2e-4)


def test_leading_axes_become_one():
    frames = grey(2, 3, 8, 8)
    seen = ops.convert_to_numpy(vgg16_features(frames))
    assert seen.shape == (6, 4, 4, 128)
    np.testing.assert_allclose(seen[4], ops.convert_to_numpy(vgg16_features(frames[1, 1]))[0], atol=1e-5)


def test_bfloat16_keeps_two_digits():
    frames = grey(4, 16, 16)
    exact, rounded = vgg16_features(frames), vgg16_features(frames, dtype="bfloat16")
    assert keras.backend.standardize_dtype(rounded.dtype) == "bfloat16"
    exact, rounded = ops.convert_to_numpy(exact), ops.convert_to_numpy(ops.cast(rounded, "float32"))
    assert np.abs(rounded - exact).max() < 0.02 * np.abs(exact).max()


@pytest.mark.parametrize(("dtype", "rounding"), [("float32", 1e-5), ("bfloat16", 0.02)])
def test_one_process_may_trace_it_many_times(dtype, rounding):
    """Tensors of one trace must not leak into the next, nor into eager calls."""
    network_weights.cache_clear()
    for side in (8, 10):  # two graphs, the first of which fills the cache
        frames = grey(1, side, side)
        traced = tf.function(lambda x: tf.cast(vgg16_features(x, dtype=dtype), "float32"))(frames).numpy()
        eager = tf.cast(vgg16_features(frames, dtype=dtype), "float32").numpy()
        assert np.abs(traced - eager).max() < rounding * eager.max()


def test_nothing_in_it_can_be_trained():
    for array in network_weights("vgg16").values():
        assert isinstance(array, np.ndarray)
    bias = network_weights("vgg16")["conv1_1/bias"]
    with pytest.raises(ValueError, match="read-only"):
        bias[0] = 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": "conv3_1"}, "layer must be one of conv1_1, conv1_2, conv2_1, conv2_2; got 'conv3_1'"),
        ({"dtype": "int8"}, "features are computed in float32 or bfloat16; got 'int8'"),
        ({"frames": grey(8, 1)}, r"sides of 2 pixels or more; got \(8, 1, 1\)"),
        ({"frames": grey(8, 8)[..., 0]}, r"frames must be \(..., height, width, 1\) .* got \(8, 8\)"),
        ({"frames": np.zeros((8, 8, 3))}, r"got \(8, 8, 3\)"),
    ],
)
def test_what_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        vgg16_features(**{"frames": grey(8, 8), **arguments})


def test_alexnet_needs_31_pixels():
    assert [tuple(x.shape[1:3]) for x in alexnet_features(grey(31, 31))][-1] == (1, 1)
    with pytest.raises(ValueError, match=r"sides of 31 pixels or more; got \(30, 64, 1\)"):
        alexnet_features(grey(30, 64))


@pytest.mark.parametrize("name", ["vgg16", "lpips_alexnet"])
def test_record_beside_each_asset_is_true(name):
    record = json.loads((ASSETS / f"{name}.json").read_text())
    assert {"what", "authors", "licence", "source", "source_sha256", "source_file", "rebuild"} <= set(record)
    with np.load(ASSETS / f"{name}.npz") as file:
        arrays = {key: f"{file[key].dtype} {list(file[key].shape)}" for key in file.files}
    assert record["arrays"] == arrays
    assert (ASSETS / f"{name}.npz").stat().st_size < 10_000_000


class TestDamage:
    def copy(self, folder):
        for suffix in ("npz", "json"):
            shutil.copy(ASSETS / f"vgg16.{suffix}", folder)
        return folder / "vgg16.npz"

    def test_a_changed_byte_is_noticed(self, tmp_path):
        path = self.copy(tmp_path)
        data = bytearray(path.read_bytes())
        data[5000] ^= 1
        path.write_bytes(data)
        with pytest.raises(
            WeightsError, match="vgg16.npz is damaged.*rebuild it with: python -m scripts.build"
        ):
            read_weights(path)

    def test_a_missing_record_is_named(self, tmp_path):
        path = self.copy(tmp_path)
        path.with_suffix(".json").unlink()
        with pytest.raises(WeightsError, match=r"vgg16.json is missing or damaged \(FileNotFoundError\)"):
            read_weights(path)

    def test_a_missing_asset_is_named(self, tmp_path):
        path = self.copy(tmp_path)
        path.unlink()
        with pytest.raises(WeightsError, match="vgg16.npz cannot be read"):
            read_weights(path)
