"""Weights as plain `.npz` files: one array a variable, under the variable's path.

The format is the same on every backend, is read without executing anything, and is written at once
or not at all.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from core.damage import DAMAGE

REPLACE_TRIES, REPLACE_PAUSE_SECONDS = 50, 0.02


class WeightsError(RuntimeError):
    """A weights file is missing, damaged or of another network; the message says which."""


def write_atomically(path: Path, data: bytes) -> None:
    """Write a whole file: a reader sees the old one or the new one, never a part of it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        _replace(temporary, path)
    except BaseException:
        with suppress(OSError):  # what went wrong first is what counts
            os.unlink(temporary)
        raise


def _replace(temporary: str, path: Path) -> None:
    """Put a file in the place of another. On Windows that is refused while a process reads the old one."""
    if sys.platform == "win32":
        for _ in range(REPLACE_TRIES):
            try:
                return os.replace(temporary, path)
            except PermissionError:
                time.sleep(REPLACE_PAUSE_SECONDS)
    return os.replace(temporary, path)


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray], compressed: bool = False) -> None:
    """Write named arrays to an `.npz` file, atomically.

    compressed : weights get 7% smaller by it, `rounded` ones a fifth, at many times the time
    """
    from io import BytesIO

    buffer = BytesIO()
    save = np.savez_compressed if compressed else np.savez
    save(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read an `.npz` file.

    Raises
    ------
    WeightsError
        If it is missing or damaged.
    """
    return load_with_checksum(path)[0]


def load_with_checksum(path: Path) -> tuple[dict[str, np.ndarray], str]:
    """The arrays of an `.npz` file, and the SHA-256 of the very bytes that they are from, which another
    process may replace at any time; raises as `load_arrays`.
    """
    from io import BytesIO

    try:
        data = path.read_bytes()
        with np.load(BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise WeightsError(f"weights file {path} is missing") from error
    except DAMAGE as error:
        raise WeightsError(f"weights file {path} is damaged ({type(error).__name__})") from error
    return arrays, hashlib.sha256(data).hexdigest()


def rounded(array: np.ndarray, bits: int) -> np.ndarray:
    """A float array with so many significant bits, of the same type: a file compresses what is left of it."""
    mantissa, exponent = np.frexp(array.astype(np.float64))
    kept = np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits)
    most = np.finfo(array.dtype).max  # to which the largest are not rounded up
    return np.where(np.abs(kept) > most, array, kept).astype(array.dtype)


def variable_arrays(variables: Iterable[Any], dtype: str = "float32") -> dict[str, np.ndarray]:
    """Keras variables as arrays of a dtype, by path."""
    return {variable.path: np.asarray(variable, dtype) for variable in variables}


def assign(variables: Iterable[Any], arrays: Mapping[str, np.ndarray], source: str) -> None:
    """Set Keras variables from arrays of the same names and shapes.

    Raises
    ------
    WeightsError
        If a name or a shape does not match, or a value is not finite; then no variable has changed.
    """
    variables = list(variables)
    names = {variable.path for variable in variables}
    if names != set(arrays):
        odd = sorted(names ^ set(arrays))
        raise WeightsError(f"{source} does not fit this network: {len(odd)} names differ, such as {odd[0]!r}")
    for variable in variables:
        array = arrays[variable.path]
        if array.shape != tuple(variable.shape):
            raise WeightsError(
                f"{source} does not fit this network: {variable.path} has shape {array.shape}, "
                f"not {tuple(variable.shape)}"
            )
        if not np.isfinite(array).all():
            raise WeightsError(f"{source} is damaged: {variable.path} has values that are not finite")
    for variable in variables:
        variable.assign(arrays[variable.path].astype("float32"))


def checksum(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal text.

    Raises
    ------
    WeightsError
        If the file cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(f"weights file {path} cannot be read ({error.strerror})") from error
