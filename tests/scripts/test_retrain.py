"""Recipes: calls that the commands take, each stage after the one before, none twice."""

import itertools
import json
import subprocess
from pathlib import Path

import pytest

import train
from core.growth import check_growth
from core.model_config import CONFIGS
from core.run_status import Status
from core.runs import Run
from core.train_config import default_config
from scripts import retrain, train_forecast


@pytest.mark.parametrize("name", retrain.RECIPES)
def test_every_stage_is_a_call_that_train_takes_and_has_a_plan_in_steps(name, tmp_path):
    calls = retrain.commands(name, tmp_path)
    configs = [
        train.new_config(train.build_parser().parse_args(call[1:])) for call in calls if call[0] == "train.py"
    ]
    assert configs[-1].model == CONFIGS[name]
    for before, after in itertools.pairwise(configs):
        if before.model != after.model:
            check_growth(before.model, after.model)
    assert all(config.total_steps for config in configs)
    folders = [str(tmp_path / name / stage) for stage in retrain.RECIPES[name]]
    assert [call[-1] for call in calls] == folders
    seen = [folder for folder in folders if not folder.endswith("forecast")]
    assert [config.init_from for config in configs] == [None, *seen[:-1]]
    averaged = [(config.init_from, config.average_with) for config in configs if config.average_with]
    halved = [folder for folder in seen if folder.endswith(("decibels", "foresight"))]
    assert averaged == [(folder, seen[seen.index(folder) - 1]) for folder in halved]
    taken = [config.forecast_from for config in configs if config.forecast_from]
    assert taken == [folder for folder in folders if folder.endswith("forecast")]
    for call in calls:
        if call[0] == "-m":
            assert call[1] == "scripts.train_forecast"
            assert train_forecast.build_parser().parse_args(call[2:]).folder == Path(call[-1])


def test_a_forecast_that_is_there_is_finished(tmp_path):
    folder = tmp_path / "fast" / "forecast"
    assert not retrain.is_finished(folder)
    folder.mkdir(parents=True)
    (folder / "model.json").write_text(CONFIGS["fast"].to_json())
    for done in (0.1, 1):  # it is written every so often
        (folder / "card.json").write_text(
            json.dumps({"training": {"scores": [{"done": 0.05}, {"done": done}]}})
        )
        assert retrain.is_finished(folder) == (done == 1)


def test_what_is_finished_is_left_and_what_was_cut_off_goes_on(tmp_path, monkeypatch, capsys):
    calls = []

    def run(call, **_):
        calls.append(call[1:])
        return subprocess.CompletedProcess(call, 0)

    monkeypatch.setattr(retrain.subprocess, "run", run)
    *finished, cut_off = retrain.RECIPES["reference"]
    assert len(finished) > 0
    for stage, state in (*((stage, "finished") for stage in finished), (cut_off, "stopped")):
        made = Run(tmp_path / "reference" / stage)
        made.create(default_config("reference", epochs=1))
        made.write_status(Status(state))  # the last was cut off before its first checkpoint
    assert retrain.main(["reference", "--folder", str(tmp_path)]) == 0
    last = tmp_path / "reference" / cut_off
    assert [call[-2:] for call in calls] == [[str(last), "--resume"]]
    shipped = f"python -m scripts.publish_model reference --run {last}"
    assert capsys.readouterr().out.splitlines()[-1] == shipped


def test_the_first_failure_ends_it(tmp_path, monkeypatch):
    monkeypatch.setattr(retrain.subprocess, "run", lambda call, **_: subprocess.CompletedProcess(call, 3))
    assert retrain.main(["leaky", "--folder", str(tmp_path)]) == 3
