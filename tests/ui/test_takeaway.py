"""What is taken along is what was seen."""

import csv
import io
import runpy
from dataclasses import replace

import imageio.v3 as iio
import numpy as np
import pytest

from core import films
from core.moving_mnist import render, to_frames
from core.scenes import Scene
from ui import takeaway
from ui.link import default_settings
from ui.prediction import Prediction, measure

SETTINGS = default_settings()
CLIP = render(SETTINGS.scene())


def prediction(first=1):
    frames = (0.9 * to_frames(CLIP)[first:]).astype(np.float32)
    return Prediction(CLIP, frames, first, *measure(CLIP, frames, first, "next-frame"))


def test_names_say_what_is_in_a_file():
    assert takeaway.name_of(SETTINGS, "clip") == "moving-digits-7-2"
    assert takeaway.name_of(SETTINGS, "comparison") == "fast-comparison-7-2"
    alone = replace(SETTINGS, mode="rollout", model="best", count=1)
    assert takeaway.name_of(alone, "prediction") == "best-on-its-own-prediction-7"


def test_the_figures_are_those_of_the_page():
    made = prediction()
    rows = list(csv.DictReader(io.StringIO(takeaway._figures(made).make())))

    assert [int(row["frame"]) for row in rows] == list(range(1, 20))
    for name, values in made.scores.items():
        np.testing.assert_allclose([float(row[name]) for row in rows], values, rtol=1e-6)
        copied = [float(row[f"copy_last_{name}"]) for row in rows]
        np.testing.assert_allclose(copied, made.copy_scores[name], rtol=1e-6)


def test_the_scene_reads_back():
    assert Scene.from_json(takeaway._scene(SETTINGS).make()) == SETTINGS.scene()


def test_numbers_read_back_without_pickle():
    arrays = {"clip": CLIP, "prediction": prediction().frames, "first": np.array(1)}
    with np.load(io.BytesIO(takeaway._numbers(lambda: arrays).make()), allow_pickle=False) as read:
        assert sorted(read.files) == sorted(arrays)
        for name, values in arrays.items():
            np.testing.assert_array_equal(read[name], values)


def test_the_script_makes_the_same_clip(tmp_path, monkeypatch):
    path = tmp_path / "script.py"
    path.write_text(takeaway.script_text(SETTINGS, predicted=False))
    monkeypatch.chdir(tmp_path)

    runpy.run_path(str(path))

    seen = iio.imread(tmp_path / "moving-digits-7-2.gif")[..., 0]
    np.testing.assert_array_equal(seen[:, :: films.SCALE, :: films.SCALE], CLIP)


@pytest.mark.parametrize("mode", ["next-frame", "rollout"])
def test_the_script_makes_the_same_comparison(tmp_path, monkeypatch, mode):
    from core import zoo

    settings = replace(SETTINGS, mode=mode)
    path = tmp_path / "script.py"
    path.write_text(takeaway.script_text(settings, predicted=True))
    monkeypatch.chdir(tmp_path)

    runpy.run_path(str(path))

    frames, model = to_frames(CLIP)[None, ..., None], zoo.load("fast")
    if mode == "rollout":
        film = films.comparison(CLIP, model.rollout(frames[:, :10], 10)[0, ..., 0], 10)
    else:
        film = films.comparison(CLIP, model.next_frames(frames)[0, ..., 0], 1)
    [written] = tmp_path.glob("*.gif")
    assert written.read_bytes() == films.gif_bytes(film)
