"""Ship the best weights of a training run: model folder and model card, every figure measured here.

    python -m scripts.publish_model fast --run runs/fast --train-command "python train.py --model fast ..."
    python -m scripts.publish_model fast --again    # its card anew, when the code predicts otherwise

The weights are stored as float16, with as few significant bits as cost less than 0.01 dB on the first clips
of the standard benchmark set, else as float32. The card is written from the run's own files and from the
scores.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


from core import zoo
from core.clip_sets import StandardSet
from core.curves import best_row
from core.evaluation import Task, evaluate
from core.foresight import CALM, KNOWN_CLIPS
from core.inference import Predictor
from core.model_config import CONFIGS
from core.moving_mnist import STANDARD_SHARE
from core.runs import Run, RunError
from core.train_config import TrainConfig
from core.training import export
from scripts import make_results

MAX_ROUNDING_COST_DB = 0.01
ROUNDING_CLIPS = 64
FIRST_CLIPS = 8  # few enough for a test to score every model on them anew, wherever it runs
ROUNDED_BITS = (7, 8, 11)  # a file with 7 is a sixth smaller than with all the 11 of float16
LESSON = {
    "mse": "the squared error",
    "bce": "cross entropy",
    "bce+gdl": "cross entropy and gradient difference",
    "bce+gdl+vgg": "cross entropy, gradient difference and perceptual distance",
}
WHAT = {
    "reference": "The described architecture at full resolution: three ConvLSTM layers with spatial "
    "peepholes, batch normalisation and ReLU, then a causal 3x3x3 convolution.",
    "leaky": "What not to do: `reference` with a last convolution that is centred in time, so that each "
    "prediction has seen the frame it predicts. Its scores mean nothing.",
    "fast": "For live use on a laptop: three ConvLSTM layers on 4x4 patches folded into channels, the middle "
    "one on a grid twice as coarse. A motion encoder reads where each part of a frame was in six earlier "
    "ones, in two of them at half the resolution, and the place of what moves alike. It moves pixels instead "
    "of painting them where it can. On its own it forecasts from the last two frames it saw.",
    "best": "The strongest that is shipped: `fast` with all matches at the whole resolution, and a second "
    "encoder that reads those of what moves otherwise nearby. It has learned from its own predictions, too, "
    "and forecasts from the last four frames it saw: in a rollout, and for each next frame of a known clip.",
    **{name: f"The blur lesson: one small network, trained with {loss}." for name, loss in LESSON.items()},
}
KEPT = ("psnr", "psnr_of_mean_mse", "ssim", "mse", "mae", "mse_sum", "mae_sum", "skill")


def kinds_of(config: TrainConfig) -> str:
    """What kinds of clips a run learned from."""
    standard, rest = "half", "half"
    if config.standard_share != STANDARD_SHARE:
        standard, rest = (f"{100 * part:g} %" for part in (config.standard_share, 1 - config.standard_share))
    kinds = (
        f"{standard} standard clips (two digits, 3.6 px), {rest} varied (1 to 3 digits, 0 to 7 px a frame)"
    )
    if config.digits is not None:
        kinds = f"clips of {config.digits} digit{'s' if config.digits > 1 else ''}, 3.6 px a frame"
    if config.learn == "foresight":
        kinds += f"; one of {CALM} calm (1 to 3 digits, 0 to 1.5 px a frame)"
    return kinds


def data_of(config: TrainConfig) -> str:
    """What clips the run learned from, and of which digits they are made."""
    return (
        f"Moving MNIST made on the fly from MNIST training digits 0 to 54,999: {kinds_of(config)}; "
        "no test digit."
    )


def psnr_db(predictor: Predictor, clips: int) -> np.ndarray:
    """Next-frame, and of rollouts where a forecast, which has no say in anything else, is rounded, too."""
    tasks = [Task(), *([Task("rollout", 10, 10)] if predictor.config.forecast else [])]
    return np.array([evaluate(predictor, StandardSet(), task, clips)["psnr"] for task in tasks])


def export_rounded(run: Run, folder: Path) -> tuple[str, float]:
    """Export as float16 with as few bits as are nearly free, else as float32; returns how, and the cost of
    float16 in dB.
    """
    exact = psnr_db(zoo.load(run.folder), ROUNDING_CLIPS)
    cost = math.inf
    for bits in ROUNDED_BITS:
        export(run, folder, "float16", bits)
        cost = float((exact - psnr_db(zoo.load(folder), ROUNDING_CLIPS)).max())
        if cost < MAX_ROUNDING_COST_DB:
            return f"float16, {bits} significant bits", cost
    export(run, folder, "float32")
    return "float32", cost


def first_scores(predictor: Predictor, rollout: bool) -> dict[str, Any]:
    """Scores on the first clips of the standard set, as a card keeps them to be checked against."""
    tasks = {"next_frame": Task()}
    if rollout:
        tasks["rollout_10_10"] = Task("rollout", 10, 10)
    scores: dict[str, Any] = {"sequences": FIRST_CLIPS}
    for name, task in tasks.items():
        report = evaluate(predictor, StandardSet(), task, FIRST_CLIPS)
        scores[name] = {figure: report[figure] for figure in ("psnr", "ssim", "mse_sum")}
    return scores


def kept_scores(report: dict[str, Any]) -> dict[str, Any]:
    scores = {name: report[name] for name in (*KEPT, "lpips") if name in report}
    if "without_first_prediction" in report:
        scores["without_first_prediction"] = {name: report["without_first_prediction"][name] for name in KEPT}
    return scores


def measure(predictor: Predictor, sequences: int, rollout_sequences: int) -> dict[str, dict[str, Any]]:
    """Reports on the standard benchmark set by mode: of both where the head allows it.

    With 0 rollout sequences, of next-frame alone.
    """
    reports = {"next-frame": make_results.scores(predictor, Task(), sequences, lpips=True)}
    if predictor.config.head == "causal" and rollout_sequences:
        task = Task("rollout", 10, 10)
        reports["rollout"] = make_results.scores(predictor, task, rollout_sequences, lpips=True)
    return reports


def card_scores(reports: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What a card tells of the reports, with copy-last beside."""
    next_frame = reports["next-frame"]
    scores = {
        "set": StandardSet.name,
        "sequences": next_frame["sequences"],
        "next_frame": kept_scores(next_frame),
        "next_frame_copy_last": kept_scores(next_frame["baselines"]["copy_last"]),
    }
    if "rollout" not in reports:
        return scores
    rollout = reports["rollout"]
    return {
        **scores,
        "rollout_sequences": rollout["sequences"],
        "rollout_10_10": kept_scores(rollout),
        "rollout_10_10_copy_last": kept_scores(rollout["baselines"]["copy_last"]),
    }


