"""Files of clips: what is read, and what is refused in one sentence."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.clip_sets import ClipFile, ClipSetError, StandardSet
from core.moving_mnist import benchmark_clips

ROOT = Path(__file__).resolve().parents[2]
PEAK = """
import sys, tracemalloc
from pathlib import Path
from core.clip_sets import ClipFile
tracemalloc.start()
ClipFile(Path(sys.argv[1])).clips(9_990, 10_000)
print(tracemalloc.get_traced_memory()[1])
"""
CLIPS = np.random.default_rng(0).integers(0, 256, (5, 4, 64, 64), dtype=np.uint8)


def npy(array: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def test_a_file_gives_its_sequences_by_slices(tmp_path):
    path = tmp_path / "clips.npy"
    path.write_bytes(npy(CLIPS))
    clip_set = ClipFile(path)
    assert (clip_set.name, clip_set.frames, clip_set.sequences) == ("clips.npy", 5, 4)
    assert clip_set.motion(0, 4) is None
    sliced = clip_set.clips(1, 3)
    assert sliced.flags.c_contiguous
    np.testing.assert_array_equal(sliced, CLIPS.transpose(1, 0, 2, 3)[1:3])


def test_a_file_of_many_clips_is_read_as_it_was_made(tmp_path):
    path = tmp_path / "many.npz"
    np.savez(path, clips=CLIPS.transpose(1, 0, 2, 3), labels=np.zeros((4, 2), np.int8))
    clip_set = ClipFile(path)
    assert (clip_set.frames, clip_set.sequences) == (5, 4)
    np.testing.assert_array_equal(clip_set.clips(0, 4), CLIPS.transpose(1, 0, 2, 3))
    np.savez(path, frames=CLIPS)
    with pytest.raises(ClipSetError, match=r"many\.npz has no array of the name clips$"):
        ClipFile(path)


def test_the_public_test_file_is_mapped_and_never_loaded_whole(tmp_path):
    """A file of its size, 819 MB, with holes in place of all but the last clip."""
    path = tmp_path / "mnist_test_seq.npy"
    shape = (20, 10_000, 64, 64)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        file.truncate(file.tell() + int(np.prod(shape)))
        file.seek(-64 * 64, io.SEEK_END)
        file.write(CLIPS[0, 0].tobytes())
    clip_set = ClipFile(path)
    clips = clip_set.clips(9_990, 10_000)
    assert (clip_set.name, clip_set.frames, clip_set.sequences) == ("mnist_test_seq.npy", 20, 10_000)
    assert (clips.dtype, clips.shape) == (np.uint8, (10, 20, 64, 64))
    np.testing.assert_array_equal(clips[-1, -1], CLIPS[0, 0])
    assert not clips[:, :-1].any()
    # in a process of its own: what other threads of the tests take meanwhile would count, too
    measured = subprocess.run(
        [sys.executable, "-c", PEAK, str(path)], cwd=ROOT, capture_output=True, text=True
    )
    assert measured.returncode == 0, measured.stderr
    assert int(measured.stdout) < 2 * clips.nbytes + 1_000_000


def test_fortran_order_is_only_a_way_to_store(tmp_path):
    path = tmp_path / "clips.npy"
    path.write_bytes(npy(np.asfortranarray(CLIPS)))
    np.testing.assert_array_equal(ClipFile(path).clips(0, 4), CLIPS.transpose(1, 0, 2, 3))


def test_the_standard_set_is_the_generators():
    standard = StandardSet()
    assert (standard.frames, standard.sequences) == (20, 10_000)
    np.testing.assert_array_equal(standard.clips(7, 9), benchmark_clips(7, 9))
    positions, stamps, velocities = standard.motion(7, 9)
    assert positions.shape == (2, 20, 2, 2)
    assert stamps.shape == (2, 2, 28, 28)
    assert velocities.shape == positions.shape


def huge_header() -> bytes:
    buffer = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (20, 10**15, 64, 64)}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue() + b"\0" * 100


BAD_FILES = {
    "empty": (b"", "is empty"),
    "text": (b"hello, clips", "is neither a .npy file nor a .npz of clips"),
    "archive": (b"PK\x03\x04" + b"\0" * 50, "is damaged or truncated"),
    "dark": (npy((CLIPS > 127).astype(np.uint8)), "brightest pixel of its clips is 1, where white is 255"),
    "truncated": (npy(CLIPS)[:-1000], "is damaged or truncated"),
    "header only": (npy(CLIPS)[:40], "is damaged or truncated"),
    "magic only": (npy(CLIPS)[:6], "is damaged or truncated"),
    "garbled header": (npy(CLIPS)[:10] + b"{(((" + npy(CLIPS)[14:], "is damaged or truncated"),
    "huge": (huge_header(), "is damaged or truncated"),
    "pickled": (npy(np.array([{"a": 1}], dtype=object), allow_pickle=True), "holds pickled Python objects"),
    "float": (
        npy(CLIPS / 255.0),
        r"must be uint8 .*; got float64 \(5, 4, 64, 64\); frames in \[0, 1\] become clips by",
    ),
    "NaN": (npy(np.full((5, 4, 64, 64), np.nan, np.float32)), "must be uint8 .*; got float32"),
    "int64": (npy(CLIPS.astype(np.int64)), "must be uint8 .*; got int64"),
    "one clip": (npy(CLIPS[:, 0]), r"must be uint8 .*; got \(5, 64, 64\)"),
    "channel axis": (npy(CLIPS[..., None]), r"must be uint8 .*; got \(5, 4, 64, 64, 1\)"),
    "canvas": (npy(CLIPS[..., :32]), r"must be uint8 .*; got \(5, 4, 64, 32\)"),
    "scalar": (npy(np.uint8(3)), r"must be uint8 .*; got \(\)"),
    "no sequences": (npy(CLIPS[:, :0]), "there must be 1 sequence or more"),
    "one frame": (npy(CLIPS[:1]), r"must have 2 to 200 frames; got \(1, 4, 64, 64\)$"),
    "swapped": (
        npy(np.zeros((201, 2, 64, 64), np.uint8)),
        "2 to 200 frames; .*: are time and sequences swapped",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_in_one_sentence(name, tmp_path):
    content, text = BAD_FILES[name]
    path = tmp_path / "bad.npy"
    path.write_bytes(content)
    with pytest.raises(ClipSetError, match=text) as caught:
        ClipFile(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_opened_is_refused(tmp_path):
    with pytest.raises(ClipSetError, match="nowhere.npy cannot be read: No such file"):
        ClipFile(tmp_path / "nowhere.npy")
    with pytest.raises(ClipSetError, match="cannot be read: Is a directory"):
        ClipFile(tmp_path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ClipSetError, match="pipe cannot be read: it is no regular file"):
        ClipFile(pipe)


def test_clips_whose_axes_are_swapped_look_so(tmp_path):
    clips = benchmark_clips(0, 20)
    for name, array, swapped in (
        ("clips", clips.swapaxes(0, 1), False),
        ("swapped", clips, True),
        ("one", clips[:1].swapaxes(0, 1), False),
        ("empty", np.zeros_like(clips), False),
    ):
        np.save(tmp_path / f"{name}.npy", array)
        assert ClipFile(tmp_path / f"{name}.npy").looks_swapped is swapped, name
