"""Predictions over HTTP, on as many machines as there are: Ray Serve around the very same `Predictor`.

    python -m core.serving fast best --most-replicas 4

A model lies at http://HOST:PORT/NAME: GET tells what it is, POST predicts, with the messages of `core.wire`.
The app asks it where PREDICT_URL is set (`core.remote`). Needs requirements-cluster.txt.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from core import zoo
from core.batching import COLLECT_SECONDS, MOST_AT_ONCE, ROOM
from core.command_line import OneLineParser
from core.prediction_request import PredictionRequest, PredictionResult, predict_batch
from core.wire import MEDIA_TYPE, MOST_REQUEST, VERSION, Answer, WireError, decode_request, encode_answer

try:
    import ray
    from ray import serve
except ImportError:
    if __name__ != "__main__":
        raise
    sys.exit("core.serving: Ray is not installed; pip install -r requirements-cluster.txt brings it")

ROOT = Path(__file__).resolve().parent.parent
HOST, PORT = "127.0.0.1", 8000
# What machines of a cluster need of this folder, to have it from the one that starts the service.
NOT_SENT = [".git", "runs", "tests", "docs", "benchmarks", ".venv*", ".*_cache"]


class Service:
    """One replica: a model in memory, and the door to it. Requests that come together share a call."""

    def __init__(self, model: str, threads: int) -> None:
        _use_threads(threads)
        self._predictor = zoo.load(model)
        self._predictor.warm_up()
        self._weights = self._predictor.weights_sha256
        self._side = self._predictor.config.canvas

    async def __call__(self, request: HttpRequest) -> Response:
        """Answer one HTTP request; what is wrong with it is one sentence."""
        if request.method == "GET":
            about = {"version": VERSION, "weights": self._weights, "device": self._predictor.device}
            return JSONResponse(about | {"model": self._predictor.name, "process": os.getpid()})
        if request.method != "POST":
            return PlainTextResponse("only GET and POST are answered", 405, {"Allow": "GET, POST"})
        try:
            asked = decode_request(await _body(request))
        except WireError as error:
            return PlainTextResponse(str(error), 400)
        if asked.weights != self._weights:
            return PlainTextResponse("the weights that were asked for are not those that are here", 409)
        made = await self._together(asked.prediction)
        if isinstance(made, str):
            return PlainTextResponse(made, 400)
        return Response(encode_answer(Answer(made, self._weights)), media_type=MEDIA_TYPE)

    @serve.batch(max_batch_size=MOST_AT_ONCE, batch_wait_timeout_s=COLLECT_SECONDS)
    async def _together(self, asked: list[PredictionRequest]) -> list[PredictionResult | str]:
        return await asyncio.to_thread(self._answers, asked)

    def _answers(self, asked: list[PredictionRequest]) -> list[PredictionResult | str]:
        """What was made of each, or why it cannot be; those of a kind in one call."""
        from core.inference import InputError

        answers: dict[int, PredictionResult | str] = {}
        for kind in dict.fromkeys(one.kind for one in asked):
            numbers = [number for number, one in enumerate(asked) if one.kind == kind]
            try:
                answers |= zip(
                    numbers, predict_batch(self._predictor, [asked[n] for n in numbers]), strict=True
                )
            except InputError as error:
                answers |= dict.fromkeys(numbers, str(error))
        return [answers[number] for number in range(len(asked))]

    async def check_health(self) -> None:
        """A prediction of two frames, as Ray Serve asks for it; a replica that fails is replaced."""
        blank = np.zeros((1, 2, self._side, self._side, 1), np.float32)
        made = await asyncio.to_thread(self._predictor.next_frames, blank)
        if not np.isfinite(made).all():
            raise RuntimeError("the network does not predict numbers any more")


def _use_threads(number: int) -> None:
    """Let a call use so many processors: TensorFlow would take all there are."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(number)


