"""What a prediction service answers, with one replica and with two: requests a second, and their time."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from benchmarks.app import CannotMeasure
from benchmarks.measure import Figure, percentile
from core import zoo
from core.moving_mnist import training_batch
from core.prediction_request import PredictionRequest
from core.remote import RemoteModel

START_SECONDS = 240.0
CLIENTS = 16  # that each ask again as soon as they are answered
MODEL = "fast"


@contextmanager
def service(replicas: int) -> Iterator[str]:
    """A service with so many replicas of a processor each; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = [f"--port={port}", f"--replicas={replicas}", f"--most-replicas={replicas}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "core.serving", MODEL, *options],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    killer = threading.Timer(START_SECONDS, process.kill)
    try:
        assert process.stdout is not None
        killer.start()
        if "answers at" not in process.stdout.readline():
            raise CannotMeasure("the service did not start; is requirements-cluster.txt installed?")
        killer.cancel()
        yield f"http://127.0.0.1:{port}"
    finally:
        killer.cancel()
        process.terminate()
        process.wait(60)


def answered(url: str, seconds: float, clients: int = CLIENTS) -> list[float]:
    """How long each answer took, while so many ask for so long."""
    clips = training_batch(0, 0, batch_size=clients, frames=20, split="validation", digits=2)
    weights = zoo.weights_checksum(MODEL)
    ends = time.monotonic() + seconds

    def ask(number: int) -> list[float]:
        remote, times = RemoteModel(url, MODEL, weights, timeout_seconds=60), []
        while (began := time.monotonic()) < ends:
            remote.ask(PredictionRequest(clips[number], "next-frame", 0, 0))
            times.append(time.monotonic() - began)
        return times

    with ThreadPoolExecutor(clients) as pool:
        return [one for times in pool.map(ask, range(clients)) for one in times]


def run(*, seconds: float = 30.0, replicas: tuple[int, ...] = (1, 2)) -> list[Figure]:
    """Requests a second with each number of replicas, and how they grow."""
    figures, rates = [], []
    for count in replicas:
        with service(count) as url:
            answered(url, seconds / 6)  # what is compiled at first use
            times = answered(url, seconds)
        rates.append(len(times) / seconds)
        what = f"{count} replica{'s' if count > 1 else ''} of `{MODEL}`, {CLIENTS} clients"
        figures.append(Figure("serving", f"{what}: clips of 20 frames", rates[-1], "a second"))
        figures.append(Figure("serving", f"{what}: median of an answer", 1e3 * percentile(times, 50), "ms"))
        figures.append(Figure("serving", f"{what}: 95th percentile", 1e3 * percentile(times, 95), "ms"))
    if len(rates) > 1:
        what = f"{replicas[-1]} replicas against {replicas[0]}, on {os.cpu_count()} processors"
        figures.append(Figure("serving", what, rates[-1] / rates[0], "x"))
    return figures
