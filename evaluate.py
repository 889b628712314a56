"""Measure how well a model predicts Moving MNIST: `python evaluate.py --help`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import time
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from core import zoo
from core.clip_sets import ClipFile, ClipSet, StandardSet
from core.command_line import (
    OneLineParser,
    check_backend,
    loading_keras,
    memory_words,
    named_path,
    out_of_memory,
)
from core.digits import AssetError
from core.evaluation import MODES, FrameMetric, Task, evaluate
from core.history import History
from core.outputs import ArrayWriter, PendingFile, make_folder, pending_file
from core.quiet import quiet_stderr
from core.runs import Run, RunError
from core.scenes import CANVAS
from core.score_tables import count, score_table, step_table, task_words
from core.train_config import PRECISIONS
from core.weights import WeightsError

if TYPE_CHECKING:
    from core.inference import Predictor

DEFAULT_SEQUENCES = 500
RESULTS_NAME, CURVE_NAME = "evaluation_results.png", "loss_curve.png"
# A person's mistakes and a damaged installation: one line, no traceback.
EXPECTED_ERRORS = (ValueError, AssetError, WeightsError, zoo.ModelError, RunError)

DESCRIPTION = "Measure how well a model predicts Moving MNIST, beside the baselines it must beat."
EPILOG = """\
what is measured, of each predicted frame, then averaged:
  PSNR, SSIM     of predictions clipped to [0, 1]; PSNR at most 100 dB, which an exact frame counts; SSIM is
                 scikit-image's, window 7 x 7, data_range 1
  of mean        PSNR of the mean error; the mean of PSNR is lifted by frames that are nearly exact
  MSE, MAE       summed over the pixels of a frame, before clipping
  skill          share of the MSE of copying the last frame that is taken away: 1 is perfect, 0 no better
  *_openstl      what OpenSTL's tables call MSE, MAE and SSIM; its SSIM is with data_range 2
  LPIPS          with --lpips: perceptual distance by AlexNet, 0 is equal

baselines:
  copy-last          repeats the last frame
  constant-velocity  moves each digit on by its last true step; only where positions are known, not of --data
  bounce-oracle      knows true velocities and the walls too, and places in whole pixels; likewise

examples:
  python evaluate.py --model fast --sequences 1000
  python evaluate.py --model runs/fast --mode rollout --data mnist_test_seq.npy --json report.json
  python evaluate.py --lpips --per-step --figures figures

Exit status: 0 on success, 2 for bad input or a machine that cannot do it, 130 when interrupted; both with
one line on standard error."""


def build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="evaluate.py",
        allow_abbrev=False,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model",
        default="fast",
        metavar="NAME_OR_PATH",
        help=f"shipped model ({', '.join(zoo.model_names())}), model folder or run folder (default: fast)",
    )
    parser.add_argument(
        "--data",
        type=named_path,
        metavar="FILE.npy",
        help="clips as the public file mnist_test_seq.npy has them: uint8 (time, sequences, 64, 64); or the "
        ".npz of many clips that the page Make a clip writes; "
        "without it, the standard benchmark set is made from MNIST test digits",
    )
    parser.add_argument(
        "--mode",
        default="next-frame",
        help=f"{' or '.join(MODES)}: each frame from the true ones before it, or from the model's own "
        "predictions after --context true ones (default: next-frame)",
    )
    parser.add_argument(
        "--context", type=int, metavar="N", help=f"true frames of a rollout (default: {Task.context_frames})"
    )
    parser.add_argument(
        "--horizon",
        type=int,
        metavar="N",
        help=f"predicted frames of a rollout (default: {Task.horizon_frames})",
    )
    parser.add_argument(
        "--sequences",
        type=int,
        metavar="N",
        help="how many, from the first on "
        f"(default: all of --data, or {DEFAULT_SEQUENCES} of the standard set)",
    )
    parser.add_argument(
        "--lpips", action="store_true", help="measure LPIPS (AlexNet) too; about three times the work"
    )
    parser.add_argument(
        "--precision",
        default="auto",
        help=f"what the model computes in, {', '.join(PRECISIONS)} (default: auto: bfloat16 where the "
        "hardware has it)",
    )
    parser.add_argument("--per-step", action="store_true", help="print a row for each predicted frame too")
    parser.add_argument("--json", type=named_path, metavar="FILE", help="write every figure there")
    parser.add_argument(
        "--predictions",
        type=named_path,
        metavar="FILE.npy",
        help="write the predictions there: float32 (sequences, predicted_frames, 64, 64)",
    )
    parser.add_argument(
        "--figures",
        type=named_path,
        metavar="DIR",
        help=f"write pictures there: {RESULTS_NAME}, truth over prediction over error of the first "
        f"sequences; and {CURVE_NAME} where --model is a run folder with a history",
    )
    return parser


def _task_of(arguments: argparse.Namespace) -> Task:
    given = {"context_frames": arguments.context, "horizon_frames": arguments.horizon}
    given = {name: value for name, value in given.items() if value is not None}
    task = Task(arguments.mode, **given)
    if given and task.mode == "next-frame":
        _note("--context and --horizon are of rollouts, and say nothing of next-frame predictions")
    return task


def _note(text: str) -> None:
    print(f"evaluate.py: {text}", file=sys.stderr)


def _checked_paths(arguments: argparse.Namespace) -> None:
    """Refuse outputs that would overwrite one another or the input."""
    given = {f"--{name}": getattr(arguments, name) for name in ("data", "json", "predictions")}
    if arguments.figures is not None:
        given["--figures"] = arguments.figures
        given |= {f"{name} of --figures": arguments.figures / name for name in (RESULTS_NAME, CURVE_NAME)}
    seen: dict[str, str] = {}
    for option, path in given.items():
        if path is not None:
            real = os.path.realpath(path)
            if real in seen:
                raise ValueError(f"{option} and {seen[real]} must be different; got {path} for both")
            seen[real] = option


def _doubt(path: Path | None, clips: ClipSet) -> str:
    """What may be wrong with clips of one's own; empty where nothing seems to be."""
    if not isinstance(clips, ClipFile) or not clips.looks_swapped:
        return ""
    return (
        f"{path}: successive sequences are more alike than successive frames; are the first two axes "
        f"swapped? clips are (time, sequences, {CANVAS}, {CANVAS})"
    )


