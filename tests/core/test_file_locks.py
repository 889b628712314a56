"""A lock is told from outside, by either of two ways."""

from core import file_locks
from tests.bare_runs import held, make


def test_both_ways_tell_the_same(tmp_path):
    run = make(tmp_path / "one")
    for _ in range(2):  # looking changes nothing
        assert not file_locks._cannot_be_locked(run.lock_path)
        assert not file_locks.is_held(run.lock_path)
    with held(run):
        assert file_locks._cannot_be_locked(run.lock_path)
        assert file_locks.is_held(run.lock_path)


def test_looking_makes_no_file(tmp_path):
    assert not file_locks.is_held(tmp_path / "gone" / "lock")
    assert list(tmp_path.iterdir()) == []
