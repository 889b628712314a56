"""Recordings: everything that the page shows, nothing that trains."""

from dataclasses import replace

import numpy as np
import pytest

from core.model_config import CONFIGS
from core.run_list import describe, list_runs
from core.run_locks import training_lock
from core.run_status import Status
from core.runs import Run, snapshot_name
from core.train_config import default_config
from scripts import record_run


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path / "runs" / "lesson")
    run.create(default_config("classroom"))
    for epoch in range(1, 61):
        run.append_history("step", {"epoch": epoch, "step": 10 * epoch, "loss": 1 / epoch})
        run.append_history("epoch", {"epoch": epoch, "step": 10 * epoch, "val_psnr": 10 + epoch})
        run.write_snapshot(snapshot_name(epoch), np.full((3, 8, 8), epoch, np.uint8))
    run.write_snapshot("truth", np.zeros((4, 8, 8), np.uint8))
    run.checkpoint_path.write_bytes(b"large")
    run.weights_path.write_bytes(b"large")
    run.write_status(Status("finished", step=600, epoch=60))
    return run


@pytest.fixture
def recordings(tmp_path, monkeypatch):
    monkeypatch.setattr(record_run, "RECORDINGS", tmp_path / "recordings")
    return tmp_path / "recordings"


def test_a_recording_reads_like_a_run(run, recordings, capsys):
    assert record_run.main([str(run.folder)]) == 0
    (entry,) = list_runs(recordings)
    assert (entry.run.name, entry.state) == ("lesson", "finished")
    assert entry.config == run.read_config()
    assert entry.status.heartbeat == pytest.approx(run.read_status().heartbeat)
    np.testing.assert_array_equal(
        entry.run.read_history().epochs["val_psnr"], run.read_history().epochs["val_psnr"]
    )
    assert not entry.run.checkpoint_path.exists()
    assert not entry.run.weights_path.exists()
    assert "MB" in capsys.readouterr().out


def test_where_a_model_lay_stays_private(run, recordings):
    begun = {"init_from": "/home/somebody/models/first", "forecast_from": "/home/somebody/models/second"}
    run.write_config(replace(run.read_config(), model=CONFIGS["best"], **begun))
    record_run.main([str(run.folder)])
    (entry,) = list_runs(recordings)
    assert (entry.config.init_from, entry.config.forecast_from) == ("first", "second")
    assert not [path for path in recordings.rglob("*.json") if "somebody" in path.read_text()]


def test_snapshots_and_rows_are_thinned_evenly(run, recordings, monkeypatch):
    monkeypatch.setattr(record_run, "MAX_ROWS", 7)
    record_run.main([str(run.folder), "--name", "short"])
    short = Run(recordings / "short")
    epochs = short.snapshot_epochs()
    assert len(epochs) == record_run.MAX_SNAPSHOTS
    assert (epochs[0], epochs[-1]) == (1, 60)
    assert set(np.diff(epochs)) <= {1, 2}
    assert short.read_history().steps["step"][[0, -1]].tolist() == [10, 600]
    assert len(short.read_history().epochs["step"]) == 7
    assert short.read_snapshot(snapshot_name(epochs[5]))[0, 0, 0] == epochs[5]


def test_a_run_that_is_trained_is_not_recorded(run, recordings, capsys):
    run.write_status(Status("running"))
    with training_lock(run):
        assert record_run.main([str(run.folder)]) == 2
    assert "it is being trained" in capsys.readouterr().err
    assert not recordings.exists()


def test_a_recording_is_not_overwritten(run, recordings, capsys):
    assert record_run.main([str(run.folder)]) == 0
    assert record_run.main([str(run.folder)]) == 2
    assert "holds a run already" in capsys.readouterr().err


def test_what_is_no_run_is_refused(tmp_path, recordings, capsys):
    assert record_run.main([str(tmp_path)]) == 2
    assert "cannot be recorded" in capsys.readouterr().err
    assert describe(Run(tmp_path)).state == "unreadable"
