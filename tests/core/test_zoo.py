"""The shipped models: there, loadable, causal, and clear words when they are not."""

import shutil

import numpy as np
import pytest

from core import zoo
from core.moving_mnist import benchmark_clips, to_frames


def test_fast_and_reference_are_shipped():
    assert {"fast", "reference"} <= set(zoo.model_names())


@pytest.mark.parametrize("name", zoo.model_names())
def test_shipped_model_is_causal_to_the_last_bit_or_says_that_it_is_not(name):
    predictor = zoo.load(name)
    frames = to_frames(benchmark_clips(0, 1))[..., None]
    perturbed = frames.copy()
    perturbed[:, 8] = 1 - perturbed[:, 8]
    before, after = predictor.next_frames(frames), predictor.next_frames(perturbed)
    assert (before[:, 8] != after[:, 8]).any()
    if name == "leaky":
        assert zoo.card(name)["causal"] is False
        assert (before[:, 7] != after[:, 7]).any()  # the prediction of the very frame that was changed
    else:
        np.testing.assert_array_equal(before[:, :8], after[:, :8])


@pytest.mark.parametrize("name", zoo.model_names())
def test_shipped_model_beats_copying_the_last_frame(name):
    frames = to_frames(benchmark_clips(0, 4))
    prediction = zoo.load(name).next_frames(frames[..., None])[..., 0]
    error, copied = (((guess - frames[:, 1:]) ** 2).mean() for guess in (prediction, frames[:, :-1]))
    assert error < 0.5 * copied


@pytest.mark.parametrize("name", zoo.model_names())
def test_card_says_what_the_model_is(name):
    card = zoo.card(name)
    assert {"what", "data", "training", "hardware", "date", "metrics", "command", "licence"} <= set(card)
    assert card["metrics"]["sequences"] >= 500


def test_unknown_model_is_answered_with_the_names():
    with pytest.raises(zoo.ModelError, match=r"unknown model 'best-ever'; shipped are .*fast"):
        zoo.load("best-ever")


def test_weights_stand_for_the_folder_they_lie_in(tmp_path):
    folder = zoo.FOLDER / "fast"
    assert zoo.model_folder(folder / "weights.npz") == folder
    (tmp_path / "weights.npz").touch()  # of what network nobody knows
    with pytest.raises(zoo.ModelError, match="or give a folder with model.json and weights.npz"):
        zoo.model_folder(tmp_path / "weights.npz")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("weights.npz", b"torn", r"weights\.npz is damaged"),
        ("weights.npz", None, r"weights\.npz is missing"),
        ("model.json", b"{}", r"model\.json is damaged"),
        ("card.json", b"{", r"card\.json is missing or damaged"),
    ],
)
def test_damaged_model_is_named(tmp_path, file, content, message):
    folder = tmp_path / "fast"
    shutil.copytree(zoo.FOLDER / "fast", folder)
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    with pytest.raises(zoo.ModelError, match=message):
        zoo.card(folder) if file == "card.json" else zoo.load(folder)
