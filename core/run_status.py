"""Where a training run stands: what its process writes, and what others read of it. No Keras is needed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from core.damage import read_json, shown

STATES = ("starting", "running", "stopped", "finished", "failed")
_LAST_TIME = 32_503_680_000.0  # year 3000; the calendar of the C library ends somewhere


@dataclass(frozen=True)
class Status:
    """Where a run stands, as its process last said.

    Attributes
    ----------
    state : one of `STATES`
    reason : why it stopped or failed, one sentence; empty while it runs
    step, epoch, minutes : done so far, of the whole run; epochs are whole ones
    share : how much of the plan is done, 0 to 1
    seconds_left : of the plan, estimated; None before that is possible
    steps_per_second, frames_per_second : over the last epoch; None before
    heartbeat : Unix time of the last sign of life
    pid : process
    device, precision : what it runs on and computes in
    """

    state: str
    reason: str = ""
    step: int = 0
    epoch: int = 0
    minutes: float = 0.0
    share: float = 0.0
    seconds_left: float | None = None
    steps_per_second: float | None = None
    frames_per_second: float | None = None
    heartbeat: float = 0.0
    pid: int = 0
    device: str = ""
    precision: str = ""

    @classmethod
    def from_json(cls, text: str) -> Status:
        """Read a status; ValueError when it is not one."""
        data = read_json(text)
        if not isinstance(data, dict) or not {"state"} <= set(data) <= {item.name for item in fields(cls)}:
            raise ValueError("it is not a run's status")
        for item in fields(cls):
            if item.name in data and not fits(data[item.name], str(item.type)):
                raise ValueError(f"{item.name} cannot be {shown(data[item.name])}")
        status = cls(**data)
        if status.state not in STATES:
            raise ValueError(f"state cannot be {shown(status.state)}")
        if status.share > 1 or status.heartbeat > _LAST_TIME:
            raise ValueError(
                f"share {shown(status.share)} or heartbeat {shown(status.heartbeat)} is out of range"
            )
        return status


def fits(value: Any, annotation: str) -> bool:
    """Whether a value of a hand-written file is of a field's type; numbers are finite and 0 or more."""
    if annotation == "str":
        return isinstance(value, str)
    if value is None:
        return annotation.endswith("None")
    accepted = int if annotation == "int" else (int, float)
    # no float is above 1e308, but a whole number of JSON may be
    return isinstance(value, accepted) and not isinstance(value, bool) and 0 <= value < 1e308
