"""The digit bank: what is in it, and what it says when its file is missing or damaged."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from core import digits
from core.digits import AssetError, load_digits, read_bank


def test_every_split_has_its_share_of_mnist():
    assert {split: len(load_digits(split)) for split in digits.SPLITS} == {
        "train": 55_000,
        "validation": 5_000,
        "test": 10_000,
    }


@pytest.mark.parametrize("split", ["train", "test"])
def test_first_labels_are_those_of_the_original_files(split):
    # 5 0 4 1 9 and 7 2 1 0 4 open the original training and test files
    first = {"train": [5, 0, 4, 1, 9], "test": [7, 2, 1, 0, 4]}[split]
    assert load_digits(split).labels[:5].tolist() == first


def test_pixels_are_original_bytes():
    record = json.loads(digits.ASSET.with_suffix(".json").read_text())
    idx_header = bytes.fromhex("00000803") + b"".join(n.to_bytes(4, "big") for n in (10_000, 28, 28))
    digest = hashlib.sha256(idx_header + load_digits("test").images.tobytes()).hexdigest()
    assert digest == record["idx_sha256"]["t10k-images-idx3-ubyte"]


def test_exemplars_of_a_class_carry_its_label_in_file_order():
    bank = load_digits("test")
    for digit_class in range(10):
        indices = bank.indices(digit_class)
        assert (bank.labels[indices] == digit_class).all()
        assert (np.diff(indices) > 0).all()
        np.testing.assert_array_equal(bank.exemplar(digit_class, 3), bank.images[indices[3]])
    assert sum(bank.count(digit_class) for digit_class in range(10)) == len(bank)


def test_the_shared_bank_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        load_digits("test").images[0, 0, 0] = 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: load_digits("holdout"), "split must be one of train, validation, test; got 'holdout'"),
        (lambda: load_digits("test").indices(10), "digit class must be 0 to 9; got 10"),
        (lambda: load_digits("test").exemplar(1, 5000), r"exemplar of digit 1 must be 0 to 1134 .* got 5000"),
        (lambda: load_digits("test").exemplar(1, -1), r"got -1"),
    ],
)
def test_bad_requests_are_answered_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_missing_asset_is_named_with_its_rebuild_command(tmp_path):
    with pytest.raises(
        AssetError, match=r"gone\.npz is missing; rebuild it with: python scripts/build_digits\.py"
    ):
        read_bank(tmp_path / "gone.npz", "test")


@pytest.mark.parametrize("damage", ["truncate", "flip", "no record"])
def test_a_damaged_asset_is_named_with_its_rebuild_command(tmp_path, damage):
    copy = tmp_path / "mnist.npz"
    shutil.copy(digits.ASSET, copy)
    shutil.copy(digits.ASSET.with_suffix(".json"), tmp_path / "mnist.json")
    data = bytearray(copy.read_bytes())
    if damage == "truncate":
        copy.write_bytes(data[: len(data) // 2])
    elif damage == "flip":
        data[len(data) // 2] ^= 1
        copy.write_bytes(data)
    else:
        (tmp_path / "mnist.json").unlink()
    with pytest.raises(AssetError, match=r"damaged.*rebuild it with: python scripts/build_digits\.py"):
        read_bank(copy, "test")
