"""Run folders: what is in them is true or refused, one process trains at a time, and no name leads out."""

import bisect
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import history, runs
from core.model_config import CONFIGS
from core.run_status import STATES, Status
from core.runs import (
    FORMAT,
    Run,
    RunError,
    delete,
    describe,
    list_runs,
    named_run,
    new_run,
    running_name,
    snapshot_name,
    training_lock,
    training_now,
)
from core.train_config import TrainConfig
from core.weights import save_arrays

ROOT = Path(__file__).resolve().parents[2]
CONFIG = TrainConfig(CONFIGS["fast"], epochs=3)
needs_a_plain_user = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not stop this user"
)


def refused(message):
    return pytest.raises(RunError, match=message)


def make(folder, state="finished", config=CONFIG, **status):
    run = Run(folder)
    run.create(config)
    run.write_status(Status(state, **status))
    return run


def edit(path, **changes):
    """Change a JSON file by hand; ... removes a key."""
    data = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in data.items() if value is not ...}))


_HOLD = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from core.runs import Run, training_lock
with training_lock(Run(Path({folder!r})), alone={alone}):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def held(run, alone=True):
    """Another process that trains a run, as far as its lock tells."""
    code = _HOLD.format(root=str(ROOT), folder=str(run.folder), alone=alone)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def run(tmp_path):
    return make(tmp_path / "runs" / "one")


class TestCreate:
    def test_what_was_created_is_read_back(self, tmp_path):
        run = Run(tmp_path / "a" / "b")
        run.create(CONFIG)
        assert run.read_config() == CONFIG
        assert json.loads(run.config_path.read_text())["format"] == FORMAT
        assert json.loads((run.folder / "model.json").read_text()) == json.loads(CONFIG.model.to_json())
        assert run.read_status().state == "starting"

    def test_a_second_run_in_a_folder_is_refused(self, run):
        with refused("holds a run already; go on with --resume or choose another --run-dir"):
            run.create(replace(CONFIG, seed=7))
        assert run.read_config() == CONFIG

    def test_a_begun_folder_without_a_configuration_is_no_run_yet(self, run):
        run.config_path.unlink()
        run.create(replace(CONFIG, seed=7))
        assert run.read_config().seed == 7

    def test_of_many_at_once_one_is_created(self, tmp_path):
        outcomes = []
        gate = threading.Barrier(8)

        def create(seed):
            gate.wait()
            try:
                Run(tmp_path / "x").create(replace(CONFIG, seed=seed))
                outcomes.append(seed)
            except RunError as error:
                outcomes.append(str(error))

        threads = [threading.Thread(target=create, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (winner,) = [outcome for outcome in outcomes if isinstance(outcome, int)]
        assert Run(tmp_path / "x").read_config().seed == winner

    def test_a_folder_that_cannot_be_made_is_named(self, tmp_path):
        (tmp_path / "file").write_text("")
        with refused(r"cannot write to run folder .*file/run \(Not a directory\)"):
            Run(tmp_path / "file" / "run").create(CONFIG)
        with (
            refused(r"cannot write to run folder .* \(Not a directory\)"),
            training_lock(Run(tmp_path / "file" / "run"), alone=False),
        ):
            pass

    def test_even_the_present_folder_has_a_name(self, tmp_path, monkeypatch):
        (tmp_path / "x").mkdir()
        monkeypatch.chdir(tmp_path / "x")
        assert Run(Path()).name == "x"
        assert Run(Path("..")).name == tmp_path.name
        assert Run(Path()).root == tmp_path


class TestConfig:
    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ('{"model": {}}', "one has run format 1; this version reads 2"),
            ('{"format": 3, "model": {}, "new": 1}', "one has run format 3; this version reads 2"),
            ('{"format": null}', "one has run format None; this version reads 2"),
            ("", r"config.json of one is damaged \(Expecting value"),
            ('{"format": 2, "mod', r"config.json of one is damaged \("),
            ("[1, 2]", r"config.json of one is damaged \(it is not a JSON object\)"),
            ("[" * 100_000, r"config.json of one is damaged \(it is nested too deeply"),
            (" " * (2**20 + 1), r"config.json of one is damaged \(it has more than 1048576 bytes\)"),
            ('{"format": 2}', "config.json of one is not valid: a training configuration is"),
        ],
    )
    def test_other_versions_and_damage_are_refused(self, run, text, reason):
        run.config_path.write_text(text)
        with refused(f"^{reason}"):
            run.read_config()

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"speed": 3}, "a training configuration has no speed"),
            ({"epochs": "3"}, "epochs must be a whole number, 1 or more; got '3'"),
            ({"learning_rate": float("nan")}, "learning rate must be above 0; got nan"),
            ({"learning_rate": 10**400}, "learning rate must be above 0"),
            ({"loss": {"bce": 10**400}}, "loss weights must be finite numbers"),
            ({"digits": [1]}, r"digits must be 1 to 3; got \[1\]"),
            ({"model": None}, "a model configuration is a JSON object"),
        ],
    )
    def test_what_was_edited_by_hand_is_checked(self, run, changes, reason):
        edit(run.config_path, **changes)
        with refused(f"^config.json of one is not valid: .*{reason}"):
            run.read_config()

    def test_no_depth_of_nesting_is_a_traceback(self, run):
        """As deep as JSON is read, a value may be too deep for the sentence that shows it."""

        def nested(depth):
            return '{"a":' * depth + "1" + "}" * depth

        def too_deep(depth):
            try:
                json.loads(nested(depth))
            except RecursionError:
                return True
            return False

        deepest = bisect.bisect_left(range(10**5), True, key=too_deep) - 1
        for depth in range(deepest - 60, deepest + 1):
            for path, name, read in (
                (run.config_path, "digits", run.read_config),
                (run.folder / "status.json", "step", run.read_status),
            ):
                text = path.read_text()
                edit(path, **{name: "nested"})
                path.write_text(path.read_text().replace('"nested"', nested(depth)))
                with refused("of one is (damaged|not valid)"):
                    read()
                path.write_text(text)

    def test_bytes_are_refused(self, run):
        run.config_path.write_bytes(b"\xff\xfe")
        with refused(r"^config.json of one is damaged"):
            run.read_config()

    def test_a_missing_one_is_named(self, tmp_path):
        with refused("nowhere holds no run: config.json: No such file or directory"):
            Run(tmp_path / "nowhere").read_config()


