"""The evaluation page without a browser: every section, with and without its files."""

import csv
import io
import json
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.scenes import preset_scenes
from tests.ui.test_results import write_results
from ui import evaluation_parts, evaluation_view, link, results
from ui.doors import ModelDoor
from ui.evaluation_map_view import predict_parameters
from ui.evaluation_pictures_view import full_loss, short_loss

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder of results; no model warming up."""
    monkeypatch.setenv(results.FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(ModelDoor, "start", lambda self, after_seconds=0.0: None)
    st.cache_data.clear()
    return tmp_path


def page():
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    at.switch_page("pages/evaluation.py").run()
    assert not at.exception
    return at


def go_to(at, section):
    at.segmented_control(key="section").set_value(section).run()
    assert not at.exception
    return at


@pytest.mark.parametrize("section", evaluation_view.SECTIONS)
def test_without_files_each_section_names_the_command(section):
    at = go_to(page(), section)

    assert all(results.COMMAND in info.value for info in at.info)
    assert len(at.info) == 2  # the headline's and the section's
    assert not at.error


@pytest.mark.parametrize("section", evaluation_view.SECTIONS)
def test_each_section_shows_its_figures_and_gives_them_away(folder, section):
    write_results(folder)

    at = go_to(page(), section)

    assert not at.error
    assert not at.info
    assert at.header[0].value
    assert at.get("download_button")
    assert [expander.label for expander in at.expander] == ["How it is measured"]


@pytest.mark.parametrize("section", ["By step", "Map", "Where and how sharp", "Leak"])
def test_every_chart_is_described(folder, section):
    write_results(folder)

    at = go_to(page(), section)

    drawn = at.get("plotly_chart")
    assert drawn
    assert all(len(chart.proto.alt) > 40 for chart in drawn)


def test_the_headline_is_the_best_model_between_copy_last_and_the_limit(folder):
    write_results(folder)

    at = page()

    assert [metric.label for metric in at.metric] == ["Copy-last", "Our best", "The limit"] * 2
    assert at.metric[0].value == "13.1 dB"  # 10 log10(4096 / 200)
    assert any("85% less squared error" in caption.value for caption in at.caption)  # 1 - 30 / 200
    assert any("Our best network is the one named **reference**" in caption.value for caption in at.caption)


def test_a_model_that_leaks_is_never_the_best(folder):
    write_results(folder)
    leaky = json.loads((folder / "fast.next-frame.json").read_text()) | {"psnr": 46.0}
    (folder / "leaky.next-frame.json").write_text(json.dumps(leaky))

    assert any(
        "Our best network is the one named **reference**" in caption.value for caption in page().caption
    )


def test_a_damaged_file_spoils_only_its_own_section(folder):
    write_results(folder)
    (folder / "blur.json").write_text("{")

    at = go_to(page(), "Blur")

    assert len(at.error) == 1
    assert "blur.json is not readable JSON" in at.error[0].value
    assert not go_to(at, "Map").error


def test_the_choices_of_the_step_chart_work(folder):
    write_results(folder)
    at = go_to(page(), "By step")

    at.segmented_control(key="step_mode").set_value("rollout").run()
    at.segmented_control(key="step_value").set_value("Skill").run()

    assert not at.exception
    drawn = json.loads(at.get("plotly_chart")[0].proto.spec)
    assert drawn["layout"]["yaxis"]["title"]["text"] == "Skill"
    assert {trace["name"] for trace in drawn["data"]} == {
        "reference", "fast", "constant velocity", "ideal observer",
    }  # fmt: skip


def test_a_cell_of_the_map_opens_its_scene_in_predict(folder):
    write_results(folder)
    at = go_to(page(), "Map")

    at.select_slider(key="map_speed").set_value(7).run()
    at.segmented_control(key="map_digits").set_value(3).run()

    assert not at.exception
    assert at.metric[-4].value == "15.0 dB"  # 25 - 7 - 3
    [opened] = at.get("page_link")
    assert "1-20-c-0_3_4_20_7_30-1_3_4_20_7_30-2_3_4_20_7_30" in str(opened.proto)


def test_a_link_to_predict_carries_the_scene_even_where_it_is_the_default():
    scene = json.loads(preset_scenes()["standard"].to_json())

    found = predict_parameters(scene, "fast", ["fast"])

    assert found["model"] == "fast"
    settings, notices = link.decode(found, ["fast"])
    assert not notices
    assert settings == link.default_settings()
    assert "model" not in predict_parameters(scene, "other", ["fast"])


def test_csv_has_every_column_and_leaves_gaps_empty():
    text = evaluation_parts.as_csv([{"a": 1}, {"a": None, "b": "x, y"}])

    assert list(csv.reader(io.StringIO(text))) == [["a", "b"], ["1", ""], ["", "x, y"]]


def test_names_of_losses_are_short():
    shown = [short_loss(name) for name in ("mse", "bce", "bce+gdl", "bce+gdl+vgg")]

    assert shown == ["MSE", "BCE", "+GDL", "+VGG"]
    assert full_loss("bce+gdl+vgg") == "BCE + GDL + VGG"
