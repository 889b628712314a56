"""What goes onto a model card, and that a failed publication changes nothing."""

import json
from dataclasses import replace

import numpy as np
import pytest

from core import zoo
from core.foresight import KNOWN_CLIPS
from core.inference import Predictor
from core.model import CONFIGS, ModelConfig, Network
from core.run_status import Status
from core.runs import Run
from core.train_config import default_config
from core.weights import save_arrays, variable_arrays
from scripts import make_results, publish_model


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path / "run")
    config = default_config("fast", epochs=3, batch_size=4, precision="float32")
    run.create(config)
    for epoch, psnr in enumerate((17.0, 19.0, 18.0), 1):
        row = {"epoch": epoch, "step": 100 * epoch, "minutes": 2.5 * epoch, "val_psnr": psnr}
        run.append_history("epoch", row)
    run.log_call(command="python train.py --model fast --epochs 3", from_step=0, changes={})
    run.write_status(Status("finished", device="GPU: Model 7", precision="mixed_bfloat16"))
    return run


def test_the_card_tells_of_the_training_up_to_the_weights_that_are_shipped(run):
    record = publish_model.training_record(run)
    assert record["steps"] == 200
    assert record["clips_seen"] == 800
    assert record["minutes"] == 5.0
    assert record["validation_psnr"] == 19.0
    assert record["precision"] == "mixed_bfloat16"  # of the run, not what this machine would choose


def test_the_card_tells_what_learned_and_what_its_scores_are_of(tmp_path):
    for name, settings, validation in (
        ("all", {}, "next-frame"),
        ("forecast", {"learn": "forecast"}, "the forecast alone after 5 frames"),
        ("trust", {"learn": "trust", "rollout": 1.0, "context_frames": 9}, "rollouts after 9 frames"),
    ):
        run = Run(tmp_path / name)
        run.create(default_config("fast", epochs=3, frames=12, **settings))
        run.append_history("epoch", {"epoch": 1, "step": 10, "minutes": 1.0, "val_psnr": 17.0})
        run.log_call(command="python train.py", from_step=0, changes={}, was={})
        run.log_call(command="python train.py", from_step=4, changes={"seed": 0}, was={"learning_rate": 0.1})
        run.write_status(Status("finished", device="GPU: Model 7"))
        record = publish_model.training_record(run)
        assert (record["learned"], record["validation"]) == (name, validation)
        assert record["hardware"] == "GPU: Model 7"
        assert record["changed"] == [{"until_step": 4, "was": {"learning_rate": 0.1}}]


@pytest.mark.parametrize(("changes", "clips"), [({"learning_rate": 6e-4}, 800), ({"batch_size": 8}, None)])
def test_clips_are_counted_where_every_call_had_as_many_a_step(run, changes, clips):
    run.log_call(command="python train.py --resume", from_step=100, changes=changes)
    assert publish_model.training_record(run)["clips_seen"] == clips


def test_clips_are_counted_piece_by_piece_where_calls_say_what_was(run):
    changed = {"changes": {"batch_size": 8}, "was": {"batch_size": 4}}
    run.log_call(command="python train.py --resume --batch-size 8", from_step=100, **changed)
    steps = publish_model.training_record(run)["steps"]
    assert publish_model.clips_seen(run, steps) == 100 * 4 + (steps - 100) * run.read_config().batch_size
    assert publish_model.clips_seen(run, 60) == 60 * 4  # the best epoch was before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ": half standard clips (two digits, 3.6 px), half varied (1 to 3 digits, 0 to 7 px a frame);"),
        (
            {"standard_share": 0.875},
            ": 87.5 % standard clips (two digits, 3.6 px), 12.5 % varied (1 to 3 digits, 0 to 7 px a frame);",
        ),
        ({"digits": 1}, ": clips of 1 digit, 3.6 px a frame;"),
        ({"digits": 3}, ": clips of 3 digits, 3.6 px a frame;"),
    ],
)
def test_the_card_tells_what_the_clips_were(changes, words):
    assert words in publish_model.data_of(default_config("fast", **changes))