class TestStatus:
    @given(
        status=st.builds(
            Status,
            st.sampled_from(STATES),
            st.text(),
            st.integers(0, 10**12),
            st.integers(0, 10**9),
            st.floats(0, 1e9),
            st.floats(0, 1),
            st.none() | st.floats(0, 1e300),
        )
    )
    def test_round_trip(self, tmp_path_factory, status):
        run = Run(tmp_path_factory.mktemp("run"))
        before = time.time()
        run.write_status(status)
        found = run.read_status()
        assert before <= found.heartbeat <= time.time()
        assert found.pid == os.getpid()
        assert replace(found, heartbeat=0.0, pid=0) == status

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"state": "flying"}, "state cannot be 'flying'"),
            ({"state": None}, "state cannot be None"),
            ({"state": ...}, "it is not a run's status"),
            ({"mood": 1}, "it is not a run's status"),
            ({"heartbeat": None}, "heartbeat cannot be None"),
            ({"heartbeat": "now"}, "heartbeat cannot be 'now'"),
            ({"heartbeat": float("nan")}, "heartbeat cannot be nan"),
            ({"heartbeat": 1e300}, "share 0.0 or heartbeat 1e.300 is out of range"),
            ({"share": 1.5}, "share 1.5 or heartbeat .* is out of range"),
            ({"share": float("inf")}, "share cannot be inf"),
            ({"step": 1.5}, "step cannot be 1.5"),
            ({"step": -1}, "step cannot be -1"),
            ({"minutes": True}, "minutes cannot be True"),
            ({"minutes": 10**400}, "minutes cannot be 1000"),
            ({"reason": 7}, "reason cannot be 7"),
            ({"seconds_left": "soon"}, "seconds_left cannot be 'soon'"),
        ],
    )
    def test_what_was_edited_by_hand_is_checked(self, run, changes, reason):
        edit(run.folder / "status.json", **changes)
        with refused(rf"^status.json of one is damaged \({reason}"):
            run.read_status()
        assert describe(run).state == "unreadable"

    @pytest.mark.parametrize("text", ["", "[]", "null", "[" * 100_000, '"running"', "\0"])
    def test_other_text_is_refused(self, run, text):
        (run.folder / "status.json").write_text(text)
        with refused("^status.json of one is damaged"):
            run.read_status()

    def test_a_missing_one_is_named(self, run):
        (run.folder / "status.json").unlink()
        with refused("^status.json of one: No such file or directory$"):
            run.read_status()


