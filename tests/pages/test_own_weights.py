"""Weights of one's own on the page Predict, without a browser."""

import numpy as np
import pytest
import streamlit as st

from core import zoo
from core.model_config import CONFIGS
from core.own_weights import OwnWeights
from tests.pages.test_pages import LOAD_SECONDS, app, on_page, payload
from tests.weights_files import npz, weights_of
from ui import cache, doors, own_weights
from ui.doors import YOURS
from ui.own_weights import Mine

CLASSROOM = CONFIGS["classroom"]
MOTION = "3 ConvLSTM layers with 64, 128 and 64 filters on patches of 4 by 4 pixels, a motion head"


@pytest.fixture(autouse=True)
def fresh_caches():
    st.cache_data.clear()
    st.cache_resource.clear()


def bring(at, name, content):
    [uploader] = [one for one in at.file_uploader if one.label.startswith("A weights file")]
    uploader.upload(name, content, "application/octet-stream").run()


def wait_for(at):
    """Until the weights that were brought along predict."""
    mine = at.session_state["_own_weights"]
    assert cache.own_door(mine.digest, mine.config, mine.weights.arrays).wait(LOAD_SECONDS)
    at.run()


def model_choice(at):
    [choice] = [one for one in at.segmented_control if one.label == "Model"]
    return choice


def button(at, label):
    [found] = [one for one in at.button if one.label == label]
    return found


@pytest.fixture
def page():
    """Predict, with the shipped model there."""
    at = on_page(app(), "predict")
    assert cache.model_door("fast").wait(LOAD_SECONDS)
    return at.run()


def test_weights_of_ones_own_predict_in_both_ways_and_are_put_away(page):
    before = payload(page, "prediction")["panels"][1]["sprite"]["src"]

    bring(page, "my_*weights*.npz", npz(weights_of(CLASSROOM)))
    wait_for(page)

    assert not page.exception
    assert model_choice(page).value == YOURS
    [words] = [caption.value for caption in page.caption if "recognised as" in caption.value]
    assert words.startswith(
        r"**Yours** is my\_\*weights\*.npz, recognised as **classroom**: 2 ConvLSTM layers"
    )
    assert payload(page, "prediction")["panels"][1]["sprite"]["src"] != before
    assert "model" not in page.query_params  # nobody else has them
    labels = [one.proto.label for one in page.get("download_button")]
    assert "GIF" in labels
    assert "Scene (JSON)" in labels
    assert not [label for label in labels if "Script" in label]
    page.segmented_control(
        key=next(one.key for one in page.segmented_control if one.label == "How to predict")
    )
    [mode] = [one for one in page.segmented_control if one.label == "How to predict"]
    mode.set_value("rollout").run()
    assert not page.exception
    assert payload(page, "prediction")["given"] == 10

    button(page, "Put it away").click().run()

    assert not page.exception
    assert model_choice(page).value == "fast"
    assert not [caption for caption in page.caption if "recognised as" in caption.value]


def test_shipped_models_can_be_chosen_beside_ones_own(page):
    before = payload(page, "prediction")["panels"][1]["sprite"]["src"]
    bring(page, "weights.npz", npz(weights_of(CLASSROOM)))
    wait_for(page)
    mine = payload(page, "prediction")["panels"][1]["sprite"]["src"]

    model_choice(page).set_value("fast").run()

    assert payload(page, "prediction")["panels"][1]["sprite"]["src"] == before
    model_choice(page).set_value(YOURS).run()
    assert payload(page, "prediction")["panels"][1]["sprite"]["src"] == mine
    page.session_state["compare"] = ["fast"]
    page.run()
    shown = payload(page, "fast")
    assert [line["name"] for line in shown["charts"][0]["lines"]][:2] == ["Yours", "Fast"]
    assert shown["panels"][2]["sprite"]["src"] == before