def write_results(name: str, reports: dict[str, dict[str, Any]]) -> None:
    """The reports as the result files of the page Measure it: card and page tell the same figures."""
    if name in zoo.LESSON_MODELS:
        return  # the lesson has a file of its own
    for mode, report in reports.items():
        command = f"python -m scripts.make_results {mode} --models {name} --sequences {report['sequences']}"
        make_results.Results(make_results.FOLDER, command).write(f"{name}.{mode}", report)


def training_record(run: Run) -> dict[str, Any]:
    """How the weights came about, from the run's own files."""
    config = run.read_config()
    history = run.read_history()
    row = best_row(history)
    if row is None:
        raise RunError(f"{run.name} has no whole epoch yet")
    best = {name: float(values[row]) for name, values in history.epochs.items()}
    steps = int(best["step"])
    return {
        "learned": config.learn,
        "steps": steps,
        "clips_seen": clips_seen(run, steps),
        "clips": kinds_of(config),
        "minutes": round(best["minutes"], 1),
        "batch_size": config.batch_size,
        "frames_of_a_clip": config.frames,
        "optimizer": config.optimizer,
        "peak_learning_rate": config.learning_rate,
        "loss": config.loss,
        "precision": run.read_status().precision,
        "seed": config.seed,
        "hardware": run.read_status().device,
        "validation": config.validation,
        "validation_psnr": round(best["val_psnr"], 2),
        **_changed(run),
        **_learned_from_itself(config),
        **_begun_from(config),
    }


