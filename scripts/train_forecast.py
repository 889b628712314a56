"""Teach a forecast where each piece of a frame goes: minutes of a processor, since it paints no picture.

    python -m scripts.train_forecast runs/forecast
    python -m scripts.train_forecast runs/more --init-from runs/forecast --learning-rate 3e-4

Writes the forecast alone, without a network: `train.py --forecast-from` begins with it, for any network that
matches the same cells; what it is learned from does not depend on the rest of a network.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shlex
import sys
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np

from core import zoo
from core.growth import OUTLOOK, check_forecast, deepened
from core.lessons import Lessons, make_lessons
from core.model_config import CONFIGS, FORECAST_AHEAD
from core.moving_mnist import BENCHMARK_DIGITS
from core.runs import Run, RunError
from core.weights import WeightsError, load_arrays, save_arrays, write_atomically

CONTEXT, AHEAD = 10, FORECAST_AHEAD  # frames
CLIPS = 1024  # made at once, one heap of lessons
HEAPS = (None, None, BENCHMARK_DIGITS)  # learned in turns: two of the usual mixture, one of standard clips
STEPS = 250  # of a round
BATCH = 16  # clips, unless the command says otherwise
RATE = 2e-3  # the highest, unless the command says otherwise
WARM_UP = 4  # rounds in which it rises
OFTEN = 10  # rounds from one validation to the next
VALIDATION_CLIPS = 256


@dataclass(frozen=True)
class Plan:
    """How long to teach: a number of rounds, or of minutes; how many steps a round has, how many clips a
    step; and the highest rate.
    """

    rounds: int | None
    minutes: float | None
    steps: int
    batch: int = BATCH
    rate: float = RATE

    def done(self, rounds: int, seconds: float) -> float:
        """How much of it is done after so many rounds, which took so long."""
        if self.minutes is not None:
            return min(seconds / 60 / self.minutes, 1.0)
        assert self.rounds is not None
        return rounds / self.rounds


def batches(seed: int, size: int) -> Generator[list[np.ndarray]]:
    """Batches without end, no clip twice, from one heap after the other, the next ones made meanwhile in a
    thread; always the same ones.
    """

    def heap(number: int) -> Future[Lessons]:
        digits = HEAPS[(number - 1) % len(HEAPS)]
        options: dict[str, Any] = {"clips": CLIPS, "context": CONTEXT, "ahead": AHEAD, "digits": digits}
        return pool.submit(make_lessons, seed, number, **options)

    with ThreadPoolExecutor(1) as pool:
        coming = [heap(number) for number in range(1, len(HEAPS) + 1)]
        for number in count(len(HEAPS) + 1, len(HEAPS)):
            heaps = [one.result() for one in coming]
            coming = [heap(number + n) for n in range(len(HEAPS))]
            for first in range(0, CLIPS - size + 1, size):
                yield from (one.batch(first, size) for one in heaps)


def compiled(backend: str) -> str | bool:
    """TensorFlow on a CPU is the faster without; JAX without would run one operation after the other."""
    return "auto" if backend == "jax" else False


def teach(
    model_name: str,
    plan: Plan,
    seed: int,
    begin: Mapping[str, np.ndarray] | None = None,
    keep: Callable[[dict[str, np.ndarray], list[dict[str, Any]]], None] = lambda *_: None,
) -> None:
    """Teach a forecast.

    Parameters
    ----------
    begin : weights by path, of a forecast or of a model that has one, to begin with
    keep : called with the weights by path, and how well they did on validation digits so far, every so many
        rounds and at the end

    Raises
    ------
    core.weights.WeightsError
        If those to begin with do not fit, or are not finite.
    """
    import keras

    from core.displacement_classifier import DisplacementClassifier
    from core.model import Network
    from core.weights import assign, variable_arrays

    random.seed(seed)  # of the initial weights, see `core.training.Trainer`
    network = Network(CONFIGS[model_name], "float32")
    # all are made here, so that each has the name that it has in the network
    variables = [variable for variable in network.variables if variable.path.startswith(OUTLOOK)]
    if begin is not None:
        own = variable_arrays(variables)
        assign(variables, deepened(_forecast_of(begin), own), "the forecast to begin with")
    model = DisplacementClassifier(network, CONTEXT, AHEAD)
    model.compile(
        # Muon (Jordan et al. 2024) for matrices; Adam for biases and the last layer, as its authors advise
        keras.optimizers.Muon(
            plan.rate,
            adam_beta_2=0.99,
            weight_decay=None,
            adam_weight_decay=None,
            exclude_layers=["^forecast/"],
            global_clipnorm=1.0,
        ),
        jit_compile=compiled(keras.backend.backend()),
    )
    unseen = make_lessons(
        seed, 0, clips=VALIDATION_CLIPS, context=CONTEXT, ahead=AHEAD, split="validation", digits=None
    )
    scores: list[dict[str, Any]] = []
    coming = batches(seed, plan.batch)
    began = time.monotonic()
    number, done = 0, 0.0

    try:
        while done < 1:
            number += 1
            risen = min(number / min(WARM_UP, plan.rounds or WARM_UP), 1.0)
            rate = plan.rate * risen * (1 + math.cos(math.pi * done)) / 2
            model.optimizer.learning_rate.assign(rate)
            # the loss is fetched once, and not after every step: a GPU does not wait for Python
            told = model.fit(
                ((tuple(batch),) for batch in islice(coming, plan.steps)),
                steps_per_epoch=plan.steps,
                shuffle=False,
                verbose=0,
            )
            done = plan.done(number, time.monotonic() - began)
            if number % OFTEN == 0 or done >= 1:
                score = {
                    "round": number,
                    "step": number * plan.steps,
                    "done": done,
                    "loss": float(told.history["loss"][-1]),
                }
                scores.append({**score, **_score(model, unseen, plan.batch)})
                print(json.dumps({name: round(value, 4) for name, value in scores[-1].items()}), flush=True)
                keep(variable_arrays(variables), scores)
    finally:
        with suppress(ValueError):  # broken off, a thread of TensorFlow may be about to take another one
            coming.close()


def _forecast_of(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {path: array for path, array in arrays.items() if path.startswith(OUTLOOK)}


def _score(model: Any, lessons: Lessons, batch: int) -> dict[str, float]:
    """Cross entropy, and the probability of the truth, both weighted by squared ink."""
    told = model.evaluate(lessons.batch(0, len(lessons)), batch_size=batch, verbose=0, return_dict=True)
    return {f"val_{name}": float(told[name]) for name in ("cross_entropy", "probability")}


def _source(folder: Path | None, model_name: str) -> Path | None:
    """The folder to go on from, whose forecast fits; ModelError or ValueError if it does not."""
    if folder is None:
        return None
    found = zoo.model_folder(folder)
    check_forecast(zoo.config_of(found), CONFIGS[model_name])
    return found


def _commands_of(folder: Path | None) -> list[str]:
    """What made the forecast that was gone on from, as far as its card tells."""
    if folder is None:
        return []
    run = Run(folder)
    if run.config_path.is_file():
        return [call["command"] for call in run.read_calls()]
    commands: list[str] = zoo.card(folder).get("training", {}).get("commands", [])
    return commands


def _check_free(folder: Path) -> None:
    """ValueError where the weights of a run or of a whole model would be lost."""
    if Run(folder).config_path.exists():
        raise ValueError(f"folder {folder} has a run, whose weights would be lost; name another one")
    if (folder / "card.json").exists() and "scores" not in zoo.card(folder).get("training", {}):
        raise ValueError(f"folder {folder} has a model with its card, which would be lost; name another one")


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(description="Teach a forecast by where the pieces of a frame go.")
    parser.add_argument("folder", type=Path, help="where model.json, weights.npz and card.json go")
    parser.add_argument(
        "--model",
        default="fast",
        choices=[name for name, config in CONFIGS.items() if config.forecast],
        help="whose matches it reads (default: fast)",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--rounds", type=int, default=40, help="how many (default: 40)")
    length.add_argument(
        "--minutes", type=float, metavar="M", help="how long, to the end of a round, instead of rounds"
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=STEPS,
        help=f"of a round, after every {OFTEN} of which what it has learned is written (default: {STEPS})",
    )
    parser.add_argument(
        "--batch-size", type=int, default=BATCH, help=f"clips of a step, 1 to {CLIPS} (default: {BATCH})"
    )
    parser.add_argument(
        "--init-from",
        type=Path,
        metavar="FOLDER",
        help="go on from this forecast, or from that of this model; with another --seed its clips are others",
    )
    parser.add_argument("--learning-rate", type=float, default=RATE, help=f"highest (default: {RATE:g})")
    parser.add_argument("--seed", type=int, default=0, help="of weights and clips (default: 0)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Teach, and write the folder; 2 with one sentence if an option is wrong."""
    arguments = build_parser().parse_args(argv)
    minutes = arguments.minutes
    if (
        min(arguments.rounds, arguments.steps) < 1
        or arguments.seed < 0
        or (minutes is not None and not 0 < minutes < math.inf)
    ):
        print("rounds and steps must be 1 or more, minutes above 0 and seed 0 or more", file=sys.stderr)
        return 2
    if not 1 <= arguments.batch_size <= CLIPS:
        print(f"batch-size must be 1 to {CLIPS}; got {arguments.batch_size}", file=sys.stderr)
        return 2
    if not 0 < arguments.learning_rate < math.inf:
        print(f"learning-rate must be above 0; got {arguments.learning_rate}", file=sys.stderr)
        return 2
    begin = None
    try:
        _check_free(arguments.folder)
        source = _source(arguments.init_from, arguments.model)
        before = _commands_of(source)
        if source is not None:
            begin = load_arrays(source / "weights.npz")
    except (zoo.ModelError, RunError, WeightsError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    folder = arguments.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"cannot write to folder {folder} ({error.strerror})", file=sys.stderr)
        return 2
    started = time.monotonic()
    rounds = None if minutes is not None else arguments.rounds
    plan = Plan(rounds, minutes, arguments.steps, arguments.batch_size, arguments.learning_rate)
    command = shlex.join(["python", "-m", "scripts.train_forecast", *(argv or sys.argv[1:])])

    def keep(arrays: dict[str, np.ndarray], scores: list[dict[str, Any]]) -> None:
        from core.device import device_name

        steps = scores[-1]["step"]
        training = {
            "commands": [*before, command],
            "data": f"{steps * plan.batch} clips made from MNIST training digits 0 to 54,999",
            "steps": steps,
            "minutes": round((time.monotonic() - started) / 60, 1),
            "optimizer": "muon",
            "hardware": device_name(),
            "scores": scores,
        }
        save_arrays(folder / "weights.npz", arrays)
        write_atomically(folder / "model.json", CONFIGS[arguments.model].to_json().encode())
        # last: a card that tells of the end is beside the weights of the end
        write_atomically(folder / "card.json", json.dumps({"training": training}, indent=2).encode())

    try:
        teach(arguments.model, plan, arguments.seed, begin, keep)
    except WeightsError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"interrupted; {folder} has what was written before, if anything", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