class TestList:
    def test_no_folder_no_runs(self, tmp_path):
        assert list_runs(tmp_path / "none") == []
        assert not training_now(tmp_path / "none")

    def test_a_file_in_the_place_of_the_folder_is_named(self, tmp_path):
        (tmp_path / "runs").write_text("")
        with refused("the folder of runs .*runs cannot be read"):
            list_runs(tmp_path / "runs")

    def test_the_latest_come_first(self, tmp_path):
        for name in ("b", "c", "a"):
            make(tmp_path / name)
        for name, heartbeat in (("b", 3.0), ("c", 1.0), ("a", 2.0)):
            edit(tmp_path / name / "status.json", heartbeat=heartbeat)
        assert [entry.run.name for entry in list_runs(tmp_path)] == ["b", "a", "c"]

    def test_unreadable_folders_are_listed_with_their_reason_and_harm_no_other(self, tmp_path):
        make(tmp_path / "good")
        (tmp_path / "a file").write_text("not a run")
        (tmp_path / ".hidden").mkdir()
        for name, text in (("old", '{"model": {}}'), ("torn", '{"format": 2, "mod')):
            (tmp_path / name).mkdir()
            (tmp_path / name / "config.json").write_text(text)
        (tmp_path / "odd" / "config.json").mkdir(parents=True)
        edit(make(tmp_path / "nan", "running").folder / "status.json", heartbeat=float("nan"))
        make(tmp_path / "quiet").folder.joinpath("status.json").unlink()
        (tmp_path / "loop").symlink_to("loop")
        (tmp_path / "bare").mkdir()
        (tmp_path / "bare" / "last.npz").touch()
        (tmp_path / "a forecast").mkdir()  # beside runs, as it is written by default; it is none
        for name in ("model.json", "card.json", "weights.npz"):
            (tmp_path / "a forecast" / name).touch()
        listed = {entry.run.name: entry for entry in list_runs(tmp_path)}
        assert listed.pop("good").state == "finished"
        assert {name: entry.state for name, entry in listed.items()} == dict.fromkeys(
            ("bare", "old", "torn", "odd", "nan", "quiet"), "unreadable"
        )
        assert "holds no run: config.json: No such file" in listed["bare"].reason
        assert "run format 1; this version reads 2" in listed["old"].reason
        assert "config.json of torn is damaged" in listed["torn"].reason
        assert "config.json: Is a directory" in listed["odd"].reason
        assert "heartbeat cannot be nan" in listed["nan"].reason
        assert "status.json of quiet: No such file" in listed["quiet"].reason

    def test_folders_that_are_no_runs_are_left_out(self, tmp_path):
        make(tmp_path / "good")
        (tmp_path / "Documents" / "config.json of old").mkdir(parents=True)
        (tmp_path / "Pictures").mkdir()
        (tmp_path / "refused" / "lock").mkdir(parents=True)
        assert [entry.run.name for entry in list_runs(tmp_path)] == ["good"]

    @given(data=st.binary(max_size=60), name=st.sampled_from(("config.json", "status.json")))
    def test_no_content_breaks_the_list(self, tmp_path_factory, data, name):
        root = tmp_path_factory.mktemp("runs")
        (make(root / "x").folder / name).write_bytes(data)
        assert [entry.state for entry in list_runs(root)] == ["unreadable"]

    @given(
        name=st.sampled_from(("config.json", "status.json")),
        position=st.floats(0, 1, exclude_max=True),
        byte=st.binary(min_size=1, max_size=3),
    )
    def test_no_small_edit_breaks_the_list(self, tmp_path_factory, name, position, byte):
        root = tmp_path_factory.mktemp("runs")
        path = make(root / "x", "running").folder / name
        data = path.read_bytes()
        start = int(position * len(data))
        path.write_bytes(data[:start] + byte + data[start + 1 :])
        assert [entry.state in (*STATES, "unreadable", "interrupted") for entry in list_runs(root)] == [True]

    @needs_a_plain_user
    def test_forbidden_folders_are_unreadable(self, tmp_path):
        make(tmp_path / "good")
        forbidden = make(tmp_path / "mine").folder
        forbidden.chmod(0)
        try:
            states = {entry.run.name: entry.state for entry in list_runs(tmp_path)}
            reason = describe(Run(forbidden)).reason
        finally:
            forbidden.chmod(0o755)
        assert states == {"good": "finished", "mine": "unreadable"}
        assert "Permission denied" in reason

    @needs_a_plain_user
    def test_a_recorded_run_in_a_read_only_folder(self, tmp_path):
        run = make(tmp_path / "recorded")
        (run.folder / "lock").touch()
        (run.folder / "lock").chmod(0o444)
        run.folder.chmod(0o555)
        tmp_path.chmod(0o555)
        try:
            assert [entry.state for entry in list_runs(tmp_path)] == ["finished"]
            assert not run.is_alive()
            assert len(run.read_history().steps["step"]) == 0
            with refused(r"cannot be deleted \(Permission denied\)"):
                delete(run)
        finally:
            tmp_path.chmod(0o755)
            run.folder.chmod(0o755)


