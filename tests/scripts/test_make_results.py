"""Result files: what the page reads, made by the command that they name."""

import json
import re
from datetime import date

import numpy as np
import pytest

from core import zoo
from core.inference import Predictor
from core.model import ModelConfig, Network
from core.runs import Run
from core.train_config import default_config
from scripts import make_results
from scripts.make_results import TITLES, main, named_folders

COMMON = {"made_by", "date"}


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Two small networks with random weights, under names of their own."""
    heads = {"one": "causal", "leaky": "leaky"}
    networks = {
        name: Predictor(Network(ModelConfig("tiny", (2,), (3,), patch=4, head=head)), name)
        for name, head in heads.items()
    }
    monkeypatch.setattr(make_results, "_load", lambda name, *_: networks[str(name)])
    monkeypatch.setattr(zoo, "model_folder", lambda name: tmp_path / "models" / str(name))
    return networks


def read(folder, name):
    report = json.loads((folder / f"{name}.json").read_text())
    assert report["made_by"].startswith("python -m scripts.make_results ")
    date.fromisoformat(report["date"])
    return report


def make(folder, *arguments):
    assert main([*arguments, "--folder", str(folder)]) == 0


def test_scores_of_both_modes(models, tmp_path):
    folder = tmp_path / "results"
    make(folder, "next-frame", "rollout", "--models", "one", "--sequences", "2", "--no-lpips")
    for name, steps in (("one.next-frame", 19), ("one.rollout", 10)):
        report = read(folder, name)
        assert {"psnr", "ssim", "mse_sum", "psnr_of_mean_mse", "baselines", "first_target"} <= set(report)
        assert set(report["physics"]) == {"centroid_px", "mass_ratio", "sharpness_ratio"}
        assert all(len(report["per_step"][figure]) == steps for figure in ("mse_sum", "centroid_px"))
        assert report["sequences"] == 2
        assert "bounce_oracle" in report["baselines"]


def test_map_and_worst(models, tmp_path):
    make(tmp_path, "map", "worst", "--models", "one", "--sequences", "11", "--clips-a-cell", "1")
    found = read(tmp_path, "one.map")
    assert set(found) == COMMON | {
        "model", "speeds_px", "digits", "clips_a_cell", "trained", "reach_px", "moves_px", "cells",
    }  # fmt: skip
    assert (len(found["cells"]), found["reach_px"]) == (44, 8)
    assert {(cell["speed_px"], cell["digits"]) for cell in found["cells"]} == {
        (speed, digits) for speed in range(11) for digits in range(1, 5)
    }
    worst = read(tmp_path, "one.worst")
    errors = [clip["mse_sum"] for clip in worst["clips"]]
    assert len(errors) == 10
    assert errors == sorted(errors, reverse=True)
    with np.load(tmp_path / "one.worst.npz") as arrays:
        assert {name: (arrays[name].shape, arrays[name].dtype) for name in arrays.files} == {
            "truth": ((10, 20, 64, 64), np.uint8),
            "prediction": ((10, 19, 64, 64), np.uint8),
        }


def test_tuning(models, tmp_path):
    make(tmp_path, "tuning", "--models", "one")
    report = read(tmp_path, "one.tuning")
    assert set(report) == COMMON | {"model", "speeds_px", "directions_deg"}
    with np.load(tmp_path / "one.tuning.npz") as arrays:
        assert arrays.files == ["layer_1"]
        assert arrays["layer_1"].shape == (2, len(report["speeds_px"]), len(report["directions_deg"]))
        assert (arrays["layer_1"] > 0).all()


def test_leak(models, tmp_path):
    make(tmp_path, "leak", "--leak-models", "one,leaky", "--sequences", "1")
    report = read(tmp_path, "leak")
    assert set(report) == COMMON | {"changed_frame", "changed_pixel", "models", "sequences"}
    assert [(entry["name"], entry["causal"]) for entry in report["models"]] == [
        ("one", True),
        ("leaky", False),
    ]
    for entry in report["models"]:
        assert set(entry) == {"name", "causal", "max_change", "psnr", "ssim"}
    with np.load(tmp_path / "leak.npz") as arrays:
        assert set(arrays.files) == {"truth", "one_before", "one_after", "leaky_before", "leaky_after"}


def test_blur(models, tmp_path, monkeypatch):
    monkeypatch.setattr(make_results, "_lpips", lambda truth, predictions: np.full(truth.shape[:2], 0.25))
    folders = {}
    for name in TITLES:
        run = Run(tmp_path / "runs" / name)
        run.create(default_config("classroom"))
        run.append_history("epoch", {"epoch": 1, "step": 10, "minutes": 0.5, "val_psnr": 12.0})
        run.append_history("epoch", {"epoch": 2, "step": 20, "minutes": 1.04, "val_psnr": 14.0})
        run.append_history("epoch", {"epoch": 3, "step": 30, "minutes": 1.5, "val_psnr": 13.0})
        folders[name] = str(run.folder)
        models[folders[name]] = models["one"]
    named = ",".join(f"{name}={folder}" for name, folder in reversed(folders.items()))
    make(tmp_path / "results", "blur", "--blur-models", named, "--sequences", "1")
    report = read(tmp_path / "results", "blur")
    assert [row["name"] for row in report["models"]] == ["mse", "bce", "bce+gdl", "bce+gdl+vgg"]
    for row in report["models"]:
        assert set(row) == {
            "name", "title", "loss", "psnr", "ssim", "mse_sum", "lpips",
            "sharpness_ratio", "mass_ratio", "centroid_px", "steps", "minutes",
        }  # fmt: skip
        assert (row["steps"], row["minutes"], row["loss"]) == (20, 1.0, {"bce": 1.0})
        assert row["lpips"] == 0.25
    with np.load(tmp_path / "results" / "blur.npz") as arrays:
        assert arrays["truth"].shape == (20, 64, 64)
        assert (arrays["predictions"].shape, arrays["predictions"].dtype) == ((4, 19, 64, 64), np.uint8)


def test_observer(tmp_path):
    make(tmp_path, "observer", "--sequences", "1", "--particles", "20")
    report = read(tmp_path, "observer")
    assert (report["sequences"], report["particles"]) == (1, 20)
    assert len(report["next_frame"]["per_step"]["mse_sum"]) == 19
    assert report["rollout"]["first_target"] == 10


def test_nothing_is_left_of_a_work_that_fails(models, tmp_path, capsys):
    assert main(["rollout", "--models", "leaky", "--sequences", "1", "--folder", str(tmp_path)]) == 2
    assert "leaky has the leaking head" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["magic"], "WHAT must be of next-frame, rollout, .*; got 'magic'"),
        (["map", "--models", "nobody"], "unknown model 'nobody'"),
        (["worst", "--sequences", "9"], "--sequences must be 10 to 10000; got 9"),
        (["map", "--clips-a-cell", "0"], "--clips-a-cell must be 1 or more; got 0"),
        (["map", "--models", "fast,,"], "models must be names with commas between; got 'fast,,'"),
        (["blur", "--blur-models", "x=y"], "blur-models must name mse, bce,"),
        (["observer", "--folder", "nowhere/at/all"], "nowhere/at/all cannot be used as a folder"),
    ],
)
def test_a_mistake_is_one_line(arguments, message, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("make_results: ")
    assert re.search(message, line)


def test_all_four_losses_have_to_be_named():
    with pytest.raises(ValueError, match="must be NAME=FOLDER with commas between; got 'mse'"):
        named_folders("mse")
    with pytest.raises(ValueError, match=r"must name mse, bce, bce\+gdl, bce\+gdl\+vgg; got mse"):
        named_folders("mse=a")


def test_the_published_table_has_a_source_and_a_definition_in_every_row():
    rows = json.loads((make_results.FOLDER / "published.json").read_text())["rows"]
    columns = {"model", "mode", "mse_sum", "mae_sum", "psnr", "definition", "source", "year", "note"}
    assert rows
    for row in rows:
        # under which of both names tells how it was measured
        assert set(row) - columns == {"ssim_openstl" if "data_range 2" in row["definition"] else "ssim"}
        assert row["mode"] in ("next-frame", "rollout")
        assert row["source"]
        assert row["definition"]
        assert row["mse_sum"] > 0
        assert row["year"] is None or row["year"] >= 2015
