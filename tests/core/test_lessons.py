"""Clips, and where their digits went after them."""

import numpy as np
import pytest

from core import lessons
from core.moving_mnist import VARIED_MAX_DIGITS, draw_stamps, training_batch

CONTEXT, AHEAD = 3, 4


def make(step=1, clips=12, **options):
    return lessons.make_lessons(3, step, clips=clips, context=CONTEXT, ahead=AHEAD, **options)


@pytest.mark.parametrize("digits", [None, 2])
def test_however_many_digits_there_are_the_shapes_are_the_same(digits):
    taught = make(digits=digits)
    assert len(taught) == 12
    assert taught.stamps.shape == (12, VARIED_MAX_DIGITS, 28, 28)
    assert taught.corners.shape == (12, CONTEXT + AHEAD, VARIED_MAX_DIGITS, 2)
    there = taught.stamps.any((-1, -2)).sum(1)
    assert set(there) == ({2} if digits else {1, 2, 3})
    assert 0 <= taught.corners.min() <= taught.corners.max() <= 36


def test_they_are_those_of_the_clips_that_trainings_see():
    taught = make()
    clips = training_batch(3, 1, batch_size=12, frames=CONTEXT + AHEAD)
    np.testing.assert_array_equal(draw_stamps(taught.stamps, taught.corners), clips)


def test_a_step_has_its_own_clips_always_the_same():
    taught, again, other = make(), make(), make(step=2)
    np.testing.assert_array_equal(taught.stamps, again.stamps)
    np.testing.assert_array_equal(taught.unseen, again.unseen)
    assert (taught.stamps != other.stamps).any()
    assert (taught.stamps != make(split="validation").stamps).any()


def test_a_quarter_is_not_seen_from_the_start():
    unseen = make(clips=400).unseen[:, 0]
    assert not unseen[np.arange(400) % 4 > 0].any()
    assert set(unseen[::4]) == set(range(CONTEXT))


def test_a_batch_is_a_part_of_each():
    taught = make()
    stamps, corners, unseen = taught.batch(4, 3)
    np.testing.assert_array_equal(stamps, taught.stamps[4:7])
    np.testing.assert_array_equal(corners, taught.corners[4:7])
    np.testing.assert_array_equal(unseen, taught.unseen[4:7])
    assert len(taught.batch(10, 5)[0]) == 2