class TestNames:
    @pytest.mark.parametrize("name", ["a", "7", "Run 2", "fast_1.5+x-y", "x" * 60])
    def test_names(self, tmp_path, name):
        assert named_run(tmp_path, name).folder == tmp_path / name

    @pytest.mark.parametrize(
        "name",
        ["", ".", "..", "../x", "/etc", "a/b", "a\\b", ".hidden", "x" * 61, "a\0", "a\n", "\n", " a", "a ",
         "a.", "-rf", "~", "é", "a:b", "a*", "\u0661"],
    )  # fmt: skip
    def test_what_is_no_name(self, tmp_path, name):
        with refused("a run's name has 1 to 60 letters, digits, spaces and"):
            named_run(tmp_path, name)

    @given(name=st.text())
    def test_no_name_leads_out(self, tmp_path_factory, name):
        root = tmp_path_factory.mktemp("runs")
        try:
            run = named_run(root, name)
        except RunError:
            return
        assert run.folder.resolve().parent == root.resolve()

    def test_links_are_not_followed(self, tmp_path):
        root = tmp_path / "runs"
        make(root / "inside")
        make(tmp_path / "outside")
        for name, target in (("out", "../outside"), ("in", "inside"), ("gone", "nowhere"), ("loop", "loop")):
            (root / name).symlink_to(target)
            with refused(f"{name} leads out of the folder of runs"):
                named_run(root, name)

    def test_the_folder_of_runs_may_be_a_link_itself(self, tmp_path):
        make(tmp_path / "real" / "x")
        (tmp_path / "runs").symlink_to("real")
        assert named_run(tmp_path / "runs", "x").read_config() == CONFIG


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

    def test_the_way_of_systems_without_shared_locks(self, run):
        assert not runs._cannot_be_locked(run.folder / "lock")
        with held(run):
            assert runs._cannot_be_locked(run.folder / "lock")

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


