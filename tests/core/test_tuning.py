"""How channels answer to directions."""

import numpy as np
import pytest

from core.inference import Predictor
from core.inspection import Trace
from core.model import ModelConfig, Network
from core.tuning import (
    DIRECTIONS_DEG,
    FRAMES,
    SPEEDS_PX,
    answers_at_all,
    flying_digits,
    responses,
    selectivity,
)


@pytest.mark.parametrize("direction", [0, 90, 225])
def test_digits_fly_through_the_middle_at_that_speed(direction):
    frames = flying_digits(3.6, direction)
    assert frames.shape == (10, FRAMES, 64, 64, 1)
    places = np.stack(np.meshgrid(np.arange(64), np.arange(64), indexing="ij"), -1)
    ink = frames[..., 0, None]
    centres = (ink * places).sum((2, 3)) / ink.sum((2, 3))
    angle = np.deg2rad(direction)
    step = (centres[:, -1] - centres[:, 0]) / (FRAMES - 1)
    np.testing.assert_allclose(step, np.tile([3.6 * np.sin(angle), 3.6 * np.cos(angle)], (10, 1)), atol=0.15)
    np.testing.assert_allclose(centres.mean(1), 31.5, atol=1.5)


def test_the_fastest_still_meets_no_wall_and_a_faster_one_is_refused():
    assert flying_digits(max(SPEEDS_PX), 180).shape[0] == 10
    with pytest.raises(ValueError, match=r"speed_px must be 0 to 5\.14, so that no wall is met; got 6"):
        flying_digits(6, 0)


def test_responses_are_those_of_the_frames_that_were_seen(monkeypatch):
    """A stand-in for a network whose only channel answers with the speed to the right."""

    class Rightwards:
        config = ModelConfig("rightwards", (2,), (3,))

        def inspect(self, frames, layer):
            assert layer == 1
            ink = np.maximum(frames[0, :-1].sum((1, 2, 3)), 1e-6)
            columns = (frames[0, :-1, ..., 0] * np.arange(64)).sum((1, 2)) / ink
            moved = np.maximum(np.diff(columns, prepend=columns[0]), 0)[:, None, None]
            seen = (ink > 1)[:, None, None].astype(float)
            h = np.stack([moved - 0.5, seen + 0.25], axis=-1)  # active, too, where there is nothing
            return Trace(1, 1, h, h, h, h, h, h, -h, h[..., 0])

    done = []
    found = responses(Rightwards(), 1, done.append)
    assert found.shape == (2, len(SPEEDS_PX), len(DIRECTIONS_DEG))
    np.testing.assert_allclose(found[0, :, 0], SPEEDS_PX, atol=0.3)
    np.testing.assert_allclose(found[0, :, 4], 0, atol=1e-6)
    assert done == list(range(1, 33))
    strength, direction = selectivity(found)
    assert (strength[0] > 0.4).all()
    np.testing.assert_allclose((direction[0] + 180) % 360, 180, atol=10)
    np.testing.assert_allclose(strength[1], 0, atol=1e-6)
    np.testing.assert_allclose(found[1], 1)


def test_a_channel_that_hardly_answers_is_told_apart():
    found = np.zeros((4, 2, 8))
    found[0, 1, 3], found[1, 0, 2], found[2, 0, 0] = 0.4, 0.03, 0.01
    assert answers_at_all(found).tolist() == [True, True, False, False]
    assert not answers_at_all(np.zeros((2, 2, 8))).any()


def test_a_real_network_answers_in_every_channel():
    predictor = Predictor(Network(ModelConfig("real", (3,), (3,), patch=4, peepholes="channel")))
    found = responses(predictor, 1)
    assert (found > 0).all()
    assert found.max() < 1


def test_selectivity_is_one_for_one_direction_and_zero_for_all_alike_or_none():
    one = np.zeros(8)
    one[2] = 3
    strength, direction = selectivity(np.stack([one, np.ones(8), np.zeros(8)]))
    np.testing.assert_allclose(strength, [1, 0, 0], atol=1e-12)
    assert direction[0] == pytest.approx(90)
