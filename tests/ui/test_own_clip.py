"""What a page says of a clip that somebody brought along."""

import numpy as np
import pytest

from core.uploads import Upload
from ui import own_clip


def upload(frames=20, width=64, height=64, **about):
    return Upload(np.zeros((frames, 64, 64), np.uint8), width, height, **about)


AS_IT_IS = {"turned": False, "start": 1, "every": 1}


def test_of_a_clip_that_fits_nothing_is_said_to_be_changed():
    assert own_clip.changes(upload(), **AS_IT_IS) == []
    assert own_clip._sentence([]).startswith("Nothing was changed")


@pytest.mark.parametrize(
    ("brought", "choice", "said"),
    [
        (upload(width=256, height=256), {}, ["made smaller, from 256 × 256 to 64 × 64 pixels"]),
        (
            upload(width=640, height=480),
            {},
            ["made smaller, from 640 × 480 to 64 × 48 pixels", "set in black above and below"],
        ),
        (
            upload(width=10, height=20),
            {},
            ["made larger, from 10 × 20 to 32 × 64 pixels", "set in black left and right"],
        ),
        (upload(width=64, height=48), {}, ["set in black above and below"]),
        (upload(coloured=True), {}, ["turned from colours to grey"]),
        (upload(), {"turned": True}, ["light and dark swapped, since the models know light ink on black"]),
        (
            upload(frames_a_second=25.0),
            {"start": 5, "every": 2},
            ["begun with frame 5", "thinned out to every second frame, 12.5 instead of 25 a second"],
        ),
        (upload(), {"every": 4}, ["thinned out to every 4th frame"]),
        (upload(frames=201), {}, ["cut off after 200 frames, the most that are used"]),
        (upload(frames=400), {"every": 2}, ["thinned out to every second frame"]),
    ],
)
def test_every_change_is_said(brought, choice, said):
    assert own_clip.changes(brought, **{**AS_IT_IS, **choice}) == said


@pytest.mark.parametrize(
    ("total", "every", "begin", "used"),
    [(10, 2, 9, (8, 2)), (10, 2, 3, (3, 2)), (10, 1, 10, (9, 1)), (3, 2, 2, (1, 2)), (40, 20, 21, (20, 20))],
)
def test_what_is_chosen_leaves_two_frames_at_least(monkeypatch, total, every, begin, used):
    chosen = {own_clip._EVERY: every, own_clip._FROM: begin}
    monkeypatch.setattr(own_clip.state, "remembered", lambda name, _: chosen[name])
    assert own_clip._choice(total) == used
