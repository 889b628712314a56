"""A run's history for TensorBoard."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.training import Trainer


class EventLog:
    """The history's rows as TensorBoard events.

    Written at once, not from a thread as tensorboardX' own writer does: that one ends silently on a full
    disk, and the training then waits for it for ever.
    """

    def __init__(self, trainer: Trainer) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog
        from tensorboardX.proto.summary_pb2 import Summary

        self._event, self._summary = Event, Summary
        folder = trainer.run.events_path
        folder.mkdir(exist_ok=True)
        self._writer = EventsWriter(str(folder / "events"))
        if trainer.step:  # TensorBoard hides what a crashed call wrote after the checkpoint
            start = SessionLog(status=SessionLog.START)
            self._writer.write_event(Event(wall_time=time.time(), step=trainer.step + 1, session_log=start))

    def write(self, kind: str, row: dict[str, float]) -> None:
        """Write the numbers of a "step" or "epoch" row; OSError where they cannot be written."""
        values = [
            self._summary.Value(tag=f"{kind}/{name}", simple_value=value)
            for name, value in row.items()
            if name not in ("epoch", "step")
        ]
        summary = self._summary(value=values)
        self._writer.write_event(self._event(wall_time=time.time(), step=int(row["step"]), summary=summary))
        if kind == "epoch":
            self._writer.flush()

    def close(self) -> None:
        """End the file."""
        with suppress(OSError):  # what a full disk did not take has been told already
            self._writer.close()
