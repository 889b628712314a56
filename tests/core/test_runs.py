"""Run folders: what is in them is true or refused, one process trains at a time, and no name leads out."""

import bisect
import io
import json
import os
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
from core.run_list import describe
from core.run_locks import training_lock
from core.run_status import STATES, Status
from core.runs import FORMAT, Run, RunError, snapshot_name
from core.weights import save_arrays
from tests.bare_runs import CONFIG, edit, make, refused


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
        with refused(r"^last.npz of one is damaged \((Runtime|NotImplemented)Error\)"):
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
