"""Result files: what is read, what is refused, and how the leaderboard is put together."""

import json
import os

import numpy as np
import pytest
import streamlit as st

from core.scenes import Digit, Scene
from ui import results
from ui.results import ResultError

STEPS = {"next-frame": 19, "rollout": 10}


def figures(steps, mse, **more):
    psnr = -10 * np.log10(mse / 4096)
    per_step = {name: [value] * steps for name, value in (("mse_sum", mse), ("psnr", psnr), ("ssim", 0.9))}
    per_step |= {"centroid_px": [0.5] * steps, "mass_ratio": [0.9] * steps, "sharpness_ratio": [0.8] * steps}
    means = {"psnr": psnr + 1, "psnr_of_mean_mse": psnr, "ssim": 0.9, "mse_sum": mse, "mae_sum": 2 * mse}
    return {**means, "per_step": per_step, **more}


def report(model, mode, mse, sequences=100):
    steps = STEPS[mode]
    baselines = {"copy_last": figures(steps, 200.0), "constant_velocity": figures(steps, 50.0)}
    first = 1 if mode == "next-frame" else 10
    made = {"made_by": f"python evaluate.py --model {model}", "date": "2026-11-24"}
    return figures(
        steps,
        mse,
        model=model,
        mode=mode,
        sequences=sequences,
        first_target=first,
        baselines=baselines,
        **made,
    )


def cell(speed, digits):
    scene = Scene(tuple(Digit.from_polar(n, 3, 4, 20, speed, 30) for n in range(digits)))
    return {
        "speed_px": speed, "digits": digits, "psnr": 25.0 - speed - digits, "ssim": 0.9, "mse_sum": 20.0,
        "skill": None if speed == 0 else 0.5, "copy_last_mse_sum": 40.0, "centroid_px": 0.2 * speed,
        "scene": json.loads(scene.to_json()),
    }  # fmt: skip


