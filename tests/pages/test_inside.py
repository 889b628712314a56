"""The page about the inside of a cell, without a browser."""

import json
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from ui import cache, inside

ROOT = Path(__file__).resolve().parent.parent.parent
LOAD_SECONDS = 240


@pytest.fixture(autouse=True)
def fresh_caches():
    st.cache_data.clear()
    st.cache_resource.clear()


def page(**parameters):
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for name, value in parameters.items():
        at.query_params[name] = value
    at.run()
    at.switch_page("pages/inside.py").run()
    assert not at.exception
    return at


def shown(at):
    for element in at.get("bidi_component"):
        [data] = json.loads(element.proto.json) if element.proto.json else [{}]
        if "gallery" in data:
            return data
    return None


def test_while_the_model_loads_the_page_says_so(monkeypatch):
    monkeypatch.setattr(cache.ModelDoor, "start", lambda self, after_seconds=0.0: None)
    at = page()
    assert at.title[0].value == "Inside the cell"
    assert shown(at) is None
    assert any("is loading" in caption.value for caption in at.caption)


def test_a_model_that_cannot_be_loaded_is_one_sentence(monkeypatch):
    monkeypatch.setattr(cache.ModelDoor, "start", lambda self, after_seconds=0.0: None)
    door = cache.inside_door("fast")
    door.error = "its weights are torn."
    door._done.set()
    at = page()
    assert [error.value for error in at.error] == ["The fast model cannot be used: its weights are torn."]


def test_the_maps_are_those_of_the_scene_and_agree_with_the_equations():
    door = cache.inside_door("fast")
    door.start()
    assert door.wait(LOAD_SECONDS)
    at = page()
    data = shown(at)
    assert (data["chosen"], data["gallery"]["channels"], data["gallery"]["time"]) == ("f", 64, 19)
    assert data["pixel"] is None
    assert data["receipts"] == []
    assert any(caption.value.startswith("✓") for caption in at.caption)

    at.segmented_control(key="layer").set_value(2).run()
    assert not at.exception
    assert shown(at)["gallery"]["channels"] == 128
    assert shown(at)["scale"] == 8

    at.session_state["_inside_map"], at.session_state["_inside_pixel"] = "h", [2, 3]
    at.run()
    data = shown(at)
    assert data["pixel"] == [2, 3]
    assert len(data["receipts"]) == 19
    assert set(data["maps"]) == set(inside.MAPS)


def test_a_link_to_a_layer_that_is_none_opens_the_first(monkeypatch):
    monkeypatch.setattr(cache.ModelDoor, "start", lambda self, after_seconds=0.0: None)
    at = page(layer="9")
    assert at.segmented_control(key="layer").value == 1


def test_every_control_has_help(monkeypatch):
    monkeypatch.setattr(cache.ModelDoor, "start", lambda self, after_seconds=0.0: None)
    at = page()
    controls = [*at.slider, *at.button, *at.get("button_group")]
    assert len(controls) > 10
    assert all(control.proto.help for control in controls)
