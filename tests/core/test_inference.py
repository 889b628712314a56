"""The Predictor: same numbers whichever way a clip is cut, and clear refusals."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from core.device import DeviceError
from core.inference import InputError, Predictor, part_lengths
from core.model import ModelConfig, Network
from core.weights import WeightsError, variable_arrays
from tests.core.test_model import FOLDED, SCALED, SMALL, clip, randomised


def make(config) -> Predictor:
    network = Network(config)
    randomised(network.training_model(1))
    return Predictor(network)


@pytest.fixture(scope="module")
def predictor():
    return make(FOLDED)


@pytest.mark.parametrize("frames", [1, 2, 7, 19, 20, 38, 199])
def test_parts_add_up(frames):
    parts = part_lengths(frames)
    assert sum(parts) == frames
    assert parts == sorted(parts, reverse=True)


def test_a_clip_in_parts_is_matched_with_the_last_frame_of_the_part_before():
    predictor = make(SCALED)
    frames = clip(25, batch=2)
    whole = predictor.network.training_model(24)(frames[:, :-1], training=False)
    np.testing.assert_allclose(predictor.next_frames(frames), np.asarray(whole), atol=1e-5)


@pytest.mark.parametrize("time", [2, 5, 20, 25])
def test_next_frames_equals_the_whole_clip_at_once(predictor, time):
    frames = clip(time, batch=2)
    whole = predictor.network.training_model(time - 1)(frames[:, :-1], training=False)
    predictions = predictor.next_frames(frames)
    assert predictions.shape == (2, time - 1, 16, 16, 1)
    assert predictions.dtype == np.float32
    np.testing.assert_allclose(predictions, np.asarray(whole), atol=1e-6)


@pytest.mark.parametrize("config", [SMALL, FOLDED, SCALED])
def test_rollout_equals_re_running_the_growing_clip(config):
    predictor = make(config)
    frames = clip(4, batch=2)
    rolled = predictor.rollout(frames, 5)
    grown = frames
    for step in range(5):
        model = predictor.network.training_model(grown.shape[1])
        latest = np.asarray(model(grown, training=False))[:, -1:]
        np.testing.assert_allclose(rolled[:, step], latest[:, 0], atol=1e-5)
        grown = np.concatenate([grown, latest], axis=1)


def moving(time):
    """Two blots that fly apart: in noise, a match is a toss between all displacements."""
    frames = np.zeros((1, time, 16, 16, 1), np.float32)
    blots = np.random.default_rng(0).uniform(0.2, 1, (2, 7, 7, 1))
    for frame in range(time):
        at = frame % 10
        frames[0, frame, :7, at : at + 7] = blots[0]
        frames[0, frame, 9:, 9 - at : 16 - at] = blots[1]
    return frames


# With weights at random its own frames become noise, in which a match is a toss: one step of a rollout.
@pytest.mark.parametrize(("config", "horizon"), [(FOLDED, 5), (SCALED, 1)])
def test_bfloat16_predicts_nearly_the_same(config, horizon):
    networks = [Network(config, dtype) for dtype in ("float32", "mixed_bfloat16")]
    for network in networks:
        randomised(network.training_model(1))
    exact, rounded = (Predictor(network) for network in networks)
    frames = moving(12)
    assert rounded.next_frames(frames).dtype == np.float32
    np.testing.assert_allclose(rounded.next_frames(frames), exact.next_frames(frames), atol=0.03)
    rolled = [predictor.rollout(frames, horizon) for predictor in (rounded, exact)]
    np.testing.assert_allclose(*rolled, atol=0.03)


def test_first_rolled_frame_is_the_next_frame_prediction(predictor):
    frames = clip(11)
    np.testing.assert_allclose(
        predictor.rollout(frames[:, :10], 1)[:, 0], predictor.next_frames(frames)[:, 9], atol=1e-6
    )


def test_other_weights_are_used_from_then_on():
    predictor, other = make(FOLDED), make(FOLDED)
    frames = clip(5, batch=1)
    before = predictor.next_frames(frames)
    arrays = {name: 0.5 * array for name, array in variable_arrays(other.network.variables).items()}
    predictor.set_weights(arrays)
    other.set_weights(arrays)
    np.testing.assert_array_equal(predictor.next_frames(frames), other.next_frames(frames))
    np.testing.assert_array_equal(predictor.rollout(frames, 2), other.rollout(frames, 2))
    assert np.abs(predictor.next_frames(frames) - before).max() > 1e-3
    with pytest.raises(WeightsError, match="what was given does not fit this network"):
        predictor.set_weights({})


def test_a_long_rollout_costs_one_step_a_frame(predictor):
    calls = []
    graph = predictor._graph
    predictor._graph = lambda length, *part: calls.append(length) or graph(length, *part)
    try:
        assert predictor.rollout(clip(10), 200).shape[1] == 200
    finally:
        predictor._graph = graph
    assert calls == [10] + [1] * 199


def test_many_clips_run_in_slices_with_the_same_result(predictor):
    frames = clip(3, batch=70)
    predictions = predictor.next_frames(frames)
    np.testing.assert_allclose(predictions[40:42], predictor.next_frames(frames[40:42]), atol=1e-6)


def test_threads_take_turns(predictor):
    clips = [clip(4, seed=seed) for seed in range(6)]
    expected = [predictor.next_frames(frames) for frames in clips]
    results = [None] * 6

    def work(number):
        results[number] = predictor.next_frames(clips[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result, right in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, right)


def test_a_length_is_prepared_for_once(predictor):
    fresh = Predictor(predictor.network)
    for prepared in (True, False):
        fresh.next_frames(clip(3))
        assert fresh.prepared == prepared


def test_time_taken_and_device_are_reported(predictor):
    predictor.next_frames(clip(3))
    assert 0 < predictor.last_seconds < 60
    assert predictor.device == "CPU" or predictor.device.startswith("GPU")


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (
            np.zeros((1, 4, 16, 16)),
            r"frames must have shape \(batch, time, 16, 16, 1\); got \(1, 4, 16, 16\)",
        ),
        (np.zeros((1, 4, 64, 64, 1)), r"got \(1, 4, 64, 64, 1\)"),
        (np.zeros((1, 1, 16, 16, 1)), "1 or more clips of 2 or more frames; got 1 of 1"),
        (np.zeros((0, 4, 16, 16, 1)), "got 0 of 4"),
        (np.zeros((1, 4, 16, 16, 1), np.uint8), r"floats in \[0, 1\].*got uint8"),
        (np.full((1, 4, 16, 16, 1), 255.0), r"in \[0, 1\] without NaN; got 255 to 255"),
        (np.full((1, 4, 16, 16, 1), -0.1), "got -0.1 to -0.1"),
        (np.full((1, 4, 16, 16, 1), np.nan), "without NaN; got nan"),
    ],
)
def test_frames_that_cannot_be_are_refused(predictor, frames, message):
    with pytest.raises(InputError, match=message):
        predictor.next_frames(frames)


@pytest.mark.parametrize("horizon", [0, -1, 1001, 2.5, True, "3"])
def test_horizon_is_checked(predictor, horizon):
    with pytest.raises(InputError, match="horizon must be a whole number from 1 to 1000; got"):
        predictor.rollout(clip(3), horizon)


def test_the_leaking_head_predicts_but_does_not_roll_out():
    predictor = make(ModelConfig("leak", (3,), (3,), head="leaky", canvas=16))
    assert predictor.next_frames(clip(5)).shape == (1, 4, 16, 16, 1)
    with pytest.raises(InputError, match="leak has the leaking head"):
        predictor.rollout(clip(5), 2)


def test_on_the_cpu_alone_it_predicts_the_same():
    frames = np.random.default_rng(0).random((1, 4, 16, 16, 1), np.float32)
    anywhere = make(replace(FOLDED, canvas=16))
    arrays = variable_arrays(anywhere.network.variables)
    on_cpu = Predictor.from_arrays(anywhere.config, arrays, "here", precision="float32", on_cpu=True)
    assert on_cpu.device == "CPU"
    np.testing.assert_allclose(on_cpu.next_frames(frames), anywhere.next_frames(frames), atol=1e-6)


def test_a_gpu_that_fails_is_told_and_a_cpu_raises_what_it_raises(monkeypatch):
    predictor = make(replace(FOLDED, canvas=16))
    frames = np.zeros((1, 3, 16, 16, 1), np.float32)

    def fail(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when\nallocating")

    monkeypatch.setattr(predictor, "_run", fail)
    with pytest.raises(tf.errors.ResourceExhaustedError):
        predictor.next_frames(frames)
    predictor.device = "GPU: H"
    with pytest.raises(DeviceError, match=r"the GPU: H failed \(ResourceExhaustedError: OOM when alloc"):
        predictor.next_frames(frames)
