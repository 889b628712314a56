"""What the stage reports is believed only as far as it makes sense."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.scenes import MAX_SPEED_PX
from ui.link import MAX_START_PX, beside, decode_scene, default_settings, encode_scene
from ui.stage import ACTIONS, read_action, read_moves

SETTINGS = default_settings()
STAYS = [[3, 22, 3.6, 330], [27, 6, 3.6, 120]]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
numbers = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)


def test_moves_are_taken_over():
    changed, gesture, final = read_moves(
        {"digits": [[5, 6, 2, 90], STAYS[1]], "gesture": "a-1", "final": False}, SETTINGS
    )

    assert encode_scene(changed) == "1-20-c-7_3_5_6_2_90-2_5_27_6_3.6_120"
    assert (gesture, final) == ("a-1", False)
    assert type(changed.digits[0].speed_px) is float  # as sliders want it; a message says 2 for 2.0


@given(st.lists(st.lists(numbers, min_size=4, max_size=4), min_size=2, max_size=2))
def test_what_lies_outside_is_put_at_the_edge(moves):
    changed, _, final = read_moves({"digits": moves, "gesture": "a"}, SETTINGS)

    assert final
    for digit in changed.digits:
        assert 0 <= digit.x <= MAX_START_PX
        assert 0 <= digit.y <= MAX_START_PX
        assert 0 <= digit.speed_px <= MAX_SPEED_PX
        assert 0 <= digit.direction_deg < 360
    assert decode_scene(SETTINGS, encode_scene(changed)) == changed  # so a link can hold it


@pytest.mark.parametrize(
    "event",
    [
        {"digits": STAYS[:1], "gesture": "a"},
        {"digits": [STAYS[0], [1, 2, 3]], "gesture": "a"},
        {"digits": [STAYS[0], [1, 2, math.nan, 4]], "gesture": "a"},
        {"digits": [STAYS[0], [1, 2, True, 4]], "gesture": "a"},
        {"digits": STAYS},
        {"digits": STAYS, "gesture": "a" * 51},
    ],
)
def test_half_a_message_is_none(event):
    assert read_moves(event, SETTINGS) is None


@given(anything)
def test_anything_else_is_none(event):
    assert read_moves(event, SETTINGS) is None
    assert read_action(event, SETTINGS) is None


def test_actions_are_known_and_about_a_digit_that_is_there():
    for name in ACTIONS:
        assert read_action({"name": name, "number": 1}, SETTINGS) == (name, 1)
    assert read_action({"name": "explode", "number": 1}, SETTINGS) is None
    huge = {"digits": [[10**400, 0, 0, 0]] * SETTINGS.count, "gesture": "a"}
    assert read_moves(huge, SETTINGS) is None  # no float is as large
    for number in (2, -1, True, 0.0, None):
        assert read_action({"name": "select", "number": number}, SETTINGS) is None


def test_a_copy_lies_beside_within_the_picture():
    copy = beside(SETTINGS.digits[1])
    assert (copy.x, copy.y) == (33, 12)
    assert (beside(copy).x, beside(copy).y) == (27, 18)
