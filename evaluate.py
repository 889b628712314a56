"""Measure how well a model predicts Moving MNIST: `python evaluate.py --help`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core import zoo
from core.clip_sets import ClipFile, ClipSet, StandardSet
from core.command_line import OneLineParser
from core.digits import AssetError
from core.evaluation import MODES, Task, contact_sheet, evaluate
from core.outputs import ArrayWriter, PendingFile, make_folder, pending_file, png_bytes
from core.quiet import quiet_stderr
from core.scenes import CANVAS
from core.weights import WeightsError, checksum

if TYPE_CHECKING:
    from core.inference import Predictor

DEFAULT_SEQUENCES = 500
FIGURE_NAME, FIGURE_SEQUENCES = "evaluation_results.png", 4
# A person's mistakes and a damaged installation: one line, no traceback.
EXPECTED_ERRORS = (ValueError, AssetError, WeightsError, zoo.ModelError)


def build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="evaluate.py",
        allow_abbrev=False,
        description="Measure how well a model predicts Moving MNIST, beside the baselines it must beat.",
        epilog="Exit status: 0 on success, 2 with one line on standard error for bad input.",
    )
    parser.add_argument(
        "--model",
        default="fast",
        metavar="NAME_OR_PATH",
        help="shipped model or model folder (default: fast)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FILE.npy",
        help="clips as the public test file has them: uint8 (time, sequences, 64, 64); "
        "without it, the standard benchmark set is made from MNIST test digits",
    )
    parser.add_argument(
        "--mode",
        default="next-frame",
        help=f"{' or '.join(MODES)}: each frame from the true ones before it, or from the model's own "
        "predictions after --context true ones (default: next-frame)",
    )
    parser.add_argument("--context", type=int, default=10, help="true frames of a rollout (default: 10)")
    parser.add_argument("--horizon", type=int, default=10, help="predicted frames of a rollout (default: 10)")
    parser.add_argument(
        "--sequences",
        type=int,
        help="how many, from the first on "
        f"(default: all of --data, or {DEFAULT_SEQUENCES} of the standard set)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    parser.add_argument(
        "--predictions",
        type=Path,
        metavar="FILE.npy",
        help="write the predictions there: float32 (sequences, predicted_frames, 64, 64)",
    )
    parser.add_argument(
        "--figures",
        type=Path,
        metavar="DIR",
        help=f"write {FIGURE_NAME} there: truth over prediction over error "
        f"of the first {FIGURE_SEQUENCES} sequences",
    )
    return parser


def _checked_paths(arguments: argparse.Namespace) -> None:
    """Refuse outputs that would overwrite one another or the input."""
    given = {f"--{name}": getattr(arguments, name) for name in ("data", "json", "predictions")}
    seen: dict[str, str] = {}
    for option, path in given.items():
        if path is not None:
            real = os.path.realpath(path)
            if real in seen:
                raise ValueError(f"{option} and {seen[real]} must be different files; got {path} for both")
            seen[real] = option


def _checked_sequences(requested: int | None, clip_set: ClipSet, *, own_data: bool) -> int:
    if requested is None:
        return clip_set.sequences if own_data else DEFAULT_SEQUENCES
    if not 1 <= requested <= clip_set.sequences:
        raise ValueError(
            f"--sequences must be 1 to {clip_set.sequences}, all that {clip_set.name} has; got {requested}"
        )
    return requested


class _Outputs:
    """The files asked for. All are opened before the work, and get their names when all of it is done."""

    def __init__(self, stack: ExitStack, arguments: argparse.Namespace, shape: tuple[int, ...]) -> None:
        def open_file(path: Path | None) -> PendingFile | None:
            return None if path is None else stack.enter_context(pending_file(path))

        self._json = open_file(arguments.json)
        predictions = open_file(arguments.predictions)
        self._predictions = None if predictions is None else ArrayWriter(predictions, shape)
        if arguments.figures is not None:
            make_folder(arguments.figures)
        self._figure = open_file(arguments.figures and arguments.figures / FIGURE_NAME)
        self._figure_done = False

    def add_slice(self, truth: np.ndarray, predictions: np.ndarray) -> None:
        if self._predictions is not None:
            self._predictions.append(predictions)
        if self._figure is not None and not self._figure_done:
            sheet = contact_sheet(truth[:FIGURE_SEQUENCES], predictions[:FIGURE_SEQUENCES])
            self._figure.write(png_bytes(sheet))
            self._figure_done = True

    def add_report(self, report: dict[str, Any]) -> None:
        if self._json is not None:
            self._json.write(json.dumps(report, indent=2, allow_nan=False).encode() + b"\n")


def _show_progress(total: int) -> Any:
    """A callback that reports sequences done on standard error: in place on a terminal, else every tenth."""
    tenths_shown = 0

    def show(done: int) -> None:
        nonlocal tenths_shown
        if sys.stderr.isatty():
            print(
                f"\r{done} of {total} sequences",
                end="\n" if done == total else "",
                file=sys.stderr,
                flush=True,
            )
        elif done * 10 // total > tenths_shown:
            tenths_shown = done * 10 // total
            print(f"{done} of {total} sequences", file=sys.stderr, flush=True)

    return show


def _table(report: dict[str, Any]) -> str:
    """The figures for a person to read."""

    def row(name: str, figures: dict[str, Any]) -> str:
        skill = "    -" if figures["skill"] is None else f"{figures['skill']:5.2f}"
        return (
            f"{name:<20}{figures['psnr']:9.2f}{figures['psnr_of_mean_mse']:9.2f}{figures['ssim']:8.4f}"
            f"{figures['mse_sum']:9.2f}{figures['mae_sum']:9.2f}  {skill}"
        )

    scored = {
        report["model"]: report,
        **{name.replace("_", "-"): s for name, s in report["baselines"].items()},
    }
    rollout = f" {report['context']} -> {report['horizon']}" if report["mode"] == "rollout" else ""
    counts = f"{report['sequences']} sequences, {report['predicted_frames']} predicted frames of each"
    lines = [
        f"{report['data']}, {report['mode']}{rollout}: {counts}",
        f"{'':<20}{'PSNR dB':>9}{'of mean':>9}{'SSIM':>8}{'MSE':>9}{'MAE':>9}  skill",
        *(row(name, figures) for name, figures in scored.items()),
    ]
    if "without_first_prediction" in report:
        lines.append("without the first prediction, made before any motion is seen")
        lines += [row(name, figures["without_first_prediction"]) for name, figures in scored.items()]
    rate = f"{report['seconds']:.2f} s, {report['frames_per_second']:.0f} predicted frames a second"
    lines += [
        "PSNR: mean over frames, and of the mean MSE. MSE, MAE: summed over the pixels of a frame.",
        f"{report['device']}: {rate}",
    ]
    return "\n".join(lines)


def _load(name_or_path: str) -> Predictor:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with quiet_stderr():
        import keras  # noqa: F401 - the slow part of loading, and the one that chatters
    return zoo.load(name_or_path)


def _run(argv: list[str] | None) -> None:
    arguments = build_parser().parse_args(argv)
    # All that can be wrong is looked at before TensorFlow loads, which takes seconds.
    task = Task(arguments.mode, arguments.context, arguments.horizon)
    _checked_paths(arguments)
    weights = zoo.weights_path(arguments.model)
    clip_set: ClipSet = ClipFile(arguments.data) if arguments.data is not None else StandardSet()
    sequences = _checked_sequences(arguments.sequences, clip_set, own_data=arguments.data is not None)
    predicted_frames = task.predicted_frames(clip_set.frames)
    weights_sha256 = checksum(weights)

    with ExitStack() as stack:
        outputs = _Outputs(stack, arguments, (sequences, predicted_frames, CANVAS, CANVAS))
        model = _load(arguments.model)
        report = evaluate(
            model, clip_set, task, sequences, on_slice=outputs.add_slice, progress=_show_progress(sequences)
        )
        report["weights_sha256"] = weights_sha256
        outputs.add_report(report)
    print(_table(report))


def main(argv: list[str] | None = None) -> int:
    """Run the command line; the exit status is 0, or 2 after one line that says what was wrong."""
    try:
        _run(argv)
    except EXPECTED_ERRORS as error:
        print(f"evaluate.py: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("evaluate.py: interrupted; nothing was written", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    # Ended from outside, the unfinished files still go.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