def test_the_card_names_every_call_and_the_machine_of_the_run(run, tmp_path, monkeypatch, capsys):
    run.log_call(command="python train.py --model fast --resume --epochs 4", from_step=300, changes={})
    network = Network(CONFIGS["fast"])
    save_arrays(run.weights_path, variable_arrays(network.variables))
    monkeypatch.setattr(zoo, "FOLDER", tmp_path / "models")
    monkeypatch.setattr(publish_model, "psnr_db", lambda predictor, clips: np.array([20.0]))
    report = {"sequences": 3, "psnr": 20.0, **dict.fromkeys(publish_model.KEPT, 1.0)}
    reports = {"next-frame": {**report, "baselines": {"copy_last": report}}}
    monkeypatch.setattr(publish_model, "measure", lambda predictor, *counts: reports)
    monkeypatch.setattr(publish_model, "FIRST_CLIPS", 1)
    monkeypatch.setattr(make_results, "FOLDER", tmp_path / "results")
    assert publish_model.main(["fast", "--run", str(run.folder)]) == 0
    card = json.loads((tmp_path / "models" / "fast" / "card.json").read_text())
    printed = capsys.readouterr().out
    assert card == json.loads(printed[printed.index("{") :])
    shown = json.loads((tmp_path / "results" / "fast.next-frame.json").read_text())
    assert shown["made_by"] == "python -m scripts.make_results next-frame --models fast --sequences 3"
    assert shown["psnr"] == card["metrics"]["next_frame"]["psnr"]
    assert set(card["metrics"]["first_clips"]) == {"sequences", "next_frame"}
    assert card["hardware"] == "GPU: Model 7"
    assert card["command"]["train"] == [
        "python train.py --model fast --epochs 3",
        "python train.py --model fast --resume --epochs 4",
    ]


def test_what_is_shipped_is_measured_again_and_nothing_else_of_its_card_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "FOLDER", tmp_path / "models")
    monkeypatch.setattr(make_results, "FOLDER", tmp_path / "results")
    monkeypatch.setattr(publish_model, "FIRST_CLIPS", 1)
    folder = tmp_path / "models" / "mse"
    folder.mkdir(parents=True)
    network = Network(CONFIGS["lesson"])
    save_arrays(folder / "weights.npz", variable_arrays(network.variables))
    (folder / "model.json").write_text(CONFIGS["lesson"].to_json())
    before = {
        "what": "?",
        "date": "2020-01-01",
        "stored_as": "float16",
        "command": {"train": ["python train.py"]},
    }
    (folder / "card.json").write_text(json.dumps(before))
    report = {"sequences": 3, "psnr": 20.0, **dict.fromkeys(publish_model.KEPT, 1.0)}
    report |= {"baselines": {"copy_last": report}}
    reports = {"next-frame": report, "rollout": report}
    monkeypatch.setattr(publish_model, "measure", lambda predictor, *counts: reports)
    assert publish_model.main(["mse", "--again"]) == 0
    card = zoo.card("mse")
    assert card["what"] == publish_model.WHAT["mse"]
    assert card["date"] > before["date"]
    assert card["stored_as"] == "float16"
    assert card["command"]["train"] == ["python train.py"]
    assert card["metrics"]["rollout_10_10"]["psnr"] == 1.0
    assert set(card["metrics"]["first_clips"]) == {"sequences", "next_frame", "rollout_10_10"}
    assert publish_model.main(["best", "--again"]) == 2  # there is none


def test_a_run_without_its_list_of_calls_is_not_published(run, capsys):
    (run.folder / "calls.jsonl").unlink()
    assert publish_model.main(["fast", "--run", str(run.folder)]) == 2
    assert "calls.jsonl of run is missing or damaged (FileNotFoundError)" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "wanted"), [("best", "best"), ("bce", "lesson")])
