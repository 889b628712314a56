"""Weights files of small networks for tests, as training and Keras write them."""

import io
import tempfile
from pathlib import Path

import numpy as np

from core.model_shapes import variable_shapes


def weights_of(config, seed=0):
    """Weights by path, as after a training: none where it began."""
    rng = np.random.default_rng(seed)
    arrays = {
        path: rng.normal(0, 0.1, shape).astype(np.float32) for path, shape in variable_shapes(config).items()
    }
    return {path: np.abs(array) if path.endswith("variance") else array for path, array in arrays.items()}


def trained(config, arrays=None, time=3):
    """A Keras model with those weights."""
    from core.model import Network

    model = Network(config).training_model(time)
    arrays = arrays or weights_of(config)
    for variable in model.variables:
        variable.assign(arrays[variable.path])
    return model


def npz(arrays, save=np.savez):
    """The bytes of an NPZ file."""
    out = io.BytesIO()
    save(out, **arrays)
    return out.getvalue()


def saved(model, ending):
    """The bytes of the file that Keras writes: ".keras" or ".weights.h5"."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"mine{ending}"
        model.save(path) if ending == ".keras" else model.save_weights(path)
        return path.read_bytes()
