"""Rebuilding the MNIST asset: the round trip, and the refusal of anything but the original."""

import gzip
import json
import struct

import numpy as np
import pytest

from core.digits import load_digits, read_bank
from scripts import build_digits


def write_original_idx_files(folder):
    """The four IDX files, written from the shipped asset and so byte for byte the originals."""
    train, validation, test = (load_digits(split) for split in ("train", "validation", "test"))
    arrays = {
        "train-images-idx3-ubyte": np.concatenate([train.images, validation.images]),
        "train-labels-idx1-ubyte": np.concatenate([train.labels, validation.labels]),
        "t10k-images-idx3-ubyte": test.images,
        "t10k-labels-idx1-ubyte": test.labels,
    }
    for name, array in arrays.items():
        header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        (folder / name).write_bytes(header + array.tobytes())


def test_rebuilt_asset_equals_the_shipped_one(tmp_path):
    write_original_idx_files(tmp_path)
    assets = tmp_path / "assets"
    assets.mkdir()
    build_digits.build(tmp_path, assets)
    bank = read_bank(assets / "mnist.npz", "test")
    np.testing.assert_array_equal(bank.images, load_digits("test").images)
    np.testing.assert_array_equal(bank.labels, load_digits("test").labels)
    assert json.loads((assets / "mnist.json").read_text())["licence"]


def test_gzipped_files_are_read_too(tmp_path):
    write_original_idx_files(tmp_path)
    name = "t10k-labels-idx1-ubyte"
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    (tmp_path / name).unlink()
    np.testing.assert_array_equal(build_digits.read_idx(tmp_path, name), load_digits("test").labels)


def test_a_changed_file_is_refused(tmp_path, capsys):
    write_original_idx_files(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03 not MNIST")
    assert build_digits.main([str(tmp_path)]) == 2
    assert "train-images-idx3-ubyte is not the original" in capsys.readouterr().err


def test_a_packed_file_that_is_cut_off_is_refused(tmp_path, capsys):
    write_original_idx_files(tmp_path)
    name = "train-images-idx3-ubyte"
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes(), 1)[:1000])
    (tmp_path / name).unlink()
    assert build_digits.main([str(tmp_path)]) == 2
    assert f"{name}.gz is damaged or cut off (EOFError)" in capsys.readouterr().err


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="has neither t10k-labels-idx1-ubyte nor"):
        build_digits.read_idx(tmp_path, "t10k-labels-idx1-ubyte")
