"""Clips, and where their digits went after them."""

import numpy as np
import pytest

from core import lessons
from core.digits import load_digits
from core.moving_mnist import VARIED_MAX_DIGITS

CONTEXT, AHEAD = 3, 4


def make(step=1, clips=12, **options):
    return lessons.make_lessons(3, step, clips=clips, context=CONTEXT, ahead=AHEAD, **options)


def test_the_ways_are_those_of_the_digits(monkeypatch):
    stamps = load_digits("train").images[[0, 1]]
    steps = np.array([(2, 0), (0, -3)])  # px a frame to the right and down
    corners = np.array([(0, 0), (36, 36)]) + np.arange(CONTEXT + AHEAD)[:, None, None] * steps
    plan = stamps[None], corners[None], np.ones((1, 2), np.bool_)
    monkeypatch.setattr(lessons, "training_plan", lambda *_, **__: plan)
    taught = make(clips=1)
    assert taught.frames.shape == (1, CONTEXT, 64, 64)
    for n, (x, y) in enumerate(corners[CONTEXT - 1]):
        np.testing.assert_array_equal(taught.layers[0, n, y : y + 28, x : x + 28], stamps[n])
        assert taught.layers[0, n].sum() == stamps[n].sum()
    np.testing.assert_array_equal(taught.layers[0].max(0), taught.frames[0, -1])
    ahead = np.arange(1, AHEAD + 1)
    np.testing.assert_array_equal(taught.ways[0, :, 0], np.stack([0 * ahead, 2 * ahead], axis=-1))
    np.testing.assert_array_equal(taught.ways[0, :, 1], np.stack([-3 * ahead, 0 * ahead], axis=-1))


@pytest.mark.parametrize("digits", [None, 2])
def test_however_many_digits_there_are_the_shapes_are_the_same(digits):
    taught = make(digits=digits)
    assert len(taught) == 12
    assert taught.layers.shape == (12, VARIED_MAX_DIGITS, 64, 64)
    assert taught.ways.shape == (12, AHEAD, VARIED_MAX_DIGITS, 2)
    there = taught.layers.any((-1, -2)).sum(1)
    assert set(there) == ({2} if digits else {1, 2, 3})
    np.testing.assert_array_equal(taught.layers.max(1), taught.frames[:, -1])


def test_a_step_has_its_own_clips_always_the_same():
    taught, again, other = make(), make(), make(step=2)
    np.testing.assert_array_equal(taught.frames, again.frames)
    np.testing.assert_array_equal(taught.unseen, again.unseen)
    assert (taught.frames != other.frames).any()
    assert (taught.frames != make(split="validation").frames).any()


def test_a_quarter_is_not_seen_from_the_start():
    unseen = make(clips=400).unseen[:, 0]
    assert not unseen[np.arange(400) % 4 > 0].any()
    assert set(unseen[::4]) == set(range(CONTEXT))


def test_a_batch_is_a_part_of_each():
    taught = make()
    frames, unseen, layers, ways = taught.batch(4, 3)
    np.testing.assert_array_equal(frames, taught.frames[4:7])
    np.testing.assert_array_equal(ways, taught.ways[4:7])
    assert len(unseen) == len(layers) == 3
    assert len(taught.batch(10, 5)[0]) == 2
