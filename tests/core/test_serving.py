"""A real service with two replicas, on this machine."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ray")

from core import serving, zoo
from core.moving_mnist import training_batch
from core.prediction_request import PredictionRequest
from core.remote import RemoteError, RemoteModel
from core.wire import MOST_REQUEST

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 240
NAME = "mse"  # a small one, and soon there
CLIPS = training_batch(5, 5, batch_size=4, frames=20, split="validation", digits=2)


@pytest.fixture(scope="module")
def url():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = [NAME, f"--port={port}", "--replicas=2", "--most-replicas=2", "--cpus=0.5"]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen(
        [sys.executable, "-m", "core.serving", *options],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = []
    reader = threading.Thread(target=lambda: said.extend(process.stdout), daemon=True)
    reader.start()
    deadline = time.monotonic() + START_SECONDS
    while not any(line.startswith(f"{NAME} answers") for line in said):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"the service did not start:\n{''.join(said)[-3000:]}")
        time.sleep(0.2)
    yield f"http://127.0.0.1:{port}"
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


@pytest.fixture
def remote(url):
    return RemoteModel(url, NAME, zoo.weights_checksum(NAME))


def processes(url, tries=60):
    """The replicas that answer."""
    found = set()
    for _ in range(tries):
        with urllib.request.urlopen(f"{url}/{NAME}", timeout=20) as answer:
            found.add(json.load(answer)["process"])
    return found


def status(url, data, method="POST", path=f"/{NAME}"):
    request = urllib.request.Request(f"{url}{path}", data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_without_ray_it_says_what_brings_it():
    code = (
        "import runpy, sys; sys.modules['ray'] = None; sys.argv = ['core.serving', 'fast']; "
        "runpy.run_module('core.serving', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "core.serving: Ray is not installed; pip install -r requirements-cluster.txt brings it"
    )


@pytest.mark.slow
def test_it_predicts_what_the_model_predicts_here(remote):
    from core.prediction_request import predict_batch

    here = zoo.load(NAME)
    for asked in (
        PredictionRequest(CLIPS[0], "next-frame", 0, 0),
        PredictionRequest(CLIPS[1], "rollout", 10, 12),
    ):
        (expected,) = predict_batch(here, [asked])
        made = remote.ask(asked)
        np.testing.assert_allclose(made.frames, expected.frames, atol=1e-4)
        assert made.seconds > 0
        assert made.device == here.device


def test_what_is_wrong_is_said_and_harms_nobody(url, remote):
    assert status(url, b"hello") == (400, b"a message has 47 bytes or more; got 5")
    assert status(url, b"CLVP" + bytes(100))[0] == 400
    assert status(url, bytes(MOST_REQUEST + 1))[1].endswith(b"got more")
    assert status(url, b"", "PUT")[0] == 405
    assert status(url, b"", path="/best")[0] == 404
    with pytest.raises(RemoteError, match="status 409: the weights"):
        RemoteModel(url, NAME, "00" * 32).ask(PredictionRequest(CLIPS[0], "next-frame", 0, 0))
    assert len(remote.ask(PredictionRequest(CLIPS[0], "next-frame", 0, 0)).frames) == 19


@pytest.mark.slow
def test_a_replica_that_dies_under_load_loses_no_request(url, remote):
    there = processes(url)
    assert len(there) == 2
    expected = [remote.ask(PredictionRequest(clip, "next-frame", 0, 0)).frames for clip in CLIPS]
    killed = threading.Event()

    def ask(number):
        if number == 20:
            os.kill(min(there), signal.SIGKILL)
            killed.set()
        return remote.ask(PredictionRequest(CLIPS[number % 4], "next-frame", 0, 0)).frames

    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(ask, range(80)))
    assert killed.is_set()
    for number, frames in enumerate(made):
        np.testing.assert_allclose(frames, expected[number % 4], atol=0.02)
    deadline = time.monotonic() + START_SECONDS
    while len(now := processes(url, 20)) < 2 and time.monotonic() < deadline:
        time.sleep(1)
    assert len(now) == 2  # it was replaced
    assert min(there) not in now


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none"], "unknown model 'none'; shipped are"),
        (["fast", "--replicas", "0"], "replicas must be 1 to most replicas; got 0 and 4"),
        (["fast", "--port", "0"], "port must be 1 to 65535"),
        (["fast", "--cpus", "0"], "cpus above 0"),
        ([], "the following arguments are required"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(arguments, words, capsys):
    assert serving.main(arguments) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
