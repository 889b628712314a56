"""Resident memory of a process that predicts with the reference, by ours and by the peers (Linux).

Each runs in a process of its own, since a library gives nothing back that it once took.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.app import CannotMeasure
from benchmarks.inference import TORCH, peers, precisions
from benchmarks.measure import Figure

ROOT = Path(__file__).resolve().parents[1]


def resident_mb(peak: bool = True) -> float:
    """Memory of this process: the most it ever had, or what it has now; MB."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError as error:
        raise CannotMeasure("resident memory is read from /proc, which this system does not have") from error
    wanted = "VmHWM:" if peak else "VmRSS:"
    kilobytes = next(int(line.split()[1]) for line in lines if line.startswith(wanted))
    return kilobytes / 1024


def in_own_process(code: str) -> list[float]:
    """Run Python code in a new process; the numbers that it prints on its last line."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotMeasure(f"a process that was to be measured ended early: {done.stderr.strip()[-500:]}")
    return [float(value) for value in done.stdout.splitlines()[-1].split()]


_TWICE = """
import {modules}
from benchmarks.footprint import resident_mb
from benchmarks.inference import networks, some_clips
from core.model_config import CONFIGS
clips = some_clips({clips}, {frames}, CONFIGS[{model!r}].canvas)
build = networks({model!r}, {model!r})[{name!r}]
before = resident_mb()
call = build()
for _ in range(2):
    call(clips)
print(resident_mb() - before)
"""


def run(*, clips: int = 8, frames: int = 20, model: str = "reference") -> list[Figure]:
    """What predicting adds to the libraries, at its peak, for ours and for each peer."""
    figures = []
    modules = "keras, torch" if TORCH in peers() else "keras"
    for who in ("reference", *peers()):
        for precision in precisions():
            name = f"{who}, {precision}"
            (added,) = in_own_process(
                _TWICE.format(modules=modules, name=name, model=model, clips=clips, frames=frames)
            )
            what = f"{name}, {clips} clips of {frames} frames at once, added to the libraries"
            figures.append(Figure("footprint", what, added, "MB"))
    return figures
