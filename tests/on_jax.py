"""What a test computes, on the other backend: in a process of its own, since Keras reads its choice once."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
_CODE = """
import sys, numpy as np
sys.path.insert(0, {root!r})
import keras
assert keras.backend.backend() == "jax", keras.backend.backend()
from {module} import {function}
np.savez({path!r}, *{function}())
"""


def computed_on_jax(module: str, function: str, folder: Path) -> list[np.ndarray]:
    """The arrays that a function without arguments returns there."""
    path = str(folder / "jax.npz")
    code = _CODE.format(root=str(ROOT), module=module, function=function, path=path)
    # what is asked for once is not worth XLA's time
    choices = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    environment = {**os.environ, **choices}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=ROOT, timeout=240)
    with np.load(path) as file:
        return [file[name] for name in file.files]
