"""What is taken along is what was seen."""

import csv
import io
import runpy
from dataclasses import replace

import imageio.v3 as iio
import numpy as np
import pytest

from core import baselines, films, zoo
from core.moving_mnist import benchmark_clips, render, to_frames
from core.observer import predict_scene
from core.scenes import Scene
from ui import takeaway
from ui.link import default_settings
from ui.own_clip import OwnClip
from ui.prediction import Beside, Prediction, baseline_of, limit_of, measure

SETTINGS = default_settings()
CLIP = render(SETTINGS.scene())


def prediction(first=1):
    frames = (0.9 * to_frames(CLIP)[first:]).astype(np.float32)
    return Prediction(CLIP, frames, first, *measure(CLIP, frames, first, "next-frame"))


def beside(first=1, mode="next-frame"):
    """One of each kind: another model, both kinds of baselines, the limit."""
    found = []
    for kind, key, title in (
        ("model", "best", "Best"),
        ("baseline", "copy_last", "Last frame"),
        ("baseline", "constant_velocity", "Constant velocity"),
        ("baseline", "bounce_oracle", "Bounce oracle"),
        ("limit", "limit", "The limit"),
    ):
        frames = (to_frames(CLIP)[first:] * (0.8 - 0.1 * len(found))).astype(np.float32)
        found.append(Beside(kind, key, title, "", frames, measure(CLIP, frames, first, mode)[0]))
    return found


NAMES = [
    "clip", "prediction", "first", "prediction_best", "copy_last", "constant_velocity", "bounce_oracle",
    "best_possible",
]  # fmt: skip
PANELS = [
    "Truth", "Fast", "Best", "Last frame", "Constant velocity", "Bounce oracle", "The limit",
    "Error of Fast", "Error of Best",
]  # fmt: skip


@pytest.fixture
def offered(monkeypatch):
    """What a page offers: the files by their endings, once `taken` has been called."""
    files = {}

    def taken(*arguments):
        monkeypatch.setattr(takeaway, "_offer", lambda some, name: files.update((f.ending, f) for f in some))
        monkeypatch.setattr(takeaway.st, "segmented_control", lambda *_, **__: "comparison")
        takeaway.take_prediction(*arguments)
        return files

    return taken


def test_every_file_of_a_comparison_holds_all_that_is_seen(offered, monkeypatch):
    sheets = []
    panels = films._panels
    monkeypatch.setattr(films, "_panels", lambda *parts: sheets.append(panels(*parts)) or sheets[-1])
    made, others = prediction(), beside()
    files = offered(SETTINGS, made, None, others, "Fast")

    gif = iio.imread(files["gif"].make(), extension=".gif")
    mp4 = iio.imread(io.BytesIO(files["mp4"].make()), extension=".mp4", plugin="pyav")
    png = iio.imread(files["png"].make(), extension=".png")
    assert [list(sheet) for sheet in sheets] == [PANELS] * 3
    side, rows = 64 * films.SCALE, 3
    assert gif.shape == mp4.shape == (20, rows * (side + films.LABEL_HEIGHT + films.GAP), 816, 3)
    for number, frames in enumerate(sheets[0].values()):
        top = number // 3 * (side + films.LABEL_HEIGHT + films.GAP) + films.LABEL_HEIGHT
        left = films.GAP + number % 3 * (side + films.GAP)
        for film in (gif, mp4):
            shown = film[:, top : top + side, left : left + side][:, ::4, ::4].astype(int)
            assert np.abs(shown - frames).mean() < 4
        row = png[films.LABEL_HEIGHT + number * 130 :][:128:2, -130 : png.shape[1] - 2 : 2]
        np.testing.assert_array_equal(row, frames[-1])

    with np.load(io.BytesIO(files["npz"].make()), allow_pickle=False) as read:
        assert read.files == NAMES
        np.testing.assert_array_equal(read["bounce_oracle"], others[3].frames)
        assert {read[name].shape for name in NAMES[3:]} == {(19, 64, 64)}
    [header, *rows] = csv.reader(io.StringIO(files["csv"].make()))
    starts = ["", "best_", "copy_last_", "constant_velocity_", "bounce_oracle_", "best_possible_"]
    assert header == ["frame", *(f"{start}{name}" for start in starts for name in ("mse", "psnr", "ssim"))]
    np.testing.assert_allclose([float(row[-3]) for row in rows], others[4].scores["mse"], rtol=1e-6)


def test_what_is_not_there_yet_is_left_out(offered):
    waiting = Beside("model", "best", "Best", "", None, {}, "The model is loading.")
    files = offered(SETTINGS, prediction(), None, [waiting], "Fast")

    with np.load(io.BytesIO(files["npz"].make())) as read:
        assert read.files == ["clip", "prediction", "first"]
    assert files["csv"].make().splitlines()[0].count("mse") == 2
    assert "best" not in files["py"].make()


