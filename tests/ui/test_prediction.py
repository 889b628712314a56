import json
import re
from dataclasses import replace

import numpy as np
import pytest

from core import baselines, zoo
from core.moving_mnist import benchmark_clips, render, to_frames
from ui import prediction
from ui.link import default_settings
from ui.prediction import Prediction


class Oracle:
    """Predicts what happens, to the pixel: a check of who is compared with whom."""

    device, last_seconds, prepared = "CPU", 0.5, False

    def __init__(self, clip):
        self.clip = to_frames(clip)

    def next_frames(self, frames):
        assert frames.shape == (1, len(self.clip), 64, 64, 1)
        assert (frames[0, ..., 0] == self.clip).all()
        return self.clip[None, 1:, ..., None]

    def rollout(self, context_frames, horizon):
        context = context_frames.shape[1]
        assert (context_frames[0, ..., 0] == self.clip[:context]).all()
        return self.clip[None, context : context + horizon, ..., None]


@pytest.mark.parametrize(
    ("mode", "context", "horizon", "first"), [("next-frame", 0, 0, 1), ("rollout", 7, 5, 7)]
)
def test_an_oracle_makes_no_error(mode, context, horizon, first):
    scene = default_settings().scene()

    made = prediction.predict(Oracle(render(scene)), scene, mode, context, horizon)

    assert made.first == first
    assert (made.scores["mse"] == 0).all()
    assert (made.scores["ssim"] > 0.999).all()
    assert (made.copy_scores["mse"] > 0).all()
    assert made.skill == 1
    assert len(made.clip) == (20 if mode == "next-frame" else 12)
    assert "100% less error" in prediction.verdict(made)


@pytest.mark.parametrize(("mode", "first", "count"), [("next-frame", 1, 19), ("rollout", 7, 5)])
def test_baselines_are_measured_as_a_model_is(mode, first, count):
    scene = default_settings().scene()
    model = prediction.predict(Oracle(render(scene)), scene, mode, 7, 5)

    made = {name: prediction.baseline_of(name, scene, mode, 7, 5) for name in baselines.BASELINES}

    for one in made.values():
        assert (one.first, one.frames.shape) == (first, (count, 64, 64))
        np.testing.assert_array_equal(one.clip, model.clip)
        for name, values in one.copy_scores.items():
            np.testing.assert_array_equal(values, model.copy_scores[name])
    copy = prediction.copied(model, mode)
    np.testing.assert_array_equal(copy.frames, made["copy_last"].frames)
    np.testing.assert_array_equal(copy.scores["mse"], made["copy_last"].scores["mse"])
    assert min(made["bounce_oracle"].skill, made["constant_velocity"].skill) > 0.5


@pytest.mark.parametrize(("mode", "first"), [("next-frame", 1), ("rollout", 12)])
def test_of_a_clip_of_the_standard_set_all_is_known_too(mode, first):
    [clip] = benchmark_clips(7, 8)
    limit = prediction.limit_of(7, mode, 12, 8)
    oracle = prediction.baseline_of("bounce_oracle", 7, mode, 12, 8)

    assert limit.frames.shape == oracle.frames.shape == (20 - first, 64, 64)
    np.testing.assert_array_equal(oracle.clip, clip)
    errors = {"limit": limit.scores["mse"], "oracle": oracle.scores["mse"], "copy": oracle.copy_scores["mse"]}
    means = {name: values[-6:].mean() for name, values in errors.items()}
    assert max(means["limit"], means["oracle"]) < 0.5 * means["copy"]


class Still:
    """Predicts black."""

    device, last_seconds, prepared = "CPU", 0.5, False

    def rollout(self, context_frames, horizon):
        return np.zeros((1, horizon, 64, 64, 1), np.float32)


