"""Teach a forecast where each piece of a frame goes: minutes of a processor, since no picture is drawn.

    python -m scripts.train_forecast runs/forecast

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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.model_config import CONFIGS, FORECAST_READS

CONTEXT, AHEAD = 10, 10  # frames
CLIPS = 1024  # of a round
STANDARD_EVERY = 3  # rounds: one of standard clips, the others of the usual mixture
STEPS = 250  # of a round: a clip is used four times or so, more would be learned by heart
BATCH = 16  # clips, unless the command says otherwise
KEPT = 128  # rounds whose lessons are used again, 75 MB each
RATE, WARM_UP = 2e-3, 100
OFTEN = 10  # rounds from one validation to the next
VALIDATION_CLIPS = 256


@dataclass(frozen=True)
class Plan:
    """How long to teach: a number of rounds, or of minutes."""

    rounds: int | None = 40
    minutes: float | None = None

    def done(self, number: int, step: int, seconds: float) -> float:
        """How much of it is done before a step of a round, both from 0."""
        if self.minutes is not None:
            return min(seconds / 60 / self.minutes, 1.0)
        assert self.rounds is not None
        return (number + step / STEPS) / self.rounds


def teach(
    model_name: str, plan: Plan, batch: int, seed: int
) -> tuple[dict[str, np.ndarray], list[dict[str, float]]]:
    """Weights of a forecast by path, and how well it did on validation digits meanwhile."""
    import keras

    from core.forecast import Displacements
    from core.growth import OUTLOOK
    from core.lessons import Lessons, make_lessons, turned
    from core.model import Network
    from core.model_shapes import piece_parts
    from core.moving_mnist import BENCHMARK_DIGITS
    from core.weights import variable_arrays

    keras.utils.set_random_seed(seed)
    network = Network(CONFIGS[model_name], "float32")
    variables = network.variables  # made here, so that each has the name that it has in the network
    pieces = network.pieces_model(CONTEXT)
    # TensorFlow on a CPU is the faster without; JAX without would run one operation after the other
    compiled = "auto" if keras.backend.backend() == "jax" else False
    pieces.compile(jit_compile=compiled)
    model = Displacements(network.outlook, network.outlook_step, network.forecast, AHEAD)
    model.compile(
        keras.optimizers.Adam(RATE, beta_2=0.99, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=compiled,
    )
    still = network.config.canvas - 1  # the class of a piece that does not move
    unseen = make_lessons(pieces, seed, 0, clips=VALIDATION_CLIPS, ahead=AHEAD, split="validation")
    parts = [piece_parts(network.config, lags) for lags in FORECAST_READS.values()]
    pool: list[Lessons] = []
    scores = []
    rng = np.random.default_rng(seed)

    def make(number: int) -> Lessons:
        digits = BENCHMARK_DIGITS if number % STANDARD_EVERY == 0 else None
        return make_lessons(pieces, seed, number, clips=CLIPS, ahead=AHEAD, digits=digits)

    def draw() -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        lessons = pool[rng.integers(len(pool))]
        known, ink, moved, weights = lessons.of(rng.choice(len(lessons), batch, replace=False))
        known, moved = turned(known, moved, parts, rng)
        weights = np.broadcast_to(weights[..., None, None] / weights.mean(), moved.shape)
        return [*(one.astype(np.float32) for one in known), *ink], moved + still, weights

    began = time.monotonic()
    taken = number = 0
    done, loss = 0.0, math.nan
    # what comes next is made while this is learned
    with ThreadPoolExecutor(1) as maker, ThreadPoolExecutor(1) as drawer:
        coming = maker.submit(make, 1)
        while done < 1:
            number += 1
            pool = [*pool[1 - KEPT :], coming.result()]
            if plan.done(number, 0, time.monotonic() - began) < 1:
                coming = maker.submit(make, number + 1)
            model.reset_metrics()
            drawn = drawer.submit(draw)
            for step in range(STEPS):
                done = plan.done(number - 1, step, time.monotonic() - began)
                if done >= 1 and taken:
                    break
                taken += 1
                rate = RATE * min(taken / WARM_UP, 1.0) * (1 + math.cos(math.pi * done)) / 2
                model.optimizer.learning_rate.assign(rate)
                inputs, target, weights = drawn.result()
                drawn = drawer.submit(draw)
                loss = model.train_on_batch(inputs, target, weights, return_dict=True)["loss"]
            drawn.result()
            done = plan.done(number, 0, time.monotonic() - began)
            if number % OFTEN == 0 or done >= 1:
                scores.append({"round": number, "step": taken, "loss": loss, **_score(model, unseen, still)})
                print(json.dumps({name: round(value, 4) for name, value in scores[-1].items()}), flush=True)
        coming.cancel()
    arrays = variable_arrays(variables)
    return {path: array for path, array in arrays.items() if path.startswith(OUTLOOK)}, scores


def _score(model: Any, lessons: Any, still: int) -> dict[str, float]:
    """Cross entropy, and the probability of the truth, both weighted by squared ink."""
    sums = np.zeros(3)
    for first in range(0, len(lessons), BATCH):
        known, ink, moved, weights = lessons.of(np.arange(first, min(first + BATCH, len(lessons))))
        logits = model.predict_on_batch([*(one.astype(np.float32) for one in known), *ink])
        logits -= logits.max(-1, keepdims=True)
        true = np.take_along_axis(logits, moved[..., None].astype(np.int64) + still, -1)[..., 0]
        likely = true - np.log(np.exp(logits).sum(-1))
        sums += [
            (-likely.mean((-1, -2)) * weights).sum(),
            (np.exp(likely).mean((-1, -2)) * weights).sum(),
            weights.sum(),
        ]
    return {"val_cross_entropy": float(sums[0] / sums[2]), "val_probability": float(sums[1] / sums[2])}


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
    length.add_argument("--rounds", type=int, default=40, help=f"of {STEPS} steps (default: 40)")
    length.add_argument("--minutes", type=float, metavar="M", help="how long, instead of rounds")
    parser.add_argument(
        "--batch-size", type=int, default=BATCH, help=f"clips of a step, 1 to {CLIPS} (default: {BATCH})"
    )
    parser.add_argument("--seed", type=int, default=0, help="of weights and clips (default: 0)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Teach, and write the folder; 2 with one sentence if an option is wrong."""
    arguments = build_parser().parse_args(argv)
    minutes = arguments.minutes
    if arguments.rounds < 1 or arguments.seed < 0 or not (minutes is None or minutes > 0):
        print("rounds must be 1 or more, minutes above 0 and seed 0 or more", file=sys.stderr)
        return 2
    if not 1 <= arguments.batch_size <= CLIPS:
        print(f"batch-size must be 1 to {CLIPS}; got {arguments.batch_size}", file=sys.stderr)
        return 2
    from core.weights import save_arrays

    arguments.folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    plan = Plan(None, minutes) if minutes is not None else Plan(arguments.rounds)
    arrays, scores = teach(arguments.model, plan, arguments.batch_size, arguments.seed)
    training = {
        "commands": [shlex.join(["python", "-m", "scripts.train_forecast", *(argv or sys.argv[1:])])],
        "data": f"{CLIPS * scores[-1]['round']} clips made from MNIST training digits 0 to 54,999",
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