def test_a_file_of_scores_ends_where_the_clip_ends():
    frames = np.zeros((8, 64, 64), np.float32)
    longer = Prediction(CLIP, frames, 15, *measure(CLIP, frames, 15, "rollout"))
    rows = list(csv.DictReader(io.StringIO(takeaway._figures(longer).make())))
    assert [int(row["frame"]) for row in rows] == list(range(16, 21))


def test_names_say_what_is_in_a_file():
    assert takeaway.name_of(SETTINGS, "clip") == "moving-digits-7-2"
    assert takeaway.name_of(SETTINGS, "comparison") == "fast-comparison-7-2"
    alone = replace(SETTINGS, mode="rollout", model="best", count=1)
    assert takeaway.name_of(alone, "prediction") == "best-on-its-own-prediction-7"


def test_the_figures_are_those_of_the_page():
    made = prediction()
    rows = list(csv.DictReader(io.StringIO(takeaway._figures(made).make())))

    assert [int(row["frame"]) for row in rows] == list(range(2, 21))
    for name, values in made.scores.items():
        np.testing.assert_allclose([float(row[name]) for row in rows], values, rtol=1e-6)
        copied = [float(row[f"copy_last_{name}"]) for row in rows]
        np.testing.assert_allclose(copied, made.copy_scores[name], rtol=1e-6)


def test_files_say_from_where_they_count_frames():
    made = prediction()
    table, numbers = takeaway._figures(made), takeaway._numbers(lambda: takeaway.arrays_of(made, None))

    [first, *_] = csv.DictReader(io.StringIO(table.make()))
    assert (int(first["frame"]), "counted from 1" in table.help) == (2, True)
    with np.load(io.BytesIO(numbers.make())) as read:
        assert (int(read["first"]), "counted from 0" in numbers.help) == (1, True)


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
def test_the_script_makes_the_same_comparison(tmp_path, monkeypatch, mode, loaded_once):
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


@pytest.mark.parametrize("mode", ["next-frame", "rollout"])
def test_the_script_of_a_clip_of_the_standard_set_makes_it(tmp_path, monkeypatch, mode, loaded_once):
    settings, steps = replace(SETTINGS, mode=mode), (10, 6)
    [clip] = benchmark_clips(7, 8)
    own = OwnClip("Clip 7", clip, 7)
    path = tmp_path / "script.py"
    told = [one for one in beside() if one.kind != "model"]
    path.write_text(takeaway.script_text(settings, predicted=True, beside=told, own=own, steps=steps))
    monkeypatch.chdir(tmp_path)

    runpy.run_path(str(path))

    frames, first = to_frames(clip)[None, ..., None], 1 if mode == "next-frame" else 10
    fast = zoo.load("fast")
    prediction = fast.rollout(frames[:, :10], 6) if mode == "rollout" else fast.next_frames(frames)
    made = {
        one.title: limit_of(7, mode, *steps).frames
        if one.kind == "limit"
        else baseline_of(one.key, 7, mode, *steps).frames
        for one in told
    }
    film = films.comparison(clip, prediction[0, ..., 0], first, title="Prediction", baselines=made)
    ahead = "on-its-own-" if mode == "rollout" else ""
    assert (tmp_path / f"fast-{ahead}comparison-clip-7.gif").read_bytes() == films.gif_bytes(film)


@pytest.mark.parametrize("mode", ["next-frame", "rollout"])
def test_the_script_makes_all_that_was_beside_it(tmp_path, monkeypatch, mode, loaded_once):
    settings = replace(SETTINGS, mode=mode, horizon=4)
    scene, clip = settings.scene(), render(settings.scene())
    path = tmp_path / "script.py"
    path.write_text(takeaway.script_text(settings, predicted=True, beside=beside(), title="Fast"))
    monkeypatch.chdir(tmp_path)

    runpy.run_path(str(path))

    frames, first = to_frames(clip)[None, ..., None], 1 if mode == "next-frame" else 10

    def by(name):
        if mode == "rollout":
            return zoo.load(name).rollout(frames[:, :10], 4)[0, ..., 0]
        return zoo.load(name).next_frames(frames)[0, ..., 0]

    def told(name):
        if mode == "rollout":
            return baselines.scene_rollout(name, scene, 10, 4)
        return baselines.scene_next_frames(name, scene)

    limit = (
        predict_scene(scene, context=10)[1][:4] if mode == "rollout" else predict_scene(scene, context=1)[0]
    )
    film = films.comparison(
        clip,
        by("fast"),
        first,
        title="Fast",
        others={"Best": by("best")},
        baselines={
            "Last frame": told("copy_last"),
            "Constant velocity": told("constant_velocity"),
            "Bounce oracle": told("bounce_oracle"),
            "The limit": limit,
        },
    )
    [written] = tmp_path.glob("*.gif")
    assert written.read_bytes() == films.gif_bytes(film)