class TestDescribe:
    @pytest.mark.parametrize("state", ["stopped", "finished", "failed"])
    def test_what_has_ended_is_as_it_says(self, tmp_path, state):
        entry = describe(make(tmp_path / "x", state, reason="So it was."))
        assert (entry.state, entry.reason, entry.alive, entry.config) == (state, "So it was.", False, CONFIG)

    def test_alive_with_its_lock(self, tmp_path):
        run = make(tmp_path / "x", "running", step=7)
        with held(run):
            assert describe(run).state == "running"
            assert describe(run).alive

    @pytest.fixture
    def _greenwich(self, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setenv("TZ", "UTC")
            time.tzset()
            yield
        time.tzset()

    @pytest.mark.usefixtures("_greenwich")
    def test_interrupted_without_it(self, tmp_path):
        run = make(tmp_path / "x", "running", step=7)
        edit(run.folder / "status.json", heartbeat=86_400.0, pid=123)
        entry = describe(run)
        assert entry.state == "interrupted"
        assert not entry.alive
        assert entry.reason == (
            "Process 123 ended without saving, after step 7; last sign of life 1970-01-02 00:00:00. "
            "It goes on from what it saved last."
        )

    @pytest.mark.parametrize(
        ("silent", "state"),
        [(0, "starting"), (50, "starting"), (70, "interrupted"), (-50, "starting"), (-3600, "interrupted")],
    )
    def test_a_started_process_has_a_minute_on_any_clock(self, tmp_path, silent, state):
        run = make(tmp_path / "x", "starting")
        edit(run.folder / "status.json", heartbeat=time.time() - silent)
        assert describe(run).state == state
        if state == "interrupted":
            assert "and ended before it trained" in describe(run).reason

    def test_a_slow_start_with_its_lock_is_no_interruption(self, tmp_path):
        run = make(tmp_path / "x", "starting")
        edit(run.folder / "status.json", heartbeat=1000.0)
        with training_lock(run):
            assert describe(run).state == "starting"

    def test_a_run_that_ends_while_it_is_looked_at_is_not_interrupted(self, tmp_path, monkeypatch):
        """Its last word and the end of its lock may fall between the two looks of a page."""
        run = make(tmp_path / "x", "running")
        lock = training_lock(run)
        lock.__enter__()
        looks = []

        def end_in_between(look):
            def looking(self):
                found = look(self)
                looks.append(found)
                if len(looks) == 1:
                    run.write_status(Status("finished"))
                    lock.__exit__(None, None, None)
                return found

            return looking

        monkeypatch.setattr(Run, "is_alive", end_in_between(Run.is_alive))
        monkeypatch.setattr(Run, "read_status", end_in_between(Run.read_status))
        assert describe(run).state in ("running", "finished")
        assert describe(run).state == "finished"


class TestDelete:
    def test_at_once_with_everything(self, run):
        run.write_snapshot("truth", np.zeros((2, 4, 4), np.uint8))
        delete(run)
        assert list(run.root.iterdir()) == []

    @pytest.mark.parametrize("state", ["running", "finished"])
    def test_a_living_run_is_refused(self, tmp_path, state):
        run = make(tmp_path / "x", state)
        with held(run):
            with refused("x is being trained; stop it before deleting it"):
                delete(run)
            assert run.read_config() == CONFIG
        delete(run)
        assert not run.folder.exists()

    def test_a_starting_run_is_refused(self, tmp_path):
        with refused("x is being trained"):
            delete(make(tmp_path / "x", "starting"))

    def test_a_run_that_starts_in_that_moment_comes_back(self, run, monkeypatch):
        rename = Path.rename
        locks = []

        def start_first(self, target):
            if not locks:
                locks.append(training_lock(run))
                locks[0].__enter__()
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", start_first)
        with refused("one is being trained"):
            delete(run)
        locks[0].__exit__(None, None, None)
        assert run.read_config() == CONFIG
        assert [folder.name for folder in run.root.iterdir() if folder.is_dir()] == ["one"]

    def test_an_unreadable_run_can_be_deleted(self, run):
        run.config_path.write_text("{")
        delete(run)
        assert list_runs(run.root) == []

    def test_a_link_is_left_alone(self, run, tmp_path):
        link = tmp_path / "link"
        link.symlink_to(run.folder)
        with refused("link is a link to a run elsewhere; it is not deleted from here"):
            delete(Run(link))
        assert link.is_symlink()
        assert run.read_config() == CONFIG

    def test_links_in_a_run_are_not_followed(self, run, tmp_path):
        (tmp_path / "precious").mkdir()
        (tmp_path / "precious" / "file").write_text("x")
        (run.folder / "events").symlink_to(tmp_path / "precious")
        delete(run)
        assert (tmp_path / "precious" / "file").read_text() == "x"

    def test_what_a_killed_deletion_left_goes_with_the_next(self, run):
        (run.root / ".deleted-two-1-2" / "snapshots").mkdir(parents=True)
        (run.root / ".other").mkdir()
        delete(run)
        assert [folder.name for folder in run.root.iterdir()] == [".other"]

    def test_files_that_stay_are_told_of(self, run, monkeypatch):
        def busy(path, **_):
            raise OSError(16, "Device or resource busy")

        monkeypatch.setattr("core.runs.shutil.rmtree", busy)
        with refused(
            r"one is deleted, but some of its files stay in .*\.deleted-one-.* \(Device or resource"
        ):
            delete(run)
        assert list_runs(run.root) == []

    @pytest.mark.parametrize("name", ["config.json", "model.json", "status.json", "last.npz", "history.csv"])
    def test_what_is_left_of_a_run_can_be_deleted(self, tmp_path, name):
        (tmp_path / "x").mkdir()
        (tmp_path / "x" / name).touch()
        delete(Run(tmp_path / "x"))
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_is_no_run_is_left_alone(self, tmp_path):
        letter = tmp_path / "Documents" / "letter.txt"
        letter.parent.mkdir()
        letter.write_text("x")
        with refused("^Documents is not a run, and is left alone$"):
            delete(Run(letter.parent))
        assert letter.read_text() == "x"

    def test_a_run_that_is_not_there(self, tmp_path):
        with refused("^x is not a run, and is left alone$"):
            delete(Run(tmp_path / "x"))


class TestRewind:
    def test_rows_after_the_step_go(self, run):
        for kind, epoch, step in (("step", 1, 10), ("epoch", 1, 12), ("step", 2, 20), ("epoch", 2, 24)):
            run.append_history(kind, {"epoch": epoch, "step": step})
        with run.history_path.open("a") as file:
            file.write("step,3,2")
        run.rewind(12)
        assert run.read_history().steps["step"].tolist() == [10]
        assert run.read_history().epochs["epoch"].tolist() == [1]
        run.rewind(0)
        assert run.history_path.read_text() == history.HEADER

    def test_pictures_of_epochs_that_go_go_with_them(self, run):
        for epoch in (1, 2, 3):
            run.append_history("epoch", {"epoch": epoch, "step": 10 * epoch})
            run.write_snapshot(snapshot_name(epoch), np.zeros((2, 4, 4), np.uint8))
        run.rewind(20)
        assert run.snapshot_epochs() == [1, 2]

    def test_pictures_stay_where_only_the_history_is_lost(self, run):
        run.write_snapshot(snapshot_name(1), np.zeros((2, 4, 4), np.uint8))
        run.rewind(20)
        assert run.snapshot_epochs() == [1]

    def test_own_temporary_files_go_and_no_others(self, run):
        run.write_snapshot("truth", np.zeros((2, 4, 4), np.uint8))
        own = [".last.npz.ab12_xyz", ".status.json.00000000", "snapshots/.epoch_000001.png.abcdefgh"]
        others = [".training.lock", ".env.local", ".pre-commit-config.yaml", ".last.npz.keep", "notes.md"]
        for name in own + others:
            (run.folder / name).write_text("x")
        run.rewind(0)
        assert not any((run.folder / name).exists() for name in own)
        assert all((run.folder / name).exists() for name in others)

    def test_it_knows_what_a_killed_write_leaves(self, run, monkeypatch):
        """The temporary names are those that an atomic write really makes."""
        with monkeypatch.context() as patch:
            patch.setattr("core.weights.os.unlink", lambda path: None)
            patch.setattr("core.weights.os.replace", _fail)
            for write in (
                lambda: run.write_config(CONFIG),
                lambda: run.write_status(Status("running")),
                lambda: run.write_snapshot(snapshot_name(1), np.zeros((2, 4, 4), np.uint8)),
                lambda: save_arrays(run.checkpoint_path, {"a": np.zeros(1)}),
                lambda: save_arrays(run.weights_path, {"a": np.zeros(1)}),
                lambda: run.rewind(0),
            ):
                with pytest.raises(OSError, match="No space left"):
                    write()
        assert len(_hidden(run)) == 6
        run.rewind(0)
        assert _hidden(run) == []

    def test_a_damaged_history_is_left_as_it_is(self, run):
        run.history_path.write_text("x\n")
        with refused("one: history.csv is damaged"):
            run.rewind(0)
        assert run.history_path.read_text() == "x\n"


def _hidden(run):
    return [path for path in run.folder.rglob(".*") if path.is_file()]


def _fail(*_):
    raise OSError(28, "No space left on device")


class _FullFile:
    """A file on a full disk: takes half of what it is given."""

    def __init__(self, file):
        self._file = file

    def write(self, data):
        self._file.write(data[: len(data) // 2])
        _fail()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def __getattr__(self, name):
        return getattr(self._file, name)


class TestFullDisk:
    @pytest.fixture(params=["write", "fsync", "chmod", "replace"])
    def full(self, request, monkeypatch):
        """A disk that is full at one moment of an atomic write."""

        @contextmanager
        def full():
            fdopen = os.fdopen
            with monkeypatch.context() as patch:
                if request.param == "write":
                    patch.setattr("core.weights.os.fdopen", lambda *a: _FullFile(fdopen(*a)))
                else:
                    patch.setattr(f"core.weights.os.{request.param}", _fail)
                yield

        return full

    def test_the_old_files_stay_whole_and_nothing_else(self, run, full):
        frames = np.arange(32, dtype=np.uint8).reshape(2, 4, 4)
        run.write_snapshot("truth", frames)
        run.append_history("epoch", {"step": 5, "epoch": 1})
        save_arrays(run.checkpoint_path, {"a": np.arange(3)})
        before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
        for write in (
            lambda: run.write_config(replace(CONFIG, seed=9)),
            lambda: run.write_status(Status("failed")),
            lambda: run.write_snapshot("truth", frames[::-1]),
            lambda: save_arrays(run.checkpoint_path, {"a": np.arange(4)}),
            lambda: run.rewind(0),
        ):
            with full(), pytest.raises(OSError, match="No space left on device"):
                write()
        after = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
        assert after == before

    def test_a_new_run_says_so(self, tmp_path, full):
        run = Run(tmp_path / "new")
        with full(), refused(r"cannot write to run folder .*new \(No space left on device\)"):
            run.create(CONFIG)
        assert list(run.folder.iterdir()) == []
        run.create(CONFIG)  # with space again

    def test_a_row_torn_by_it_is_left_out(self, run, monkeypatch):
        run.append_history("step", {"step": 10})
        path_open = Path.open
        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", lambda self, *a: _FullFile(path_open(self, *a)))
            with pytest.raises(OSError, match="No space left"):
                run.append_history("step", {"step": 20})
        assert run.read_history().steps["step"].tolist() == [10]
        run.rewind(30)
        run.append_history("step", {"step": 20})
        assert run.read_history().steps["step"].tolist() == [10, 20]


class TestCheckpoint:
    STATE = {"step": 7, "epoch": 2, "epoch_step": 1, "minutes": 0.5}  # noqa: RUF012

    def save(self, run, state):
        array = np.frombuffer(json.dumps(state).encode(), np.uint8)
        save_arrays(run.checkpoint_path, {"network/a": np.zeros(9), "state": array})

    def test_without_one_nothing_is_done(self, run):
        assert run.checkpoint_state() == {"step": 0, "epoch": 0, "epoch_step": 0, "minutes": 0.0}

    def test_how_far_it_is(self, run):
        self.save(run, self.STATE)
        assert run.checkpoint_state() == self.STATE

    @pytest.mark.parametrize(
        "state", [[], {}, {"step": 1}, {**STATE, "step": "7"}, {**STATE, "minutes": float("nan")}]
    )
    def test_one_that_does_not_say_is_refused(self, run, state):
        self.save(run, state)
        with refused(r"^last.npz of one is damaged \(it does not say how far it is\)"):
            run.checkpoint_state()

    @pytest.mark.parametrize("data", [b"", b"PK", b"junk" * 99])
    def test_a_torn_one_is_refused(self, run, data):
        run.checkpoint_path.write_bytes(data)
        with refused("^last.npz of one is damaged"):
            run.checkpoint_state()

    def test_an_array_that_is_no_archive_is_refused(self, run):
        with run.checkpoint_path.open("wb") as file:
            np.save(file, np.zeros(3))
        with refused("^last.npz of one is damaged"):
            run.checkpoint_state()

    @given(position=st.integers(0, 10**6), byte=st.integers(0, 255))
    def test_no_changed_byte_is_a_traceback(self, tmp_path_factory, position, byte):
        run = Run(tmp_path_factory.mktemp("run"))
        self.save(run, self.STATE)
        data = bytearray(run.checkpoint_path.read_bytes())
        data[position % len(data)] = byte
        run.checkpoint_path.write_bytes(data)
        with suppress(RunError):
            assert run.checkpoint_state() == self.STATE

    @pytest.mark.parametrize("place", [6, 8])
    def test_what_zip_calls_encrypted_or_unknown_is_damage(self, run, place):
        self.save(run, self.STATE)
        data = bytearray(run.checkpoint_path.read_bytes())
        last = data.rfind(b"PK\x01\x02")  # the directory's entry of `state`: flags at 8, compression at 10
        local = data.rfind(b"PK\x03\x04", 0, last)
        for start in (last + place + 2, local + place):
            data[start] = 1 if place == 6 else 99
        run.checkpoint_path.write_bytes(data)
        with refused(r"^last.npz of one is damaged \((RuntimeError|NotImplementedError)\)"):
            run.checkpoint_state()


class TestLog:
    def test_the_last_lines(self, run):
        assert run.log_tail() == []
        for number in range(30):
            run.say(f"line {number}\n")
        assert run.log_tail(2) == ["line 28", "line 29"]
        assert len(run.log_tail()) == 20
        assert len(run.log_tail(500)) == 30

    def test_of_what_came_after_a_place(self, run):
        run.say("before")
        size = run.log_path.stat().st_size
        assert run.log_tail(1, since=size) == []
        run.say("after")
        assert run.log_tail(since=size) == ["after"]
        run.log_path.write_text("x" * 10 + "y" * runs.LOG_TAIL_BYTES)
        assert run.log_tail(since=10) == ["y" * runs.LOG_TAIL_BYTES]

    def test_any_text_is_kept(self, run):
        run.say("Größe “x” \udcff")
        assert run.log_tail() == ["Größe “x” \\udcff"]

    def test_of_a_long_log_little_is_read(self, run, monkeypatch):
        run.log_path.write_text("first\n" + "x" * 10_000_000 + "\nlast\n")
        read = []

        class Counting(io.FileIO):
            def read(self, count):
                read.append(count)
                return super().read(count)

        monkeypatch.setattr(Path, "open", lambda path, mode: Counting(path, mode))
        assert run.log_tail(50) == ["last"]  # not the middle of a line
        assert read == [runs.LOG_TAIL_BYTES]

    def test_one_endless_line_is_shown_by_its_end(self, run):
        run.log_path.write_bytes(b"\xff" + b"x" * 100_000)
        assert run.log_tail() == ["x" * runs.LOG_TAIL_BYTES]

    def test_calls_are_lines_of_json(self, run):
        run.log_call(from_step=0, changes={"seed": 3})
        run.log_call(from_step=9)
        calls = [json.loads(line) for line in (run.folder / "calls.jsonl").read_text().splitlines()]
        assert [call["from_step"] for call in calls] == [0, 9]
        assert abs(calls[0]["time"] - time.time()) < 60


class TestStop:
    def test_asked_for_once(self, run):
        assert not run.stop_requested
        run.request_stop()
        run.request_stop()
        assert run.stop_requested


class TestSnapshots:
    def test_round_trip(self, run):
        frames = np.random.default_rng(0).integers(0, 256, (19, 64, 64), dtype=np.uint8)
        run.write_snapshot(snapshot_name(12), frames)
        np.testing.assert_array_equal(run.read_snapshot(snapshot_name(12)), frames)
        assert (run.folder / "snapshots" / "epoch_000012.png").is_file()

    def test_epochs_rise_and_are_those_that_can_be_read(self, run):
        assert run.snapshot_epochs() == []
        for epoch in (2, 10, 1, 1_000_000):
            run.write_snapshot(snapshot_name(epoch), np.zeros((2, 4, 4), np.uint8))
        run.write_snapshot("truth", np.zeros((2, 4, 4), np.uint8))
        for name in (
            "epoch_2.png",
            "epoch_0000003.png",
            "epoch_x.png",
            "epoch_٠٠٠٠٠٤.png",
            ".epoch_000005.png.x",
        ):
            (run.folder / "snapshots" / name).write_bytes(b"")
        assert run.snapshot_epochs() == [1, 2, 10, 1_000_000]
        assert run.read_snapshot(snapshot_name(1_000_000)).shape == (2, 4, 4)

    def test_a_missing_one_is_named(self, run):
        with refused("^snapshot truth of one cannot be read$"):
            run.read_snapshot("truth")

    @given(position=st.integers(0, 80), byte=st.integers(0, 255), end=st.none() | st.integers(0, 200))
    def test_no_damage_is_a_traceback(self, tmp_path_factory, position, byte, end):
        run = Run(tmp_path_factory.mktemp("run"))
        run.write_snapshot("truth", np.arange(128, dtype=np.uint8).reshape(2, 8, 8))
        path = run.folder / "snapshots" / "truth.png"
        data = bytearray(path.read_bytes())
        data[position % len(data)] = byte
        path.write_bytes(data[:end])
        with suppress(RunError):
            assert run.read_snapshot("truth").dtype == np.uint8

    @pytest.mark.parametrize("shape", [(8, 20), (8, 16, 3)])
    def test_other_pictures_are_refused(self, run, shape):
        from core.outputs import png_bytes

        (run.folder / "snapshots").mkdir()
        (run.folder / "snapshots" / "truth.png").write_bytes(png_bytes(np.zeros(shape, np.uint8)))
        with refused("^snapshot truth of one is not a strip of square frames$"):
            run.read_snapshot("truth")

    def test_sixteen_bits_are_refused(self, run):
        from core.outputs import png_bytes

        (run.folder / "snapshots").mkdir()
        (run.folder / "snapshots" / "truth.png").write_bytes(png_bytes(np.zeros((8, 16), np.uint16)))
        with refused("is not a strip of square frames"):
            run.read_snapshot("truth")


class TestHistory:
    def test_rows_are_kept(self, run):
        run.append_history("step", {"step": 10, "loss": 0.5})
        assert run.read_history().steps["loss"].tolist() == [0.5]

    def test_damage_names_the_run(self, run):
        run.history_path.write_text(history.HEADER + "step,1\n")
        with refused("^one: history.csv is damaged: line 2 has 2 values, not 16$"):
            run.read_history()