def test_a_file_that_is_no_weights_changes_nothing(page):
    bring(page, "weights.h5", b"hello *world*")

    assert not page.exception
    assert page.error[0].value.startswith(
        "weights.h5 cannot be used: what is in it, whatever its name says, is none of"
    )
    assert model_choice(page).value == "fast"
    assert payload(page, "prediction")["panels"][1]["sprite"] is not None
    bring(page, "weights.npz", npz(weights_of(CLASSROOM)))
    assert not page.error


def test_the_address_names_the_shipped_model_of_the_same_network(page):
    model_choice(page).set_value("reference").run()
    assert page.query_params["model"] == "reference"

    bring(page, "weights.npz", zoo.weights_path("best").read_bytes())

    assert model_choice(page).value == YOURS
    assert page.query_params["model"] == "best"
    page.query_params["model"] = "reference"  # the browser's way back
    page.session_state["_stepped"] = True  # what its listener reports
    page.run()
    assert model_choice(page).value == "reference"


def test_who_brings_weights_that_fit_two_networks_is_asked(page):
    bring(
        page,
        "weights.npz",
        npz({name: array.astype("f2") for name, array in weights_of(CONFIGS["leaky"]).items()}),
    )

    assert not page.exception
    assert "fits 2 networks whose weights look alike" in page.info[0].value
    assert model_choice(page).value == "fast"
    assert YOURS not in model_choice(page).options

    button(page, "Leaky: sees the future").click().run()

    assert not page.exception
    assert not page.info
    assert model_choice(page).value == YOURS
    assert page.query_params["model"] == "leaky"
    wait_for(page)
    assert "This model cheats" in page.warning[0].value
    [mode] = [one for one in page.segmented_control if one.label == "How to predict"]
    mode.set_value("rollout").run()
    assert "cannot go on" in page.warning[0].value
    page.button(key="use_fast").click().run()
    assert not page.exception
    assert model_choice(page).value == "fast"
    assert not page.warning


def test_weights_that_cannot_be_loaded_are_told(page):
    """As if the file had been read wrongly: the shapes are those of another network."""
    arrays = {"head/bias": np.zeros(3, np.float32)}
    page.session_state["_own_weights"] = Mine(
        "a.npz", OwnWeights("NPZ", arrays, (CLASSROOM,)), "1", CLASSROOM
    )
    page.session_state["_own_weights_instead_of"] = "fast"
    page.run()
    wait_for(page)

    assert page.error[0].value.startswith("Your model cannot be used: ")
    page.button(key="use_fast").click().run()
    assert not page.error
    assert model_choice(page).value == "fast"


def test_while_there_is_no_room_the_page_says_so_and_then_goes_on(page, monkeypatch):
    monkeypatch.setattr(doors, "KEPT_SECONDS", 600.0)
    for number in range(cache.MOST_OWN):
        cache.own_door(str(number), CLASSROOM, {})

    bring(page, "weights.npz", npz(weights_of(CLASSROOM)))

    assert not page.exception
    assert not page.error
    [said] = [info.value for info in page.info]
    assert said.startswith("The server is busy with the weights of other visitors")
    assert not [caption for caption in page.caption if "is loading" in caption.value]
    page.switch_page("pages/inside.py").run()
    assert not page.exception
    assert [info.value for info in page.info] == [said]
    page.switch_page("pages/predict.py").run()
    assert [info.value for info in page.info] == [said]

    monkeypatch.setattr(doors, "KEPT_SECONDS", 0.0)
    page.run()
    assert not page.info
    wait_for(page)
    assert not page.exception
    assert payload(page, "prediction")["panels"][1]["sprite"] is not None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("reference", "3 ConvLSTM layers with 64, 64 and 64 filters"),
        ("leaky", "3 ConvLSTM layers with 64, 64 and 64 filters, and the convolution that sees the future"),
        ("classroom", "2 ConvLSTM layers with 32 and 32 filters on patches of 4 by 4 pixels"),
        ("fast", f"{MOTION} with a motion encoder"),
        ("best", f"{MOTION} with two motion encoders"),
    ],
)
def test_a_network_is_described_in_a_few_words(name, words):
    assert own_weights.described(CONFIGS[name]) == words
