"""What goes onto a model card, and that a failed publication changes nothing."""

import pytest

from core import zoo
from core.model import CONFIGS
from core.runs import Run
from core.train_config import default_config
from scripts import publish_model


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path / "run")
    config = default_config("fast", epochs=3, batch_size=4, precision="float32")
    run.create(config)
    for epoch, psnr in enumerate((17.0, 19.0, 18.0), 1):
        row = {"epoch": epoch, "step": 100 * epoch, "minutes": 2.5 * epoch, "val_psnr": psnr}
        run.append_history("epoch", row)
    run.log_call(command="python train.py --model fast --epochs 3")
    return run


def test_the_card_tells_of_the_training_up_to_the_weights_that_are_shipped(run):
    record = publish_model.training_record(run)
    assert record["steps"] == 200
    assert record["clips_seen"] == 800
    assert record["minutes"] == 5.0
    assert record["validation_psnr"] == 19.0


def test_the_card_names_every_call_of_the_run(run):
    run.log_call(command="python train.py --model fast --resume --epochs 4")
    assert publish_model.train_commands(run) == [
        "python train.py --model fast --epochs 3",
        "python train.py --model fast --resume --epochs 4",
    ]


def test_the_card_tells_what_the_run_began_with(run):
    run.write_config(default_config("fast", epochs=3, init_from="fast"))
    before = publish_model.training_record(run)["begun_from"]
    assert before == {"model": "fast", "training": zoo.card("fast")["training"]}


def test_nothing_is_shipped_when_the_run_has_no_weights(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(zoo, "FOLDER", tmp_path / "models")
    assert publish_model.main(["fast", "--run", str(run.folder), "--train-command", "x"]) == 2
    assert "weights.npz is missing" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_every_configuration_that_is_shipped_can_be_published():
    assert set(publish_model.WHAT) == set(CONFIGS) - {"classroom"}
