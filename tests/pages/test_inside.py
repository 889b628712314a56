"""The page about the inside of a cell, without a browser."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core import metrics, zoo
from core.inspection import Intervention
from core.moving_mnist import render
from core.tuning import DIRECTIONS_DEG
from ui import cache, inside, looking_back_view
from ui.doors import ModelDoor
from ui.inside_view import SECTIONS
from ui.link import default_settings
from ui.what_if import KINDS

ROOT = Path(__file__).resolve().parent.parent.parent
LOAD_SECONDS = 240


@pytest.fixture(autouse=True)
def fresh_caches(request):
    st.cache_data.clear()
    if "opened" not in request.fixturenames:  # those that need a network share one: it takes seconds to load
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
    monkeypatch.setattr(ModelDoor, "start", lambda self, after_seconds=0.0: None)
    at = page()
    assert at.title[0].value == "Inside the cell"
    assert shown(at) is None
    assert any("is loading" in caption.value for caption in at.caption)


def test_a_model_that_cannot_be_loaded_is_one_sentence(monkeypatch):
    monkeypatch.setattr(ModelDoor, "start", lambda self, after_seconds=0.0: None)
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

    at.session_state["_inside_choice"] = inside.Choice("h", None, (2, 3))
    at.run()
    data = shown(at)
    assert data["pixel"] == [2, 3]
    assert len(data["receipts"]) == 19
    assert set(data["maps"]) == set(inside.MAPS)


@pytest.fixture
def opened():
    """The page's own door to `fast`, open."""
    door = cache.inside_door("fast")
    door.start()
    assert door.wait(LOAD_SECONDS)
    return door


def opened_leaky():
    door = cache.inside_door("leaky")
    door.start()
    assert door.wait(LOAD_SECONDS)


def element(at, field):
    """What the element that is given `field` was given."""
    for one in at.get("bidi_component"):
        [data] = json.loads(one.proto.json) if one.proto.json else [{}]
        if field in data:
            return data
    raise AssertionError(f"no element with {field!r}")


def section(name, **parameters):
    return page(inside=name, **parameters)


def test_a_link_leads_to_what_was_looked_at(opened):
    data = shown(page(look="o.12.5.6", layer="3"))
    assert (data["chosen"], data["large"]["channel"], data["pixel"]) == ("o", 11, [4, 5])


def test_whatever_is_done_stands_beside_the_untouched_prediction(opened):
    at = section("What if")
    assert [panel["key"] for panel in element(at, "panels")["panels"]] == ["truth", "before", "error"]

    at.pills(key="whatif").set_value(["wipe", "noise"]).run()
    assert not at.exception
    panels = element(at, "panels")["panels"]
    assert [panel["key"] for panel in panels] == ["truth", "seen", "before", "after", "change"]
    lines = {line["name"]: line["values"] for line in element(at, "panels")["charts"][0]["lines"]}
    assert lines["Now"] != lines["Untouched"]
    clip = render(default_settings().scene())
    untouched = metrics.per_frame(clip[1:], opened.next_frames(clip))["mse"]
    np.testing.assert_allclose(lines["Untouched"], untouched, atol=1e-5)

    at.button(key="whatif_reset").click().run()
    assert not at.exception
    assert len(element(at, "panels")["panels"]) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_each_intervention_runs(opened, kind):
    at = section("What if")
    at.pills(key="whatif").set_value([kind]).run()
    assert not at.exception
    lines = {line["name"]: line["values"] for line in element(at, "panels")["charts"][0]["lines"]}
    assert len(lines["Now"]) == 19


def test_a_link_restores_what_is_done_and_asked_about(opened):
    at = section("What if", whatif=KINDS["stop"].title, whatif_stop="5")
    assert at.slider(key="whatif_stop").value == 5
    at = section("What if", whatif=KINDS["black"].title, whatif_black=["9", "3"])
    assert not at.exception
    at = section("Looks back", at="21.41", back_frame_19="7")
    assert element(at, "back")["pixel"] == [20, 40]
    assert element(at, "back")["count"] == 6
    assert element(section("Looks back", at="99.x"), "back")["pixel"] != [98, 0]


