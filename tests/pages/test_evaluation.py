"""The evaluation page without a browser: every section, with and without its files."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.moving_mnist import benchmark_clips
from core.uploads import Upload
from tests.ui.test_results import write_results
from ui import evaluation_parts, evaluation_view, link, own_clip, results
from ui.doors import ModelDoor
from ui.evaluation_pictures_view import by_frame, error_of, full_loss
from ui.evaluation_scores_view import measured_on

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
    # the section's; and on the first one the headline's
    assert len(at.info) == (2 if section == "Leaderboard" else 1)
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

    names = ["Repeating the last frame", "Ours: Reference", "The limit"]
    assert [metric.label for metric in at.metric] == names * 2
    assert at.metric[0].value == "13.1 dB"  # 10 log10(4096 / 200)
    assert any("85% less squared error" in caption.value for caption in at.caption)  # 1 - 30 / 200
    assert any("Our best network is the one named **Reference**" in caption.value for caption in at.caption)


def test_a_model_that_leaks_is_never_the_best(folder):
    write_results(folder)
    fast = json.loads((folder / "fast.next-frame.json").read_text())
    (folder / "leaky.next-frame.json").write_text(json.dumps(fast | {"psnr": 46.0, "psnr_of_mean_mse": 46.0}))

    assert any(
        "Our best network is the one named **Reference**" in caption.value for caption in page().caption
    )


def test_the_best_is_the_best_by_the_figure_that_the_headline_shows(folder):
    write_results(folder)
    fast = json.loads((folder / "fast.next-frame.json").read_text()) | {"psnr": 46.0}
    (folder / "fast.next-frame.json").write_text(json.dumps(fast))

    assert page().metric[1].label == "Ours: Reference"


def test_the_leaderboard_begins_with_names_the_figure_of_the_headline_and_its_clips(folder):
    write_results(folder)

    at = page()

    [table] = at.dataframe
    assert list(table.proto.column_order)[:3] == ["model", "psnr_of_mean_mse", "measured_on"]
    configured = json.loads(table.proto.columns)
    labels = [configured[key]["label"] for key in table.proto.column_order]
    assert labels[:4] == ["Model", "PSNR from mean error, dB", "Measured on", "Mean PSNR, dB"]
    assert labels[-3:] == ["Definition", "Source", "Command"]
    assert configured["model"]["pinned"]
    assert table.value["model"].tolist() == [
        "Fast", "Reference", "Repeating the last frame", "Constant velocity", "The limit",
    ]  # fmt: skip
    assert table.value["measured_on"].tolist() == ["100 clips made here"] * 4 + ["50 clips made here"]
    assert any("**Mean PSNR**" in caption.value for caption in at.caption)


@pytest.mark.parametrize(
    ("definition", "short"),
    [
        ("1,000 clips made here of MNIST test digits; MSE summed", "1,000 clips made here"),
        ("10 frames seen; 10,000 clips of the public test file x.npy; MSE", "10,000 clips, public file"),
        ("500 clips of walking people; MSE", "500 clips"),
        ("10 frames seen, 10 predicted; MSE and MAE summed over the pixels of a frame", "clips not named"),
    ],
)
def test_a_definition_in_short_says_which_clips(definition, short):
    assert measured_on(definition) == short


def test_a_published_name_stays_as_it_was_published(folder):
    write_results(folder)
    at = page()

    at.segmented_control(key="board_mode").set_value("rollout").run()

    assert at.dataframe[0].value["model"].tolist()[-1] == "ConvLSTM-S"


def test_the_score_beside_the_leak_is_said_to_be_a_mean_over_many_clips(folder):
    write_results(folder)
    data = json.loads((folder / "leak.json").read_text()) | {"sequences": 1000}
    (folder / "leak.json").write_text(json.dumps(data))

    at = go_to(page(), "Leak")

    said = [text.value for text in at.markdown if "46.0 dB" in text.value]
    assert len(said) == 1
    assert said[0].startswith("**Leaky** (leaks), its prediction of frame 13. Mean PSNR over the 1,000 clips")


def test_a_worst_clip_is_called_alike_where_it_is_chosen_and_where_it_is_shown(folder):
    write_results(folder)

    at = go_to(page(), "Worst")

    options = at.selectbox[0].options
    assert options[1] == "2. Clip 1 of the 100: squared error 90 a frame"
    captions = [image.proto.imgs[0].caption for image in at.get("image")]
    assert [caption.partition(". Shown: frame 20. Two meet.")[0] for caption in captions] == options


def test_a_worst_clip_of_an_unknown_number_says_no_number():
    assert error_of({"index": 3, "mse_sum": 8.4}, None) == "Clip 3: squared error 8 a frame"


def test_the_losses_are_called_alike_above_their_pictures_and_in_the_table(folder):
    write_results(folder)

    at = go_to(page(), "Blur")

    names = ["MSE", "BCE", "BCE + GDL", "BCE + GDL + VGG"]
    [table] = at.dataframe
    assert table.value["name"].tolist() == names
    given = next(one.proto.json for one in at.get("bidi_component") if "blur_truth" in one.proto.json)
    assert [panel["title"] for panel in json.loads(given)[0]["panels"]] == ["Truth", *names]
    configured = json.loads(table.proto.columns)
    assert all(configured[key]["help"] for key in table.value)
    assert configured["mass_ratio"]["label"] == "Ink, predicted / true"
    assert any("**lower** for LPIPS" in caption.value for caption in at.caption)


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
        "Reference", "Fast", "Constant velocity", "The limit",
    }  # fmt: skip


@pytest.mark.parametrize("brought", [False, True])
def test_a_cell_of_the_map_opens_its_scene_in_predict(folder, monkeypatch, brought):
    """By a link, from which the browser's back button leads to the map; or instead of a clip of one's own."""
    write_results(folder)
    at = go_to(page(), "Map")

    at.select_slider(key="map_speed").set_value(7).run()
    at.segmented_control(key="map_digits").set_value(3).run()

    assert not at.exception
    assert at.metric[-4].value == "15.0 dB"  # 25 - 7 - 3
    if not brought:
        [link_to_it] = [
            one.proto for one in at.get("page_link") if one.proto.label.startswith("Open such a scene")
        ]
        assert link_to_it.page == "predict"
        assert "scene=1-20-c-0_3_4_20_7_30-1_3_4_20_7_30-2_3_4_20_7_30" in link_to_it.query_string
        return
    clip = np.zeros((20, 64, 64), np.uint8)
    at.session_state["_own_clip"] = own_clip._Brought("mine.npy", Upload(clip, 64, 64))
    at.run()
    opened = {}
    monkeypatch.setattr(
        "streamlit.switch_page", lambda page, query_params: opened.update({**query_params, "page": page})
    )
    at.button(key="map_predict").click().run()
    assert opened["page"] == "pages/predict.py"
    assert opened["scene"] == "1-20-c-0_3_4_20_7_30-1_3_4_20_7_30-2_3_4_20_7_30"


def test_a_link_to_predict_carries_the_scene_even_where_it_is_the_default(monkeypatch):
    models = ["fast", "best"]
    monkeypatch.setattr(evaluation_parts.cache, "model_names", lambda: models)
    usual = link.default_settings()
    asked = {name: evaluation_parts.predict_parameters(usual, name) for name in (*models, "other")}

    assert all(found["scene"] == link.encode_scene(usual) for found in asked.values())
    read = {name: link.decode(found, models) for name, found in asked.items()}
    assert not any(notices for _, notices in read.values())
    assert read["best"][0] == replace(usual, model="best")
    assert read["fast"][0] == read["other"][0] == usual  # one that is not shipped cannot be asked for


def test_a_worst_clip_is_chosen_by_its_picture_and_opens_in_predict(folder):
    write_results(folder)
    at = go_to(page(), "Worst")
    assert at.button(key="worst_play_0").disabled

    at.button(key="worst_play_2").click().run()

    assert not at.exception
    assert at.selectbox[0].value == 2
    assert at.query_params["clip"] == "2"
    (link_to_it,) = [one.proto for one in at.get("page_link") if one.proto.label.startswith("Open this clip")]
    assert "clip=2" in link_to_it.query_string
    assert "scene=" in link_to_it.query_string


def test_a_clip_of_the_standard_set_has_an_address():
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    at.switch_page("pages/predict.py").run()
    at.query_params["clip"] = "430"
    at.run()
    assert not at.exception
    brought = at.session_state[own_clip._CLIP]
    assert np.array_equal(brought.upload.clip, benchmark_clips(430, 431)[0])
    assert any("**Clip 430** of the standard set" in text.value for text in at.markdown)

    at.button(key="own_away").click().run()

    assert "clip" not in at.query_params
    assert at.session_state[own_clip._CLIP] is None


@pytest.mark.parametrize("odd", ["10000", "-1", "x", "1e3", "9" * 300])
def test_a_clip_that_is_not_in_the_set_is_told(odd):
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    at.switch_page("pages/predict.py").run()
    at.query_params["clip"] = odd
    at.run()
    assert not at.exception
    assert "and the standard set has 0 to 9,999. Your scene is as it was" in at.error[0].value
    assert "clip" not in at.query_params


def test_csv_has_every_column_and_leaves_gaps_empty():
    text = evaluation_parts.as_csv([{"a": 1}, {"a": None, "b": "x, y"}])

    assert list(csv.reader(io.StringIO(text))) == [["a", "b"], ["1", ""], ["", "x, y"]]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("copy_last", "Repeating the last frame"),
        ("copy-last", "Repeating the last frame"),
        ("ideal observer", "The limit"),
        ("fast", "Fast"),
        ("leaky (sees the future)", "Leaky: sees the future"),
        ("fast-rollout", "Fast-rollout"),
    ],
)
def test_one_thing_has_one_name_however_files_call_it(name, shown):
    assert evaluation_parts.name_of(name) == shown
    assert evaluation_parts.short_name_of(name) == shown.partition(":")[0]


def test_a_loss_is_named_by_all_of_its_parts():
    assert full_loss("bce+gdl+vgg") == "BCE + GDL + VGG"


def test_the_worst_frame_is_counted_in_the_csv_as_below_the_picture():
    clip = {"index": 7, "step_of_worst": 4}  # prediction 0 is of frame 2
    assert by_frame(clip) == {"index": 7, "frame_of_worst": 6}
    assert clip["step_of_worst"] == 4
