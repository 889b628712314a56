"""Run benchmarks: `python -m benchmarks`, or one: `python -m benchmarks generator`.

`python -m benchmarks quick` is the first thing to run when something feels slow.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from contextlib import ExitStack, suppress
from dataclasses import asdict
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import document
from benchmarks.app import CannotMeasure
from benchmarks.measure import Figure, markdown_table
from core.outputs import OutputError, pending_file
from core.quiet import quiet_stderr

BENCHMARKS = {
    "generator": "Moving MNIST clips, vectorised and by a plain loop; on all cores",
    "metrics": "scores of 1,000 predicted clips, beside scikit-image frame by frame",
    "inference": "next-frame prediction of 1, 8 and 32 clips; the reference beside Keras and PyTorch",
    "training": "a training step; the reference beside Keras and PyTorch, and what the loss adds",
    "accelerator": "a training step on a GPU, with JAX: over time step by step and by a scan; a forecast's",
    "rollout": "a rollout with explicit state, by PyTorch, and by re-running the growing clip",
    "footprint": "memory that a prediction takes, by ours and by the peers (Linux)",
    "rounding": "what a prediction loses in bfloat16",
    "choices": "what each choice in the code gains, and what was tried and did not",
    "growth": "how time and memory grow with frames, clips, filters, canvas and horizon",
    "first_paint": "from a fresh server to a real prediction on the screen, beside an empty app (Chromium)",
    "training_page": "a refresh of the training page with a history of 100,000 rows",
    "memory": "resident memory of the app's server, and of each further session (Linux, Chromium)",
    "slider": "from moving a slider to the new picture, in a browser (Chromium)",
    "editing": "from letting go of a dragged digit to the new prediction, in a browser (Chromium)",
    "player": "frames that the player drops, with six pictures at 20 frames a second (Chromium)",
    "page_switch": "from a click on the menu to the other page's content (Chromium)",
    "inside": "looking inside a cell: the maps of a layer, another gate, a pixel, an intervention (Chromium)",
    "films": "GIF and MP4 of truth, prediction and error",
    "crowd": "thirty sessions that each move a slider every few seconds, for ten minutes (Linux)",
    "serving": "requests that a prediction service answers with one replica and with two (Ray)",
}
ALONE = {
    "quick": "the guard: ratios beside the committed ones, in under three minutes; not with others",
    "document": "write docs/performance.md again from docs/performance.json; not with others",
}
APART = {"accelerator"}  # only when asked for by name
NEED_TORCH = {"inference", "training", "rollout", "footprint"}
NEED_KERAS = {
    "inference",
    "training",
    "rollout",
    "footprint",
    "choices",
    "growth",
    "accelerator",
    "films",
    "inside",
    "rounding",
}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure speed and memory; ratios come from one run, taken in turns.",
        epilog="\n".join(f"{name:<13} {text}" for name, text in (BENCHMARKS | ALONE).items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    apart = ", ".join(APART)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)} (default: all but {apart})"
    )
    parser.add_argument(
        "--document", action="store_true", help="write them to docs/performance.json and its document"
    )
    parser.add_argument("--update", action="store_true", help="with quick: commit to what it measures now")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    return parser


def prepare() -> None:
    """Load Keras, whose backend chatters while it loads."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with quiet_stderr():
        import keras  # noqa: F401


def run_quick(update: bool) -> int:
    """Print the guard's ratios beside the committed ones; with `update` write them. It warns, and no more."""
    from benchmarks import quick

    if not update and not quick.COMMITTED.is_file():
        print("benchmarks: no committed ratios; `python -m benchmarks quick --update`", file=sys.stderr)
        return 2
    prepare()
    committed = {} if update else quick.read_committed(quick.COMMITTED)
    ratios = quick.measured(quick.comparisons(), committed)
    print(quick.report(ratios, committed))
    if update:
        quick.write_committed(ratios, quick.COMMITTED)
    return 0


def run_document() -> int:
    """Write docs/performance.md again from the figures that are there."""
    results = document.read()
    if results is None:
        print("benchmarks: there is no docs/performance.json; --document writes it", file=sys.stderr)
        return 2
    document.write(results)
    return 0


def run_benchmark(name: str) -> list[Figure]:
    """Run one, in this process."""
    if name in NEED_KERAS:
        prepare()
    return importlib.import_module(f"benchmarks.{name}").run()


def report(figures: list[Figure]) -> dict[str, Any]:
    """The figures and the machine they hold for, as it goes into JSON."""
    versions = {"Python": platform.python_version()}
    for name in ("tensorflow", "keras", "numpy", "torch", "scikit-image"):
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    machine = {
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "versions": versions,
    }
    return {"machine": machine, "figures": [{**asdict(figure), "met": figure.met} for figure in figures]}


def main(argv: list[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    if len(arguments.names) == 1 and arguments.names[0] in ALONE and (arguments.document or arguments.json):
        print(f"benchmarks: --document and --json do not go with {arguments.names[0]}", file=sys.stderr)
        return 2
    if arguments.names == ["quick"]:
        return run_quick(arguments.update)
    if arguments.names == ["document"]:
        return run_document()
    if arguments.update:
        print("benchmarks: --update goes with quick, and with nothing else", file=sys.stderr)
        return 2
    names = arguments.names or [name for name in BENCHMARKS if name not in APART]
    if NEED_TORCH & {*names} and find_spec("torch") is None:
        print("benchmarks: no PyTorch, so no figures of it; see benchmarks/requirements.txt", file=sys.stderr)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(
            f"benchmarks: unknown benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}",
            file=sys.stderr,
        )
        return 2
    figures: list[Figure] = []
    try:
        with ExitStack() as stack:
            # Opened first: an hour of measuring should not end at a mistyped path.
            file = stack.enter_context(pending_file(arguments.json)) if arguments.json else None
            if arguments.document:
                document.merged(document.read(), report([]))
                document.check(document.texts(), names)
            for name in names:
                print(f"{name} ...", file=sys.stderr, flush=True)
                figures += run_benchmark(name)
            if file is not None:
                file.write(json.dumps(report(figures), indent=2).encode() + b"\n")
        if arguments.document:
            # through JSON, so that what is written now and what is read later are one
            document.write(document.merged(document.read(), json.loads(json.dumps(report(figures)))))
    except (OutputError, CannotMeasure, document.DocumentError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    print(markdown_table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
