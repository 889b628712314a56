"""Forecasts of several frames as one."""

import numpy as np
import pytest

from core.mixture import shares


def test_a_surer_forecast_has_a_larger_share_of_a_mixture():
    def of(sure, since=1.0, ink=(1, 1, 1)):
        """The share of each of three frames, each of two pieces, one of them without ink."""
        pieces = np.zeros((1, 6, 2, 2), np.float32)
        pieces[0, ::2] = np.reshape(ink, (3, 1, 1))
        sureness = np.repeat(np.float32(sure), 2)[None]
        found = np.asarray(shares(sureness, pieces, np.full((1, 1), since, np.float32), 3))
        assert found.shape == (1, 6, 1, 1)
        np.testing.assert_array_equal(found[0, ::2], found[0, 1::2])
        np.testing.assert_allclose(found[0, ::2].sum(), 1, rtol=1e-6)
        return found[0, ::2, 0, 0]

    last, before, first = of([0.5, 0.5, 0.5])
    assert last > before > first > 0
    assert before / last == pytest.approx(2 / 3)
    assert of([0.5, 0.7, 0.5])[0] == 0  # less than a fifth is none
    assert of([0.5, 0.8, 0.5])[1] == 1
    assert of([1, 0.5, 0.5])[0] > 0.99  # it is left as it is
    assert of([0.5] * 3, ink=(1, 1, 0))[2] == 0
    np.testing.assert_array_equal(of([0.5] * 3, ink=(0, 1, 1)), [1, 0, 0])
    # as far as each leads: ten frames from where it was made
    assert [(of([0.5] * 3, since) > 0).tolist() for since in (8, 9, 10, 11)] == [
        [True, True, True],
        [True, True, False],
        [True, False, False],
        [True, False, False],
    ]
