"""Curves: smoothing that starts at the first value, thinning that loses no spike."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.curves import best_epoch, smooth, thin
from core.history import History

FINITE = st.floats(-1e6, 1e6)


def test_smoothing_by_hand():
    # s = 0.5, 1.25, 2.125 and weights 1/2, 3/4, 7/8
    np.testing.assert_allclose(smooth(np.array([1.0, 2.0, 3.0]), 0.5), [1, 5 / 3, 17 / 7])


@given(arrays(np.float64, st.integers(0, 700), elements=FINITE), st.floats(0, 0.999))
def test_smoothing_in_blocks_is_the_recurrence(values, weight):
    total, share, expected = 0.0, 0.0, []
    for value in values:
        total = weight * total + (1 - weight) * value
        share = weight * share + (1 - weight)
        expected.append(total / share)

    np.testing.assert_allclose(smooth(values, weight), expected, rtol=1e-6, atol=1e-6)


@given(FINITE, st.floats(0, 0.999))
def test_a_constant_stays_what_it_is(value, weight):
    np.testing.assert_allclose(smooth(np.full(600, value), weight), value, rtol=1e-9, atol=1e-9)


def test_a_weight_out_of_range_is_refused():
    with pytest.raises(ValueError, match="weight must be 0 or more and below 1; got 1.0"):
        smooth(np.ones(3), 1.0)


@given(arrays(np.float64, st.integers(0, 500), elements=FINITE), st.integers(4, 60))
def test_thinning_keeps_the_ends_the_extremes_and_the_order(values, count):
    kept = thin(values, count)

    assert len(kept) <= count
    assert (np.diff(kept) > 0).all()
    if len(values) <= count:
        assert len(kept) == len(values)
    else:
        assert kept[0] == 0
        assert kept[-1] == len(values) - 1
    if len(values):
        assert values[kept].max() == values.max()
        assert values[kept].min() == values.min()


@given(st.integers(0, 99_999), st.sampled_from([-1.0, 1.0]))
def test_a_spike_of_one_point_survives(where, height):
    values = np.zeros(100_000)
    values[where] = height

    kept = thin(values, 2000)

    assert where in kept
    assert len(kept) <= 2000


def test_thinning_needs_room_for_four():
    with pytest.raises(ValueError, match="count must be 4 or more; got 3"):
        thin(np.zeros(10), 3)


def test_the_best_epoch_is_the_one_of_highest_psnr():
    columns = {"epoch": np.array([1.0, 2.0, 3.0]), "val_psnr": np.array([12.0, np.nan, 15.5])}
    assert best_epoch(History({}, columns)) == (3, 15.5)
    assert best_epoch(History()) is None
    assert best_epoch(History({}, {"epoch": np.ones(1), "val_psnr": np.array([np.nan])})) is None