@pytest.mark.parametrize(("context", "known"), [(17, 3), (20, 0)])
def test_beyond_the_end_of_a_clip_nothing_is_measured(context, known):
    clip = render(default_settings().scene())
    made = prediction.predict_clip(Still(), clip, "rollout", context, 8)

    assert len(made.frames) == 8
    assert len(made.clip) == 20
    assert {len(values) for values in (*made.scores.values(), *made.copy_scores.values())} == {known}
    words = "less error|more error|no better" if known else "What comes next"
    assert re.search(words, prediction.verdict(made))


def of_skill(model_mse, copy_mse, ssim=0.9):
    empty = np.zeros((2, 64, 64))
    scores, copied = (
        {"mse": np.array([mse]), "ssim": np.array([alike])}
        for mse, alike in ((model_mse, ssim), (copy_mse, 0.5))
    )
    return Prediction(empty, empty[1:], 1, scores, copied)


@pytest.mark.parametrize(
    ("model_mse", "copy_mse", "words"),
    [
        (0.01, 0.05, "80% less error"),
        (0.05, 0.05, "no better"),
        (0.06, 0.05, "20% more error"),
        (0.0, 0.0, "Nothing moves"),
        (0.01, 0.0, "Nothing moves"),
    ],
)
def test_the_verdict_says_what_the_numbers_say(model_mse, copy_mse, words):
    assert words in prediction.verdict(of_skill(model_mse, copy_mse))
    assert "blur" not in prediction.verdict(of_skill(model_mse, copy_mse))


def test_less_error_by_a_blur_is_no_praise():
    said = prediction.verdict(of_skill(0.01, 0.05, ssim=-0.1))
    assert "80% less error" in said
    assert said.endswith("but its shapes match the truth less well (SSIM).")


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A folder with one model, whose weights are some bytes: only their checksum matters here."""
    (tmp_path / "fast").mkdir()
    (tmp_path / "fast" / "model.json").write_text("{}")
    (tmp_path / "fast" / "weights.npz").write_bytes(b"weights")
    monkeypatch.setattr(zoo, "FOLDER", tmp_path)
    return tmp_path


def stored(shipped):
    scene = default_settings().scene()
    made = prediction.predict(Oracle(render(scene)), scene, "next-frame", 0, 0)
    path = shipped / "first_paint.npz"
    prediction.save_first_paint(made, scene, "fast", path)
    return path


def test_the_stored_prediction_comes_back(shipped):
    found = prediction.stored_prediction(default_settings(), stored(shipped))

    assert found is not None
    assert found.seconds is None  # nobody waited for it: no time is claimed
    assert np.abs(found.frames - to_frames(found.clip)[1:]).max() < 1e-3
    assert (found.scores["mse"] == 0).all()


def test_the_stored_prediction_is_left_alone_when_something_else_is_asked_for(shipped):
    path, settings = stored(shipped), default_settings()

    assert prediction.stored_prediction(replace(settings, mode="rollout"), path) is None
    assert prediction.stored_prediction(replace(settings, frames=19), path) is None
    assert prediction.stored_prediction(replace(settings, model="reference"), path) is None


def test_the_stored_prediction_of_other_weights_is_left_alone(shipped):
    path = stored(shipped)
    (shipped / "fast" / "weights.npz").write_bytes(b"others")

    assert prediction.stored_prediction(default_settings(), path) is None


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_damaged_store_is_left_alone(shipped, content):
    path = stored(shipped)
    if content is None:
        np.savez(path, about=json.dumps([1]))
    else:
        path.write_bytes(content)

    assert prediction.stored_prediction(default_settings(), path) is None


def test_the_shipped_store_belongs_to_the_shipped_weights():
    """Fails after new weights: run scripts/make_first_paint.py."""
    found = prediction.stored_prediction(default_settings())

    assert found is not None
    assert found.frames.shape == (19, 64, 64)
    measured, copied = prediction.measure(found.clip, found.frames, 1, "next-frame")
    assert measured["mse"] == pytest.approx(found.scores["mse"], rel=0.02)
    assert copied["mse"] == pytest.approx(found.copy_scores["mse"])