def test_a_gate_that_is_held_is_held(opened):
    at = section("What if", layer="2")
    at.pills(key="whatif").set_value(["gate"]).run()
    at.slider(key="whatif_value_f").set_value(1.0).run()
    lines = {line["name"]: line["values"] for line in element(at, "panels")["charts"][0]["lines"]}
    clip = render(default_settings().scene())
    held = opened.inspect(clip, 2, Intervention(clamp={"f": 1.0})).predictions
    np.testing.assert_allclose(lines["Now"], metrics.per_frame(clip[1:], held)["mse"], atol=1e-6)


def test_looking_back_tells_which_frames_a_pixel_came_from(opened):
    at = section("Looks back")  # by hiding parts, which sees what came of matches, too
    data = element(at, "back")
    assert data["count"] == len(data["back"]["frames"]) == 10
    assert list(data["back"]["maps"]) == ["9"]
    assert data["back"]["maps"]["9"]["side"] == 8
    assert any("hidden" in caption.value for caption in at.caption)
    assert any(text.value.startswith("The last frame has") for text in at.markdown)

    at = section("Looks back", back_method="Gradient × input")
    assert len(element(at, "back")["back"]["maps"]) == 10
    assert any(text.value.startswith("Without what it learned by comparing frames,") for text in at.markdown)


def test_what_takes_long_is_asked_first(opened):
    at = section("Looks back", back_method="Integrated gradients")
    assert element(at, "back")["back"] is None
    assert at.button(key="back_ask").label == "Work it out"


def test_directions_are_those_of_the_result_file(opened):
    at = section("Directions", layer="2")
    assert len(element(at, "plots")["plots"]) == 24
    assert element(at, "plots")["directions"] == list(DIRECTIONS_DEG)
    at.toggle(key="all_directions").set_value(True).run()
    assert len(element(at, "plots")["plots"]) == 128


def test_where_directions_were_not_measured_the_page_names_the_command(opened, tmp_path, monkeypatch):
    monkeypatch.setenv("CONVLSTM_RESULTS", str(tmp_path))
    at = section("Directions")
    assert "tuning --models fast" in at.info[0].value
    (tmp_path / "fast.tuning.json").write_text("[]")
    at = section("Directions")
    assert "fast.tuning.json must hold a JSON object" in at.error[0].value


def test_the_leaky_network_moves_the_past_and_the_honest_one_does_not(opened):
    opened_leaky()
    at = section("Leak")
    assert any("fast: 0 of" in text.value.lower() for text in at.markdown)
    assert any("Leaky: 1 of" in text.value for text in at.markdown)
    assert "**Fast beside Leaky**" in [text.value for text in at.markdown]


def test_beside_the_leaky_network_stands_an_honest_one(opened):
    opened_leaky()
    reference = cache.inside_door("reference")
    reference.start()
    assert reference.wait(LOAD_SECONDS)
    at = section("Leak", model="leaky")
    assert not at.exception
    assert "**Leaky beside Reference**" in [text.value for text in at.markdown]
    panels = [panel["title"] for panel in element(at, "panels")["panels"]]
    assert panels[:4] == ["Leaky", "Leaky, changed", "Leaky, moved", "Reference"]


@pytest.mark.parametrize(("model", "method", "asked"), [
    ("fast", "occlusion", False), ("best", "occlusion", True), ("best", "gradient", False),
    ("reference", "occlusion", True),
])  # fmt: skip
def test_hiding_parts_waits_where_a_network_takes_long(model, method, asked):
    door = SimpleNamespace(config=lambda: zoo.config_of(model))
    assert looking_back_view._costs(method, door, 10) == asked


@pytest.mark.parametrize("gate", ["f", "g"])
def test_weights_are_shown_as_pictures(opened, gate):
    at = section("Weights", weights_gate=inside.title_of_gate(gate))
    assert len(at.get("image")) == 2
    assert bool(at.get("plotly_chart")) == (gate == "f")


def test_a_link_to_a_layer_that_is_none_opens_the_first(monkeypatch):
    monkeypatch.setattr(ModelDoor, "start", lambda self, after_seconds=0.0: None)
    at = page(layer="9")
    assert at.segmented_control(key="layer").value == 1


@pytest.mark.parametrize("name", SECTIONS)
def test_every_control_has_help(opened, name):
    if name == "Leak":
        opened_leaky()
    at = section(name)
    if name == "What if":
        at.pills(key="whatif").set_value(list(KINDS)).run()
    controls = [*at.slider, *at.button, *at.get("button_group"), *at.number_input, *at.toggle]
    assert len(controls) > 10
    assert [control.proto.label for control in controls if not control.proto.help] == []
