"""Pieces are taught where their own digit went."""

import numpy as np
import pytest

from core import lessons
from core.digits import load_digits
from core.model import Network
from core.model_config import FORECAST_READS, ModelConfig
from core.model_shapes import piece_parts

CONTEXT, AHEAD = 3, 4
STEPS = np.array([(2, 0), (0, -3)])  # px a frame to the right and down, of two digits


@pytest.fixture(scope="module")
def pieces_model():
    config = ModelConfig(
        "small", (2,), (3,), patch=4, peepholes="channel", motions=1, match=(1,), forecast=96
    )
    model = Network(config).pieces_model(CONTEXT)
    model.compile(jit_compile=False)
    return model


@pytest.fixture
def two_digits(monkeypatch):
    """One clip, of digits far apart that go different ways; what they look like."""
    stamps = load_digits("train").images[[0, 1]]
    start = np.array([(0, 0), (36, 36)])
    corners = start + np.arange(CONTEXT + AHEAD)[:, None, None] * STEPS
    plan = stamps[None], corners[None], np.ones((1, 2), np.bool_)
    monkeypatch.setattr(lessons, "training_plan", lambda *_, **__: plan)
    return stamps / 255


def test_a_piece_goes_where_its_digit_goes(pieces_model, two_digits):
    taught = lessons.make_lessons(pieces_model, 0, 0, clips=1, ahead=AHEAD)
    assert len(taught) == 1
    rows, columns = taught.displacements[:, 0], taught.displacements[:, 1]
    ahead = np.arange(1, AHEAD + 1)
    for (right, down), stamp in zip(STEPS, two_digits, strict=True):
        own = (columns == right * ahead).all(1) & (rows == down * ahead).all(1)
        # all but the faintest pieces
        assert taught.weights[own].sum() == pytest.approx((stamp**2).sum(), rel=0.02)
        assert taught.told[0].ink[own].sum() == pytest.approx(stamp.sum(), rel=0.02)


def test_clips_are_filled_up_with_pieces_that_do_not_count(pieces_model):
    taught = lessons.make_lessons(pieces_model, 3, 1, clips=12, ahead=AHEAD)
    assert len(taught) == 12
    last = taught.told[0]
    counts = np.diff(last.firsts)
    assert last.firsts[-1] == len(last.known) == len(taught.displacements)
    chosen = np.array([7, counts.argmin(), counts.argmax()])
    (known, *earlier), (ink, *_), moved, weights = taught.of(chosen)
    assert known.shape[:3] == moved.shape[:3] == (3, ink.shape[1], 2)
    assert {one.shape[:3] for one in earlier} == {known.shape[:3]}
    for n, clip in enumerate(chosen):
        own, count = slice(last.firsts[clip], last.firsts[clip + 1]), counts[clip]
        np.testing.assert_array_equal(known[n, :count], last.known[own])
        np.testing.assert_array_equal(moved[n, :count], taught.displacements[own])
        np.testing.assert_array_equal(weights[n, :count], taught.weights[own])
        assert (ink[n, :count] > 0).all()
        assert not ink[n, count:].any()
        assert not weights[n, count:].any()


def test_only_standard_clips_where_they_are_asked_for(pieces_model, monkeypatch):
    asked = []
    plan = lessons.training_plan
    monkeypatch.setattr(
        lessons, "training_plan", lambda *a, **options: asked.append(options["digits"]) or plan(*a, **options)
    )
    for digits in (None, 2):
        lessons.make_lessons(pieces_model, 0, 1, clips=2, ahead=AHEAD, digits=digits)
    assert asked == [None, 2]


def test_a_step_has_its_own_lessons_always_the_same(pieces_model):
    taught = lessons.make_lessons(pieces_model, 3, 1, clips=12, ahead=AHEAD, split="validation")
    again = lessons.make_lessons(pieces_model, 3, 1, clips=12, ahead=AHEAD, split="validation")
    np.testing.assert_array_equal(taught.told[0].known, again.told[0].known)
    other = lessons.make_lessons(pieces_model, 3, 2, clips=12, ahead=AHEAD, split="validation")
    assert (
        taught.told[0].known.shape != other.told[0].known.shape
        or (taught.told[0].known != other.told[0].known).any()
    )
    assert taught.told[0].known.dtype == np.float16
    assert taught.displacements.shape == (len(taught.told[0].known), 2, AHEAD)
    assert np.abs(taught.displacements).max() <= 36


class Choose:
    """A generator of one choice, for every clip: upside down, mirrored, rows for columns."""

    def __init__(self, *choice):
        self.choice = choice

    def integers(self, high, size):
        return np.broadcast_to(self.choice, size)


@pytest.mark.parametrize("choice", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)])
def test_a_turned_lesson_is_that_of_the_turned_clip(pieces_model, monkeypatch, choice):
    """What is known of its pieces, and where they go, in whatever order."""
    frames, stamp = CONTEXT + AHEAD, load_digits("train").images[7]
    corners = np.array([(3, 20)]) + np.arange(frames)[:, None, None] * np.array([[(4, 1)]])[0]
    turned_corners, turned_stamp = corners.copy(), stamp
    down, across, swap = choice
    if down:
        turned_corners[..., 1] = 36 - turned_corners[..., 1]
        turned_stamp = turned_stamp[::-1]
    if across:
        turned_corners[..., 0] = 36 - turned_corners[..., 0]
        turned_stamp = turned_stamp[:, ::-1]
    if swap:
        turned_corners, turned_stamp = turned_corners[..., ::-1], turned_stamp.T

    def lessons_of(stamp, corners):
        plan = stamp[None, None], corners[None], np.ones((1, 1), np.bool_)
        monkeypatch.setattr(lessons, "training_plan", lambda *_, **__: plan)
        known, _, moved, weights = lessons.make_lessons(pieces_model, 0, 0, clips=1, ahead=AHEAD).of(
            np.array([0])
        )
        return known, moved, weights[0] > 0

    config = ModelConfig("small", (2,), (3,), patch=4, motions=1, match=(1,), forecast=96)
    parts = [piece_parts(config, lags) for lags in FORECAST_READS.values()]
    known, moved, real = lessons_of(stamp, corners)
    known, moved = lessons.turned(known, moved, parts, Choose(*choice))
    expected, expected_moved, expected_real = lessons_of(turned_stamp, turned_corners)
    assert real.sum() == expected_real.sum() > 10
    ours = np.concatenate([part[0][real].reshape(real.sum(), -1) for part in (known[0], moved)], axis=-1)
    theirs = np.concatenate(
        [part[0][expected_real].reshape(real.sum(), -1) for part in (expected[0], expected_moved)], axis=-1
    )
    apart = np.abs(ours[:, None] - theirs[None]).max(-1)
    assert apart.min(0).max() < 0.01
    assert apart.min(1).max() < 0.01
