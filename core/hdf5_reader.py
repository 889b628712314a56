"""A program of its own: the weights of an HDF5 file from Keras, as an NPZ.

The HDF5 library is written in C, and a damaged file can make it crash or never return. So it runs in a
process whose memory and time are bounded, which `core.own_weights` starts::

    python -I core/hdf5_reader.py < model.weights.h5 > out

`out` is a line of JSON, `{"name": the model's name or null}`, and then an NPZ with an array for each weight,
"layer/number". Exit status 3, and one sentence on stderr, for a file that is something else.
"""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import h5py
import numpy as np

REFUSED = 3
MOST_BYTES_OF_MEMORY = 2_000_000_000  # the libraries alone take a quarter of it as addresses
MOST_SECONDS = 20
MOST_PARTS = 500  # layers, and weights of a layer; the largest network has dozens of layers


class RefusedError(ValueError):
    """A file that is no weights file of Keras; the message is one sentence."""


def limit_resources() -> None:
    """Bound memory and processor time of this process."""
    if sys.platform != "linux":
        return  # Windows has no such limits, and macOS does not keep them: the time limit outside remains
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES_OF_MEMORY, MOST_BYTES_OF_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def child(group: h5py.Group, name: str, kind: type) -> Any:
    """A member of a group, never one in another file."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise RefusedError("the HDF5 file has a link in it; Keras writes none, and none is followed")
    found = group[name]
    if not isinstance(found, kind):
        raise RefusedError("the HDF5 file is not laid out as Keras 3 lays out weights")
    return found


def read_weights(data: bytes) -> tuple[str | None, dict[str, np.ndarray]]:
    """The model's name, and its arrays by "layer/number"; optimizer and settings are left alone."""
    arrays: dict[str, np.ndarray] = {}
    with h5py.File(io.BytesIO(data), "r") as file:
        if "layers" not in file:
            raise RefusedError("the HDF5 file holds no weights of a Keras 3 network")
        layers = child(file, "layers", h5py.Group)
        for key in names(layers):
            layer = child(layers, key, h5py.Group)
            if "vars" not in layer:
                continue
            values = child(layer, "vars", h5py.Group)
            for number in names(values):
                path = f"{text(values.attrs.get('name', key))}/{number}"
                if path in arrays:
                    raise RefusedError(f"two weights of the HDF5 file are called {path[:60]}")
                arrays[path] = array(child(values, number, h5py.Dataset), path)
        about = child(file, "vars", h5py.Group).attrs if "vars" in file else {}
        name = text(about["name"]) if "name" in about else None
    return name, arrays


def names(group: Any) -> list[str]:
    """Of the members of a group, if it is not much larger than any of ours."""
    if len(group) > MOST_PARTS:
        raise RefusedError(f"the HDF5 file has {len(group):,} parts; a network of ours has far fewer")
    return list(group)


def text(value: Any) -> str:
    """An attribute that must be text."""
    if not isinstance(value, str):
        raise RefusedError("the HDF5 file is not laid out as Keras 3 lays out weights")
    return value


def array(stored: h5py.Dataset, path: str) -> np.ndarray:
    """The numbers of one weight, if all of them are in this file, one after the other."""
    if stored.chunks is not None or stored.is_virtual or stored.external:
        raise RefusedError(f"{path[:60]} is compressed or in another file; Keras writes neither")
    if stored.dtype.kind != "f":
        raise RefusedError(f"weights must be floating-point numbers; {path[:60]} has {stored.dtype}")
    # a file may claim numbers that are not in it; the library would make them up, however many
    if stored.id.get_storage_size() != stored.size * stored.dtype.itemsize:
        raise RefusedError(f"{path[:60]} is incomplete")
    return stored[()]


def main() -> int:
    """Read stdin, write stdout."""
    limit_resources()
    try:
        name, arrays = read_weights(sys.stdin.buffer.read())
    except RefusedError as error:
        sys.stderr.write(str(error))
        return REFUSED
    out = sys.stdout.buffer
    out.write(json.dumps({"name": name}).encode() + b"\n")
    packed = io.BytesIO()
    np.savez(packed, **arrays)  # type: ignore[arg-type]
    out.write(packed.getbuffer())
    return 0


if __name__ == "__main__":
    sys.exit(main())