def clips_seen(run: Run, steps: int) -> int | None:
    """Clips of that many steps; None where a call changed the batch size and did not keep what it was."""
    config = run.read_config()
    if config.learn == "foresight":
        return KNOWN_CLIPS  # the same ones, again and again
    total, done = 0, 0
    for call in run.read_calls():
        before = call.get("was", {}).get("batch_size")
        if before is None and "batch_size" in call.get("changes", {}):
            return None
        if before is not None:
            until = min(call["from_step"], steps)
            total, done = total + (until - done) * before, until
    return total + (steps - done) * config.batch_size


def _changed(run: Run) -> dict[str, Any]:
    """What the settings had been until a call went on with others."""
    found = [
        {"until_step": call["from_step"], "was": call["was"]} for call in run.read_calls() if call.get("was")
    ]
    return {"changed": found} if found else {}


def _learned_from_itself(config: TrainConfig) -> dict[str, Any]:
    if config.rollout == 0:
        return {}
    return {"rollout": config.rollout, "rollout_rise": config.rollout_rise, "context": config.context_frames}


def _begun_from(config: TrainConfig) -> dict[str, Any]:
    """The trainings before this one, where the run began with models' weights, or with a model's forecast."""
    found: dict[str, Any] = {}
    models = {
        "begun_from": config.init_from,
        "averaged_with": config.average_with,
        "forecast_from": config.forecast_from,
    }
    for name, model in models.items():
        if model is not None:
            before = Run(Path(model))
            is_run = before.config_path.is_file()
            training = training_record(before) if is_run else zoo.card(model)["training"]
            found[name] = {"model": Path(model).name, "training": training}
    return told_once(found, [])


def told_once(record: dict[str, Any], told: list[dict[str, Any]]) -> dict[str, Any]:
    """A record in which each earlier training is told of once, and named where it comes again.

    told : those that were told of, to which it adds
    """
    shorter = dict(record)
    for name in ("begun_from", "averaged_with", "forecast_from"):
        before = record.get(name)
        if before in told:
            shorter[name] = {"model": before["model"]}
        elif before is not None and "training" in before:
            told.append(before)
            shorter[name] = {**before, "training": told_once(before["training"], told)}
    return shorter


def all_calls(run: Run) -> list[str]:
    """The command of every call that led to the weights: of the runs or models that it began from, then its
    own.
    """
    config = run.read_config()
    earlier: list[str] = []
    # a forecast of `scripts.train_forecast` names its commands; that of a model is told of by its own card
    sources = [
        (config.init_from, "command", "train"),
        (config.average_with, "command", "train"),
        (config.forecast_from, "training", "commands"),
    ]
    for model, part, name in sources:
        if model is not None:
            before = Run(Path(model))
            is_run = before.config_path.is_file()
            earlier += all_calls(before) if is_run else zoo.card(model).get(part, {}).get(name, [])
    # each once: a model may have grown out of two that had the same beginning, or be published again
    return list(dict.fromkeys([*earlier, *(call["command"] for call in run.read_calls())]))


