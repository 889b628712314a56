"""Train a shipped model from nothing, as it was trained: one call after the other.

    python -m scripts.retrain fast --folder runs/retrained

Prints the command that ships the result. A part that was cut off goes on where it was (a forecast begins
anew), a finished one is not repeated. The four networks of the blur lesson have a command of their own,
`python -m scripts.train_lesson`.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

from core import zoo
from core.runs import Run, RunError

ROOT = Path(__file__).resolve().parent.parent
# Each stage begins with the weights of the one before. In steps, not minutes: the same on any machine.
_SEEN = "--optimizer muon --ema 0.995"
_LONG = f"{_SEEN} --learning-rate 3e-3 --frames 20 --batch-size 2 --steps-per-epoch 100"
_ALONE = (
    f"{_SEEN} --learning-rate 1.2e-3 --frames 20 --batch-size 2 --steps-per-epoch 100 --rollout 0.6 "
    "--rollout-rise 0,0.01 --context-frames 10"
)
# 24 minutes of a GPU, five days of two CPU cores
_LARGE = "--optimizer muon --ema 0.999 --warmup-steps 200 --frames 20 --batch-size 16 --steps-per-epoch 1000"
_SHARP = "--loss bce=10,perceptual=0.02,gdl=0.1"
FORECAST = "forecast"  # the stage that is no call of train.py, but of scripts.train_forecast
# The shipped weights grew what a recipe has from its start, matches, encoders and forecast, one by one.
# Those of `fast` began once more with those of `best`.
_KNOWN = {
    "short": f"{_SEEN} --learning-rate 4e-3 --epochs 11",
    "long": f"{_LONG} --epochs 14",
    "encode": f"{_LONG} --epochs 67",
}
_MORE = f"{_SEEN} --learning-rate 1.5e-3 --frames 20 --batch-size 2 --steps-per-epoch 100 --epochs 74"
# Mean PSNR counts each frame's error by its logarithm. What learns so predicts more frames exactly, and errs
# more where it is in doubt: half-way between before and after has most of the gain, and little of the loss.
DECIBELS, FORESIGHT = "decibels", "foresight"
_DECIBELS = (
    f"{_SEEN} --learning-rate 1e-3 --frames 20 --batch-size 2 --steps-per-epoch 100 --loss log_mse=1 "
    "--epochs 30"
)
_TRUST = (
    "--learn trust --loss log_mse=1 --frames 20 --context-frames 10 --rollout 1 --rollout-rise 0,0.01 "
    "--batch-size 2 --steps-per-epoch 50 --ema 0.99"
)
_AHEAD = {
    # about as many as the shipped one had: 99 rounds, and with more layers 203 more
    FORECAST: "--rounds 300 --batch-size 64",
    "trust": f"{_TRUST} --learning-rate 1e-3 --epochs 4",
}
RECIPES: dict[str, dict[str, str]] = {
    "fast": {**_KNOWN, "more": _MORE, DECIBELS: _DECIBELS, **_AHEAD},
    "best": {
        **_KNOWN,
        "alone": f"{_ALONE} --epochs 32",
        DECIBELS: f"{_DECIBELS} --learn network",
        **_AHEAD,
        FORESIGHT: "--learn foresight --loss log_mse=1 --frames 20 --batch-size 8 --learning-rate 1e-3 "
        "--ema 0.99 --steps-per-epoch 500 --epochs 6 --validation-clips 64",
        "half-way": f"{_TRUST} --learning-rate 1e-4 --epochs 1",
    },
    "leaky": {"seen": "--optimizer muon --learning-rate 3e-3 --steps-per-epoch 235 --epochs 1"},
    "reference": {
        "composite": f"{_LARGE} --learning-rate 3e-3 --epochs 16",
        "less-perceptual": f"{_LARGE} --learning-rate 1.5e-3 --epochs 3 {_SHARP}",
        "mostly-standard": f"{_LARGE} --learning-rate 2e-3 --epochs 20 --standard-share 0.875 {_SHARP}",
    },
}


def commands(name: str, folder: Path) -> list[list[str]]:
    """What python is called with for each stage of a recipe; the folder that it writes comes last."""
    calls: list[list[str]] = []
    begin: list[str] = []  # with which weights a stage begins
    forecast: list[str] = []
    target = ""
    for stage, options in RECIPES[name].items():
        before, target = target, str(folder / name / stage)
        if stage == FORECAST:
            calls.append(["-m", "scripts.train_forecast", *shlex.split(options), target])
            forecast = ["--forecast-from", target]
            continue
        calls.append(
            ["train.py", "--model", name, *begin, *forecast, *shlex.split(options), "--run-dir", target]
        )
        begin, forecast = ["--init-from", target], []
        if stage in (DECIBELS, FORESIGHT):
            begin += ["--average-with", before]
    return calls


def is_finished(folder: Path) -> bool:
    """Whether a stage has come to the end of its plan."""
    if folder.name == FORECAST:
        try:
            scores = zoo.card(folder)["training"]["scores"]
        except zoo.ModelError:
            return False
        return bool(scores[-1].get("done", 1) >= 1)
    try:
        return Run(folder).read_status().state == "finished"
    except RunError:
        return False


def main(argv: list[str] | None = None) -> int:
    """Train the stages; the exit status is that of the first that failed, or 0."""
    parser = argparse.ArgumentParser(description="Train a shipped model from nothing.")
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument("--folder", type=Path, default=Path("runs/retrained"), help="where the runs go")
    arguments = parser.parse_args(argv)
    folder = arguments.folder
    for call in commands(arguments.name, arguments.folder):
        folder = Path(call[-1])
        if is_finished(folder):
            continue
        again = ["--resume"] if Run(folder).config_path.exists() else []
        print(" ".join(["python", *call, *again]), flush=True)
        status = subprocess.run([sys.executable, *call, *again], cwd=ROOT, check=False).returncode
        if status:
            return status
    print(f"python -m scripts.publish_model {arguments.name} --run {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
