"""What a foresight reads of known clips is what the network makes of them."""

from dataclasses import replace

import numpy as np
import pytest

from core import foresight
from core.foresight import KnownClips
from core.learning_models import apart_model, foresight_inputs
from core.model import Network
from core.model_config import ModelConfig
from core.moving_mnist import calm_batch, to_frames, training_batch
from core.train_config import TrainConfig
from tests.core.test_growth import randomised

FORESEEING = ModelConfig(
    "foreseeing", (4,), (3,), patch=4, peepholes="channel", motions=1, match=(1,), forecast=9, foresees=True
)
CONFIG = TrainConfig(FORESEEING, epochs=1, frames=4, batch_size=3, seed=5, learn="foresight")


@pytest.fixture(scope="module")
def network():
    return randomised(Network(FORESEEING), 0)


def test_with_what_it_reads_it_predicts_what_the_network_does(network):
    frames = to_frames(training_batch(0, 0, batch_size=2, frames=3))[..., None]
    inputs, outputs = foresight_inputs(network, 3)
    import keras

    read = apart_model(network, 3)(frames)
    np.testing.assert_allclose(
        np.asarray(keras.Model(inputs, outputs)(read)),
        np.asarray(network.training_model(3)(frames)),
        atol=1e-5,
    )
    assert {one.path for one in keras.Model(inputs, outputs).variables} == {
        "foresight/kernel",
        "foresight/bias",
    }


@pytest.fixture
def few(monkeypatch, eagerly):
    monkeypatch.setattr(foresight, "KNOWN_CLIPS", 6)
    monkeypatch.setattr(foresight, "TOGETHER", 2)
    monkeypatch.setattr(foresight, "CALM", 3)


def test_frames_of_usual_and_of_calm_clips_come_with_what_the_network_makes_of_them(network, few):
    known = KnownClips(network, CONFIG, lambda: True)
    (features, own, foreseen), truth = known.batch(0)
    assert features.shape[:2] == own.shape[:2] == (3, 3)
    assert own.shape == foreseen.shape == truth.shape == (3, 3, 64, 64, 1)
    assert {part.dtype for part in (features, own, foreseen, truth)} == {np.dtype("float32")}
    np.testing.assert_array_equal(truth, known.batch(0)[1])
    assert (truth != known.batch(1)[1]).any()
    clips = [calm_batch(5, 0, batch_size=2, frames=4)]
    clips += [training_batch(5, step, batch_size=2, frames=4) for step in (1, 2)]
    frames = to_frames(np.concatenate(clips))[..., None]
    read = [np.asarray(part) for part in apart_model(network, 3)(frames[:, :-1])]
    drawn = [known.batch(step) for step in range(9)]
    alike = []
    for number, part in enumerate((*read, frames[:, 1:])):
        there = part.reshape(-1, *part.shape[2:])
        taken = np.concatenate([(*inputs, truth)[number] for inputs, truth in drawn])
        taken = taken.reshape(-1, *part.shape[2:])
        alike.append(np.abs(taken[:, None] - there).max((2, 3, 4)) < 0.02)
    together = np.all(alike, axis=0)  # all four parts are of the same frame
    assert together.any(1).all()
    assert len(set(together.argmax(1))) > 9  # of 18 frames, some of which are still


def test_it_is_left_at_those_that_there_are(network, few):
    asked = []
    known = KnownClips(network, replace(CONFIG, batch_size=1), lambda: asked.append(1))
    assert len(asked) == 1
    clips = to_frames(calm_batch(5, 0, batch_size=2, frames=4))[:, 1:].reshape(6, -1)
    truth = known.batch(0)[1].reshape(3, -1)
    assert all((np.abs(clips - frame).max(1) < 1e-3).any() for frame in truth)