def test_a_run_of_another_architecture_is_not_published(run, tmp_path, monkeypatch, capsys, name, wanted):
    monkeypatch.setattr(zoo, "FOLDER", tmp_path / "models")
    assert publish_model.main([name, "--run", str(run.folder)]) == 2
    assert f"run is a run of fast, not of the architecture {wanted}\n" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("begun_from", ["fast", zoo.FOLDER / "fast"])
def test_the_card_tells_what_the_run_began_with(run, begun_from):
    run.write_config(default_config("best", epochs=3, init_from=str(begun_from), forecast_from="best"))
    record = publish_model.training_record(run)
    assert record["begun_from"] == {"model": "fast", "training": zoo.card("fast")["training"]}
    assert record["forecast_from"]["model"] == "best"
    assert record["forecast_from"]["training"]["steps"] == zoo.card("best")["training"]["steps"]


def test_a_training_that_comes_twice_is_told_of_once():
    forecast = {"model": "forecast", "training": {"steps": 7}}
    one = {"model": "one", "training": {"steps": 1, "forecast_from": forecast}}
    record = {"steps": 3, "begun_from": one, "averaged_with": one, "forecast_from": forecast}
    shorter = {"averaged_with": {"model": "one"}, "forecast_from": {"model": "forecast"}}
    assert publish_model.told_once(record, []) == {**record, **shorter}
    assert record["averaged_with"] == one  # which is left as it was


def test_of_a_mean_both_are_told_and_what_they_grew_out_of_once(run, tmp_path):
    run.write_config(default_config("fast", epochs=3, init_from="fast"))
    later = Run(tmp_path / "later")
    later.create(default_config("fast", epochs=1, init_from="fast", average_with=str(run.folder)))
    later.append_history("epoch", {"epoch": 1, "step": 50, "minutes": 1.0, "val_psnr": 20.0})
    later.log_call(command="python train.py --average-with run", from_step=0, changes={})
    record = publish_model.training_record(later)
    assert record["begun_from"] == {"model": "fast", "training": zoo.card("fast")["training"]}
    averaged = record["averaged_with"]
    assert averaged["model"] == "run"
    assert averaged["training"]["begun_from"] == {"model": "fast"}
    assert averaged["training"]["steps"] == publish_model.training_record(run)["steps"]
    assert publish_model.all_calls(later) == [
        *zoo.card("fast")["command"]["train"],
        "python train.py --model fast --epochs 3",
        "python train.py --average-with run",
    ]


def test_a_run_that_began_with_another_run_tells_of_both(run, tmp_path):
    later = Run(tmp_path / "later")
    later.create(default_config("fast", epochs=1, init_from=str(run.folder), learning_rate=6e-4))
    later.append_history("epoch", {"epoch": 1, "step": 50, "minutes": 1.0, "val_psnr": 20.0})
    later.log_call(command="python train.py --init-from run", from_step=0, changes={})
    record = publish_model.training_record(later)
    assert record["begun_from"] == {"model": "run", "training": publish_model.training_record(run)}
    assert publish_model.all_calls(later) == [
        "python train.py --model fast --epochs 3",
        "python train.py --init-from run",
    ]


def test_a_run_that_took_the_forecast_of_another_run_tells_of_both(run, tmp_path):
    later = Run(tmp_path / "later")
    later.create(default_config("fast", epochs=1, forecast_from=str(run.folder)))
    later.log_call(command="python train.py --forecast-from run", from_step=0, changes={})
    assert publish_model.all_calls(later) == [
        "python train.py --model fast --epochs 3",
        "python train.py --forecast-from run",
    ]


