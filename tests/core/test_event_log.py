"""TensorBoard reads what a run has written, and a resumed one begins anew there."""

from types import SimpleNamespace

import tensorflow as tf
from tensorboardX.proto.event_pb2 import Event, SessionLog

from core.event_log import EventLog
from core.runs import Run


def log(folder, step=0):
    run = Run(folder)
    run.folder.mkdir(exist_ok=True)
    return EventLog(SimpleNamespace(run=run, step=step))


def events(folder):
    """What the files hold, in the order in which they were written."""
    files = sorted(Run(folder).events_path.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return [Event.FromString(data.numpy()) for path in files for data in tf.data.TFRecordDataset(str(path))]


def test_rows_are_curves_by_kind_and_name(tmp_path):
    written = log(tmp_path)
    written.write("step", {"epoch": 1.0, "step": 10.0, "loss": 0.5})
    written.write("epoch", {"epoch": 1.0, "step": 12.0, "loss": 0.25, "val_psnr": 20.0})
    written.close()
    values = [(event.step, value) for event in events(tmp_path) for value in event.summary.value]
    found = [(step, value.tag, value.simple_value) for step, value in values]
    assert found == [(10, "step/loss", 0.5), (12, "epoch/loss", 0.25), (12, "epoch/val_psnr", 20.0)]


def test_an_epoch_is_on_the_disk_before_the_log_ends(tmp_path):
    written = log(tmp_path)
    written.write("epoch", {"epoch": 1.0, "step": 12.0, "loss": 0.25})
    assert [event.step for event in events(tmp_path) if event.summary.value] == [12]
    written.close()


def test_a_run_that_goes_on_hides_what_came_after_its_checkpoint(tmp_path):
    log(tmp_path, step=0).close()
    assert not any(event.session_log.status for event in events(tmp_path))
    log(tmp_path, step=7).close()
    starts = [event.step for event in events(tmp_path) if event.session_log.status == SessionLog.START]
    assert starts == [8]
