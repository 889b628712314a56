"""Several processes that train one network, as on several hosts."""

import csv
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
PLAN = (
    *("--model", "lesson", "--epochs", "3", "--steps-per-epoch", "10"),
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
    assert not alone.lost(RuntimeError())


def start(run, *options, number=0, count=1, port=0):
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        # what one of these processes has compiled the next one takes
        "JAX_COMPILATION_CACHE_DIR": str(run.parent / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
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


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_and_one_goes_on_when_the_other_is_lost(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    run = tmp_path / "together"
    first, second = (
        start(run, *PLAN, "--distributed", number=number, count=2, port=port) for number in range(2)
    )
    try:
        deadline = time.monotonic() + WAIT_SECONDS
        while not rows(run):
            assert first.poll() is None, first.communicate()[1][-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        second.send_signal(signal.SIGKILL)
        said = first.communicate(timeout=WAIT_SECONDS)[1]
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()
    assert first.returncode == 1, said[-2000:]
    assert re.search(
        r"train.py: after step \d+ another process was lost \(.*\); --resume goes on after", said
    )
    assert 1 <= len(rows(run)) < 3

    assert start(run, "--resume").wait(WAIT_SECONDS) == 0
    alone = tmp_path / "alone"
    assert start(alone, *PLAN).wait(WAIT_SECONDS) == 0
    expected, found = rows(alone), rows(run)
    assert list(found) == list(expected) == [1, 2, 3]
    for epoch, values in expected.items():
        np.testing.assert_allclose(found[epoch], values, rtol=1e-3)


def test_what_is_missing_is_one_line_before_anything_is_made(tmp_path):
    process = start(tmp_path / "run", *PLAN, "--distributed", number=3, count=2, port=9000)
    said = process.communicate(timeout=WAIT_SECONDS)[1]
    assert process.returncode == 2
    assert said == f"train.py: {NUMBER} must be 0 to 1; got '3'\n"
    assert not (tmp_path / "run").exists()
