"""A network in training is scored by what it is trained for."""

from dataclasses import replace

import numpy as np
import pytest

from core import metrics, scorer
from core.inference import Predictor
from core.learning_models import apart_model
from core.model_config import ModelConfig
from core.runs import Run
from core.scorer import Scorer
from core.train_config import TrainConfig
from core.training import Trainer
from core.weights import variable_arrays

FORECASTING = ModelConfig(
    "tiny", (4,), (3,), patch=4, peepholes="channel", motions=1, match=(1,), forecast=16, foresees=True
)
PLAIN = replace(FORECASTING, forecast=0, foresees=False, motions=0, match=())
CONFIG = TrainConfig(
    PLAIN, epochs=1, frames=5, loss={"bce": 1.0}, precision="float32", validation_clips=2, context_frames=2
)
FRAMES = 4


@pytest.fixture(autouse=True)
def short_validation(monkeypatch, eagerly):
    monkeypatch.setattr(scorer, "VALIDATION_FRAMES", FRAMES)


def scored(folder, config):
    """A network in training, its scores on validation clips, and these."""
    run = Run(folder)
    run.create(config)
    trainer = Trainer(config, run)
    found = Scorer(trainer)
    return trainer.network, found.scores(variable_arrays(trainer.network.variables)), found._truth


def test_a_run_on_its_own_predictions_is_scored_as_a_rollout(tmp_path):
    network, scores, truth = scored(tmp_path, replace(CONFIG, rollout=1.0))
    rolled = Predictor(network).rollout(truth[:, :2, ..., None], FRAMES - 2)[..., 0]
    expected = metrics.summary(metrics.per_frame(truth[:, 2:], rolled))
    assert scores["val_psnr"] == pytest.approx(expected["psnr"], rel=1e-5)
    assert scores["val_ssim"] == pytest.approx(expected["ssim"], rel=1e-5)


def test_a_network_that_learns_without_its_forecast_is_scored_without(tmp_path):
    network, scores, truth = scored(tmp_path, replace(CONFIG, model=FORECASTING, learn="network"))
    _, own, _ = apart_model(network, FRAMES - 1).predict(truth[:, :-1, ..., None], verbose=0)
    expected = metrics.summary(metrics.per_frame(truth[:, 1:], np.asarray(own)[..., 0]))
    assert scores["val_psnr"] == pytest.approx(expected["psnr"], rel=1e-5)
    mixed = Predictor(network).next_frames(truth[..., None])[..., 0]
    with_forecast = metrics.summary(metrics.per_frame(truth[:, 1:], mixed))
    assert scores["val_psnr"] != pytest.approx(with_forecast["psnr"], rel=1e-5)
