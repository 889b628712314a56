"""Train a ConvLSTM on Moving MNIST: `python train.py --help`."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from core.command_line import OneLineParser
from core.quiet import quiet_stderr

if TYPE_CHECKING:
    from core.training import Progress

MODELS = ("reference", "fast")


def parse_loss(text: str) -> dict[str, float]:
    """ "bce=10,gdl=0.1" as a mapping from part to weight."""
    parts: dict[str, float] = {}
    for item in text.split(","):
        name, equals, weight = item.partition("=")
        try:
            parts[name.strip()] = float(weight) if equals else 1.0
        except ValueError:
            raise argparse.ArgumentTypeError(f"loss must look like bce=1; got {text!r}") from None
    return parts


def build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="train.py",
        allow_abbrev=False,
        description="Train a ConvLSTM to predict the next frame of Moving MNIST. Data is made on the fly "
        "from MNIST training digits; the run folder holds configuration, history.csv, checkpoint and the "
        "best weights.",
    )
    parser.add_argument(
        "--model", help=f"architecture: {', '.join(MODELS)} (default: fast; resumed runs know theirs)"
    )
    parser.add_argument("--run-dir", type=Path, help="folder of the run (default: runs/MODEL)")
    parser.add_argument(
        "--epochs", type=int, help="epochs the run is planned for; the learning rate follows the plan"
    )
    parser.add_argument("--steps-per-epoch", type=int, help="training steps an epoch (default: 250)")
    parser.add_argument("--batch-size", type=int, help="clips a step (default: fast 4, reference 2)")
    parser.add_argument("--frames", type=int, help="frames of a training clip (default: 10)")
    parser.add_argument(
        "--max-minutes",
        type=float,
        help="end cleanly after so many minutes, everything saved; without --epochs the learning rate "
        "follows the clock",
    )
    parser.add_argument("--learning-rate", type=float, help="peak learning rate (default: 0.001)")
    parser.add_argument("--loss", type=parse_loss, help="weights of the loss's parts (default: bce=1)")
    parser.add_argument(
        "--precision", help="auto, float32 or mixed_bfloat16 (default: auto: bfloat16 where it is fast)"
    )
    parser.add_argument("--seed", type=int, help="of weights and data (default: 0)")
    parser.add_argument("--resume", action="store_true", help="go on from the run's last checkpoint")
    parser.add_argument(
        "--export",
        type=Path,
        metavar="DIR",
        help="at the end write the best weights there as a model folder (float16)",
    )
    return parser


def show_progress(progress: Progress) -> None:
    """Print a line an epoch; on a terminal also the steps between, in place."""
    row = progress.row
    done = f"{progress.share:4.0%}  step {progress.step:6d}  {progress.minutes:6.1f} min"
    line = f"{done}  loss {progress.loss:.4f}"
    if row is not None:
        scores = f"validation PSNR {row['val_psnr']:.2f} dB, SSIM {row['val_ssim']:.3f}"
        start = "\r" if sys.stdout.isatty() else ""
        print(
            f"{start}{line}  rate {row['learning_rate']:.1e}  epoch {row['epoch']:.0f}: {scores}", flush=True
        )
    elif sys.stdout.isatty():
        print(f"\r{line}", end="", flush=True)


def main(argv: list[str] | None = None) -> int:
    try:
        arguments = build_parser().parse_args(argv)
    except ValueError as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with quiet_stderr():
        import keras  # noqa: F401 - the slow part of the start, and the one that chatters
    from core.runs import Run, RunError
    from core.training import TrainConfig, Trainer, default_config, export
    from core.weights import WeightsError

    run = Run(arguments.run_dir or Path("runs") / (arguments.model or "fast"))
    names = (
        "epochs",
        "steps_per_epoch",
        "batch_size",
        "frames",
        "learning_rate",
        "loss",
        "precision",
        "seed",
    )
    changes = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    try:
        if arguments.resume:
            config = replace(TrainConfig.from_json(run.read_config()), **changes)
            if arguments.model not in (None, config.model.name):
                raise ValueError(
                    f"{run.folder} is a run of {config.model.name}; got --model {arguments.model}"
                )
        else:
            config = default_config(arguments.model or "fast", **changes)
        if config.epochs is None and arguments.max_minutes is None:
            config = replace(config, epochs=20)
        if arguments.max_minutes is not None and not arguments.max_minutes > 0:
            raise ValueError(f"max minutes must be above 0; got {arguments.max_minutes}")
        if not arguments.resume:
            run.create(config.to_json(), config.model.to_json())
        elif changes:
            run.write_text("config.json", config.to_json())
        trainer = Trainer(config, run, max_minutes=arguments.max_minutes, resume=arguments.resume)
        rows = trainer.fit(show_progress)
        if arguments.export:
            export(run, arguments.export)
    except (RunError, WeightsError, ValueError, OSError) as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    if rows:
        best = max(rows, key=lambda row: row["val_psnr"])
        print(
            f"{config.model.name}: {rows[-1]['step']:.0f} steps in {rows[-1]['minutes']:.1f} minutes; "
            f"best epoch {best['epoch']:.0f}: validation PSNR {best['val_psnr']:.2f} dB, "
            f"SSIM {best['val_ssim']:.3f}; weights in {run.weights_path}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
