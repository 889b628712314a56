"""Starting a training: a process of its own, that outlives whoever started it."""

import json
import os
import subprocess
import sys
import time

import pytest

from core import launch
from core.run_list import describe
from core.run_locks import training_lock
from core.run_status import Status
from core.runs import Run, RunError
from core.train_config import default_config

SECONDS = 30

# Stands for train.py: says who it is, holds the run, waits for the wish to stop.
TRAINER = """
import json, os, sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from core.run_status import Status
from core.run_locks import training_lock
from core.runs import Run
run = Run(Path(sys.argv[sys.argv.index("--run-dir") + 1]))
with training_lock(run):
    run.write_status(Status("running"))
    who = {{"arguments": sys.argv[1:], "session": os.getsid(0), "pid": os.getpid()}}
    who["stdin"] = sys.stdin.read()
    (run.folder / "who.json").write_text(json.dumps(who))
    print("on standard error", file=sys.stderr, flush=True)
    while not run.stop_requested:
        time.sleep(0.02)
    run.write_status(Status("stopped", "Stopped by request."))
"""


def wait_for(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path / "runs" / "one")
    run.create(default_config("classroom"))
    return run


@pytest.fixture
def trainer(tmp_path, monkeypatch):
    """Makes a script take the place of train.py."""

    def replace(text):
        path = tmp_path / "train.py"
        path.write_text(text)
        monkeypatch.setattr(launch, "TRAIN", path)

    return replace


def test_the_command_resumes_the_folder_with_this_python(run):
    assert launch.command(run) == [
        sys.executable, str(launch.TRAIN), "--run-dir", str(run.folder.resolve()), "--resume",
    ]  # fmt: skip
    assert launch.TRAIN.is_file()
    assert launch.command(run, 3e-4)[-2:] == ["--learning-rate", "0.0003"]


def test_a_run_trains_in_a_session_of_its_own_and_stops_when_asked(run, trainer):
    trainer(TRAINER.format(root=str(launch.TRAIN.parent)))
    run.request_stop()  # a wish from before is not meant for the new process

    launch.start(run)

    assert describe(run).alive
    wait_for((run.folder / "who.json").exists)
    wait_for(lambda: describe(run).state == "running")
    who = json.loads((run.folder / "who.json").read_text())
    assert who["arguments"] == launch.command(run)[2:]
    assert who["session"] == who["pid"] != os.getsid(0)
    assert who["stdin"] == ""
    with pytest.raises(RunError, match="one is being trained already"):
        launch.start(run)
    run.request_stop()
    wait_for(lambda: describe(run).state == "stopped")
    assert "on standard error" in run.log_tail()


def test_it_outlives_the_process_that_started_it(run, trainer, tmp_path):
    root = str(launch.TRAIN.parent)
    trainer(TRAINER.format(root=root))
    code = (
        f"import sys; sys.path.insert(0, {root!r})\n"
        "from pathlib import Path\n"
        "from core import launch; from core.runs import Run\n"
        f"launch.TRAIN = Path({str(launch.TRAIN)!r})\n"
        f"launch.start(Run(Path({str(run.folder)!r})))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=SECONDS)

    wait_for(run.is_alive)
    wait_for(lambda: describe(run).state == "running")
    run.request_stop()
    wait_for(lambda: not run.is_alive())


def test_a_process_that_ends_without_a_word_leaves_its_last_words_as_the_reason(run, trainer):
    trainer("raise SystemExit('train.py: out of paper')")

    launch.start(run)

    wait_for(lambda: describe(run).state == "failed")
    assert describe(run).reason == "out of paper"


def test_the_reason_is_of_this_process_not_of_the_one_before(run, trainer):
    run.say("classroom: stopped after 120 steps.")
    trainer("raise SystemExit('train.py: out of paper')")

    launch.start(run)

    wait_for(lambda: describe(run).state == "failed")
    assert describe(run).reason == "out of paper"
    assert run.log_tail() == ["classroom: stopped after 120 steps.", "train.py: out of paper"]


def test_a_process_of_windows_gets_a_group_and_no_window(monkeypatch):
    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0x200, raising=False)
    monkeypatch.setattr(subprocess, "CREATE_NO_WINDOW", 0x8000000, raising=False)
    monkeypatch.setattr(launch.sys, "platform", "win32")
    assert launch._apart() == {"creationflags": 0x8000200}


def test_a_silent_end_is_told_by_its_status(run, trainer):
    run.say("classroom: stopped after 120 steps.")
    trainer("raise SystemExit(7)")

    launch.start(run)

    wait_for(lambda: describe(run).state == "failed")
    assert describe(run).reason == "It ended with status 7 before it began."


def test_what_the_process_said_itself_is_left_alone(run, trainer):
    trainer(
        TRAINER.format(root=str(launch.TRAIN.parent)).replace('"stopped", "Stopped by', '"failed", "Said by')
    )
    launch.start(run)
    wait_for(run.is_alive)

    run.request_stop()

    wait_for(lambda: describe(run).state == "failed")
    assert describe(run).reason == "Said by request."


def test_a_resumed_run_keeps_its_step_count_while_it_starts(run, trainer):
    trainer("import time; time.sleep(0.5)")
    run.write_status(Status("stopped", "Stopped by request.", step=120, epoch=3))

    launch.start(run)

    entry = describe(run)
    assert (entry.state, entry.reason, entry.status.step) == ("starting", "", 120)
    wait_for(lambda: describe(run).state == "failed")


def test_a_run_that_trains_already_is_refused(run):
    with training_lock(run), pytest.raises(RunError, match="one is being trained already"):
        launch.start(run)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="holds no run"):
        launch.start(Run(tmp_path / "nothing"))


def test_a_log_that_cannot_be_opened_leaves_the_run_as_it_was(run):
    run.write_status(Status("stopped", "Stopped by request."))
    run.log_path.unlink(missing_ok=True)
    run.log_path.mkdir()

    with pytest.raises(RunError, match="one cannot be started"):
        launch.start(run)

    assert describe(run).state == "stopped"


def test_a_python_that_is_not_there_is_one_sentence(run, monkeypatch):
    monkeypatch.setattr(launch, "command", lambda run, rate: ["/no/such/python"])
    run.write_status(Status("stopped", "Stopped by request."))

    with pytest.raises(RunError, match="one cannot be started"):
        launch.start(run)

    assert describe(run).state == "stopped"