def _checked_sequences(requested: int | None, clip_set: ClipSet, *, own_data: bool) -> int:
    if requested is None:
        return clip_set.sequences if own_data else DEFAULT_SEQUENCES
    if not 1 <= requested <= clip_set.sequences:
        raise ValueError(
            f"--sequences must be 1 to {clip_set.sequences}, all that {clip_set.name} has; got {requested}"
        )
    return requested


def _run_history(model: str) -> History | None:
    """The history of a run folder; None where the model has no history, or no epoch in it."""
    run = Run(zoo.model_folder(model))
    history = run.read_history() if run.history_path.exists() else None
    return history if history is not None and len(history.epochs["step"]) else None


class _Outputs:
    """The files asked for. All are opened before the work, and get their names when all of it is done."""

    def __init__(self, stack: ExitStack, arguments: argparse.Namespace, shape: tuple[int, ...]) -> None:
        def open_file(path: Path | None) -> PendingFile | None:
            return None if path is None else stack.enter_context(pending_file(path))

        self._json = open_file(arguments.json)
        predictions = open_file(arguments.predictions)
        self._predictions = None if predictions is None else ArrayWriter(predictions, shape)
        self._figures = None
        if arguments.figures is not None:
            self._figures = _Figures(stack, arguments.figures, _run_history(arguments.model))

    def add_slice(self, truth: np.ndarray, predictions: np.ndarray) -> None:
        if self._predictions is not None:
            self._predictions.append(predictions)
        if self._figures is not None:
            self._figures.add_slice(truth, predictions)

    def add_report(self, report: dict[str, Any]) -> None:
        if self._json is not None:
            self._json.write(json.dumps(report, indent=2, allow_nan=False).encode() + b"\n")
        if self._figures is not None:
            self._figures.draw(report)


class _Figures:
    """The pictures: the first sequences are kept, and all is drawn when the scores are known."""

    def __init__(self, stack: ExitStack, folder: Path, history: History | None) -> None:
        make_folder(folder)
        self._results = stack.enter_context(pending_file(folder / RESULTS_NAME))
        self._history = history
        self._curve = stack.enter_context(pending_file(folder / CURVE_NAME)) if history is not None else None
        with quiet_stderr():  # Matplotlib says when it builds its list of fonts
            from core import figures
        self._figures = figures
        self._shown: list[np.ndarray] = []  # truth and predictions

    def add_slice(self, truth: np.ndarray, predictions: np.ndarray) -> None:
        if not self._shown:
            first = self._figures.shown_sequences(truth.shape[1])
            self._shown = [truth[:first].copy(), predictions[:first].copy()]

    def draw(self, report: dict[str, Any]) -> None:
        truth, predictions = self._shown
        scores = (
            f"PSNR {report['psnr']:.2f} dB, SSIM {report['ssim']:.3f}, MSE {report['mse_sum']:.1f} a frame"
        )
        picture = self._figures.prediction_sheet(
            truth,
            predictions,
            first_target=report["first_target"],
            title=f"{report['model']}, {task_words(report).replace('->', '→')}",
            subtitle=f"mean of {count(report['sequences'], 'sequence')}: {scores}; {report['data']}",
        )
        self._results.write(picture)
        if self._curve is not None and self._history is not None:
            epochs, steps = self._history.epochs, self._history.steps
            self._curve.write(self._figures.loss_curve(epochs, steps, title=f"training of {report['model']}"))


