"""Make the files behind the evaluation page: `python -m scripts.make_results WHAT... --help`.

Each file holds the command that made it and the date. A file appears whole or not at all.
"""

from __future__ import annotations

import argparse
import datetime
import io
import json
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core import zoo
from core.clip_sets import StandardSet
from core.command_line import OneLineParser
from core.curves import best_row
from core.digits import AssetError
from core.evaluation import Task, evaluate
from core.failures import WORST, as_pixels, worst_clips
from core.generalisation import CLIPS_A_CELL, DIGITS, SPEEDS_PX, generalisation_map, reach_px
from core.leak import leak_report
from core.moving_mnist import benchmark_clips
from core.observer import PARTICLES
from core.outputs import make_folder, pending_file
from core.runs import Run, RunError
from core.weights import WeightsError

if TYPE_CHECKING:
    from core.inference import Predictor

FOLDER = Path(__file__).resolve().parent.parent / "assets" / "results"
_BASELINES: dict[tuple[Task, int, bool], dict[str, Any]] = {}  # of this call, whose code is one
EXPECTED_ERRORS = (ValueError, AssetError, WeightsError, zoo.ModelError, RunError)

LEAK_FRAME, LEAK_PIXEL = 10, (32, 32)
EXAMPLE_CLIP = 0  # of the standard set: the one that the leak and the blur are shown on
TITLES = {
    "mse": "Mean squared error",
    "bce": "Cross entropy",
    "bce+gdl": "Cross entropy and gradient difference",
    "bce+gdl+vgg": "Cross entropy, gradient difference and perceptual distance",
}


