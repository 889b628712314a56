"""One process trains a run, and one run of a folder is trained at a time."""

import signal
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from core.run_list import running_name
from core.run_locks import new_run, training_lock, training_now
from core.runs import Run
from tests.bare_runs import CONFIG, held, make, needs_a_plain_user, refused


@pytest.fixture
def run(tmp_path):
    return make(tmp_path / "runs" / "one")


class TestLocks:
    def test_alive_as_long_as_the_process(self, run):
        assert not run.is_alive()
        with held(run) as process:
            assert run.is_alive()
            assert training_now(run.root)
            assert running_name(run.root) == "one"
            assert running_name(run.root, except_for="one") is None
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert not run.is_alive()
        assert not training_now(run.root)
        with training_lock(run):  # what the dead one held is free
            assert run.is_alive()

    def test_a_run_is_trained_once(self, run):
        with held(run):
            for alone in (True, False):
                with (
                    refused("one is being trained by another process; wait or stop it"),
                    training_lock(run, alone=alone),
                ):
                    pass

    def test_one_training_at_a_time(self, run):
        other = Run(run.root / "two")
        with held(run):
            with (
                refused("^one is being trained, and one training at a time .* --alongside"),
                training_lock(other),
            ):
                pass
            assert not other.folder.exists()  # a run that was refused is not half there
            with training_lock(other, alone=False):
                assert other.is_alive()

    def test_one_alongside_stops_no_other(self, run):
        with held(run, alone=False):
            assert training_now(run.root)
            with training_lock(Run(run.root / "two")):
                pass

    def test_the_lock_of_all_runs_is_in_their_folder(self, tmp_path, monkeypatch):
        (tmp_path / "runs" / "x").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / "runs" / "x")
        with training_lock(Run(Path())):
            assert training_now(tmp_path / "runs")
            assert running_name(tmp_path / "runs") == "x"

    def test_a_lock_that_cannot_be_written_is_named_with_the_way_out(self, run):
        (run.root / ".training.lock").mkdir()
        with (
            refused(
                r"^cannot write .*runs/\.training\.lock \(Is a directory\), .*; --alongside does without"
            ),
            training_lock(run),
        ):
            pass
        with training_lock(run, alone=False):
            assert run.is_alive()
        (run.folder / "lock").unlink()
        (run.folder / "lock").mkdir()
        with refused(r"^cannot write .*one/lock \(Is a directory\)$"), training_lock(run, alone=False):
            pass

    def test_an_error_in_the_block_frees_the_locks(self, run):
        with pytest.raises(ZeroDivisionError), training_lock(run):
            raise ZeroDivisionError
        assert not run.is_alive()
        assert not training_now(run.root)

    def test_pages_that_look_at_once_do_not_take_each_other_for_a_training(self, run):
        (run.folder / "lock").touch()
        (run.root / ".training.lock").touch()
        found = []

        def look():
            found.extend(training_now(run.root) for _ in range(150))

        threads = [threading.Thread(target=look) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 900
        assert not any(found)

    def test_looking_does_not_keep_a_training_from_its_lock(self, run):
        done = threading.Event()

        def look():
            while not done.is_set():
                run.is_alive()

        threads = [threading.Thread(target=look) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):
                with training_lock(run):
                    pass
        finally:
            done.set()
            for thread in threads:
                thread.join()

    def test_looking_makes_nothing(self, tmp_path):
        run = Run(tmp_path / "runs" / "gone")
        assert not run.is_alive()
        assert not training_now(run.root)
        assert list(tmp_path.iterdir()) == []

    @needs_a_plain_user
    def test_a_lock_that_cannot_be_written_still_tells(self, run):
        with held(run):
            (run.folder / "lock").chmod(0o444)
            assert run.is_alive()


def tree(folder):
    return sorted(folder.rglob("*"))


def begin(run, keep=False, alone=True):
    """A new run that fails after it has written this and that."""
    with suppress(ZeroDivisionError), new_run(run, lambda: keep, alone=alone):
        assert run.is_alive()
        run.create(CONFIG)
        run.write_snapshot("truth", np.zeros((1, 4, 4), np.uint8))
        raise ZeroDivisionError


class TestNewRun:
    @pytest.mark.parametrize("alone", [True, False])
    def test_one_that_comes_to_nothing_leaves_nothing(self, tmp_path, alone):
        begin(Run(tmp_path / "runs" / "new"), alone=alone)
        assert tree(tmp_path) == []

    def test_what_was_there_stays(self, run):
        folder = run.root / "new"
        for empty in (True, False):
            folder.mkdir(exist_ok=True)
            if not empty:
                (folder / "notes.txt").touch()
                (run.root / ".training.lock").touch()
            before = tree(run.root)
            begin(Run(folder))
            assert tree(run.root) == before

    def test_one_that_is_worth_it_is_kept(self, tmp_path):
        run = Run(tmp_path / "runs" / "new")
        begin(run, keep=True)
        assert run.read_config() == CONFIG
        assert (run.root / ".training.lock").exists()

    def test_the_locks_of_others_stay(self, run):
        with held(run):
            with refused("one is being trained"), new_run(Run(run.root / "two"), lambda: False):
                pass
            assert not (run.root / "two").exists()
            begin(Run(run.root / "two"), alone=False)
            with refused("one is being trained"), new_run(run, lambda: False, alone=False):
                pass
            assert training_now(run.root)
            assert run.is_alive()

    def test_what_somebody_else_puts_there_meanwhile_stays(self, tmp_path):
        run = Run(tmp_path / "runs" / "new")
        with new_run(run, lambda: False):
            (run.root / "other").touch()
        assert tree(tmp_path) == [run.root, run.root / "other"]
