"""A forecast is taught where each piece's own digit went, as far as the piece counts."""

import random

import keras
import numpy as np
import pytest

from core.displacement_classifier import DisplacementClassifier, drawn, whose
from core.lessons import Lessons, make_lessons
from core.model import Network
from core.model_config import ModelConfig
from core.moving_mnist import draw_stamps

CONTEXT, AHEAD = 3, 4
SMALL = ModelConfig("small", (2,), (3,), patch=4, peepholes="channel", motions=1, match=(1,), forecast=96)


@pytest.fixture(scope="module")
def teacher():
    random.seed(0)
    network = Network(SMALL)
    _ = network.variables
    model = DisplacementClassifier(network, CONTEXT, AHEAD)
    model.compile(keras.optimizers.Adam(3e-3), jit_compile=False)
    return model


def lessons(clips=4, **options) -> Lessons:
    return make_lessons(0, 1, clips=clips, context=CONTEXT, ahead=AHEAD, **options)


def test_clips_are_drawn_as_anywhere_else():
    some = lessons()
    layers = np.asarray(drawn(some.stamps, some.corners, 64))
    assert layers.shape == (4, CONTEXT + AHEAD, some.stamps.shape[1], 64, 64)
    clips = draw_stamps(some.stamps, some.corners) / np.float32(255)
    np.testing.assert_array_equal(layers.max(2), clips)
    np.testing.assert_array_equal(
        layers[:, :, 1], draw_stamps(some.stamps[:, 1:2], some.corners[:, :, 1:2]) / np.float32(255)
    )


def test_a_piece_belongs_to_the_digit_with_most_of_its_ink():
    layers = np.zeros((1, 3, 8, 8), np.float32)
    layers[0, 1, :4, 4:] = 1
    layers[0, 2, :4, 4:] = 0.4
    layers[0, 2, 4:, :4] = 0.4
    pieces = np.ones((1, 2, 4, 4), np.float32)
    places = np.array([[(0, 4), (4, 0)]], np.float32)
    owners = np.asarray(whose(pieces, places, layers))
    np.testing.assert_array_equal(owners.argmax(-1), [[1, 2]])
    assert owners.shape == (1, 2, 3)


def test_how_surprised_it_is_by_where_each_digit_went(teacher):
    """If nothing but the displacement makes it likely or not, a piece tells as much as its digit."""
    some = lessons(clips=2, digits=2)
    forecast = teacher.displacements.forecast
    before = forecast.kernel.numpy(), forecast.bias.numpy()
    far = np.arange(127) - 63
    forecast.kernel.assign(np.zeros(forecast.kernel.shape))
    forecast.bias.assign(-np.abs(far) / 5)
    surprise, weights = map(np.asarray, teacher([np.asarray(part) for part in some.batch(0, 2)]))
    forecast.kernel.assign(before[0])
    forecast.bias.assign(before[1])
    assert surprise.shape == (2, 96, 2, AHEAD)
    partition = np.log(np.exp(-np.abs(far) / 5).sum())
    ways = (some.corners[:, CONTEXT:] - some.corners[:, CONTEXT - 1 : CONTEXT])[..., ::-1]  # down, right
    digits = np.moveaxis(np.abs(ways) / 5 + partition, 1, -1)  # (clips, digits, 2, ahead)
    for n in range(2):
        apart = np.abs(surprise[n, :, None] - digits[n, None, :2]).max((-1, -2))  # (pieces, digits)
        assert apart.min(1)[weights[n] > 0].max() < 1e-4
        for digit in (0, 1):  # each has as much weight as ink of its own, but where they cross
            own = weights[n][apart[:, digit] < 1e-4].sum()
            alone = (some.stamps[n, digit] / 255.0) ** 2
            assert own == pytest.approx(alone.sum(), rel=0.25)
    told = teacher.evaluate(some.batch(0, 2), batch_size=1, verbose=0, return_dict=True)
    surprise, weights = map(np.asarray, teacher([np.asarray(part) for part in some.batch(0, 2)]))
    assert told["cross_entropy"] == pytest.approx(
        (surprise.mean((-1, -2)) * weights).sum() / weights.sum(), rel=1e-3
    )
    likely = np.exp(-surprise).mean((-1, -2))
    assert told["probability"] == pytest.approx((likely * weights).sum() / weights.sum(), rel=1e-3)


def test_it_learns_and_nothing_but_the_forecast_does(teacher):
    learning = {variable.path.partition("/")[0] for variable in teacher.trainable_variables}
    assert learning == {"outlook", "outlook_step", "forecast"}
    some = lessons().batch(0, 4)
    losses = [float(teacher.train_on_batch(some, return_dict=True)["loss"]) for _ in range(12)]
    assert losses[-1] < losses[0] - 0.3
