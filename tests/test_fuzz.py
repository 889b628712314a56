"""The search for hostile input, shortened, and that it finds what it looks for."""

import os
import pickle
import subprocess
from pathlib import Path

import pytest

from tests import fuzz
from tests.fuzz import Surface, Watch, search


@pytest.mark.slow
def test_nothing_that_arrives_does_harm():
    counts = search(cases=600, seed=1)
    assert sum(sum(count.values()) for count in counts.values()) == 600
    assert all(sum(count.values()) > 3 for count in counts.values())
    for way in ("a scene", "a request", "a clip of one's own", "--data"):
        assert counts[way]["refused"] > 0


def unpickle(data, folder):
    return pickle.loads(pickle.dumps(Path("x")))


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda data, folder: eval("1 + 1"), "exec"),
        (lambda data, folder: subprocess.run(["true"], check=True), "subprocess.Popen"),
        (unpickle, "pickle.find_class"),
        (lambda data, folder: Path(os.devnull).parent.joinpath("shm/convlstm-fuzz").open("w"), "to write"),
        (lambda data, folder: None if data == b"x" else {}[data], "KeyError"),
        (lambda data, folder: (_ for _ in ()).throw(ValueError("a\nb")), "no sentence"),
        (lambda data, folder: (_ for _ in ()).throw(ValueError("")), "no sentence"),
    ],
)
def test_what_it_looks_for_it_finds(monkeypatch, use, words):
    monkeypatch.setattr(fuzz, "surfaces", lambda: [Surface("a way in", [b"x"], use, (ValueError,))])
    with pytest.raises(AssertionError, match=words):
        search(cases=1)


def test_what_is_allowed_is_not_found(tmp_path):
    watch = Watch()
    with watch.over(tmp_path):
        (tmp_path / "a").write_text("x")
        (tmp_path / "a").rename(tmp_path / "b")
        (tmp_path / "b").unlink()
        Path(__file__).read_text()
    assert watch.found == []