def publish(
    name: str, run: Run, sequences: int, rollout_sequences: int, train_commands: list[str]
) -> dict[str, Any]:
    """Export, measure, write the card; the shipped folder changes only when all of it is done.

    Raises
    ------
    RunError
        If the run is of another architecture, or has no weights yet.
    """
    architecture = CONFIGS["lesson" if name in zoo.LESSON_MODELS else name]
    trained = run.read_config().model
    if replace(trained, name=architecture.name) != architecture:
        raise RunError(f"{run.name} is a run of {trained.name}, not of the architecture {architecture.name}")
    with tempfile.TemporaryDirectory(prefix="publish-") as temporary:
        folder = Path(temporary) / name
        dtype, cost = export_rounded(run, folder)
        predictor = zoo.load(folder)
        variables = predictor.network.variables
        predictor.name = name
        reports = measure(predictor, sequences, rollout_sequences)
        card = {
            "what": WHAT[name],
            "causal": predictor.config.head == "causal",
            "parameters": sum(math.prod(variable.shape) for variable in variables),
            "stored_as": dtype,
            "float16_cost_db": round(cost, 4),
            "data": data_of(run.read_config()),
            "training": training_record(run),
            "hardware": run.read_status().device,
            **_measured(predictor, reports, train_commands),
            "licence": "that of this project; the digits it learned from are CC BY-SA 3.0",
        }
        Run(folder).write_text("card.json", json.dumps(card, indent=2))
        target = zoo.FOLDER / name
        target.mkdir(parents=True, exist_ok=True)
        for file in ("model.json", "weights.npz", "card.json"):
            shutil.copyfile(folder / file, target / file)
        write_results(name, reports)
    return card


def _measured(
    predictor: Predictor, reports: dict[str, dict[str, Any]], train_commands: list[str]
) -> dict[str, Any]:
    """What a card tells of how well a model does, when that was measured, and by which commands."""
    name, rollout = predictor.name, reports.get("rollout")
    commands: dict[str, Any] = {
        "train": train_commands,
        "next_frame": f"python evaluate.py --model {name} --sequences {reports['next-frame']['sequences']}",
    }
    if rollout is not None:
        commands["rollout_10_10"] = (
            f"python evaluate.py --model {name} --mode rollout --sequences {rollout['sequences']}"
        )
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "metrics": {**card_scores(reports), "first_clips": first_scores(predictor, rollout is not None)},
        "command": commands,
    }


def measure_again(name: str, sequences: int, rollout_sequences: int) -> dict[str, Any]:
    """Measure a shipped model anew, and write its card and its result files.

    Raises
    ------
    core.zoo.ModelError
        If the model or its card is missing or damaged.
    """
    card, predictor = zoo.card(name), zoo.load(name)
    reports = measure(predictor, sequences, rollout_sequences)
    card |= {"what": WHAT[name], **_measured(predictor, reports, card["command"]["train"])}
    Run(zoo.FOLDER / name).write_text("card.json", json.dumps(card, indent=2))
    write_results(name, reports)
    return card


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Ship the best weights of a training run, with a model card."
    )
    parser.add_argument("name", choices=sorted(WHAT))
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", type=Path, help="folder of the run")
    source.add_argument(
        "--again", action="store_true", help="no other weights: measure those that are shipped anew"
    )
    parser.add_argument(
        "--sequences", type=int, default=1000, help="clips of the next-frame score (default: 1000)"
    )
    parser.add_argument(
        "--rollout-sequences", type=int, default=1000, help="clips of the rollout; 0: none (default: 1000)"
    )
    parser.add_argument(
        "--train-command",
        action="append",
        metavar="COMMAND",
        help="how the run was made, each call in turn (default: the run's own log of calls)",
    )
    arguments = parser.parse_args(argv)
    if arguments.again and arguments.train_command:
        parser.error("--again keeps the card's commands; leave out --train-command")
    sequences = arguments.sequences, arguments.rollout_sequences
    try:
        if arguments.again:
            card = measure_again(arguments.name, *sequences)
        else:
            run = Run(arguments.run)
            card = publish(arguments.name, run, *sequences, arguments.train_command or all_calls(run))
    except (RunError, zoo.ModelError, ValueError, OSError) as error:
        print(f"publish_model: {error}", file=sys.stderr)
        return 2
    print(json.dumps(card, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