class ProgressLine:
    """How far the work is, on standard error: in place with the time left on a terminal, else every tenth."""

    WIDTH = 24  # characters of the bar

    def __init__(self, total: int) -> None:
        self._total = total
        self._in_place = sys.stderr.isatty()
        self._tenths_shown = 0
        self._first: tuple[int, float] | None = None  # sequences done, and when

    def __enter__(self) -> ProgressLine:
        self._write("loading the model")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write("")  # what follows begins on a clean line

    def show(self, done: int) -> None:
        """Say how many sequences are done."""
        if self._in_place:
            filled = self.WIDTH * done // self._total
            bar = "#" * filled + "." * (self.WIDTH - filled)
            self._write(f"[{bar}] {done:,} of {count(self._total, 'sequence')}{self._left(done)}")
        elif done * 10 // self._total > self._tenths_shown:
            self._tenths_shown = done * 10 // self._total
            print(f"{done:,} of {count(self._total, 'sequence')}", file=sys.stderr, flush=True)

    def _left(self, done: int) -> str:
        """Time left by the pace since the first report, which alone holds the time of compiling."""
        now = time.monotonic()
        if self._first is None:
            self._first = done, now
            return ""
        first_done, began = self._first
        seconds = (now - began) / (done - first_done) * (self._total - done)
        return f", {seconds // 60:.0f}:{seconds % 60:02.0f} left"

    def _write(self, text: str) -> None:
        if self._in_place:
            text = text[: shutil.get_terminal_size().columns - 1]  # a line that wraps is not overwritten
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _load(name_or_path: str, precision: str) -> Predictor:
    with loading_keras():
        from core.precision import gpus

        gpus()  # to load Keras is slow, and both that and the search for a GPU chatter
    return zoo.load(name_or_path, precision)


def _made_with(model: Predictor) -> dict[str, Any]:
    """What the figures may depend on beside model and clips, in their last digits."""
    import keras

    packages = ("keras", keras.backend.backend(), "numpy", "scikit-image")
    return {
        "precision": model.precision,
        "backend": keras.backend.backend(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
    }


def _load_lpips() -> FrameMetric:
    from core.lpips import lpips

    return lpips


def _run(argv: list[str] | None) -> None:
    arguments = build_parser().parse_args(argv)
    # All that can be wrong is looked at before TensorFlow loads, which takes seconds.
    task = _task_of(arguments)
    if arguments.precision not in PRECISIONS:
        raise ValueError(f"--precision must be one of {', '.join(PRECISIONS)}; got {arguments.precision!r}")
    check_backend()
    _checked_paths(arguments)
    if not (weights := zoo.weights_path(arguments.model)).is_file():
        raise WeightsError(f"weights file {weights} is missing")
    if task.mode == "rollout" and not zoo.is_causal(arguments.model):
        raise ValueError(
            f"{arguments.model} has the leaking head, which needs frames that a rollout does not have"
        )
    clip_set: ClipSet = StandardSet() if arguments.data is None else ClipFile(arguments.data)
    doubt = _doubt(arguments.data, clip_set)
    if doubt:
        _note(doubt)
    sequences = _checked_sequences(arguments.sequences, clip_set, own_data=arguments.data is not None)
    predicted_frames = task.predicted_frames(clip_set.frames)

    with ExitStack() as stack:
        outputs = _Outputs(stack, arguments, (sequences, predicted_frames, CANVAS, CANVAS))
        with ProgressLine(sequences) as progress:
            model = _load(arguments.model, arguments.precision)
            report = evaluate(
                model,
                clip_set,
                task,
                sequences,
                on_slice=outputs.add_slice,
                progress=progress.show,
                lpips=_load_lpips() if arguments.lpips else None,
            )
        report |= {"weights_sha256": model.weights_sha256, **_made_with(model)}
        if doubt:
            report["note"] = doubt
        outputs.add_report(report)
    print(score_table(report))
    if arguments.per_step:
        print(f"\n{step_table(report)}")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; the exit status is 0, or 2 or 130 after one line that says what was wrong."""
    try:
        _run(argv)
    except EXPECTED_ERRORS as error:
        print(f"evaluate.py: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("evaluate.py: interrupted; nothing was written", file=sys.stderr)
        return 130
    except Exception as error:
        told = _of_the_machine(error)
        if not told:
            raise
        print(f"evaluate.py: {told}", file=sys.stderr)
        return 2
    return 0


def _of_the_machine(error: Exception) -> str:
    """What an error says of the machine; empty where it is a mistake of the program."""
    if out_of_memory(error):
        return f"memory does not suffice for this model ({memory_words(error)})"
    if isinstance(error, RuntimeError):
        from core.device import DeviceError  # imports Keras, which has begun by now

        if isinstance(error, DeviceError):
            return f"{error}; CUDA_VISIBLE_DEVICES=-1 leaves the GPU alone"
    return ""


if __name__ == "__main__":
    # Ended from outside, the unfinished files still go.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
