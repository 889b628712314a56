"""Weights that people bring along: `weights.npz`, `.weights.h5` and `.keras` of a network known here.

Whatever the bytes are, reading them runs nothing and builds nothing of what they describe, takes bounded
memory and time, and ends in the weights of one of our networks or in one sentence. What a file is, its first
bytes say, not its name; which network it is of, the names and shapes of its weights. No Keras is needed.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import math
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core import zoo
from core.damage import DAMAGE
from core.model_config import CONFIGS, ModelConfig
from core.model_shapes import Shapes, variable_shapes

MOST_BYTES = 40_000_000  # twice the largest network in float32; with the state of Adam that is too large
MOST_PARTS = 500  # of an archive; the largest network has 72 weights
MOST_ABOUT = 1_000_000  # bytes of config.json
# No training ends near it, and below it no sum of a network overflows: predictions are numbers.
LARGEST_WEIGHT = 1e6
READER_SECONDS = 30
_MOST_HEAD = 10_000  # bytes before the numbers of an NPY file; NumPy writes 128
_WEIGHTS, _ABOUT = "model.weights.h5", "config.json"
_KINDS = "weights.npz of a training here, .weights.h5 and .keras of one of our networks"
_ACCEPTED = f"{_KINDS} are accepted"
_LOG = logging.getLogger(__name__)
_TURN = threading.Lock()  # one reader at a time, however many people bring files


class OwnWeightsError(ValueError):
    """A file without weights of a known network; the message says what arrived and what is accepted."""


@dataclass(frozen=True)
class OwnWeights:
    """Weights from a file.

    Attributes
    ----------
    kind : of the file: "NPZ", "HDF5" or "Keras"
    arrays : float32, finite, by path ("convlstm_1/kernel"), as `core.weights.assign` takes them
    configs : the known networks that they fit, 1 or more. More where networks differ in what weights do not
        show, such as the causal head and the leaking one, and the file does not say which it is of.
    """

    kind: str
    arrays: dict[str, np.ndarray]
    configs: tuple[ModelConfig, ...]

    @property
    def digest(self) -> str:
        """Tells weights apart by their numbers."""
        found = hashlib.sha256()
        for name in sorted(self.arrays):
            found.update(name.encode())
            found.update(self.arrays[name].tobytes())
        return found.hexdigest()


def known_configs() -> tuple[ModelConfig, ...]:
    """The networks that weights are recognised as, each once: those trained here, and those shipped."""
    found = list(CONFIGS.values())
    for name in zoo.model_names():
        with suppress(zoo.ModelError):  # what a damaged model looks like is not known
            found.append(zoo.config_of(name))
    # weights from before a network foresaw, or forecast with as many layers
    found += [replace(config, foresees=False) for config in found]
    found += [replace(config, deep=False) for config in found]
    # Keras saves a network without a forecast that takes no part in next-frame predictions
    found += [replace(config, forecast=0, deep=False, followed=1) for config in found if not config.foresees]
    known: dict[ModelConfig, ModelConfig] = {}
    for config in found:
        known.setdefault(replace(config, name=""), config)
    return tuple(known.values())


def read_weights(data: bytes, known: Sequence[ModelConfig] | None = None) -> OwnWeights:
    """The weights in a file, and the networks that they fit.

    Parameters
    ----------
    data : the file
    known : the networks that are accepted; None: `known_configs`

    Raises
    ------
    OwnWeightsError
        If it cannot be read, or its weights are of no known network, or are not finite.
    """
    if not data:
        raise OwnWeightsError("the file is empty")
    if len(data) > MOST_BYTES:
        raise OwnWeightsError(
            f"the file has {len(data) / 1e6:.1f} MB; at most {MOST_BYTES / 1e6:.0f} MB are accepted"
        )
    kind, read = _reader(data)
    try:
        return read(data, known_configs() if known is None else known)
    except OwnWeightsError:
        raise
    except DAMAGE as error:
        raise OwnWeightsError(f"the {kind} file is damaged or cut off ({type(error).__name__})") from error


# ------------------------------------------------------------------------------------------- formats

_Read = Callable[[bytes, Sequence[ModelConfig]], OwnWeights]


def _reader(data: bytes) -> tuple[str, _Read]:
    if data.startswith(b"\x89HDF\r\n\x1a\n"):
        return "HDF5", lambda data, known: _of_keras("HDF5", data, None, known)
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        # an archive names its parts at its end, and a Keras file has this one
        return ("Keras", _read_keras) if _WEIGHTS.encode() in data[-100_000:] else ("NPZ", _read_npz)
    raise OwnWeightsError(f"what is in it, whatever its name says, is none of what is accepted: {_KINDS}")


def _archive(data: bytes) -> zipfile.ZipFile:
    """A ZIP archive of no more parts than ours have, packed in the ways that ours are."""
    # each entry of the table at the end begins so: counted before the table is read into memory
    parts = data.count(b"PK\x01\x02")
    if parts > MOST_PARTS:
        raise OwnWeightsError(f"the file has {parts:,} parts; a network of ours has far fewer")
    archive = zipfile.ZipFile(io.BytesIO(data))
    if any(
        part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for part in archive.infolist()
    ):
        raise OwnWeightsError("the file is packed in a way that neither NumPy nor Keras uses")
    return archive


def _read_npz(data: bytes, known: Sequence[ModelConfig]) -> OwnWeights:
    arrays, configs = _arrays_of_npz(data, lambda shapes: _fitting(shapes, known))
    return OwnWeights("NPZ", _checked(arrays), configs)


def _arrays_of_npz(
    data: bytes, fit: Callable[[Shapes], tuple[ModelConfig, ...]]
) -> tuple[dict[str, np.ndarray], tuple[ModelConfig, ...]]:
    """Arrays of an NPZ file, unpacked only once their shapes are known to be those of a network."""
    with _archive(data) as archive:
        heads = {
            part.filename.removesuffix(".npy"): (part, *_head(archive, part)) for part in archive.infolist()
        }
        if not heads:
            raise OwnWeightsError("the NPZ file has no array in it")
        configs = fit({name: shape for name, (_, _, shape, _, _) in heads.items()})
        return {name: _array(archive, *head) for name, head in heads.items()}, configs


def _head(
    archive: zipfile.ZipFile, part: zipfile.ZipInfo
) -> tuple[int, tuple[int, ...], bool, np.dtype[Any]]:
    """Of an NPY file: where its numbers begin, their shape, whether column by column, and their type."""
    name = part.filename[:60]
    with archive.open(part) as file:
        start = io.BytesIO(file.read(_MOST_HEAD))
    if not part.filename.endswith(".npy"):
        raise OwnWeightsError(f"{name} is in the archive, which is no array; {_ACCEPTED}")
    version = np.lib.format.read_magic(start)
    if version not in ((1, 0), (2, 0)):
        raise OwnWeightsError(f"{name} has NPY format {version[0]}.{version[1]}; 1.0 and 2.0 are accepted")
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, in_columns, dtype = reader(start)
    if dtype.hasobject:
        raise OwnWeightsError(f"{name} holds pickled Python objects, which are never loaded")
    return start.tell(), shape, in_columns, dtype


def _array(
    archive: zipfile.ZipFile,
    part: zipfile.ZipInfo,
    begin: int,
    shape: tuple[int, ...],
    in_columns: bool,
    dtype: np.dtype[Any],
) -> np.ndarray:
    if dtype.kind != "f" or dtype.itemsize > 8:
        raise OwnWeightsError(f"weights must be floating-point numbers; {part.filename[:60]} has {dtype}")
    size = begin + math.prod(shape) * dtype.itemsize
    with archive.open(part) as file:
        content = file.read(size + 1)  # whatever the archive says of its size
    if len(content) != size:
        raise OwnWeightsError(f"{part.filename[:60]} is longer or shorter than it says")
    array = np.frombuffer(content, dtype, offset=begin)
    return array.reshape(shape, order="F" if in_columns else "C")


def _read_keras(data: bytes, known: Sequence[ModelConfig]) -> OwnWeights:
    with _archive(data) as archive:
        weights = _part(archive, _WEIGHTS, MOST_BYTES)
        about = json.loads(_part(archive, _ABOUT, MOST_ABOUT))
    return _of_keras("Keras", weights, _is_causal(about), known)


def _part(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    with archive.open(name) as file:
        content = file.read(most + 1)  # whatever the archive says of its size
    if len(content) > most:
        raise OwnWeightsError(f"{name} unpacks to more than {most / 1e6:.0f} MB")
    return content


def _is_causal(about: Any) -> bool | None:
    """What a Keras file says, as plain data, of our last convolution; None if it says nothing."""
    with suppress(KeyError, TypeError):
        for layer in about["config"]["layers"]:
            if layer["config"]["name"] == "head" and isinstance(layer["config"]["causal"], bool):
                return layer["config"]["causal"]
    return None


def _of_keras(kind: str, data: bytes, causal: bool | None, known: Sequence[ModelConfig]) -> OwnWeights:
    """Weights of an HDF5 file, which names layers and numbers the weights of each."""
    name, npz = _from_hdf5(kind, data)
    paths = {number: path for config in known for number, path in _numbered(variable_shapes(config)).items()}

    def fit(shapes: Shapes) -> tuple[ModelConfig, ...]:
        return _fitting({paths.get(number, number): shape for number, shape in shapes.items()}, known)

    arrays, configs = _arrays_of_npz(npz, fit)
    configs = _narrowed(configs, name, causal)
    return OwnWeights(kind, _checked({paths[number]: array for number, array in arrays.items()}), configs)


def _numbered(shapes: Shapes) -> dict[str, str]:
    """Paths of variables by layer and number, as Keras stores them: "convlstm_1/0" is "convlstm_1/kernel"."""
    counts: dict[str, int] = {}
    found = {}
    for path in shapes:
        layer = path.split("/")[0]
        found[f"{layer}/{counts.get(layer, 0)}"] = path
        counts[layer] = counts.get(layer, 0) + 1
    return found


def _from_hdf5(kind: str, data: bytes) -> tuple[str | None, bytes]:
    """The model's name in an HDF5 file, and its weights as NPZ, read in a process of its own."""
    from core import hdf5_reader  # brings h5py

    with _TURN:
        try:
            done = subprocess.run(
                [sys.executable, "-I", hdf5_reader.__file__],
                input=data,
                capture_output=True,
                timeout=READER_SECONDS,
                # threads of the mathematics library would only reserve memory
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise OwnWeightsError(f"the {kind} file is damaged: reading it does not end") from error
    if done.returncode == hdf5_reader.REFUSED:
        raise OwnWeightsError(f"{done.stderr.decode(errors='replace')[:300]}; {_ACCEPTED}")
    if done.returncode:
        _LOG.warning("reading HDF5 ended with %s: %s", done.returncode, done.stderr.decode(errors="replace"))
        raise OwnWeightsError(f"the {kind} file is damaged or cut off")
    about, _, npz = done.stdout.partition(b"\n")
    return json.loads(about)["name"], npz


# ------------------------------------------------------------------------------------------ what it is


def _fitting(shapes: Shapes, known: Sequence[ModelConfig]) -> tuple[ModelConfig, ...]:
    """The known networks whose weights have these names and shapes."""
    if any(name.startswith("network/") for name in shapes):
        raise OwnWeightsError(
            "this is last.npz, from which a training goes on; take weights.npz from the same folder"
        )
    expected = {config: variable_shapes(config) for config in known}
    fitting = tuple(config for config in known if expected[config] == shapes)
    if fitting:
        return fitting
    apart = {config: _differences(shapes, expected[config]) for config in known}
    nearest = min(known, key=lambda config: len(apart[config]))
    names = ", ".join(dict.fromkeys(config.name for config in known))
    if len(apart[nearest]) >= len(expected[nearest]):
        arrays = "array is" if len(shapes) == 1 else "arrays are"
        raise OwnWeightsError(f"its {len(shapes)} {arrays} not the weights of a known network ({names})")
    name = min(apart[nearest])
    got, wanted = shapes.get(name), expected[nearest].get(name)
    raise OwnWeightsError(
        f"its weights are of no known network ({names}); nearest is {nearest.name}, but {name[:60]} "
        + ("is missing" if got is None else f"has shape {got}, not {wanted}" if wanted else "is not in it")
    )


def _differences(shapes: Shapes, expected: Shapes) -> set[str]:
    """Names that are in one of the two alone, or with another shape."""
    return {name for name in {*shapes, *expected} if shapes.get(name) != expected.get(name)}


def _narrowed(
    configs: tuple[ModelConfig, ...], name: str | None, causal: bool | None
) -> tuple[ModelConfig, ...]:
    """Of networks that weights fit, those that a Keras file says it is of."""
    if causal is not None:
        configs = tuple(config for config in configs if (config.head == "causal") is causal)
        if not configs:
            head = "causal" if causal else "leaking"
            raise OwnWeightsError(
                f"its last convolution is the {head} one, and no known network is like that"
            )
    named = tuple(config for config in configs if config.name == name)
    return named if len(named) == 1 else configs


def _checked(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights as float32, each of them a number that a network can compute with."""
    checked = {}
    for name, array in arrays.items():
        with np.errstate(over="ignore"):  # found below
            weights = np.asarray(array, np.float32)
        if not (np.abs(weights) <= LARGEST_WEIGHT).all():  # NaN is not
            raise OwnWeightsError(
                f"{name} has weights that are NaN, infinite or beyond {LARGEST_WEIGHT:,.0f}"
            )
        if name.endswith("/moving_variance") and weights.min() < 0:
            raise OwnWeightsError(f"{name} has variances below 0; got {weights.min():g}")
        checked[name] = weights
    return checked
