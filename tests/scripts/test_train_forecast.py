"""A forecast is taught, written, and can be begun with."""

import json
from dataclasses import replace

import numpy as np
import pytest

import train
from core import zoo
from core.model_config import CONFIGS
from core.runs import Run
from core.train_config import default_config
from core.weights import load_arrays, save_arrays
from scripts import train_forecast

SMALL = {"CLIPS": 4, "STEPS": 2, "BATCH": 2, "VALIDATION_CLIPS": 4, "WARM_UP": 1, "AHEAD": 3}


def test_what_it_writes_a_training_can_begin_with(eagerly, tmp_path, monkeypatch, capsys):
    for name, value in SMALL.items():
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
    options = ["--init-from", str(folder), "--minutes", "0.001", "--steps", "3", "--learning-rate", "1e-9"]
    assert train_forecast.main([str(more), *options]) == 0
    assert zoo.card(more)["training"]["steps"] == 3  # minutes end it as well
    before, after = (load_arrays(one / "weights.npz") for one in (folder, more))
    for path, array in before.items():
        np.testing.assert_allclose(after[path], array, atol=1e-6)
    assert zoo.card(more)["training"]["commands"][0] == training["commands"][0]


def test_no_clip_comes_twice(monkeypatch):
    monkeypatch.setattr(train_forecast, "CLIPS", 4)
    twice = []
    for _ in range(2):
        coming = train_forecast.batches(5, 2)
        twice.append([next(coming) for _ in range(7)])  # of four heaps
        coming.close()
    for one, other in zip(*twice, strict=True):
        for part, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(part, same)
    stamps = np.concatenate([batch[0] for batch in twice[0]])
    assert len(np.unique(stamps.reshape(len(stamps), -1), axis=0)) == 14
    digits = [batch[0].any((-1, -2)).sum(1) for batch in twice[0]]
    assert all((digits[n] == 2).all() for n in (2, 5))  # a third of them standard clips


def test_ctrl_c_leaves_what_was_learned_before(eagerly, tmp_path, monkeypatch, capsys):
    for name, value in {**SMALL, "OFTEN": 1}.items():
        monkeypatch.setattr(train_forecast, name, value)

    monkeypatch.setattr(train_forecast.Plan, "done", broken_off_in_round_two(train_forecast.Plan.done))
    assert train_forecast.main([str(tmp_path / "forecast"), "--rounds", "3"]) == 130
    assert capsys.readouterr().err.startswith("interrupted; ")
    assert zoo.card(tmp_path / "forecast")["training"]["steps"] == 2
    assert load_arrays(tmp_path / "forecast" / "weights.npz")


def test_minutes_end_with_a_round(eagerly, tmp_path, monkeypatch):
    for name, value in SMALL.items():
        monkeypatch.setattr(train_forecast, name, value)
    done = iter([0.4, 1])
    monkeypatch.setattr(train_forecast.Plan, "done", lambda *_: next(done))
    assert train_forecast.main([str(tmp_path / "forecast"), "--minutes", "9", "--steps", "2"]) == 0
    training = zoo.card(tmp_path / "forecast")["training"]
    assert training["steps"] == 4
    assert 0 < training["scores"][-1]["loss"] < 20


def broken_off_in_round_two(done):
    """What `Plan.done` is, up to the second round."""

    def breaks_off(plan, rounds, seconds):
        if rounds == 2:
            raise KeyboardInterrupt
        return done(plan, rounds, seconds)

    return breaks_off


NUMBERS = "rounds and steps must be 1 or more, minutes above 0 and seed 0 or more\n"


def test_a_forecast_without_a_card_is_refused_before_anything_is_taught(tmp_path, capsys):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "model.json").write_text(CONFIGS["fast"].to_json())
    assert train_forecast.main([str(tmp_path / "new"), "--init-from", str(tmp_path / "old")]) == 2
    assert "card.json is missing or damaged" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("name", "text"), [("config.json", "{}"), ("card.json", '{"training": {"steps": 1}}')]
)
def test_weights_of_a_run_or_a_model_are_not_overwritten(tmp_path, capsys, name, text):
    (tmp_path / "model.json").write_text(CONFIGS["fast"].to_json())
    (tmp_path / name).write_text(text)
    assert train_forecast.main([str(tmp_path)]) == 2
    assert "would be lost; name another one" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"model.json", name}


def test_the_calls_of_a_run_are_those_that_led_to_its_forecast(tmp_path):
    run = Run(tmp_path / "run")
    run.create(default_config("fast", epochs=1))
    run.log_call(command="python train.py --model fast", from_step=0, changes={})
    assert train_forecast._commands_of(run.folder) == ["python train.py --model fast"]


def a_forecast(folder, arrays):
    """A folder with a card, and these weights."""
    folder.mkdir()
    (folder / "model.json").write_text(CONFIGS["fast"].to_json())
    (folder / "card.json").write_text("{}")
    save_arrays(folder / "weights.npz", arrays)
    return folder


def test_a_deep_forecast_begins_with_one_that_is_not(tmp_path, monkeypatch, capsys, request):
    """It knows at once what the other one knows; a forecast that nobody taught knows next to nothing."""
    for name, value in {**SMALL, "VALIDATION_CLIPS": 8}.items():
        monkeypatch.setattr(train_forecast, name, value)
    shallow = replace(CONFIGS["fast"], deep=False)
    with monkeypatch.context() as before:
        before.setitem(CONFIGS, "fast", shallow)
        assert train_forecast.main([str(tmp_path / "shallow"), "--rounds", "8", "--steps", "9"]) == 0
    known = json.loads(capsys.readouterr().out.splitlines()[-1])
    request.getfixturevalue("eagerly")
    options = ["--init-from", str(tmp_path / "shallow"), "--rounds", "1", "--learning-rate", "1e-9"]
    assert train_forecast.main([str(tmp_path / "deep"), *options, "--steps", "1"]) == 0
    begun = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert begun["val_cross_entropy"] == pytest.approx(known["val_cross_entropy"], abs=0.02)
    assert known["val_cross_entropy"] < 3.7


def test_weights_that_cannot_be_begun_with_are_answered_in_one_sentence(tmp_path, capsys):
    damaged = a_forecast(tmp_path / "damaged", {})
    (damaged / "weights.npz").write_bytes(b"PK")
    odd = a_forecast(tmp_path / "odd", {"forecast/bias": np.zeros(3, np.float32)})
    for folder, sentence in ((damaged, "is damaged"), (odd, "the forecast to begin with does not fit")):
        assert train_forecast.main([str(tmp_path / "new"), "--init-from", str(folder)]) == 2
        told = capsys.readouterr().err
        assert sentence in told
        assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--rounds", "0"], NUMBERS),
        (["--steps", "0"], NUMBERS),
        (["--minutes", "0"], NUMBERS),
        (["--minutes", "-1"], NUMBERS),
        (["--minutes", "nan"], NUMBERS),
        (["--minutes", "inf"], NUMBERS),
        (["--seed", "-1"], NUMBERS),
        (["--batch-size", "0"], "batch-size must be 1 to 1024; got 0\n"),
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


def test_a_file_in_the_place_of_the_folder_is_answered_in_one_sentence(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert train_forecast.main([str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err == f"cannot write to folder {tmp_path / 'file'} (File exists)\n"
