"""The blur lesson: the same small network, data, order and steps, four losses.

    python -m scripts.train_lesson --folder runs/lesson --steps 1500
    python -m scripts.publish_model mse --run runs/lesson/mse --rollout-sequences 0    # and so on
    python -m scripts.make_results blur

Trains one network after the other with `train.py`; a part that was cut off goes on where it was.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The weights make each part about as large as the cross entropy is after some hundred steps.
LOSSES = {
    "mse": "mse=1",
    "bce": "bce=1",
    "bce+gdl": "bce=1,gdl=1",
    "bce+gdl+vgg": "bce=1,gdl=1,perceptual=0.01",
}
STEPS_PER_EPOCH = 100


def commands(folder: Path, steps: int, seed: int) -> dict[str, list[str]]:
    """The call of `train.py` for each loss; they differ in the loss alone.

    Raises
    ------
    ValueError
        If steps is not a positive multiple of 100.
    """
    if steps < STEPS_PER_EPOCH or steps % STEPS_PER_EPOCH:
        raise ValueError(f"steps must be a multiple of {STEPS_PER_EPOCH}; got {steps}")
    plan = ["--epochs", str(steps // STEPS_PER_EPOCH), "--steps-per-epoch", str(STEPS_PER_EPOCH)]
    same = ["--model", "lesson", "--optimizer", "muon", "--seed", str(seed), *plan]
    return {name: [*same, "--loss", loss, "--run-dir", str(folder / name)] for name, loss in LOSSES.items()}


def main(argv: list[str] | None = None) -> int:
    """Train the four; the exit status is that of the first that failed, or 0."""
    parser = argparse.ArgumentParser(description="Train the four networks of the blur lesson.")
    parser.add_argument("--folder", type=Path, default=Path("runs/lesson"), help="where the runs go")
    parser.add_argument("--steps", type=int, default=1500, help="of each network (default: 1500)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and data (default: 0)")
    arguments = parser.parse_args(argv)
    try:
        calls = commands(arguments.folder, arguments.steps, arguments.seed)
    except ValueError as error:
        print(f"train_lesson: {error}", file=sys.stderr)
        return 2
    for name, options in calls.items():
        begun = (arguments.folder / name / "config.json").exists()
        call = [sys.executable, "train.py", *(["--resume", *options[2:]] if begun else options)]
        print(" ".join(["python", *call[1:]]), flush=True)
        status = subprocess.run(call, cwd=ROOT, check=False).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
