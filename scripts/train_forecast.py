"""Teach a forecast where each piece of a frame goes: minutes of a processor, since no picture is drawn.

    python -m scripts.train_forecast runs/forecast
    python -m scripts.train_forecast runs/more --init-from runs/forecast --learning-rate 3e-4

Writes the forecast alone, without a network: `train.py --forecast-from` begins with it, for any network that
matches the same cells; what it is learned from does not depend on the rest of a network.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import sys
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core import zoo
from core.digits import Split
from core.growth import OUTLOOK, check_forecast
from core.model_config import CONFIGS, FORECAST_READS

if TYPE_CHECKING:
    from core.lessons import Lessons

CONTEXT, AHEAD = 10, 10  # frames
CLIPS = 1024  # made at once, one heap of lessons
STANDARD_EVERY = 3  # heaps: one of standard clips, the others of the usual mixture
STEPS = 250  # of a round
BATCH = 16  # clips, unless the command says otherwise
KEPT = 128  # heaps of lessons that are used again, 75 MB each
DRAWN = 3  # batches that are got ready while one is learned
RATE, WARM_UP = 2e-3, 100  # the highest rate, unless the command says otherwise; steps
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

    def done(self, number: int, step: int, seconds: float) -> float:
        """How much of it is done before a step of a round, both from 0."""
        if self.minutes is not None:
            return min(seconds / 60 / self.minutes, 1.0)
        assert self.rounds is not None
        return (number + step / self.steps) / self.rounds


class Maker:
    """Makes lessons, in a thread beside the teaching or in a process of its own."""

    pieces: Any

    @classmethod
    def begin(cls, model_name: str) -> None:
        """Build the model that cuts frames into pieces."""
        import keras

        from core.model import Network

        network = Network(CONFIGS[model_name], "float32")
        _ = network.variables  # made here, so that each has the name that it has in the network
        cls.pieces = network.pieces_model(CONTEXT)
        cls.pieces.compile(jit_compile=compiled(keras.backend.backend()))

    @classmethod
    def make(cls, seed: int, number: int, clips: int, split: Split, digits: int | None) -> Lessons:
        """A heap of lessons."""
        from core.lessons import make_lessons

        return make_lessons(cls.pieces, seed, number, clips=clips, ahead=AHEAD, split=split, digits=digits)


def compiled(backend: str) -> str | bool:
    """TensorFlow on a CPU is the faster without; JAX without would run one operation after the other."""
    return "auto" if backend == "jax" else False


def _makers(number: int, model_name: str) -> Executor:
    """One thread, or some processes."""
    if number == 1:
        return ThreadPoolExecutor(1)
    return ProcessPoolExecutor(number, get_context("spawn"), Maker.begin, (model_name,))


def teach(
    model_name: str, plan: Plan, seed: int, makers: int = 1, init_from: Path | None = None
) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """Weights of a forecast by path, and how well it did on validation digits meanwhile.

    init_from : folder of a forecast, or of a model that has one, to begin with
    """
    import keras

    from core.forecast import Displacements
    from core.lessons import turned
    from core.model import Network
    from core.model_shapes import piece_parts
    from core.moving_mnist import BENCHMARK_DIGITS
    from core.weights import variable_arrays

    keras.utils.set_random_seed(seed)
    network = Network(CONFIGS[model_name], "float32")
    variables = network.variables  # made here, so that each has the name that it has in the network
    if init_from is not None:
        _go_on(variables, init_from)
    model = Displacements(network.outlook, network.outlook_step, network.forecast, AHEAD)
    model.compile(
        keras.optimizers.Adam(plan.rate, beta_2=0.99, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=compiled(keras.backend.backend()),
    )
    still = network.config.canvas - 1  # the class of a piece that does not move
    parts = [piece_parts(network.config, lags) for lags in FORECAST_READS.values()]
    pool: list[Lessons] = []
    scores = []

    def draw(lessons: Sequence[Lessons], step: int) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        rng = np.random.default_rng([seed, step])
        heap = lessons[rng.integers(len(lessons))]
        known, ink, moved, weights = heap.of(rng.choice(len(heap), plan.batch, replace=False))
        known, moved = turned(known, moved, parts, rng)
        weights = np.broadcast_to(weights[..., None, None] / weights.mean(), moved.shape)
        return [*known, *ink], moved + still, weights

    # what comes next is made and drawn while this is learned
    with _makers(makers, model_name) as maker, ThreadPoolExecutor(DRAWN - 1) as drawer:
        begun = [0]

        def begin() -> Future[Lessons]:
            begun[0] += 1
            digits = BENCHMARK_DIGITS if begun[0] % STANDARD_EVERY == 0 else None
            return maker.submit(Maker.make, seed, begun[0], CLIPS, "train", digits)

        Maker.begin(model_name)
        coming = deque(begin() for _ in range(1 if makers == 1 else 2 * makers))
        unseen = Maker.make(seed, 0, VALIDATION_CLIPS, "validation", None)
        began = time.monotonic()
        taken = number = heaps = 0
        done, loss = 0.0, math.nan
        while done < 1:
            number += 1
            new = [coming.popleft().result()]
            while coming and coming[0].done():  # never with one maker: a round more, a heap more
                new.append(coming.popleft().result())
            heaps += len(new)
            pool = [*pool, *new][-KEPT:]
            if plan.done(number, 0, time.monotonic() - began) < 1:
                coming.extend(begin() for _ in new)
            model.reset_metrics()
            drawn = deque(drawer.submit(draw, pool, taken + step) for step in range(DRAWN))
            for step in range(plan.steps):
                done = plan.done(number - 1, step, time.monotonic() - began)
                if done >= 1 and taken:
                    break
                drawn.append(drawer.submit(draw, pool, taken + DRAWN))
                taken += 1
                rate = plan.rate * min(taken / WARM_UP, 1.0) * (1 + math.cos(math.pi * done)) / 2
                model.optimizer.learning_rate.assign(rate)
                inputs, target, weights = drawn.popleft().result()
                loss = model.train_on_batch(inputs, target, weights, return_dict=True)["loss"]
            for one in drawn:
                one.cancel()
            done = plan.done(number, 0, time.monotonic() - began)
            if number % OFTEN == 0 or done >= 1:
                score = _score(model, unseen, still)
                scores.append({"round": number, "heaps": heaps, "step": taken, "loss": loss, **score})
                print(json.dumps({name: round(value, 4) for name, value in scores[-1].items()}), flush=True)
        for one in coming:
            one.cancel()
    arrays = variable_arrays(variables)
    return {path: array for path, array in arrays.items() if path.startswith(OUTLOOK)}, scores


def _go_on(variables: Sequence[Any], folder: Path) -> None:
    """Give the forecast the weights of another one, which fits."""
    from core.weights import load_arrays

    trained = load_arrays(folder / "weights.npz")
    for variable in variables:
        if variable.path.startswith(OUTLOOK):
            variable.assign(trained[variable.path])


def _score(model: Any, lessons: Any, still: int) -> dict[str, float]:
    """Cross entropy, and the probability of the truth, both weighted by squared ink."""
    sums = np.zeros(3)
    for first in range(0, len(lessons), BATCH):
        known, ink, moved, weights = lessons.of(np.arange(first, min(first + BATCH, len(lessons))))
        logits = model.predict_on_batch([*known, *ink])
        logits -= logits.max(-1, keepdims=True)
        true = np.take_along_axis(logits, moved[..., None].astype(np.int64) + still, -1)[..., 0]
        likely = true - np.log(np.exp(logits).sum(-1))
        sums += [
            (-likely.mean((-1, -2)) * weights).sum(),
            (np.exp(likely).mean((-1, -2)) * weights).sum(),
            weights.sum(),
        ]
    return {"val_cross_entropy": float(sums[0] / sums[2]), "val_probability": float(sums[1] / sums[2])}


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
    commands: list[str] = zoo.card(folder).get("training", {}).get("commands", [])
    return commands


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
    length.add_argument("--minutes", type=float, metavar="M", help="how long, instead of rounds")
    parser.add_argument(
        "--steps",
        type=int,
        default=STEPS,
        help=f"of a round, for which {CLIPS} new clips are made, by several makers more (default: {STEPS})",
    )
    parser.add_argument(
        "--batch-size", type=int, default=BATCH, help=f"clips of a step, 1 to {CLIPS} (default: {BATCH})"
    )
    parser.add_argument(
        "--makers",
        type=int,
        default=1,
        help="processes that make lessons; of more than one, a round takes what is ready (default: 1)",
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
        or (minutes is not None and minutes <= 0)
    ):
        print("rounds and steps must be 1 or more, minutes above 0 and seed 0 or more", file=sys.stderr)
        return 2
    if not 1 <= arguments.batch_size <= CLIPS:
        print(f"batch-size must be 1 to {CLIPS}; got {arguments.batch_size}", file=sys.stderr)
        return 2
    if not 0 < arguments.learning_rate < math.inf:
        print(f"learning-rate must be above 0; got {arguments.learning_rate}", file=sys.stderr)
        return 2
    try:
        source = _source(arguments.init_from, arguments.model)
        before = _commands_of(source)
    except (zoo.ModelError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    if arguments.makers < 1:
        print(f"makers must be 1 or more; got {arguments.makers}", file=sys.stderr)
        return 2
    from core.weights import save_arrays

    arguments.folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    rounds = None if minutes is not None else arguments.rounds
    plan = Plan(rounds, minutes, arguments.steps, arguments.batch_size, arguments.learning_rate)
    arrays, scores = teach(arguments.model, plan, arguments.seed, arguments.makers, source)
    training = {
        "commands": [
            *before,
            shlex.join(["python", "-m", "scripts.train_forecast", *(argv or sys.argv[1:])]),
        ],
        "data": f"{CLIPS * scores[-1]['heaps']} clips made from MNIST training digits 0 to 54,999",
        "steps": scores[-1]["step"],
        "minutes": round((time.monotonic() - started) / 60, 1),
        "scores": scores,
    }
    (arguments.folder / "model.json").write_text(CONFIGS[arguments.model].to_json())
    (arguments.folder / "card.json").write_text(json.dumps({"training": training}, indent=2))
    save_arrays(arguments.folder / "weights.npz", arrays)
    return 0


if __name__ == "__main__":
    sys.exit(main())
