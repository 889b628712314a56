"""Result files appear whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.outputs import ArrayWriter, OutputError, make_folder, pending_file, png_bytes

ROOT = Path(__file__).resolve().parents[2]


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "result"
    with pending_file(path) as file:
        file.write(b"all of it")
        assert not path.exists()
    assert path.read_bytes() == b"all of it"
    assert os.listdir(tmp_path) == ["result"]


@pytest.mark.parametrize("before", [None, b"old"])
def test_a_failure_leaves_what_was_there(tmp_path, before):
    path = tmp_path / "result"
    if before:
        path.write_bytes(before)

    def fail_half_way():
        with pending_file(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_half_way()
    assert (path.read_bytes() if path.exists() else None) == before
    assert os.listdir(tmp_path) == (["result"] if before else [])


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("file")
    with pending_file(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"new"


def test_unwritable_places_are_refused_on_entering(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path, text in [
        (tmp_path / "missing" / "result", "cannot be written: No such file or directory"),
        (tmp_path / "file" / "result", "cannot be written: Not a directory"),
        (tmp_path, "cannot be written: it is there and is not a regular file"),
        (tmp_path / ("x" * 300), "cannot be written: "),
    ]:
        with pytest.raises(OutputError, match=text):
            pending_file(path).__enter__()


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="a POSIX device")
def test_a_device_is_not_replaced_by_a_file():
    with pytest.raises(OutputError, match="/dev/null cannot be written"):
        pending_file(Path("/dev/null")).__enter__()


def test_an_array_written_part_by_part_is_the_array(tmp_path):
    array = np.random.default_rng(0).random((5, 3, 4, 4)).astype(np.float32)
    with pending_file(tmp_path / "array.npy") as file:
        writer = ArrayWriter(file, array.shape)
        writer.append(array[:2])
        writer.append(array[2:])
        with pytest.raises(
            ValueError, match=r"rows must fit \(5, 3, 4, 4\) after 5 rows; got \(1, 3, 4, 4\)"
        ):
            writer.append(array[:1])
    np.testing.assert_array_equal(np.load(tmp_path / "array.npy", allow_pickle=False), array)


def test_a_folder_is_made_beside_what_is_there_only(tmp_path):
    make_folder(tmp_path / "figures")
    make_folder(tmp_path / "figures")
    assert (tmp_path / "figures").is_dir()
    with pytest.raises(OutputError, match="cannot be used as a folder: No such file"):
        make_folder(tmp_path / "no" / "figures")


def test_a_picture_comes_back_from_its_png():
    import imageio.v3 as imageio

    picture = np.random.default_rng(0).integers(0, 256, (6, 9), dtype=np.uint8)
    np.testing.assert_array_equal(imageio.imread(png_bytes(picture)), picture)


def test_who_is_killed_while_writing_leaves_no_file_and_is_in_nobodys_way(tmp_path):
    target = tmp_path / "clips.npy"
    code = (
        "import sys, time; from pathlib import Path; from core.outputs import pending_file\n"
        "with pending_file(Path(sys.argv[1])) as file:\n"
        "    file.write(b'half'); file.flush(); print('half', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(target)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "half\n"
    process.kill()
    process.communicate()
    assert not target.exists()
    with pending_file(target) as file:
        file.write(b"whole")
    assert target.read_bytes() == b"whole"
