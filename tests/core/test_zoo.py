"""The shipped models: there, loadable, causal, and clear words when they are not."""

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core import zoo
from core.moving_mnist import benchmark_clips, to_frames


def test_fast_and_reference_are_shipped():
    assert {"fast", "reference"} <= set(zoo.model_names())


@pytest.mark.parametrize("name", zoo.model_names())
def test_shipped_model_is_causal_to_the_last_bit_or_says_that_it_is_not(name):
    predictor = zoo.load(name)
    assert predictor.weights_sha256 == zoo.weights_checksum(name)
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
def test_card_says_what_the_model_is(name):
    card = zoo.card(name)
    assert {"what", "data", "training", "hardware", "date", "metrics", "command", "licence"} <= set(card)
    assert card["metrics"]["sequences"] >= 500


def test_unknown_model_is_answered_with_the_names():
    with pytest.raises(zoo.ModelError, match=r"unknown model 'best-ever'; shipped are .*fast"):
        zoo.load("best-ever")


def test_no_name_is_not_the_present_folder(tmp_path, monkeypatch):
    (tmp_path / "model.json").touch()
    monkeypatch.chdir(tmp_path)
    assert zoo.model_folder(".") == Path()
    with pytest.raises(zoo.ModelError, match="unknown model ''; shipped are"):
        zoo.model_folder("")


def test_a_name_too_long_for_the_disk_is_one_sentence():
    with pytest.raises(zoo.ModelError, match=r"^model 'x{79} … cannot be read: File name too long$"):
        zoo.model_folder("x" * 5000)


def test_a_folder_that_nobody_may_look_into_is_one_sentence(tmp_path, monkeypatch):
    def refused(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "is_file", refused)
    with pytest.raises(zoo.ModelError, match=r"^model '.* cannot be read: Permission denied$"):
        zoo.model_folder(tmp_path / "secret")


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


@pytest.mark.parametrize("filters", [10**5, 10**30])
def test_a_network_that_is_far_larger_than_its_weights_is_not_built(tmp_path, monkeypatch, filters):
    from core import inference

    folder = tmp_path / "fast"
    shutil.copytree(zoo.FOLDER / "fast", folder)
    config = zoo.config_of(folder)
    large = replace(config, filters=(*config.filters[:-1], filters))
    (folder / "model.json").write_text(large.to_json())
    monkeypatch.setattr(inference, "Network", lambda *_: pytest.fail("it was built"))
    with pytest.raises(zoo.ModelError, match=r"model\.json is of a larger network than .*weights\.npz has"):
        zoo.load(folder)
