"""What a run says of itself is checked, field by field, when it is read."""

import json
from dataclasses import asdict, fields

import pytest

from core.run_status import STATES, Status


@pytest.mark.parametrize("state", STATES)
def test_what_was_written_comes_back(state):
    status = Status(state, "why", step=7, epoch=2, minutes=1.5, share=0.25, seconds_left=None, pid=3)
    assert Status.from_json(json.dumps(asdict(status))) == status


def test_every_field_is_checked():
    for item in fields(Status):
        with pytest.raises(ValueError, match=f"^{item.name} cannot be"):
            Status.from_json(json.dumps({"state": "running", item.name: [1]}))


def test_a_state_is_needed_and_nothing_else():
    assert Status.from_json('{"state": "running"}') == Status("running")
    for text in ("{}", '{"step": 1}', '{"state": "running", "mood": 1}'):
        with pytest.raises(ValueError, match="^it is not a run's status$"):
            Status.from_json(text)
