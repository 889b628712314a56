"""The blur lesson's trainings: alike in all but the loss."""

import subprocess

import pytest

import train
from core.train_config import checked_weights
from scripts import train_lesson


def test_the_four_differ_in_the_loss_alone(tmp_path):
    configs = []
    for options in train_lesson.commands(tmp_path, 300, seed=4).values():
        configs.append(train.new_config(train.build_parser().parse_args(options)))
    assert len({str(sorted(config.loss.items())) for config in configs}) == 4
    same = [{**config.__dict__, "loss": None} for config in configs]
    assert all(config == same[0] for config in same)
    assert same[0]["epochs"] * same[0]["steps_per_epoch"] == 300
    assert all(checked_weights(config.loss) == config.loss for config in configs)


def test_runs_them_in_turn_and_goes_on_where_one_was_cut_off(tmp_path, monkeypatch):
    calls = []

    def run(call, **_):
        calls.append(call[2:])
        return subprocess.CompletedProcess(call, 3 if len(calls) == 2 else 0)

    monkeypatch.setattr(train_lesson.subprocess, "run", run)
    (tmp_path / "mse").mkdir()
    (tmp_path / "mse" / "config.json").touch()  # cut off before its first checkpoint
    assert train_lesson.main(["--folder", str(tmp_path), "--steps", "200"]) == 3  # of the second
    assert len(calls) == 2
    assert calls[0][0] == "--resume"
    assert "--resume" not in calls[1]
    assert calls[1][-1] == str(tmp_path / "bce")


@pytest.mark.parametrize("steps", ["0", "150"])
def test_odd_numbers_of_steps_are_refused(steps, capsys):
    assert train_lesson.main(["--steps", steps]) == 2
    assert f"steps must be a multiple of 100; got {steps}" in capsys.readouterr().err
