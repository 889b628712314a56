"""Folders of runs as a training leaves them, made up in an instant."""

import json
import time

import numpy as np

from core.history import HEADER, line_of
from core.run_status import Status
from core.runs import Run, snapshot_name
from core.train_config import default_config

EPOCHS = 4


def make(root, name, state="finished", *, reason="", epochs=EPOCHS, age=3600, **settings):
    """A run as a training leaves it, one snapshot an epoch."""
    run = Run(root / name)
    run.create(default_config("classroom", **settings))
    rows = [HEADER]
    truth = np.zeros((20, 64, 64), np.uint8)
    truth[:, 20:40, 20:40] = 255
    run.write_snapshot("truth", truth)
    for epoch in range(1, epochs + 1):
        row = {"epoch": epoch, "minutes": epoch / 2, "learning_rate": 1e-3, "rollout": 0, "waiting": 0.25}
        for step in (epoch * 20 - 10, epoch * 20):
            rows.append(line_of("step", {**row, "step": step, "loss": 1 / step, "bce": 1 / step}))
        scores = {"val_loss": 0.1, "val_psnr": 10 + epoch, "val_ssim": 0.5}
        rows.append(line_of("epoch", {**row, "step": step, "loss": 1 / step, "bce": 1 / step, **scores}))
        run.write_snapshot(snapshot_name(epoch), truth[1:] // (epochs + 1 - epoch))
    run.history_path.write_text("".join(rows))
    run.log_path.write_text("begins\nends\n")
    step = epochs * 20
    status = Status(state, reason, step, epochs, epochs / 2, 0.5, 75.0, 8.0, 288.0, 0, 0, "CPU", "float32")
    run.write_status(status)
    data = json.loads((run.folder / "status.json").read_text())
    run.write_text("status.json", json.dumps({**data, "heartbeat": time.time() - age, "pid": 4242}))
    return run