def write_results(folder):
    """A small whole set of made-up result files."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)

    def write(name, data):
        (folder / name).write_text(json.dumps(data), encoding="utf-8")

    def noise(*shape):
        return rng.integers(0, 256, (*shape, 64, 64), np.uint8)

    for mode in STEPS:
        for model, mse in (("fast", 40.0), ("reference", 30.0)):
            write(f"{model}.{mode}.json", report(model, mode, mse))
    ideal = {
        mode.replace("-", "_"): figures(steps, 10.0, first_target=1 if steps == 19 else 10)
        for mode, steps in STEPS.items()
    }
    write("observer.json", {"made_by": "make observer", "date": "2026-11-24", "sequences": 50, **ideal})
    write(
        "fast.map.json",
        {
            "model": "fast", "speeds_px": list(range(11)), "digits": [1, 2, 3, 4], "clips_a_cell": 2,
            "trained": {"digits": [1, 3], "speed_px": [0, 7]}, "reach_px": 6.0,
            "cells": [cell(speed, digits) for speed in range(11) for digits in (1, 2, 3, 4)],
        },
    )  # fmt: skip
    clips = [
        {"index": n, "mse_sum": 90.0, "psnr": 16.0, "copy_last_mse_sum": 200.0, "step_of_worst": 18,
         "why": "Two meet."}
        for n in range(3)
    ]  # fmt: skip
    write("fast.worst.json", {"model": "fast", "sequences": 100, "clips": clips})
    np.savez_compressed(folder / "fast.worst.npz", truth=noise(3, 20), prediction=noise(3, 19))
    losses = [
        {
            "name": n,
            "title": n,
            "psnr": 18.0,
            "ssim": 0.8,
            "mse_sum": 60.0,
            "lpips": 0.2,
            "sharpness_ratio": 0.7,
        }
        for n in ("mse", "bce", "bce+gdl", "bce+gdl+vgg")
    ]
    write("blur.json", {"models": losses, "sequences": 100})
    np.savez_compressed(folder / "blur.npz", truth=noise(20), predictions=noise(4, 19))
    still = [0.0] * 12
    models = [
        {"name": "reference", "causal": True, "max_change": [*still, *[0.1] * 7], "psnr": 20.0, "ssim": 0.8},
        {
            "name": "leaky",
            "causal": False,
            "max_change": [*still[1:], *[0.1] * 8],
            "psnr": 46.0,
            "ssim": 0.99,
        },
    ]
    write("leak.json", {"changed_frame": 12, "changed_pixel": [30, 31], "models": models})
    pictures = {
        f"{model['name']}_{when}": rng.random((19, 64, 64)).astype(np.float16)
        for model in models
        for when in ("before", "after")
    }
    np.savez_compressed(folder / "leak.npz", truth=noise(20), **pictures)
    cited = {"model": "ConvLSTM-S", "mode": "rollout", "mse_sum": 29.8, "source": "OpenSTL", "year": 2023}
    write("published.json", {"rows": [cited]})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(results.FOLDER_VARIABLE, str(tmp_path))
    st.cache_data.clear()
    return tmp_path


def test_an_empty_folder_has_nothing_and_is_no_error(folder):
    assert results.scores("next-frame") == {}
    assert results.leaderboard("rollout") == []
    assert results.observer() is None
    assert results.maps() == {}
    assert results.worst("fast") is None
    assert results.blur() is None
    assert results.leak() is None


def test_everything_written_is_read(folder):
    write_results(folder)

    assert list(results.scores("rollout")) == ["fast", "reference"]
    assert results.limit("next-frame")["mse_sum"] == 10.0
    assert len(results.maps()["fast"]["cells"]) == 44
    assert results.worst("fast")[2].shape == (3, 19, 64, 64)
    assert results.blur()[2].shape == (4, 19, 64, 64)
    assert set(results.leak()[1]) >= {"truth", "leaky_before", "reference_after"}


def test_a_file_made_anew_is_read_anew(folder):
    write_results(folder)
    path = folder / "fast.rollout.json"
    assert results.scores("rollout")["fast"]["mse_sum"] == 40.0

    path.write_text(json.dumps(report("fast", "rollout", 35.0)), encoding="utf-8")
    os.utime(path, ns=(1, 1))

    assert results.scores("rollout")["fast"]["mse_sum"] == 35.0


def test_the_leaderboard_holds_models_baselines_limit_and_published_of_one_mode(folder):
    write_results(folder)

    rows = {row["model"]: row for row in results.leaderboard("rollout")}

    assert {name: row["kind"] for name, row in rows.items()} == {
        "reference": "ours", "fast": "ours", "copy-last": "baseline", "constant velocity": "baseline",
        "ideal observer": "limit", "ConvLSTM-S": "published",
    }  # fmt: skip
    assert rows["fast"]["command"] == "python evaluate.py --model fast"
    assert rows["fast"]["year"] == 2026
    assert rows["ConvLSTM-S"]["psnr"] is None
    assert len({tuple(row) for row in rows.values()}) == 1  # the same columns in every row
    assert "ConvLSTM-S" not in [row["model"] for row in results.leaderboard("next-frame")]


def test_the_baselines_are_those_of_the_largest_set(folder):
    write_results(folder)
    large = report("fast", "rollout", 40.0, sequences=1000)
    large["baselines"]["copy_last"]["mse_sum"] = 300.0
    (folder / "fast.rollout.json").write_text(json.dumps(large), encoding="utf-8")

    copied = next(row for row in results.leaderboard("rollout") if row["model"] == "copy-last")

    assert copied["mse_sum"] == 300.0
    assert "1,000 clips made here" in copied["definition"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("blur.json", "{", "blur.json is not readable JSON"),
        ("blur.json", "[]", "blur.json must hold a JSON object; got list"),
        ("blur.json", '{"models": 3}', "blur.json must hold 'models' as list; got 3"),
        ("blur.json", '{"models": [{"name": "mse"}]}', "entry 0 of blur.json lacks title, psnr"),
    ],
)
def test_a_damaged_file_is_refused_in_one_sentence(folder, name, text, message):
    write_results(folder)
    (folder / name).write_text(text, encoding="utf-8")

    with pytest.raises(ResultError, match=message.replace("[", r"\[")):
        results.blur()


def test_pictures_that_do_not_fit_are_refused(folder):
    write_results(folder)
    np.savez(folder / "blur.npz", truth=np.zeros((20, 64, 64)), predictions=np.zeros((3, 19, 64, 64)))
    with pytest.raises(ResultError, match="blur.npz must hold 'predictions' of shape"):
        results.blur()

    (folder / "leak.npz").unlink()
    with pytest.raises(ResultError, match="leak.npz is missing beside its JSON file"):
        results.leak()

    (folder / "fast.worst.npz").write_bytes(b"PK cut off")
    with pytest.raises(ResultError, match="fast.worst.npz is damaged"):
        results.worst("fast")


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="mode must be next-frame or rollout; got 'both'"):
        results.scores("both")
