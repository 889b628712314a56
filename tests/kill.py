"""Kill a training at random moments, resume it each time, and hold the result to an uninterrupted run.

`python -m tests.kill --kills 200`; the tests do it with 3.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.model_config import ModelConfig
from core.run_list import describe
from core.runs import Run
from core.train_config import TrainConfig
from core.weights import load_arrays

ROOT = Path(__file__).resolve().parents[1]
# Short epochs: most of the time goes into scoring and saving, where a kill can do harm.
CONFIG = TrainConfig(
    ModelConfig("tiny", (3,), (3,), patch=4, peepholes="channel"),
    epochs=1,
    steps_per_epoch=2,
    batch_size=1,
    frames=3,
    learning_rate=1e-2,
    schedule="constant",
    warmup_steps=0,
    loss={"bce": 1.0, "gdl": 0.1},
    precision="float32",
    validation_clips=1,
)
REPEATED = (
    "epoch", "step", "learning_rate", "rollout", "loss", "bce", "gdl", "val_loss", "val_psnr", "val_ssim",
)  # fmt: skip
START_SECONDS = 120.0


def train(run: Run) -> subprocess.Popen[bytes]:
    """Start or resume, as a person would."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), "--run-dir", str(run.folder), "--resume"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def check_whole(run: Run) -> int:
    """Every file can be read; returns the epochs that a resumed run starts with."""
    entry = describe(run)
    assert entry.state in ("interrupted", "starting"), f"{entry.state}: {entry.reason}"
    run.read_history()
    for path in (run.checkpoint_path, run.weights_path):
        if path.exists():
            load_arrays(path)
    for epoch in run.snapshot_epochs():
        run.read_snapshot(f"epoch_{epoch:06d}")
    return int(run.checkpoint_state()["epoch"])


def kill_and_resume(folder: Path, kills: int, *, seed: int = 0) -> None:
    """Raise AssertionError if a file is torn, an epoch is lost, or the curve differs.

    The plan has as many epochs as are done after the last kill and three more; the learning rate is constant,
    without a warm-up, so that the curve does not depend on that number.
    """
    rng = random.Random(seed)
    config = replace(CONFIG, epochs=10**6)
    run = Run(folder / "killed")
    run.create(config)
    epochs = 0
    for number in range(1, kills + 1):
        done = _live_and_die(run, rng)
        assert done >= epochs, f"kill {number}: {epochs} epochs were saved, {done} are left"
        epochs = done
    run.write_config(replace(config, epochs=epochs + 3))
    assert train(run).wait(timeout=600) == 0
    whole = Run(folder / "whole")
    whole.create(run.read_config())
    assert train(whole).wait(timeout=600) == 0
    _same(run, whole)


def _live_and_die(run: Run, rng: random.Random) -> int:
    before = run.checkpoint_state()["epoch"]
    process = train(run)
    try:
        # a share of the kills comes while it starts, the others after its first epochs
        if rng.random() < 0.8:
            deadline = time.monotonic() + START_SECONDS
            while run.checkpoint_state()["epoch"] == before:
                assert process.poll() is None, f"it ended by itself: {run.log_tail(3)}"
                assert time.monotonic() < deadline, "it did not get through an epoch in time"
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.5))
        else:
            time.sleep(rng.uniform(0, 6))
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    return check_whole(run)


def _same(run: Run, whole: Run) -> None:
    for kind in ("steps", "epochs"):
        mine, theirs = (getattr(each.read_history(), kind) for each in (run, whole))
        for name in REPEATED:
            np.testing.assert_allclose(mine[name], theirs[name], rtol=1e-3, err_msg=f"{kind}: {name}")
    assert run.snapshot_epochs() == run.read_history().epochs["epoch"].tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kill_and_resume(Path(folder), arguments.kills, seed=arguments.seed)
        status = json.loads((Path(folder) / "killed" / "status.json").read_text())
    sys.stdout.write(
        f"{arguments.kills} kills, {status['epoch']} epochs: no torn file, no lost epoch, the same curve\n"
    )


if __name__ == "__main__":
    main()
