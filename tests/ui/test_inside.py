"""What the page about the inside of a cell shows."""

import base64
import io

import imageio.v3 as iio
import numpy as np
import pytest
from hypothesis import given, strategies

from core.inspection import GATES, CellWeights, Trace
from core.model_config import ModelConfig
from ui import inside
from ui.inside import Choice

TIME, SIDE, FILTERS = 5, 8, 3


def make_trace(seed=0):
    rng = np.random.default_rng(seed)
    shape = (TIME, SIDE, SIDE, FILTERS)
    gates = {gate: rng.uniform(size=shape).astype(np.float32) for gate in "ifo"}
    g, h = (rng.uniform(-1, 1, shape).astype(np.float32) for _ in "gh")
    x = rng.uniform(size=(TIME, SIDE, SIDE, 2)).astype(np.float32)
    c = rng.normal(scale=2, size=shape).astype(np.float32)
    return Trace(1, 8, x, g=g, c=c, h=h, predictions=np.zeros((TIME, 64, 64), np.float32), **gates)


def pictures_of(sprite, side):
    """All pictures of a sprite sheet, (n, side, side)."""
    sheet = iio.imread(io.BytesIO(base64.b64decode(sprite["src"].partition(",")[2])))
    rows, columns = (size // side for size in sheet.shape)
    tiles = sheet.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)
    return tiles[: sprite["count"]]


def clip():
    return np.random.default_rng(1).integers(256, size=(TIME + 1, 64, 64)).astype(np.uint8)


def test_a_scale_is_that_of_the_gate_or_holds_all_values():
    trace = make_trace()
    assert [inside.scale_of(getattr(trace, gate), gate) for gate in GATES] == [
        (0, 1),
        (0, 1),
        (-1, 1),
        (0, 1),
    ]
    low, high = inside.scale_of(trace.c, "c")
    assert -low == high == pytest.approx(np.abs(trace.c).max())
    assert inside.scale_of(trace.x, "x") == (0, pytest.approx(trace.x.max()))
    assert inside.scale_of(np.zeros((1, 2, 2, 1)), "x") == (0, 1)


def test_the_gallery_has_a_row_for_each_channel():
    trace = make_trace()
    found = inside.gallery(trace, "g", clip())
    assert (found["channels"], found["time"], found["side"]) == (FILTERS, TIME, SIDE)
    shown = pictures_of(found["sprite"], SIDE).reshape(FILTERS, TIME, SIDE, SIDE)
    np.testing.assert_allclose(shown / 127.5 - 1, np.moveaxis(trace.g, -1, 0), atol=1 / 127)
    whole = inside.one_channel(trace, "g", 2)
    np.testing.assert_array_equal(pictures_of(whole["sprite"], SIDE), shown[2])


def test_large_maps_are_shown_small_by_their_means():
    maps = np.random.default_rng(0).uniform(size=(2, 64, 64, 3))
    small = inside.pooled(maps)
    assert small.shape == (2, 16, 16, 3)
    assert small[1, 2, 3, 0] == pytest.approx(maps[1, 8:12, 12:16, 0].mean())
    assert inside.pooled(small) is small


def test_channels_are_told_apart_by_what_they_do():
    ink = np.random.default_rng(0).uniform(size=(TIME, SIDE, SIDE))
    still = np.broadcast_to(np.random.default_rng(1).uniform(size=(SIDE, SIDE)), ink.shape)
    maps = np.stack([3 * ink, 1 - ink, still, np.ones_like(ink)], axis=-1)
    scores = inside.channel_scores(maps, ink)
    assert scores["activity"].argmax() == 0
    np.testing.assert_allclose(scores["follows"][:2], 1)
    assert scores["follows"][2] < 0.3
    assert scores["activity"][3] == scores["follows"][3] == scores["change"][3] == 0
    assert scores["change"][2] == 0
    assert scores["change"][0] > scores["change"][1] > 0


def test_activity_is_between_nothing_and_all():
    trace = make_trace()
    found = inside.activity(trace)
    assert set(found) == set(inside.MAPS)
    assert all(len(values) == TIME and 0 < min(values) <= max(values) <= 1 for values in found.values())
    assert found["f"][2] == pytest.approx(trace.f[2].mean(), abs=1e-4)


def test_receipts_are_of_every_time_and_add_up():
    rng = np.random.default_rng(0)
    weights = CellWeights(
        rng.normal(size=(3, 3, 2, 4 * FILTERS)).astype(np.float32),
        rng.normal(size=(3, 3, FILTERS, 4 * FILTERS)).astype(np.float32),
        rng.normal(size=4 * FILTERS).astype(np.float32),
        {},
    )
    made = inside.receipts(make_trace(), weights, 2, 3, 1)
    assert len(made) == TIME
    for gate in GATES:
        shown = made[3]["gates"][gate]
        parts = shown["input"] + shown["recurrent"] + shown["peephole"] + shown["bias"]
        assert shown["total"] == pytest.approx(parts)
        assert np.sum(shown["from_input"]) == pytest.approx(shown["input"], abs=1e-3)
        assert shown["peephole"] == 0


def test_how_far_a_value_sees():
    config = ModelConfig("one", (4, 8), (5, 3), patch=4, scales=(1, 2), peepholes="channel")
    assert [inside.reach_px(config, layer) for layer in (1, 2)] == [8, 16]


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ({"at": [3, 4]}, (True, (3, 4))),
        ({"close": True}, (True, None)),
        ({"at": [3, -1]}, (False, None)),
        ({"at": [3]}, (False, None)),
        ({"at": [True, 1]}, (False, None)),
        ({"at": "34"}, (False, None)),
        ([3, 4], (False, None)),
        (None, (False, None)),
    ],
)
def test_only_a_pixel_is_taken_for_one(value, read):
    assert inside.read_pixel(value) == read


@pytest.mark.parametrize(
    "choice",
    [Choice(), Choice("h"), Choice("x", 11), Choice("c", 0, (0, 63)), Choice("o", None, (2, 3))],
)
def test_a_choice_comes_back_from_the_address(choice):
    assert Choice.from_text(choice.to_text()) == choice


@given(strategies.text(max_size=40))
def test_no_address_breaks_the_choice(text):
    choice = Choice.from_text(text)
    assert choice.map in inside.MAPS
    assert Choice.from_text(choice.to_text()) == choice


@pytest.mark.parametrize("text", ["", "z", "f.1.2", "f.1.2.3.4"])
def test_what_an_address_says_wrongly_is_as_if_it_were_not_said(text):
    assert Choice.from_text(text) == Choice()


@pytest.mark.parametrize("text", ["h.0", "h.-1", "h.²", "h.1.0.1", "h.99999"])
def test_a_map_is_kept_where_its_numbers_are_none(text):
    assert Choice.from_text(text) == Choice("h")


def test_gates_have_one_order_and_the_letters_of_the_equations():
    assert [name for name in inside.MAPS if name in GATES] == list(GATES)
    assert inside.title_of_gate("g") == "Candidate g"


def test_whether_maps_agree_is_said():
    assert inside.agreement(6e-7).startswith("✓")
    assert "0.00001" in inside.agreement(6e-7)
    assert inside.agreement(0.02).startswith("⚠")
    assert "0.02000" in inside.agreement(0.02)