def as_json(report: Mapping[str, Any]) -> str:
    """A line for each of the report's values, however large it is: half as long as one for each number."""
    lines = (
        f"{json.dumps(name)}: {json.dumps(value, separators=(',', ':'), allow_nan=False)}"
        for name, value in report.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


class Results:
    """Where result files go, and what each of them says about how it was made."""

    def __init__(self, folder: Path, command: str) -> None:
        make_folder(folder)
        self.folder = folder
        date = datetime.datetime.now(datetime.UTC).date().isoformat()
        self._made = {"made_by": command, "date": date}

    def write(
        self, name: str, report: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Write `NAME.json`, after `NAME.npz` where there are arrays: who reads the one finds the other."""
        if arrays is not None:
            packed = io.BytesIO()
            np.savez_compressed(packed, **arrays)  # type: ignore[arg-type]
            self._put(f"{name}.npz", packed.getvalue())
        self._put(f"{name}.json", as_json({**self._made, **report}).encode())

    def _put(self, name: str, data: bytes) -> None:
        with pending_file(self.folder / name) as file:
            file.write(data)
        print(self.folder / name, flush=True)


def _progress(what: str, total: int) -> Callable[[int], None]:
    """Says every tenth on standard error."""
    tenths = 0

    def show(done: int) -> None:
        nonlocal tenths
        if done * 10 // total > tenths:
            tenths = done * 10 // total
            print(f"{what}: {done:,} of {total:,}", file=sys.stderr, flush=True)

    return show


def _lpips(truth: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    from core.lpips import lpips

    return lpips(truth, predictions)


def scores(model: Predictor, task: Task, sequences: int, *, lpips: bool) -> dict[str, Any]:
    """What `evaluate.py` measures of a model on the first sequences of the standard set.

    The baselines do not depend on the model: of several models of one call they are measured once.
    """
    report = evaluate(
        model,
        StandardSet(),
        task,
        sequences,
        progress=_progress(f"{model.name} {task.mode}", sequences),
        lpips=_lpips if lpips else None,
        known_baselines=_BASELINES.get((task, sequences, lpips)),
    )
    _BASELINES[task, sequences, lpips] = report["baselines"]
    return report


# ------------------------------------------------------------------------------------- one file each


def make_next_frame(results: Results, arguments: argparse.Namespace) -> None:
    """`<model>.next-frame.json`: what `evaluate.py --lpips --json` measures."""
    for model in _models(arguments.models):
        report = scores(model, Task(), arguments.sequences, lpips=not arguments.no_lpips)
        results.write(f"{model.name}.next-frame", report)


def make_rollout(results: Results, arguments: argparse.Namespace) -> None:
    """`<model>.rollout.json`: 10 frames seen, 10 predicted."""
    for model in _models(arguments.models, causal=True):
        report = scores(model, Task("rollout"), arguments.sequences, lpips=not arguments.no_lpips)
        results.write(f"{model.name}.rollout", report)


def make_map(results: Results, arguments: argparse.Namespace) -> None:
    """`<model>.map.json`: speed by number of digits."""
    for model in _models(arguments.models):
        show = _progress(f"{model.name} map", len(SPEEDS_PX) * len(DIGITS))
        found = generalisation_map(
            model,
            reach=reach_px(model.config),
            moves=model.config.reach if model.config.motions else None,
            clips_a_cell=arguments.clips_a_cell,
            progress=show,
        )
        results.write(f"{model.name}.map", found)


def make_worst(results: Results, arguments: argparse.Namespace) -> None:
    """`<model>.worst.json` and `.npz`: the worst ten clips."""
    for model in _models(arguments.models):
        show = _progress(f"{model.name} worst", arguments.sequences)
        report, arrays = worst_clips(model, arguments.sequences, WORST, show)
        results.write(f"{model.name}.worst", report, arrays)


def make_leak(results: Results, arguments: argparse.Namespace) -> None:
    """`leak.json` and `.npz`: a pixel of a frame changed, and whose predictions move before it."""
    models = {model.name: model for model in _models(arguments.leak_models)}
    clip = benchmark_clips(EXAMPLE_CLIP, EXAMPLE_CLIP + 1)[0]
    report, arrays = leak_report(models, clip, LEAK_FRAME, LEAK_PIXEL)
    for entry in report["models"]:
        report_of = scores(models[entry["name"]], Task(), arguments.sequences, lpips=False)
        entry |= {name: report_of[name] for name in ("psnr", "ssim")}
    results.write("leak", {**report, "sequences": arguments.sequences}, arrays)


def make_blur(results: Results, arguments: argparse.Namespace) -> None:
    """`blur.json` and `.npz`: one network, four losses, the same clips."""
    clip = benchmark_clips(EXAMPLE_CLIP, EXAMPLE_CLIP + 1)
    rows, pictures = [], []
    for name, folder in arguments.blur_models.items():
        model = _load(folder)
        model.name = name
        report = scores(model, Task(), arguments.sequences, lpips=True)
        kept = {key: report[key] for key in ("psnr", "ssim", "mse_sum", "lpips")}
        rows.append({"name": name, "title": TITLES[name], **kept, **report["physics"], **training_of(folder)})
        pictures.append(as_pixels(Task().predict(model, clip))[0])
    results.write(
        "blur",
        {"models": rows, "sequences": arguments.sequences},
        {"truth": clip[0], "predictions": np.stack(pictures)},
    )


def make_observer(results: Results, arguments: argparse.Namespace) -> None:
    """`observer.json`: the ideal observer, which no model can beat."""
    from core.observer import observe

    show = _progress("observer", arguments.sequences)
    results.write("observer", observe(arguments.sequences, arguments.particles, 0, progress=show))


def make_tuning(results: Results, arguments: argparse.Namespace) -> None:
    """`<model>.tuning.json` and `.npz`: the response of each channel to directions and speeds."""
    from core.tuning import DIRECTIONS_DEG, responses
    from core.tuning import SPEEDS_PX as TUNING_SPEEDS_PX

    for model in _models(arguments.models, precision="float32"):
        layers = range(1, len(model.config.filters) + 1)
        total = len(TUNING_SPEEDS_PX) * len(DIRECTIONS_DEG)
        found = {
            f"layer_{layer}": responses(model, layer, _progress(f"{model.name} layer {layer}", total))
            for layer in layers
        }
        about = {"model": model.name, "speeds_px": TUNING_SPEEDS_PX, "directions_deg": DIRECTIONS_DEG}
        results.write(f"{model.name}.tuning", about, found)


MAKERS: dict[str, Callable[[Results, argparse.Namespace], None]] = {
    "next-frame": make_next_frame,
    "rollout": make_rollout,
    "map": make_map,
    "worst": make_worst,
    "leak": make_leak,
    "blur": make_blur,
    "observer": make_observer,
    "tuning": make_tuning,
}


# ---------------------------------------------------------------------------------------------- models


def _load(name_or_path: str | Path, precision: str = "auto") -> Predictor:
    return zoo.load(name_or_path, precision)


def _models(names: list[str], *, causal: bool = False, precision: str = "auto") -> list[Predictor]:
    """The models, loaded; with `causal`, a head that sees the future is refused."""
    models = [_load(name, precision) for name in names]
    for model in models:
        if causal and model.config.head != "causal":
            raise ValueError(
                f"{model.name} has the leaking head, which needs frames that a rollout does not have"
            )
    return models


def training_of(folder: str | Path) -> dict[str, Any]:
    """Loss, steps and minutes of the weights of a run folder, or of a model folder by its card.

    The steps and minutes are those of the epoch whose weights were kept: the best by validation PSNR.
    """
    if (Path(folder) / "card.json").is_file() or str(folder) in zoo.model_names():
        training = zoo.card(folder)["training"]
        return {name: training[name] for name in ("loss", "steps", "minutes")}
    run = Run(Path(folder))
    history = run.read_history()
    best = best_row(history)
    if best is None:
        raise RunError(f"{run.name} has no whole epoch yet")
    return {
        "loss": run.read_config().loss,
        "steps": int(history.epochs["step"][best]),
        "minutes": round(float(history.epochs["minutes"][best]), 1),
    }


# --------------------------------------------------------------------------------------- command line


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise ValueError(f"models must be names with commas between; got {text!r}")
    return names


def named_folders(text: str) -> dict[str, str]:
    """Read `mse=FOLDER,bce=FOLDER,...`.

    Raises
    ------
    ValueError
        If it is not that, or not all losses of the blur lesson are named.
    """
    found = {}
    for part in text.split(","):
        name, _, folder = part.strip().partition("=")
        if not folder:
            raise ValueError(f"--blur-models must be NAME=FOLDER with commas between; got {part!r}")
        found[name] = folder
    if set(found) != set(TITLES):
        raise ValueError(f"--blur-models must name {', '.join(TITLES)}; got {', '.join(found)}")
    return {name: found[name] for name in TITLES}


def build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="make_results", description="Make the result files behind the evaluation page."
    )
    parser.add_argument("what", nargs="+", metavar="WHAT", help=f"one or more of {', '.join(MAKERS)}")
    parser.add_argument("--models", default="fast,reference", metavar="A,B", help="default: fast,reference")
    parser.add_argument(
        "--sequences", type=int, default=1000, help="clips of the standard set (default: 1000)"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to (default: assets/results)")
    parser.add_argument("--no-lpips", action="store_true", help="leave LPIPS out, two thirds of the work")
    parser.add_argument(
        "--clips-a-cell",
        type=int,
        default=CLIPS_A_CELL,
        help=f"of the map (default: {CLIPS_A_CELL})",
    )
    parser.add_argument(
        "--particles", type=int, default=PARTICLES, help=f"of the observer (default: {PARTICLES})"
    )
    parser.add_argument("--leak-models", default="reference,leaky", metavar="A,B", help="of leak")
    parser.add_argument(
        "--blur-models",
        metavar="mse=FOLDER,...",
        help=f"of blur: models or runs of {', '.join(TITLES)} (default: the shipped ones)",
    )
    return parser


def _checked(argv: list[str]) -> argparse.Namespace:
    """The arguments, with all that can be wrong looked at before the work."""
    arguments = build_parser().parse_args(argv)
    for what in arguments.what:
        if what not in MAKERS:
            raise ValueError(f"WHAT must be of {', '.join(MAKERS)}; got {what!r}")
    most = StandardSet.sequences
    least = WORST if "worst" in arguments.what else 1
    if not least <= arguments.sequences <= most:
        raise ValueError(f"--sequences must be {least} to {most}; got {arguments.sequences}")
    if arguments.clips_a_cell < 1:
        raise ValueError(f"--clips-a-cell must be 1 or more; got {arguments.clips_a_cell}")
    arguments.models, arguments.leak_models = _names(arguments.models), _names(arguments.leak_models)
    if "blur" in arguments.what:
        shipped = {name: name for name in TITLES}
        arguments.blur_models = named_folders(arguments.blur_models) if arguments.blur_models else shipped
    used = [] if set(arguments.what) <= {"leak", "blur", "observer"} else list(arguments.models)
    used += arguments.leak_models if "leak" in arguments.what else []
    used += arguments.blur_models.values() if "blur" in arguments.what else []
    for name in used:
        zoo.model_folder(name)
    return arguments


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    try:
        arguments = _checked(argv)
        results = Results(arguments.folder, f"python -m scripts.make_results {shlex.join(argv)}")
        for what in dict.fromkeys(arguments.what):
            MAKERS[what](results, arguments)
    except EXPECTED_ERRORS as error:
        print(f"make_results: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
