"""Which pixels moved a predicted pixel: gradients, their sum, and occlusion, which needs none."""

import numpy as np
import pytest
import tensorflow as tf

from core.attribution import Gradients, Target, occluded_frames, occlusion_map
from core.device import DeviceError
from core.inference import InputError, Predictor
from core.model import ModelConfig, Network
from tests.core.test_model import clip, randomised

SIDE, TIME = 16, 6
TARGET = Target(3, 7, 9)
PLAIN = ModelConfig("plain", (4, 3), (3, 3), canvas=SIDE)
MATCHING = ModelConfig(
    "matching", (4,), (3,), canvas=SIDE, patch=4, peepholes="channel", motions=1, reach=3, match=(1,)
)


@pytest.fixture(scope="module")
def network():
    network = Network(PLAIN)
    randomised(network)
    return network


@pytest.fixture(scope="module")
def frames():
    return clip(TIME, SIDE)


def predicted(network, frames):
    prediction = Predictor(network).next_frames(frames)[:, TARGET.prediction, TARGET.row, TARGET.column, 0]
    return prediction.astype(np.float64)


def test_the_gradient_is_what_small_changes_do(network, frames):
    found = Gradients(Predictor(network)).gradient_times_input(frames, TARGET)
    assert found.maps.shape == (TARGET.prediction + 1, SIDE, SIDE)
    assert found.value == pytest.approx(predicted(network, frames)[0], abs=1e-6)
    rng = np.random.default_rng(0)
    direction = rng.normal(size=frames.shape).astype(np.float32) * frames * (1 - frames)
    step = 0.005
    moved = predicted(network, np.concatenate([frames + step * direction, frames - step * direction]))
    seen = slice(TARGET.prediction + 1)
    expected = (found.maps * (direction / frames)[0, seen, ..., 0]).sum()
    assert (moved[0] - moved[1]) / (2 * step) == pytest.approx(expected, rel=0.02)
    assert np.isnan(found.gap)


def test_integrated_gradients_add_up(network, frames):
    gradients = Gradients(Predictor(network))
    found = gradients.integrated_gradients(frames, TARGET, steps=64)
    black = predicted(network, np.zeros_like(frames))[0]
    assert found.baseline == pytest.approx(black, abs=1e-6)
    assert abs(found.gap) < 0.005 * np.abs(found.maps).sum()
    rough = gradients.integrated_gradients(frames, TARGET, steps=1)
    assert abs(rough.gap) > 10 * abs(found.gap)


def test_what_goes_through_a_match_is_a_gap_and_said_so():
    network = Network(MATCHING)
    randomised(network)
    found = Gradients(Predictor(network)).integrated_gradients(clip(TIME, SIDE), TARGET, steps=64)
    assert abs(found.gap) > 0.01 * np.abs(found.maps).sum()


def test_they_fail_as_the_calls_of_their_predictor_do(network, frames, monkeypatch):
    predictor = Predictor(network)
    gradients = Gradients(predictor)
    gradients.gradient_times_input(frames, TARGET)

    def fail(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM")

    monkeypatch.setattr(gradients, "_compiled", {TIME - 1: fail})
    predictor.device = "GPU: H"
    with pytest.raises(DeviceError, match=r"the GPU: H failed \(ResourceExhaustedError: OOM\)"):
        gradients.gradient_times_input(frames, TARGET)


def test_frames_not_seen_yet_have_no_part(network, frames):
    changed = frames.copy()
    changed[:, TARGET.prediction + 1 :] = 0
    one, other = (Gradients(Predictor(network)).gradient_times_input(x, TARGET) for x in (frames, changed))
    np.testing.assert_array_equal(one.maps, other.maps)


def test_occlusion_is_the_difference_that_hiding_makes(network, frames):
    predictor = Predictor(network)
    value = predicted(network, frames)[0]
    by_frame = occluded_frames(predictor, frames, TARGET)
    assert by_frame.shape == (TARGET.prediction + 1,)
    hidden = frames.copy()
    hidden[:, 2] = 0
    assert by_frame[2] == pytest.approx(value - predicted(network, hidden)[0], abs=1e-6)
    by_place = occlusion_map(predictor, frames, TARGET, frame=3, side=4)
    hidden = frames.copy()
    hidden[:, 3, 4:8, 8:12] = 0
    assert by_place.shape == (4, 4)
    assert by_place[1, 2] == pytest.approx(value - predicted(network, hidden)[0], abs=1e-6)
    assert np.abs(by_place).argmax() in (5, 6, 9, 10)  # near the pixel itself


def test_what_is_black_already_needs_not_be_hidden(network):
    black = np.zeros((1, TIME, SIDE, SIDE, 1), np.float32)
    assert not occlusion_map(Predictor(network), black, TARGET, frame=1).any()


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda p, x: occluded_frames(p, x, Target(5, 0, 0)), "prediction must be 0 to 4; got 5"),
        (lambda p, x: occluded_frames(p, x, Target(0, 16, 0)), "row must be 0 to 15; got 16"),
        (lambda p, x: occlusion_map(p, x, TARGET, frame=4), "frame must be 0 to 3, which was seen; got 4"),
        (lambda p, x: occlusion_map(p, x, TARGET, frame=1, side=5), "side must divide 16; got 5"),
        (lambda p, x: occluded_frames(p, x[0], TARGET), "frames must be one clip"),
        (lambda p, x: Gradients(p).integrated_gradients(x, TARGET, 0), "steps must be 1 or more"),
    ],
)
def test_what_is_not_there_is_said(network, frames, ask, said):
    with pytest.raises(InputError, match=said):
        ask(Predictor(network), frames)
