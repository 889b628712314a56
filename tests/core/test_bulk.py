"""Many clips in one file: what the plan says, a part at a time, whole or not at all."""

import errno
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from core import bulk
from core.bulk import BulkPlan, parts, write_clips
from core.clip_sets import ClipFile
from core.digits import load_digits
from core.outputs import OutputError, PendingFile

PLAN = BulkPlan(150, digits=(1, 3), speed_px=(1.0, 5.0), classes=(3, 7), frames=6, split="validation", seed=4)


def read(path):
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def test_both_formats_hold_the_same_clips(tmp_path):
    npy, npz = tmp_path / "clips.npy", tmp_path / "clips.npz"
    assert write_clips(PLAN, npy)
    assert write_clips(PLAN, npz)

    clips = np.load(npy, allow_pickle=False)
    assert clips.shape == (6, 150, 64, 64)
    assert clips.dtype == np.uint8
    assert clips.nbytes == PLAN.size_bytes
    held = read(npz)
    np.testing.assert_array_equal(np.moveaxis(clips, 0, 1), held["clips"])
    assert held["labels"].shape == (150, 3)
    assert held["corners"].shape == (150, 6, 3, 2)


def test_the_clips_are_what_the_plan_says(tmp_path):
    write_clips(PLAN, tmp_path / "clips.npz")
    held = read(tmp_path / "clips.npz")

    there = held["labels"] >= 0
    assert set(held["labels"][there]) == {3, 7}
    assert set(there.sum(axis=1)) == {1, 2, 3}
    steps = np.linalg.norm(np.diff(held["corners"].astype(float), axis=1), axis=-1)
    assert steps.max() <= 5 + 2**0.5  # whole pixels
    # a clip of a single digit holds that digit where it is said to be
    lone = int(np.flatnonzero(there.sum(axis=1) == 1)[0])
    x, y = held["corners"][lone, 2, 0]
    bank = load_digits("validation")
    stamp = held["clips"][lone, 2, y : y + 28, x : x + 28]
    same = [
        int(label) for image, label in zip(bank.images, bank.labels, strict=True) if (image == stamp).all()
    ]
    assert held["labels"][lone, 0] in same


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_clips_are_not_kept_in_memory(tmp_path, kind):
    plan = replace(PLAN, clips=512, frames=20)
    tracemalloc.start()
    write_clips(plan, tmp_path / f"clips.{kind}")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < plan.size_bytes / 2  # that of one part, an eighth of them, a few times


def test_the_same_plan_makes_the_same_file_and_another_seed_another(tmp_path):
    first, again, other = (tmp_path / f"{n}.npy" for n in range(3))
    write_clips(PLAN, first)
    write_clips(PLAN, again)
    write_clips(BulkPlan(150, seed=5, frames=6), other)
    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes() != other.read_bytes()


def test_evaluate_reads_the_public_layout(tmp_path):
    write_clips(BulkPlan(3), tmp_path / "clips.npy")
    clips = ClipFile(tmp_path / "clips.npy")
    np.testing.assert_array_equal(clips.clips(1, 3), next(parts(BulkPlan(3))).clips[1:])


@pytest.mark.parametrize("kind", bulk.FORMATS)
def test_who_has_enough_gets_no_file(tmp_path, kind):
    told = []
    path = tmp_path / f"clips.{kind}"

    assert not write_clips(PLAN, path, lambda done: told.append(done) or done < 100)

    assert told == [64, 128]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", bulk.FORMATS)
def test_a_full_disk_leaves_no_file(tmp_path, kind):
    path = tmp_path / f"clips.{kind}"

    def full(done):
        raise OutputError("the disk is full")

    with pytest.raises(OutputError, match="the disk is full"):
        write_clips(PLAN, path, full)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_when_the_file_jumps_is_told_as_any_other(tmp_path):
    class Full:
        def write(self, data):
            return len(data)

        def seek(self, place):
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            pass

    file = PendingFile(tmp_path / "clips.npy")
    file._file.close()
    file._file = Full()
    with pytest.raises(OutputError, match=r"clips\.npy cannot be written: No space left on device"):
        file.write_at(10, b"pixels")
    file.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"clips": 0}, "clips must be a whole number from 1 to 10000; got 0"),
        ({"clips": 10_001}, "got 10001"),
        ({"clips": True}, "got True"),
        ({"clips": 5, "frames": 1}, "frames must be a whole number from 2 to 200; got 1"),
        ({"clips": 5, "seed": -1}, "seed must be a whole number"),
        ({"clips": 5, "digits": (3, 2)}, "digits must be from 1 to 4, in order; got 3 to 2"),
        ({"clips": 5, "speed_px": (0, 11)}, "speeds must be from 0 to 10, in order; got 0 to 11"),
        ({"clips": 5, "classes": ()}, "classes must be one or more of 0 to 9"),
        ({"clips": 5, "classes": (10,)}, "classes must be one or more of 0 to 9"),
        ({"clips": 5, "split": "mine"}, "split must be one of train, validation, test; got 'mine'"),
        ({"clips": 5, "bounce": "stick"}, "bounce must be one of clamp, reflect; got 'stick'"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        BulkPlan(**settings)


def test_another_kind_of_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must be a \.npy or a \.npz; got clips\.txt"):
        write_clips(PLAN, tmp_path / "clips.txt")
