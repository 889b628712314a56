"""Frozen convolutional networks that tell how alike two frames look: blocks 1 and 2 of VGG16, and AlexNet.

Their ImageNet weights are shipped in `assets/`; nothing is downloaded. They have no Keras variables: each
call takes the weights as constants, so that a compiled step of any backend folds them in and nothing can
train them.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops

from core.loss_weights import VGG16_LAYERS
from core.weights import WeightsError, checksum, load_arrays

ASSETS = Path(__file__).resolve().parent.parent / "assets"
ALEXNET_LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
FEATURE_DTYPES = ("float32", "bfloat16")
ALEXNET_MIN_SIDE_PX = 31  # smaller frames leave nothing for the second pooling
# Of the three colours, for pixels in [0, 1]: what torchvision's networks were trained with.
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406])
IMAGENET_STD = np.array([0.229, 0.224, 0.225])
_REBUILD = "rebuild it with: python -m scripts.build_features FOLDER_OR_SDIST"


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Arrays of an asset as float32, read-only; its bytes must have the checksum in the record beside it.

    Raises
    ------
    WeightsError
        If the asset or its record is missing or damaged; the message says how to rebuild it.
    """
    record = path.with_suffix(".json")
    try:
        expected = json.loads(record.read_text())["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{record} is missing or damaged ({type(error).__name__}); {_REBUILD}") from error
    if checksum(path) != expected:
        raise WeightsError(f"{path} is damaged: its checksum is not the recorded one; {_REBUILD}")
    arrays = {name: array.astype(np.float32) for name, array in load_arrays(path).items()}
    for array in arrays.values():
        array.setflags(write=False)  # shared by everything in the process
    return arrays


def grey_kernel(kernel: np.ndarray) -> np.ndarray:
    """The first convolution of a colour network as one on (grey, 1).

    A grey pixel g stands for three equal colours, each normalised to (g - mean) / std. The convolution is
    linear, so the three kernels sum to one of g and one of the constant 1. Zero padding of both channels is
    then zero padding after the normalisation, as the network was trained.

    Parameters
    ----------
    kernel : (rows, columns, 3, out)

    Returns
    -------
    numpy.ndarray
        (rows, columns, 2, out), float32.
    """
    kernel = kernel.astype(np.float64)
    of_grey = np.einsum("ijco,c->ijo", kernel, 1 / IMAGENET_STD)
    of_one = np.einsum("ijco,c->ijo", kernel, -IMAGENET_MEAN / IMAGENET_STD)
    return np.stack([of_grey, of_one], axis=2).astype(np.float32)


@lru_cache(maxsize=2)
def network_weights(name: str) -> dict[str, np.ndarray]:
    """Weights of the shipped network "vgg16" or "lpips_alexnet", its first kernel on (grey, 1), cached."""
    arrays = read_weights(ASSETS / f"{name}.npz")
    first = next(iter(arrays))
    return arrays | {first: grey_kernel(arrays[first])}


def _grey_and_one(frames: Any, dtype: str) -> Any:
    """Frames (..., height, width, 1) as one batch (frames, height, width, 2) of grey and 1."""
    grey = ops.reshape(ops.cast(frames, dtype), (-1, *frames.shape[-3:]))
    return ops.concatenate([grey, ops.ones_like(grey)], axis=-1)


def _convolve(
    x: Any, weights: dict[str, np.ndarray], layer: str, padding: str = "same", stride: int = 1
) -> Any:
    """A convolution of the network and its ReLU, in the type of x."""
    kernel, bias = (
        ops.cast(ops.convert_to_tensor(weights[f"{layer}/{part}"]), x.dtype) for part in ("kernel", "bias")
    )
    return ops.relu(ops.conv(x, kernel, stride, padding, data_format="channels_last") + bias)


def check_vgg16(layer: str, dtype: str) -> None:
    """Raise ValueError unless `vgg16_features` has such a layer and computes in such a type."""
    if layer not in VGG16_LAYERS:
        raise ValueError(f"layer must be one of {', '.join(VGG16_LAYERS)}; got {layer!r}")
    if dtype not in FEATURE_DTYPES:
        raise ValueError(f"features are computed in {' or '.join(FEATURE_DTYPES)}; got {dtype!r}")


def _require_frames(frames: Any, smallest: int) -> None:
    shape = tuple(frames.shape)
    if len(shape) < 3 or shape[-1] != 1 or None in shape[-3:] or min(shape[-3:-1]) < smallest:
        raise ValueError(
            f"frames must be (..., height, width, 1) with sides of {smallest} pixels or more; got {shape}"
        )


def vgg16_features(frames: Any, layer: str = "conv2_2", dtype: str = "float32") -> Any:
    """What a layer of VGG16 (Simonyan & Zisserman 2015) sees in grey frames, after its ReLU.

    Parameters
    ----------
    frames : (..., height, width, 1)
        Floats in [0, 1]; height and width known.
    layer : str
        "conv1_1", "conv1_2" (64 channels, full resolution), "conv2_1" or "conv2_2" (128 channels, half).
    dtype : str
        What the convolutions compute in: "float32" or "bfloat16".

    Returns
    -------
    tensor
        (frames, rows, columns, channels) of that type; all leading axes are one.

    Raises
    ------
    ValueError
        If there is no such layer or type, or the frames are of another shape.
    WeightsError
        If the shipped weights are missing or damaged.
    """
    check_vgg16(layer, dtype)
    _require_frames(frames, smallest=2)
    weights = network_weights("vgg16")
    x = _grey_and_one(frames, dtype)
    for name in VGG16_LAYERS[: VGG16_LAYERS.index(layer) + 1]:
        if name == "conv2_1":
            x = ops.max_pool(x, 2, 2, data_format="channels_last")
        x = _convolve(x, weights, name)
    return x


def alexnet_features(frames: Any) -> list[Any]:
    """What the five layers of AlexNet (Krizhevsky 2014) see in grey frames, each after its ReLU.

    Parameters
    ----------
    frames : (..., height, width, 1)
        Floats in [0, 1]; sides of 31 pixels or more, and known.

    Returns
    -------
    list of tensor
        Five of float32 (frames, rows, columns, channels): 64, 192, 384, 256, 256 channels; all leading axes
        are one.

    Raises
    ------
    ValueError
        If the frames are of another shape.
    WeightsError
        If the shipped weights are missing or damaged.
    """
    _require_frames(frames, smallest=ALEXNET_MIN_SIDE_PX)
    weights = network_weights("lpips_alexnet")
    border = [(0, 0), (2, 2), (2, 2), (0, 0)]
    x = _convolve(ops.pad(_grey_and_one(frames, "float32"), border), weights, "conv1", "valid", stride=4)
    features = [x]
    for name in ALEXNET_LAYERS[1:]:
        if name in ("conv2", "conv3"):
            x = ops.max_pool(x, 3, 2, data_format="channels_last")
        x = _convolve(x, weights, name)
        features.append(x)
    return features
