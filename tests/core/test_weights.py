"""Weights files: round trip, half precision, and what happens when they are damaged."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model import build_model
from core.weights import (
    WeightsError,
    assign,
    checksum,
    load_arrays,
    rounded,
    save_arrays,
    variable_arrays,
    write_atomically,
)
from tests.core.test_model import FOLDED, SMALL, clip, randomised


def test_round_trip_gives_the_same_output(tmp_path):
    model, other = randomised(build_model(SMALL, 3)), build_model(SMALL, 3)
    save_arrays(tmp_path / "w.npz", variable_arrays(model.variables))
    assign(other.variables, load_arrays(tmp_path / "w.npz"), "w.npz")
    np.testing.assert_array_equal(np.asarray(model(clip(3))), np.asarray(other(clip(3))))


def test_float16_halves_the_file_and_is_read_as_float32(tmp_path):
    model, other = randomised(build_model(SMALL, 3)), build_model(SMALL, 3)
    save_arrays(tmp_path / "w.npz", variable_arrays(model.variables, "float16"))
    arrays = load_arrays(tmp_path / "w.npz")
    assert {array.dtype for array in arrays.values()} == {np.dtype("float16")}
    assign(other.variables, arrays, "w.npz")
    np.testing.assert_allclose(np.asarray(model(clip(3))), np.asarray(other(clip(3))), atol=1e-2)


@given(st.floats(width=16, allow_nan=False, allow_infinity=False), st.integers(2, 11))
def test_what_is_rounded_is_off_by_half_of_its_last_bit_at_most(value, bits):
    kept = rounded(np.array([value], np.float16), bits)
    assert kept.dtype == np.float16
    assert abs(float(kept[0]) - value) <= abs(value) * 2.0**-bits
    assert rounded(kept, bits) == kept


def test_fewer_bits_make_a_smaller_file(tmp_path):
    array = np.random.default_rng(0).normal(size=10_000).astype(np.float16)
    for bits in (8, 11):
        save_arrays(tmp_path / f"{bits}.npz", {"one": rounded(array, bits)}, compressed=True)
    np.testing.assert_array_equal(rounded(array, 11), array)
    sizes = [(tmp_path / f"{bits}.npz").stat().st_size for bits in (8, 11)]
    assert sizes[0] < 0.9 * sizes[1]


@pytest.mark.parametrize("content", [b"", b"not a zip", None])
def test_damaged_or_missing_files_are_named(tmp_path, content):
    path = tmp_path / "w.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"w\.npz is (damaged|missing)"):
        load_arrays(path)


def test_a_truncated_file_is_damaged(tmp_path):
    path = tmp_path / "w.npz"
    save_arrays(path, variable_arrays(build_model(SMALL, 2).variables))
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(WeightsError, match="is damaged"):
        load_arrays(path)


def test_pickled_content_is_never_executed(tmp_path):
    path = tmp_path / "w.npz"
    np.savez(path, a=np.array([print], dtype=object))
    with pytest.raises(WeightsError, match="is damaged"):
        load_arrays(path)


def test_weights_of_another_network_change_nothing():
    model = build_model(SMALL, 2)
    before = variable_arrays(model.variables)
    with pytest.raises(WeightsError, match="x does not fit this network"):
        assign(model.variables, variable_arrays(build_model(FOLDED, 2).variables), "x")
    wrong = {**before, "head/bias": np.zeros(7, np.float32)}
    with pytest.raises(WeightsError, match=r"head/bias has shape \(7,\), not \(1,\)"):
        assign(model.variables, wrong, "x")
    wrong = {**before, "head/bias": np.array([np.nan], np.float32)}
    with pytest.raises(WeightsError, match="head/bias has values that are not finite"):
        assign(model.variables, wrong, "x")
    for path, array in variable_arrays(model.variables).items():
        np.testing.assert_array_equal(array, before[path])


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.weights.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def _being_read(request, monkeypatch):
    """The file is read by another process for this many tries to replace it."""
    left = iter(range(request.param))
    replace = os.replace

    def refuse_first(*paths):
        if next(left, None) is not None:
            raise PermissionError(13, "Access is denied")
        replace(*paths)

    monkeypatch.setattr("core.weights.os.replace", refuse_first)
    monkeypatch.setattr("core.weights.REPLACE_PAUSE_SECONDS", 0.0)


@pytest.mark.usefixtures("_being_read")
@pytest.mark.parametrize(
    ("platform", "_being_read", "written"),
    [("win32", 50, True), ("win32", 51, False), ("linux", 0, True), ("linux", 1, False)],
    indirect=["_being_read"],
)
def test_windows_waits_for_who_reads_the_old_file(tmp_path, monkeypatch, platform, written):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr("core.weights.sys.platform", platform)
    if written:
        write_atomically(path, b"new")
    else:
        with pytest.raises(PermissionError):
            write_atomically(path, b"new")
    assert path.read_bytes() == (b"new" if written else b"old")
    assert list(tmp_path.iterdir()) == [path]


def test_a_single_array_is_no_weights_file(tmp_path):
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(WeightsError, match=r"one\.npy is damaged"):
        load_arrays(tmp_path / "one.npy")


def test_checksum_of_known_bytes(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    assert checksum(tmp_path / "f").startswith("ba7816bf8f01cfea414140de5dae2223")
    with pytest.raises(WeightsError, match="cannot be read"):
        checksum(tmp_path / "gone")
