"""A forecast is taught, written, and can be begun with."""

import json

import numpy as np
import pytest

import train
from core import zoo
from core.model_config import CONFIGS
from core.weights import load_arrays
from scripts import train_forecast


def test_what_it_writes_a_training_can_begin_with(tmp_path, monkeypatch, capsys):
    for name, value in {"CLIPS": 4, "STEPS": 2, "BATCH": 2, "VALIDATION_CLIPS": 4, "WARM_UP": 1}.items():
        monkeypatch.setattr(train_forecast, name, value)
    folder = tmp_path / "forecast"
    assert train_forecast.main([str(folder), "--rounds", "2"]) == 0
    score = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert score["round"] == 2
    assert 0 < score["val_probability"] < 1
    training = zoo.card(folder)["training"]
    assert training["commands"] == [f"python -m scripts.train_forecast {folder} --rounds 2"]
    assert training["steps"] == 4
    assert {path.partition("/")[0] for path in load_arrays(folder / "weights.npz")} == {
        "outlook",
        "outlook_step",
        "forecast",
    }
    options = ["--model", "best", "--forecast-from", str(folder), "--epochs", "1", "--run-dir", str(tmp_path)]
    config = train.new_config(train.build_parser().parse_args(options))
    train.check_beginning(config)
    assert zoo.config_of(folder) == CONFIGS["fast"]

    more = tmp_path / "more"
    options = ["--init-from", str(folder), "--rounds", "1", "--learning-rate", "1e-9"]
    assert train_forecast.main([str(more), *options]) == 0
    before, after = (load_arrays(one / "weights.npz") for one in (folder, more))
    for path, array in before.items():
        np.testing.assert_allclose(after[path], array, atol=1e-6)
    assert zoo.card(more)["training"]["commands"][0] == training["commands"][0]


def test_processes_of_their_own_make_lessons(tmp_path, monkeypatch, capsys):
    for name, value in {"CLIPS": 4, "VALIDATION_CLIPS": 4, "WARM_UP": 1}.items():
        monkeypatch.setattr(train_forecast, name, value)
    options = ["--rounds", "2", "--steps", "3", "--makers", "2", "--batch-size", "2"]
    assert train_forecast.main([str(tmp_path / "forecast"), *options]) == 0
    training = zoo.card(tmp_path / "forecast")["training"]
    assert training["steps"] == 6
    made = int(training["data"].split()[0])
    assert made == 4 * training["scores"][-1]["heaps"] >= 8  # one heap a round or more


def test_minutes_end_it_as_well(tmp_path, monkeypatch, capsys):
    for name, value in {"CLIPS": 4, "BATCH": 2, "VALIDATION_CLIPS": 4}.items():
        monkeypatch.setattr(train_forecast, name, value)
    assert train_forecast.main([str(tmp_path / "forecast"), "--minutes", "0.001"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    training = zoo.card(tmp_path / "forecast")["training"]
    assert training["data"].startswith("4 clips")
    assert training["steps"] < train_forecast.STEPS


NUMBERS = "rounds and steps must be 1 or more, minutes above 0 and seed 0 or more\n"


def test_a_forecast_without_a_card_is_refused_before_anything_is_taught(tmp_path, capsys):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "model.json").write_text(CONFIGS["fast"].to_json())
    assert train_forecast.main([str(tmp_path / "new"), "--init-from", str(tmp_path / "old")]) == 2
    assert "card.json is missing or damaged" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--rounds", "0"], NUMBERS),
        (["--steps", "0"], NUMBERS),
        (["--minutes", "0"], NUMBERS),
        (["--minutes", "-1"], NUMBERS),
        (["--seed", "-1"], NUMBERS),
        (["--batch-size", "0"], "batch-size must be 1 to 1024; got 0\n"),
        (["--makers", "0"], "makers must be 1 or more; got 0\n"),
        (["--learning-rate", "nan"], "learning-rate must be above 0; got nan\n"),
        (
            ["--init-from", "reference"],
            "reference has no forecast that fast could begin with\n",
        ),
    ],
)
def test_options_that_are_none_are_answered_in_one_sentence(tmp_path, capsys, options, sentence):
    assert train_forecast.main([str(tmp_path / "new"), *options]) == 2
    assert capsys.readouterr().err == sentence
    assert not (tmp_path / "new").exists()
