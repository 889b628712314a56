"""A list shows every run, sound or damaged; no name leads out of the folder; what is deleted is a run."""

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.run_list import delete, describe, list_runs, named_run
from core.run_locks import training_lock, training_now
from core.run_status import STATES, Status
from core.runs import Run, RunError
from tests.bare_runs import CONFIG, edit, held, make, needs_a_plain_user, refused


@pytest.fixture
def run(tmp_path):
    return make(tmp_path / "runs" / "one")


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

        monkeypatch.setattr("core.run_list.shutil.rmtree", busy)
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
