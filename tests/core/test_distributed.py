"""Several processes that train one network, as on several hosts."""

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from core.distributed import ADDRESSES, COUNT, NUMBER, Workers, number_of

ROOT = Path(__file__).resolve().parents[2]
GOOD = {"KERAS_BACKEND": "jax", ADDRESSES: "10.0.0.1:9000,10.0.0.2:9000", COUNT: "2", NUMBER: "1"}
EPOCHS = 4
PLAN = (
    *("--model", "lesson", "--epochs", str(EPOCHS), "--steps-per-epoch", "10"),
    *("--batch-size", "4", "--frames", "6", "--validation-clips", "2", "--precision", "float32"),
)
WAIT_SECONDS = 200


def test_what_the_environment_says():
    assert number_of(GOOD) == 1
    assert number_of({**GOOD, ADDRESSES: "first:9000", COUNT: "8", NUMBER: "7"}) == 7


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"KERAS_BACKEND": "tensorflow"}, "KERAS_BACKEND=jax; got tensorflow"),
        ({"KERAS_BACKEND": ""}, "got nothing"),
        ({ADDRESSES: ""}, "must be host:port of the first process"),
        ({ADDRESSES: "host"}, "got 'host'"),
        ({ADDRESSES: "host:99999"}, "got 'host:99999'"),
        ({COUNT: "3"}, "number of processes"),
        ({COUNT: "-1"}, "1 or more; got '-1'"),
        ({NUMBER: "2"}, "must be 0 to 1; got '2'"),
        ({NUMBER: ""}, "must be 0 to 1; got ''"),
    ],
)
def test_what_is_missing_there_is_named(change, words):
    with pytest.raises(ValueError, match=words):
        number_of({**GOOD, **change})


def test_each_process_makes_its_rows():
    parts = [np.arange(12)[Workers(number, 3, 6).rows(12)] for number in range(3)]
    assert [list(part) for part in parts] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    with pytest.raises(ValueError, match="multiple of 6, the number of devices; got 8"):
        Workers(0, 3, 6).rows(8)


def test_who_is_alone_agrees_with_itself():
    alone = Workers()
    values = np.array([1.5, np.inf])
    assert alone.agree(values) is values
    assert alone.gather(values).shape == (1, 2)
    assert alone.agree_on_text("é") == "é"
    assert not alone.lost(RuntimeError("UNKNOWN: gone"))


@pytest.mark.parametrize(
    ("said", "lost"),
    [
        ("UNKNOWN: Gloo AllReduce failed", True),
        ("RESOURCE_EXHAUSTED: Out of memory", False),
        ("no such clip", False),
    ],
)
def test_what_another_process_is_lost_by(said, lost):
    assert Workers(0, 2, 2).lost(RuntimeError(said)) is lost


def start(run, *options, number=0, count=1, port=0):
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        # what one of these processes has compiled the next one takes
        "JAX_COMPILATION_CACHE_DIR": str(run.parent / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # a few steps are not worth XLA's time
        "TF_CPP_MIN_LOG_LEVEL": "3",
        ADDRESSES: f"127.0.0.1:{port}",
        COUNT: str(count),
        NUMBER: str(number),
    }
    command = [sys.executable, "train.py", "--run-dir", str(run), "--alongside", *options]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def rows(run):
    """Loss and scores of each epoch."""
    path = run / "history.csv"
    if not path.exists():
        return {}
    with path.open() as file:
        found = [row for row in csv.DictReader(file) if row["kind"] == "epoch" and row["val_ssim"]]
    return {
        int(row["epoch"]): [float(row[name]) for name in ("loss", "val_loss", "val_psnr")] for row in found
    }


def two(run, *options):
    """Two processes that train a run together."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return [start(run, *options, "--distributed", number=number, count=2, port=port) for number in range(2)]


def after_an_epoch(run, processes, number, then):
    """Send the second of two processes a signal once an epoch is over; what each says, when both ended."""
    first, second = processes
    try:
        deadline = time.monotonic() + WAIT_SECONDS
        while len(rows(run)) < number:
            assert first.poll() is None, first.communicate()[1][-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        second.send_signal(then)
        return [process.communicate(timeout=WAIT_SECONDS)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_learn_what_one_learns_however_they_end(tmp_path):
    """Stopped by a signal to the second, gone on with by two, one of which is lost, and then by one alone."""
    run = tmp_path / "together"
    processes = two(run, *PLAN)
    said = after_an_epoch(run, processes, 1, signal.SIGTERM)
    assert [process.returncode for process in processes] == [0, 0], said
    status = json.loads((run / "status.json").read_text())
    assert (status["state"], status["reason"]) == ("stopped", "Process 1 stopped.")
    assert 10 <= status["step"] < 30

    processes = two(run, "--resume")
    said, _ = after_an_epoch(run, processes, len(rows(run)) + 1, signal.SIGKILL)
    assert processes[0].returncode == 1, said[-2000:]
    assert re.search(
        r"train.py: after step \d+ another process was lost \(.*\); --resume goes on after", said
    )
    assert 2 <= len(rows(run)) < EPOCHS

    assert start(run, "--resume").wait(WAIT_SECONDS) == 0
    alone = tmp_path / "alone"
    assert start(alone, *PLAN).wait(WAIT_SECONDS) == 0
    expected, found = rows(alone), rows(run)
    assert list(found) == list(expected) == list(range(1, EPOCHS + 1))
    for epoch, values in expected.items():
        np.testing.assert_allclose(found[epoch], values, rtol=1e-3)


def test_what_is_missing_is_one_line_before_anything_is_made(tmp_path):
    process = start(tmp_path / "run", *PLAN, "--distributed", number=3, count=2, port=9000)
    said = process.communicate(timeout=WAIT_SECONDS)[1]
    assert process.returncode == 2
    assert said == f"train.py: {NUMBER} must be 0 to 1; got '3'\n"
    assert not (tmp_path / "run").exists()
