"""Weights that people bring along: recognised and the same, or answered in one sentence; nothing is run."""

import io
import json
import pickle
import subprocess
import sys
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import hdf5_reader, own_weights, zoo
from core.inference import Predictor
from core.model import CONFIGS
from core.model_shapes import variable_shapes
from core.moving_mnist import benchmark_clips, to_frames
from core.own_weights import OwnWeightsError, known_configs, read_weights
from tests.core.test_model import FOLDED, SMALL
from tests.weights_files import npz, saved, trained, weights_of

ROOT = Path(__file__).resolve().parents[2]
CLASSROOM = CONFIGS["classroom"]
LEAKY = replace(SMALL, name="small leaky", head="leaky")
TWINS = (SMALL, LEAKY, FOLDED)  # two of them differ in what weights do not show


def changed(data, change):
    """An HDF5 file, after a change."""
    file = io.BytesIO(data)
    with h5py.File(file, "r+") as content:
        change(content)
    return file.getvalue()


def packed(parts, how=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def npy(array, **options):
    out = io.BytesIO()
    np.save(out, array, **options)
    return out.getvalue()


GOOD = weights_of(FOLDED)
NPZ = npz(GOOD)
HDF5 = saved(trained(FOLDED, GOOD), ".weights.h5")
KERAS = saved(trained(FOLDED, GOOD), ".keras")


# ------------------------------------------------------------------------------------- what is taken


@pytest.mark.parametrize("ending", [".npz", ".weights.h5", ".keras"])
def test_each_kind_of_file_predicts_as_the_network_that_it_was_saved_from(ending):
    arrays = weights_of(CLASSROOM)
    model = trained(CLASSROOM, arrays, time=6)
    original = Predictor.from_arrays(CLASSROOM, arrays, "here", precision="float32")
    frames = to_frames(benchmark_clips(0, 1))[:, :7, ..., None]

    own = read_weights(npz(arrays) if ending == ".npz" else saved(model, ending))

    assert own.configs == (CLASSROOM,)
    assert own.kind == {".npz": "NPZ", ".weights.h5": "HDF5", ".keras": "Keras"}[ending]
    predictor = Predictor.from_arrays(own.configs[0], own.arrays, "mine", precision="float32")
    np.testing.assert_array_equal(predictor.next_frames(frames), original.next_frames(frames))
    np.testing.assert_allclose(
        predictor.next_frames(frames), np.asarray(model(frames[:, :-1])), atol=1e-5, rtol=0
    )
    np.testing.assert_array_equal(predictor.rollout(frames[:, :4], 3), original.rollout(frames[:, :4], 3))


@pytest.mark.parametrize("config", known_configs(), ids=lambda config: f"{config.name}-{config.encode}")
def test_every_known_network_is_recognised(config):
    arrays = {path: np.zeros(shape, np.float16) for path, shape in variable_shapes(config).items()}

    own = read_weights(npz(arrays, np.savez_compressed))

    assert config in own.configs
    assert {(one.head, variable_shapes(one) == variable_shapes(config)) for one in own.configs} <= {
        ("causal", True),
        ("leaky", True),
    }


def test_known_are_the_networks_that_are_trained_and_those_that_are_shipped():
    known = known_configs()
    nameless = [replace(config, name="") for config in known]
    assert len(set(nameless)) == len(nameless)
    for config in (*CONFIGS.values(), *map(zoo.config_of, zoo.model_names())):
        assert replace(config, name="", deep=False) in nameless  # as it was before
        assert replace(config, name="") in nameless


@pytest.mark.parametrize("name", ["fast", "lesson", "mse"])
def test_shipped_weights_arrive_as_they_are(name):
    if name == "lesson":
        name = zoo.LESSON_MODELS[-1]
    data = zoo.weights_path(name).read_bytes()

    own = read_weights(data)

    with np.load(io.BytesIO(data)) as file:
        assert set(own.arrays) == set(file.files)
        for path in file.files:
            np.testing.assert_array_equal(own.arrays[path], file[path].astype(np.float32))
    assert [replace(config, name="") for config in own.configs] == [replace(zoo.config_of(name), name="")]


def test_what_an_optimizer_keeps_is_left_alone():
    model = trained(FOLDED, GOOD)
    model.compile("adam", "mse")
    frames = np.zeros((1, 3, 16, 16, 1), np.float32)
    model.fit(frames, frames, verbose=0)
    for data in (saved(model, ".keras"), saved(model, ".weights.h5")):
        assert len(data) > 2 * len(NPZ)
        assert set(read_weights(data, (FOLDED,)).arrays) == set(GOOD)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8"])
def test_any_floating_point_numbers_are_taken_column_by_column_too(dtype):
    arrays = {path: np.asfortranarray(array.astype(dtype)) for path, array in GOOD.items()}

    own = read_weights(npz(arrays), (FOLDED,))

    for path, array in arrays.items():
        assert own.arrays[path].dtype == np.float32
        np.testing.assert_array_equal(own.arrays[path], array.astype(np.float32))


@given(st.integers(0, 2**32 - 1), st.sampled_from(["float16", "float32", "float64"]))
@settings(max_examples=20, deadline=None)
def test_the_numbers_make_the_digest(seed, dtype):
    arrays = {path: array.astype(dtype) for path, array in weights_of(FOLDED, seed).items()}
    own, again = (read_weights(npz(arrays, save), (FOLDED,)) for save in (np.savez, np.savez_compressed))
    assert own.digest == again.digest
    arrays["head/bias"][0] += 1
    assert read_weights(npz(arrays), (FOLDED,)).digest != own.digest


# ---------------------------------------------------------------------- networks that weights do not tell


def test_a_file_that_does_not_say_which_of_two_it_is_of_fits_both():
    assert read_weights(npz(weights_of(LEAKY)), TWINS).configs == (SMALL, LEAKY)


@pytest.mark.parametrize("ending", [".weights.h5", ".keras"])
@pytest.mark.parametrize("config", [SMALL, LEAKY], ids=lambda config: config.name)
def test_a_file_of_keras_says_which_of_two_it_is_of(config, ending):
    assert read_weights(saved(trained(config), ending), TWINS).configs == (config,)


def test_another_name_says_nothing_but_the_layer_does():
    renamed = replace(LEAKY, name="mine")
    assert read_weights(saved(trained(renamed), ".weights.h5"), TWINS).configs == (SMALL, LEAKY)
    assert read_weights(saved(trained(renamed), ".keras"), TWINS).configs == (LEAKY,)
    assert read_weights(saved(trained(replace(LEAKY, name="small")), ".keras"), TWINS).configs == (LEAKY,)


def test_a_head_that_no_known_network_has_is_told():
    data = saved(trained(LEAKY), ".keras")
    with pytest.raises(
        OwnWeightsError, match="its last convolution is the leaking one, and no known network"
    ):
        read_weights(data, (SMALL, FOLDED))


# ---------------------------------------------------------------------------------- what is refused


def with_weight(path, value):
    arrays = {name: array.astype(np.float64) for name, array in GOOD.items()}
    arrays[path].flat[-1] = value
    return npz(arrays)


def without(path):
    return npz({name: array for name, array in GOOD.items() if name != path})


def keras_with(**parts):
    with zipfile.ZipFile(io.BytesIO(KERAS)) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    named = {"about": "config.json", "weights": "model.weights.h5"}
    return packed(
        {**found, **{named[name]: content for name, content in parts.items()}}, zipfile.ZIP_DEFLATED
    )


def linked(link):
    def change(file):
        del file["layers/temporal_conv3d/vars/1"]
        file["layers/temporal_conv3d/vars/1"] = link

    return changed(HDF5, change)


def stored(**options):
    """With a bias of the head that is stored in another way."""

    def change(file):
        del file["layers/temporal_conv3d/vars/1"]
        file["layers/temporal_conv3d/vars"].create_dataset("1", **options)

    return changed(HDF5, change)


def layout():
    """A bias that is put together of another dataset."""

    def change(file):
        del file["layers/temporal_conv3d/vars/1"]
        whole = h5py.VirtualLayout((16,), "f4")
        whole[:] = h5py.VirtualSource("/etc/hostname", "x", (16,))
        file["layers/temporal_conv3d/vars"].create_virtual_dataset("1", whole)

    return changed(HDF5, change)


def of_keras_2():
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        file.attrs["layer_names"] = ["dense"]
        file.create_group("model_weights/dense")
    return out.getvalue()


def many_layers():
    return changed(HDF5, lambda file: [file.create_group(f"layers/more_{n}/vars") for n in range(501)])


def nameless():
    return changed(HDF5, lambda file: file["layers/temporal_conv3d/vars"].attrs.create("name", 3))


def twice():
    return changed(HDF5, lambda file: file["layers/temporal_conv3d/vars"].attrs.create("name", "norm_1"))


class Payload:
    def __reduce__(self):
        return (Path.touch, (Path("executed"),))


def other_network():
    frames = keras.Input((8,))
    return keras.Model(frames, keras.layers.Dense(4)(frames))


BAD = {
    "nothing": (b"", "the file is empty"),
    "text": (b"hello, world", "is none of what is accepted: weights.npz of a training .*"),
    "a pickle": (pickle.dumps(Payload()), "is none of what is accepted"),
    "an array": (npy(np.zeros(3)), "is none of what is accepted"),
    "too large": (b"PK\x03\x04" + bytes(own_weights.MOST_BYTES), "has 40.0 MB; at most 40 MB"),
    "half an NPZ": (NPZ[: len(NPZ) // 2], "the NPZ file is damaged or cut off"),
    "half an HDF5": (HDF5[: len(HDF5) // 2], "the HDF5 file is damaged or cut off"),
    "the start of an HDF5": (HDF5[:8], "the HDF5 file is damaged or cut off"),
    "half a Keras file": (KERAS[: len(KERAS) // 2], "file is damaged or cut off"),
    "one bit": (NPZ[:4000] + bytes([NPZ[4000] ^ 1]) + NPZ[4001:], r"damaged or cut off \(BadZipFile\)"),
    "an empty archive": (b"PK\x05\x06" + bytes(18), "the NPZ file has no array in it"),
    "a text in the archive": (packed({"read.me": b"hello"}), "read.me is in the archive, which is no array"),
    "pickled": (npz({"head/bias": np.array([Payload()], object)}), "pickled Python objects, .* never loaded"),
    "a new NPY": (packed({"a.npy": b"\x93NUMPY\x07\x00" + bytes(99)}), "a.npy has NPY format 7.0"),
    "packed otherwise": (
        packed({"a.npy": npy(np.zeros(3))}, zipfile.ZIP_LZMA),
        "neither NumPy nor Keras uses",
    ),
    "many parts": (packed({f"{n}.npy": b"" for n in range(501)}), "has 501 parts"),
    "whole numbers": (
        npz({**GOOD, "head/bias": np.zeros(16, int)}),
        "floating-point .*head/bias.npy has int64",
    ),
    "complex numbers": (npz({**GOOD, "head/bias": np.zeros(16, complex)}), "head/bias.npy has complex128"),
    "other arrays": (npz({"clip": np.zeros((20, 64, 64))}), r"its 1 array is not .*network \(small, .*\)"),
    "one too few": (without("norm_2/beta"), "nearest is folded, but norm_2/beta is missing"),
    "one too many": (npz({**GOOD, "b/c": np.zeros(2)}), "nearest is folded, but b/c is not in it"),
    "another shape": (
        npz({**GOOD, "head/bias": np.zeros(15)}),
        r"nearest is folded, but head/bias has shape \(15,\), not \(16,\)",
    ),
    "what resumes": (npz({f"network/{name}": array for name, array in GOOD.items()}), "this is last.npz"),
    "NaN": (with_weight("head/bias", np.nan), "head/bias has weights that are NaN, infinite or beyond 1,000"),
    "infinite": (with_weight("head/kernel", -np.inf), "head/kernel has weights that are NaN, infinite"),
    "beyond float32": (with_weight("head/bias", 1e300), "head/bias has weights that are NaN, infinite"),
    "huge": (with_weight("norm_1/gamma", 2e6), "norm_1/gamma has weights that are NaN, infinite or beyond"),
    "no variance": (with_weight("norm_1/moving_variance", -0.5), "variances below 0; got -0.5"),
    "longer than it says": (
        packed({f"{name}.npy": npy(array) + b"0" for name, array in GOOD.items()}),
        "is longer or shorter than it says",
    ),
    "a link to a file": (
        linked(h5py.ExternalLink("/etc/hostname", "/x")),
        "has a link in it; Keras writes none",
    ),
    "a soft link": (linked(h5py.SoftLink("/layers/temporal_conv3d/vars/0")), "has a link in it"),
    "numbers elsewhere": (
        stored(shape=(16,), dtype="f4", external=[("/etc/hostname", 0, 64)]),
        "head/1 is compressed or in another file; Keras writes neither",
    ),
    "numbers put together": (layout(), "head/1 is compressed or in another file"),
    "compressed": (stored(data=np.zeros(16, "f4"), compression="gzip"), "head/1 is compressed"),
    "a huge claim": (stored(shape=(10**12,), dtype="f4"), "head/1 is incomplete"),
    "words": (stored(data=[b"a"] * 16), "floating-point numbers; head/1 has"),
    "a group for an array": (
        changed(HDF5, lambda file: file.create_group("layers/re_lu/vars/0")),
        "laid out as",
    ),
    "layers without names": (nameless(), "not laid out as Keras 3 lays out weights"),
    "two of a name": (twice(), "two weights of the HDF5 file are called norm_1/0"),
    "many layers": (many_layers(), "has 512 parts"),
    "Keras 2": (of_keras_2(), "the HDF5 file holds no weights of a Keras 3 network; .* accepted"),
    "another network": (
        saved(other_network(), ".keras"),
        "its 2 arrays are not the weights of a known network",
    ),
    "no HDF5 inside": (keras_with(weights=b"hello"), "the Keras file is damaged or cut off"),
    "no JSON inside": (keras_with(about=b"{"), r"the Keras file is damaged or cut off \(JSONDecodeError\)"),
    "deep JSON": (
        keras_with(about=b"[" * 500_000),
        r"the Keras file is damaged or cut off \(RecursionError\)",
    ),
    "much JSON": (keras_with(about=b" " * 2_000_000), "config.json unpacks to more than 1 MB"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_not_ours_is_answered_in_one_sentence(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, words = BAD[kind]
    with pytest.raises(OwnWeightsError, match=words) as caught:
        read_weights(data, TWINS)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []  # nothing in a file was run


def test_settings_that_would_run_code_are_not_even_built():
    """Keras can store a Python function in `config.json`; here it is text."""
    about = {
        "class_name": "Lambda",
        "config": {"layers": [{"config": {"name": "head", "function": "run()"}}]},
    }
    assert read_weights(keras_with(about=json.dumps(about).encode()), (FOLDED,)).configs == (FOLDED,)


def test_a_zip_bomb_is_not_unpacked():
    head = npy(np.zeros((0, 3), np.float32))[:128].replace(b"(0, 3), }", b"(250000000,), }")
    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("head/bias.npy", "w") as file,
    ):
        file.write(head)
        for _ in range(60):
            file.write(bytes(16_000_000))
    assert len(out.getvalue()) < 2_000_000
    with pytest.raises(OwnWeightsError, match="its 1 array is not the weights"):
        read_weights(out.getvalue(), TWINS)


def test_a_zip_bomb_with_the_right_shape_is_read_as_far_as_it_says():
    data = packed(
        {
            f"{name}.npy": npy(array) + bytes(50_000_000) * (name == "head/bias")
            for name, array in GOOD.items()
        },
        zipfile.ZIP_DEFLATED,
    )
    with pytest.raises(OwnWeightsError, match="head/bias.npy is longer or shorter than it says"):
        read_weights(data, TWINS)


def test_a_bomb_in_a_keras_file_is_not_unpacked():
    with pytest.raises(OwnWeightsError, match="model.weights.h5 unpacks to more than 40 MB"):
        read_weights(keras_with(weights=bytes(own_weights.MOST_BYTES + 10**6)))


def test_a_reader_that_does_not_end_is_ended(monkeypatch):
    monkeypatch.setattr(own_weights, "READER_SECONDS", 0.001)
    with pytest.raises(OwnWeightsError, match="the HDF5 file is damaged: reading it does not end"):
        read_weights(HDF5, TWINS)


@pytest.mark.skipif(sys.platform != "linux", reason="only there memory is bounded")
def test_the_reader_has_bounded_memory():
    code = (
        "import runpy, sys; reader = runpy.run_path(sys.argv[1]); reader['limit_resources'](); "
        "bytearray(3_000_000_000)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, hdf5_reader.__file__], capture_output=True, check=False
    )
    assert done.returncode == 1
    assert b"MemoryError" in done.stderr


def damaged(draw, data):
    broken = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 6))):
        broken[draw.draw(st.integers(8, len(broken) - 1))] = draw.draw(st.integers(0, 255))
    return bytes(broken[: draw.draw(st.integers(len(broken) // 2, len(broken)))])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_damage_anywhere_in_an_npz_ends_in_weights_or_a_sentence(draw):
    with suppress(OwnWeightsError):
        assert set(read_weights(damaged(draw, NPZ), (FOLDED,)).arrays) == set(GOOD)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.sampled_from([HDF5, KERAS]))
def test_damage_anywhere_in_a_file_of_keras_ends_in_weights_or_a_sentence(draw, data):
    with suppress(OwnWeightsError):
        assert set(read_weights(damaged(draw, data), (FOLDED,)).arrays) == set(GOOD)


def test_no_network_library_is_needed_to_read_weights():
    code = (
        "import sys; from core.own_weights import read_weights; read_weights(sys.stdin.buffer.read()); "
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    data = zoo.weights_path("fast").read_bytes()
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, input=data, capture_output=True, check=True)
    assert not {b"keras", b"tensorflow", b"jax", b"streamlit"} & set(done.stdout.split())