async def _body(request: HttpRequest) -> bytes:
    """The bytes of a request, of which no more are read than one can have."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_REQUEST:
            raise WireError(f"a request has {MOST_REQUEST} bytes at most; got more")
    return bytes(body)


def application(model: str, *, replicas: int, most_replicas: int, cpus: float, gpus: float) -> Any:
    """The Ray Serve application of a model.

    Parameters
    ----------
    model : a shipped model's name
    replicas, most_replicas : how many there are when nobody asks, and when many do
    cpus, gpus : that each replica takes; TensorFlow gets as many threads, one where it is a share
    """
    deployment: Any = serve.deployment(
        name=model,
        # one call runs while the next one is collected; who comes beyond the queue is told so (503)
        max_ongoing_requests=2 * MOST_AT_ONCE,
        max_queued_requests=ROOM,
        autoscaling_config={
            "min_replicas": replicas,
            "max_replicas": most_replicas,
            "target_ongoing_requests": MOST_AT_ONCE / 2,
        },
        ray_actor_options={"num_cpus": cpus, "num_gpus": gpus},
        health_check_period_s=5,
        health_check_timeout_s=20,
        graceful_shutdown_timeout_s=10,
    )(Service)
    return deployment.bind(model, max(1, int(cpus)))


def start(
    models: list[str],
    *,
    host: str = HOST,
    port: int = PORT,
    replicas: int = 1,
    most_replicas: int = 4,
    cpus: float = 1,
    gpus: float = 0,
    cluster: str | None = None,
) -> None:
    """Serve models; returns when every one of them answers.

    Parameters
    ----------
    cluster : address of a Ray cluster, "auto" for that of this machine; None: this machine alone

    Raises
    ------
    ValueError
        If this machine alone is to have more replicas than processors.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    os.environ.setdefault("RAY_worker_niceness", "0")  # replicas are what the machine is for
    # what the processes of a service say is in Ray's own files
    if cluster is None:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING)
        there = ray.cluster_resources().get("CPU", 0)
        if (wanted := len(models) * replicas * cpus) > there:
            stop()
            raise ValueError(f"these replicas take {wanted:g} processors; this machine has {there:g}")
    else:
        sent = {"working_dir": str(ROOT), "excludes": NOT_SENT}
        ray.init(cluster, runtime_env=sent, log_to_driver=False, logging_level=logging.WARNING)
    serve.start(http_options={"host": host, "port": port}, logging_config={"log_level": "WARNING"})
    for model in models:
        served = application(model, replicas=replicas, most_replicas=most_replicas, cpus=cpus, gpus=gpus)
        serve.run(served, name=model, route_prefix=f"/{model}")


def stop() -> None:
    """End the service."""
    serve.shutdown()
    ray.shutdown()


def build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m core.serving",
        allow_abbrev=False,
        description="Serve predictions of shipped models over HTTP, with Ray Serve.",
        epilog="Exit status: 0 when ended by Ctrl-C or SIGTERM, 2 for bad input.",
    )
    add = parser.add_argument
    add("models", nargs="+", metavar="model", help=f"to serve: {', '.join(zoo.model_names())}")
    add("--host", default=HOST, help="address to listen at (default: this machine only)")
    add("--port", type=int, default=PORT, help="(default: %(default)s)")
    add("--replicas", type=int, default=1, help="of each model when nobody asks (default: %(default)s)")
    add("--most-replicas", type=int, default=4, help="when many ask (default: %(default)s)")
    add("--cpus", type=float, default=1, help="that a replica takes (default: %(default)g)")
    add("--gpus", type=float, default=0, help="that a replica takes, a share where below 1 (default: 0)")
    add("--cluster", metavar="ADDRESS", help='Ray cluster, "auto" for that of this machine (default: none)')
    return parser


def _run(arguments: list[str] | None) -> None:
    parser = build_parser()
    options = parser.parse_args(arguments)
    unknown = [name for name in options.models if name not in zoo.model_names()]
    if unknown:
        parser.error(f"unknown model {unknown[0]!r}; shipped are {', '.join(zoo.model_names())}")
    if not 1 <= options.replicas <= options.most_replicas:
        parser.error(
            f"replicas must be 1 to most replicas; got {options.replicas} and {options.most_replicas}"
        )
    if not 0 < options.port < 65536 or options.cpus <= 0 or options.gpus < 0:
        parser.error(
            "port must be 1 to 65535, cpus above 0, gpus 0 or more; "
            f"got {options.port}, {options.cpus:g}, {options.gpus:g}"
        )
    settings = vars(options)
    models = list(dict.fromkeys(settings.pop("models")))
    start(models, **settings)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):  # after Ray has put its own in place
        signal.signal(number, lambda *_: ended.set())
    for name in models:
        print(f"{name} answers at http://{options.host}:{options.port}/{name}", flush=True)  # noqa: T201
    ended.wait()
    stop()


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status is 0, or 2 after one line that says what was wrong."""
    try:
        _run(arguments)
    except (ValueError, ConnectionError) as error:
        print(f"core.serving: {' '.join(str(error).split())}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