@pytest.mark.parametrize("forecast_from", [None, "fast"])
def test_a_run_that_began_with_a_shipped_model_tells_what_made_that(tmp_path, forecast_from):
    later = Run(tmp_path / "later")
    later.create(default_config("fast", epochs=1, init_from="fast", forecast_from=forecast_from))
    later.log_call(command="python train.py --init-from fast", from_step=0, changes={})
    before = zoo.card("fast")["command"]["train"]
    assert publish_model.all_calls(later) == [*before, "python train.py --init-from fast"]


def test_a_model_that_is_published_again_names_each_call_once(run, tmp_path, monkeypatch):
    later = Run(tmp_path / "later")
    later.create(default_config("fast", epochs=1, init_from="fast"))
    later.log_call(command="python train.py --init-from fast", from_step=0, changes={})
    made_by = publish_model.all_calls(later)
    monkeypatch.setattr(zoo, "card", lambda _: {"command": {"train": made_by}})
    assert publish_model.all_calls(later) == made_by


def test_nothing_is_shipped_when_the_run_has_no_weights(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(zoo, "FOLDER", tmp_path / "models")
    assert publish_model.main(["fast", "--run", str(run.folder), "--train-command", "x"]) == 2
    assert "weights.npz is missing" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_every_configuration_that_is_shipped_can_be_published():
    assert set(publish_model.WHAT) == set(CONFIGS) - {"classroom", "lesson"} | set(zoo.LESSON_MODELS)


@pytest.mark.parametrize("name", zoo.model_names())
def test_a_shipped_model_predicts_as_well_as_its_card_says(name):
    told = zoo.card(name)["metrics"]["first_clips"]
    found = publish_model.first_scores(zoo.load(name), zoo.card(name)["causal"])
    assert set(found) == set(told)
    copied = zoo.card(name)["metrics"]["next_frame_copy_last"]["mse_sum"]
    assert found["next_frame"]["mse_sum"] < 0.5 * copied
    for mode in set(told) - {"sequences"}:
        assert found[mode]["psnr"] == pytest.approx(told[mode]["psnr"], abs=0.05)
        assert found[mode]["ssim"] == pytest.approx(told[mode]["ssim"], abs=0.002)
        assert found[mode]["mse_sum"] == pytest.approx(told[mode]["mse_sum"], rel=0.01)


@pytest.mark.parametrize(("head", "has_rollout"), [("causal", True), ("leaky", False)])
def test_a_leaky_model_is_scored_on_next_frames_only(head, has_rollout):
    predictor = Predictor(Network(ModelConfig("tiny", (2,), (3,), patch=4, head=head)))
    scores = publish_model.card_scores(publish_model.measure(predictor, 1, 1))
    assert scores["next_frame"]["psnr"] > 0
    assert ("rollout_10_10" in scores) == has_rollout
    assert set(publish_model.measure(predictor, 1, 0)) == {"next-frame"}


def test_a_forecast_is_rounded_as_far_as_its_rollouts_allow(run, tmp_path, monkeypatch):
    """What rounding costs is measured where a forecast has a say, too."""
    network = Network(CONFIGS["fast"])
    save_arrays(run.weights_path, variable_arrays(network.variables))
    # next-frame and rollout: exact, with 7 bits, with 8, with all of them
    told = [20.0, 22.0, 20.0, 21.9, 19.9, 22.0, 19.995, 22.0]
    monkeypatch.setattr(publish_model, "evaluate", lambda *_: {"psnr": told.pop(0)})
    stored, cost = publish_model.export_rounded(run, tmp_path / "shipped")
    assert stored == "float16, 11 significant bits"
    assert cost == pytest.approx(0.005)
    assert not told


def test_a_foresight_tells_how_many_clips_it_has_seen(run):
    config = run.read_config()
    run.write_config(replace(config, learn="foresight", model=CONFIGS["best"]))
    assert publish_model.clips_seen(run, 3000) == KNOWN_CLIPS
    assert "calm" in publish_model.data_of(run.read_config())
    assert "calm" not in publish_model.data_of(config)
