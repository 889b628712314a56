"""Run folders with nothing but a configuration and a status, and processes that hold them."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.model_config import CONFIGS
from core.run_status import Status
from core.runs import Run, RunError
from core.train_config import TrainConfig

ROOT = Path(__file__).resolve().parents[1]
CONFIG = TrainConfig(CONFIGS["fast"], epochs=3)
needs_a_plain_user = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not stop this user"
)


def refused(message):
    return pytest.raises(RunError, match=message)


def make(folder, state="finished", config=CONFIG, **status):
    run = Run(folder)
    run.create(config)
    run.write_status(Status(state, **status))
    return run


def edit(path, **changes):
    """Change a JSON file by hand; ... removes a key."""
    data = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in data.items() if value is not ...}))


_HOLD = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from core.run_locks import training_lock
from core.runs import Run
with training_lock(Run(Path({folder!r})), alone={alone}):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def held(run, alone=True):
    """Another process that trains a run, as far as its lock tells."""
    code = _HOLD.format(root=str(ROOT), folder=str(run.folder), alone=alone)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()
