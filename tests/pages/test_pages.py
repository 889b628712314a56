"""The pages without a browser: what they compute and say."""

import json
import shutil
import threading
import time
from pathlib import Path

import pytest
import streamlit as st
from hypothesis import given, settings, strategies
from streamlit.runtime.scriptrunner import magic
from streamlit.testing.v1 import AppTest

from core import digits, zoo
from core.batching import BusyError
from core.bulk import BulkPlan
from core.growth import OUTLOOK
from core.moving_mnist import render
from core.uploads import Upload
from core.weights import load_arrays, save_arrays
from ui import bulk_view, cache, own_clip
from ui.doors import ModelDoor
from ui.link import default_settings, encode_scene

ROOT = Path(__file__).resolve().parent.parent.parent
LOAD_SECONDS = 240


def app(**parameters):
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for name, value in parameters.items():
        at.query_params[name] = value
    return at


def on_page(at, name):
    at.run()
    return at.switch_page(f"pages/{name}.py").run()


def payload(at, key):
    """What the player was given."""
    for element in at.get("bidi_component"):
        [data] = json.loads(element.proto.json) if element.proto.json else [{}]
        if "panels" in data and key in [panel["key"] for panel in data["panels"]]:
            return data
    raise AssertionError(f"no player with a panel {key!r}")


@pytest.fixture(autouse=True)
def fresh_caches():
    st.cache_data.clear()
    st.cache_resource.clear()


def test_generate_plays_the_default_scene():
    at = app().run()

    assert not at.exception
    assert not at.warning
    assert at.title[0].value == "Make a clip"
    assert payload(at, "truth")["length"] == 20


def test_no_page_is_taken_apart_in_python(monkeypatch):
    """Which fails now and then while another thread, that imports TensorFlow, does so (Python 3.11)."""

    def refused(*_args, **_kwargs):
        raise SystemError("AST constructor recursion depth mismatch")

    monkeypatch.setattr(magic, "add_magic", refused)
    assert on_page(app(), "predict").title


def test_a_control_changes_the_clip_and_the_address():
    at = app().run()
    before = payload(at, "truth")["panels"][0]["sprite"]["src"]

    at.slider(key="digit0_speed_px").set_value(7.5).run()

    assert not at.exception
    assert payload(at, "truth")["panels"][0]["sprite"]["src"] != before
    assert at.query_params["scene"] == "1-20-c-7_3_3_22_7.5_330-2_5_27_6_3.6_120"


def test_every_control_has_help():
    at = on_page(app(mode="rollout"), "predict")

    controls = [*at.slider, *at.button, *at.get("button_group")]
    assert len(controls) > 15
    assert all(control.proto.help for control in controls)


def test_taking_a_digit_away_and_back_loses_nothing():
    at = app().run()
    at.segmented_control(key="which_of_2").set_value(1).run()
    at.slider(key="digit1_x").set_value(11).run()
    at.segmented_control(key="count").set_value(1).run()
    assert "digit1_x" not in [slider.key for slider in at.slider]

    at.segmented_control(key="count").set_value(2).run()

    at.segmented_control(key="which_of_2").set_value(1).run()
    assert at.slider(key="digit1_x").value == 11


def test_a_preset_and_a_surprise_set_every_control():
    at = app().run()

    at.button(key="preset_three_digits").click().run()

    assert not at.exception
    assert at.segmented_control(key="count~1").value == 3
    at.segmented_control(key="which_of_3~1").set_value(2).run()
    assert at.slider(key="digit2_direction_deg~1").value == 280
    before = at.query_params["scene"]
    at.button(key="surprise").click().run()
    assert not at.exception
    assert at.query_params["scene"] not in (before, "")
    assert at.segmented_control(key="count~2").value == 3


def test_the_scene_goes_along_to_the_other_page():
    at = app().run()
    at.slider(key="frames").set_value(33).run()

    at.switch_page("pages/predict.py").run()

    assert not at.exception
    assert at.slider(key="frames").value == 33


def test_a_bad_link_is_answered_with_a_notice_that_goes_with_the_next_change():
    at = app(scene="1-20-c-7_3_3_22_99_330", model="<script>", context="-1").run()

    assert not at.exception
    assert len(at.warning) == 3
    assert "speed goes from 0 to 10" in at.warning[0].value
    at.slider(key="frames").set_value(12).run()
    assert not at.warning


@pytest.mark.parametrize("frames", [2, 3, 200])
def test_clips_of_any_length_can_be_shown(frames):
    scene = encode_scene(default_settings()).replace("1-20-", f"1-{frames}-")

    assert payload(app(scene=scene).run(), "truth")["length"] == frames


def test_a_missing_asset_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(digits, "ASSET", tmp_path / "mnist.npz")
    digits.load_digits.cache_clear()
    default_settings.cache_clear()

    at = app(scene="1-20-c-7_3_3_22_3.6_330").run()

    assert not at.exception
    assert "mnist.npz is missing; rebuild it" in at.error[0].value


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A copy of the shipped models, to be damaged."""
    folder = tmp_path / "models"
    shutil.copytree(zoo.FOLDER, folder)
    monkeypatch.setattr(zoo, "FOLDER", folder)
    return folder


def test_without_any_model_the_page_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "FOLDER", tmp_path)

    at = on_page(app(), "predict")

    assert not at.exception
    assert "no trained model" in at.error[0].value


def test_damaged_weights_are_one_sentence_and_the_other_model_is_offered(models):
    shutil.copytree(models / "fast", models / "reference", dirs_exist_ok=True)
    (models / "reference" / "weights.npz").write_bytes(b"PK\x03\x04 cut off")
    at = app(model="reference")
    on_page(at, "predict")
    assert cache.model_door("reference").wait(LOAD_SECONDS)

    at.run()

    assert not at.exception
    assert "The reference model cannot be used" in at.error[0].value
    assert "\n" not in at.error[0].value
    at.button(key="use_fast").click().run()
    assert not at.exception
    assert at.query_params.get("model") is None


def test_the_model_predicts_the_scene_in_both_ways():
    at = on_page(app(), "predict")
    assert not at.exception
    assert cache.model_door("fast").wait(LOAD_SECONDS)

    at.run()

    assert not at.exception
    assert [metric.label for metric in at.metric][:3] == ["PSNR", "SSIM", "MSE a pixel"]
    assert at.metric[3].label.startswith("Time on ")
    shown = payload(at, "prediction")
    assert [panel["first"] for panel in shown["panels"]][:2] == [0, 1]
    assert [len(line["values"]) for line in shown["charts"][0]["lines"]] == [19, 19]
    before = shown["panels"][1]["sprite"]["src"]

    at.slider(key="digit0_speed_px").set_value(5.0).run()
    assert payload(at, "prediction")["panels"][1]["sprite"]["src"] != before

    at.segmented_control(key="mode").set_value("rollout").run()
    at.slider(key="context_of_19").set_value(15).run()
    assert not at.exception
    shown = payload(at, "prediction")
    assert (shown["given"], shown["length"]) == (15, 20)
    assert len(shown["charts"][0]["lines"][0]["values"]) == 5


def test_while_too_many_ask_the_last_prediction_is_shown(monkeypatch):
    at = on_page(app(), "predict")
    assert cache.model_door("fast").wait(LOAD_SECONDS)
    at.run()
    last = payload(at, "prediction")["panels"][1]["sprite"]["src"]

    def said(at):
        return " ".join(markdown.value for markdown in at.markdown)

    def full(*_):
        raise BusyError("64 visitors are waiting for it already")

    with monkeypatch.context() as crowd:
        crowd.setattr(ModelDoor, "predict", full)
        at.slider(key="digit0_speed_px").set_value(6.3).run()
        assert not at.exception
        assert "64 visitors are waiting for it already. What you see is the last" in said(at)
        assert payload(at, "prediction")["panels"][1]["sprite"]["src"] == last

        cache._prediction.clear()
        newcomer = on_page(app(), "predict")
        assert not newcomer.exception
        assert "It is asked again by itself" in said(newcomer)
        assert "last prediction" not in said(newcomer)

    at.run()
    assert "busy" not in said(at)
    assert payload(at, "prediction")["panels"][1]["sprite"]["src"] != last


def test_what_nobody_can_beat_is_shown_beside_the_model():
    at = on_page(app(), "predict")
    assert cache.model_door("fast").wait(LOAD_SECONDS)
    at.toggle(key="limit").set_value(True).run()

    assert not at.exception
    shown = payload(at, "prediction")
    assert [panel["key"] for panel in shown["panels"]] == ["truth", "prediction", "limit", "error"]
    lines = {line["emphasis"]: line["values"] for line in shown["charts"][1]["lines"]}
    assert sum(lines["limit"]) < sum(lines["quiet"])
    at.segmented_control(key="mode").set_value("rollout").run()
    assert not at.exception
    shown = payload(at, "prediction")
    assert len(shown["charts"][0]["lines"][1]["values"]) == 10

    at.slider(key="frames").set_value(61).run()
    assert not at.exception
    assert "limit" not in [panel["key"] for panel in payload(at, "prediction")["panels"]]


@pytest.fixture
def leaky(models):
    """`fast` with the leaking head, whose weights have the same shapes, without the forecast of rollouts."""
    shutil.copytree(models / "fast", models / "leaky", dirs_exist_ok=True)
    config = json.loads((models / "leaky" / "model.json").read_text())
    (models / "leaky" / "model.json").write_text(
        json.dumps({**config, "head": "leaky", "forecast": 0, "deep": False, "followed": 1})
    )
    weights = load_arrays(models / "fast" / "weights.npz")
    kept = {path: array for path, array in weights.items() if not path.startswith((*OUTLOOK, "trust/"))}
    save_arrays(models / "leaky" / "weights.npz", kept)


def test_a_model_that_sees_the_future_says_so(leaky):
    at = on_page(app(model="leaky"), "predict")
    assert cache.model_door("leaky").wait(LOAD_SECONDS)

    at.run()

    assert not at.exception
    assert "This model cheats" in at.warning[0].value
    assert payload(at, "prediction")["panels"][1]["sprite"] is not None


class NeverBegun:
    """A door that is not open, and that nobody opens."""

    settled = ready = False
    error = None

    def __init__(self, name):
        self.name = name


def test_a_model_that_sees_the_future_cannot_go_on_alone(leaky, monkeypatch):
    door = cache.model_door
    at = on_page(app(model="leaky", mode="rollout"), "predict")

    assert not at.exception
    assert "cannot go on" in at.warning[0].value
    # nobody has asked for the model beside it, and nothing needs it
    monkeypatch.setattr(cache, "model_door", lambda name: NeverBegun(name) if name == "best" else door(name))
    at.session_state["compare"] = ["best"]
    at.run()
    assert not any("is loading" in caption.value for caption in at.caption)
    monkeypatch.undo()
    at.button(key="use_leaky_one_ahead").click().run()
    assert not at.exception
    assert "mode" not in at.query_params


def test_models_of_the_blur_lesson_are_not_offered(models):
    shutil.copytree(models / "fast", models / zoo.LESSON_MODELS[0], dirs_exist_ok=True)
    assert not set(zoo.LESSON_MODELS) & set(cache.model_names())


def test_models_are_shown_side_by_side():
    at = on_page(app(), "predict")
    for name in ("fast", "reference"):
        cache.model_door(name).start()
        assert cache.model_door(name).wait(LOAD_SECONDS)

    [pills] = [group for group in at.get("button_group") if group.proto.label == "Compare with"]
    assert [option.content for option in pills.proto.options] == [
        "Best", "Reference", "Last frame", "Constant velocity", "Bounce oracle",
    ]  # fmt: skip
    at.session_state["compare"] = ["reference", "copy_last"]
    at.run()

    assert not at.exception
    shown = payload(at, "reference")
    keys = [panel["key"] for panel in shown["panels"]]
    assert keys == ["truth", "prediction", "reference", "copy_last", "error", "error_reference"]
    assert shown["panels"][5]["difference"] == ["reference", "truth"]
    names = [line["name"] for line in shown["charts"][0]["lines"]]
    assert names == ["Fast", "Reference", "Repeating the last frame"]
    assert shown["panels"][1]["sprite"] != shown["panels"][2]["sprite"]


@pytest.mark.parametrize("mode", ["next-frame", "rollout"])
def test_those_who_know_the_true_places_are_shown_beside_the_model(mode):
    at = on_page(app(mode=mode, compare=["Bounce oracle", "Constant velocity"]), "predict")
    assert cache.model_door("fast").wait(LOAD_SECONDS)
    at.run()

    assert not at.exception
    shown = payload(at, "bounce_oracle")
    keys = [panel["key"] for panel in shown["panels"]]
    assert keys == ["truth", "prediction", "constant_velocity", "bounce_oracle", "error"]
    firsts = {panel["first"] for panel in shown["panels"][1:4]}
    counts = {panel["sprite"]["count"] for panel in shown["panels"][1:4]}
    assert (firsts, counts) == (({1}, {19}) if mode == "next-frame" else ({10}, {10}))
    lines = {line["name"]: line["values"] for line in shown["charts"][1]["lines"]}
    assert list(lines) == ["Model", "Constant velocity", "Bounce oracle", "Repeating the last frame"]
    assert sum(lines["Bounce oracle"]) < sum(lines["Constant velocity"])
    [table] = [markdown.value for markdown in at.markdown if "| MSE a pixel |" in markdown.value]
    assert [row.split("|")[1].strip() for row in table.splitlines()[2:]] == [
        "**Prediction**", "Constant velocity", "Bounce oracle",
    ]  # fmt: skip
    assert f"{sum(lines['Bounce oracle']) / len(lines['Bounce oracle']):.4f} |" in table.splitlines()[-1]


@pytest.mark.parametrize("mode", ["next-frame", "rollout"])
def test_of_a_clip_of_the_standard_set_places_and_limit_are_known(mode):
    at = on_page(app(mode=mode, compare=["Bounce oracle"]), "predict")
    assert cache.model_door("fast").wait(LOAD_SECONDS)
    at.query_params["clip"] = "7"
    at.run()
    at.toggle(key="limit").set_value(True).run()

    assert not at.exception
    shown = payload(at, "limit")
    assert [panel["key"] for panel in shown["panels"]] == [
        "truth", "prediction", "bounce_oracle", "limit", "error",
    ]  # fmt: skip
    firsts = {panel["first"] for panel in shown["panels"][1:4]}
    counts = {panel["sprite"]["count"] for panel in shown["panels"][1:4]}
    assert (firsts, counts) == (({1}, {19}) if mode == "next-frame" else ({10}, {10}))
    lines = {line["name"]: line["values"] for line in shown["charts"][1]["lines"]}
    assert sum(lines["The limit"]) < sum(lines["Model"]) < sum(lines["Repeating the last frame"])


def test_a_rollout_of_a_clip_of_the_standard_set_ends_with_it():
    at = on_page(app(mode="rollout"), "predict")
    assert cache.model_door("fast").wait(LOAD_SECONDS)
    at.query_params["clip"] = "7"
    at.run()
    [given] = [slider for slider in at.slider if slider.label == "Frames given"]
    assert (given.value, given.max) == (10, 19)
    given.set_value(19).run()

    assert not at.exception
    [ahead] = [slider for slider in at.slider if slider.label == "Frames to predict"]
    assert (ahead.value, ahead.disabled) == (1, True)
    [prediction] = [panel for panel in payload(at, "prediction")["panels"] if panel["key"] == "prediction"]
    assert (prediction["first"], prediction["sprite"]["count"]) == (19, 1)
    assert (at.query_params["context"], at.query_params["clip"]) == ("19", "7")  # of who opens the link, too


def test_what_is_beside_the_last_prediction_is_of_its_steps_while_the_model_is_busy(monkeypatch):
    at = on_page(app(mode="rollout", compare=["Bounce oracle"]), "predict")
    assert cache.model_door("fast").wait(LOAD_SECONDS)
    at.query_params["clip"] = "7"
    at.run()

    def full(*_):
        raise BusyError("64 visitors are waiting for it already")

    with monkeypatch.context() as crowd:
        crowd.setattr(cache, "own_prediction", full)
        [given] = [slider for slider in at.slider if slider.label == "Frames given"]
        given.set_value(19).run()
        assert not at.exception
        panels = payload(at, "prediction")["panels"][1:3]
        assert [(panel["first"], panel["sprite"]["count"]) for panel in panels] == [(10, 10)] * 2
        at.button(key="own_away").click().run()
        assert not at.exception


def test_an_own_clip_has_no_true_places_and_what_was_chosen_before_is_no_trouble():
    at = on_page(app(compare=["Bounce oracle", "Last frame"]), "predict")
    assert cache.model_door("fast").wait(LOAD_SECONDS)
    at.run()
    assert "bounce_oracle" in [panel["key"] for panel in payload(at, "prediction")["panels"]]

    at.session_state["_own_clip"] = own_clip._Brought(
        "own.gif", Upload(render(default_settings().scene()), 64, 64)
    )
    at.run()

    assert not at.exception
    keys = [panel["key"] for panel in payload(at, "prediction")["panels"]]
    assert keys == ["truth", "prediction", "copy_last", "error"]
    [pills] = [group for group in at.get("button_group") if group.proto.label == "Compare with"]
    assert [option.content for option in pills.proto.options] == ["Best", "Reference", "Last frame"]
    [mode] = [one for one in at.segmented_control if one.label == "How to predict"]
    for seen, has_error in ((20, False), (10, True)):
        at.session_state["own_context"] = seen
        mode.set_value("rollout").run()
        assert not at.exception
        keys = [panel["key"] for panel in payload(at, "prediction")["panels"]]
        # beyond the end of the clip nobody knows what is true
        assert ("error" in keys) is has_error


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
@settings(max_examples=15, deadline=None)
@given(
    strategies.lists(
        strategies.sampled_from(["Bounce oracle", "bounce_oracle", "Fast", "Best", "copy_last", "", "%00"])
        | strategies.text(max_size=20),
        max_size=4,
    )
)
def test_whatever_a_link_wants_to_compare_with_the_page_is_there(asked):
    at = on_page(app(compare=asked, model="leaky", mode="rollout"), "predict")

    assert not at.exception
    chosen = at.session_state["compare"]
    assert set(chosen) <= {"fast", "best", "copy_last", "constant_velocity", "bounce_oracle"}


def test_a_frame_that_repetition_has_exactly_by_chance_decides_nothing():
    # two digits turn around at both walls at once, and pass where they were before
    at = on_page(app(mode="rollout", scene="1-20-c-1_4_0_18_3_0-0_2_36_18_3_180"), "predict")
    assert cache.model_door("fast").wait(LOAD_SECONDS)
    at.run()

    assert any("In frame 16 repeating the last frame happens" in one.value for one in at.caption)
    [psnr] = [one for one in at.metric if one.label == "PSNR"]
    assert psnr.delta.startswith("+")
    [said] = [chart for chart in payload(at, "prediction")["charts"] if chart["key"] == "psnr"]
    [copied] = [line for line in said["lines"] if line["name"] == "Repeating the last frame"]
    assert copied["may_leave"]  # 100 dB would press all other lines flat


def test_many_clips_are_made_stopped_and_saved():
    at = app().run()
    at.number_input(key="bulk_clips").set_value(70)
    at.number_input(key="bulk_frames").set_value(5)
    at.segmented_control(key="bulk_kind").set_value("npz").run()
    assert any("The pixels take 1 MB before they are compressed." in caption.value for caption in at.caption)

    at.button(key="bulk_make").click().run()
    job = at.session_state["_bulk_job"]
    assert job.wait(30)
    at.run()

    assert not at.exception
    assert job.finished
    assert job.path.name == "moving-digits-70.npz"
    [save] = [button for button in at.get("download_button") if "70 clips" in button.proto.label]
    assert save.proto.label.startswith("Save 70 clips (")
    folder = job.path.parent
    before = "Made with the settings before."
    assert not any(before in caption.value for caption in at.caption)
    at.number_input(key="bulk_clips").set_value(3).run()
    assert any(before in caption.value for caption in at.caption)
    at.button(key="bulk_make").click().run()
    assert at.session_state["_bulk_job"].wait(30)
    assert not folder.exists()  # the file went with its job


def test_what_many_clips_are_to_be_stays_while_they_are_made(monkeypatch):
    go_on = threading.Event()
    monkeypatch.setattr(bulk_view, "write_clips", lambda *_: go_on.wait(30))
    at = app().run()
    at.number_input(key="bulk_clips").set_value(70).run()
    at.segmented_control(key="bulk_kind").set_value("npz").run()
    at.button(key="bulk_make").click().run()
    assert at.number_input(key="bulk_clips").disabled
    at.run()
    go_on.set()
    assert at.session_state["_bulk_job"].wait(30)
    at.run()
    assert at.number_input(key="bulk_clips").value == 70
    assert not at.number_input(key="bulk_clips").disabled
    assert at.segmented_control(key="bulk_kind").value == "npz"


def test_a_plan_without_digits_cannot_be_made():
    at = app().run()
    [pills] = [group for group in at.get("button_group") if group.proto.label == "Which digits"]
    pills.set_value([]).run()

    assert not at.exception
    assert any("classes must be one or more of 0 to 9" in error.value for error in at.error)
    assert at.button(key="bulk_make").disabled


def test_who_stops_gets_nothing():
    job = bulk_view.Job(BulkPlan(2000), "npy")
    job.start()
    job.cancel()
    assert job.wait(30)
    assert not job.finished
    assert list(job.path.parent.iterdir()) == []


def test_clips_that_nobody_waits_for_are_not_made(monkeypatch):
    begun, ended = threading.Event(), []

    def write(plan, path, report):
        begun.set()
        while report(1):
            time.sleep(0.01)
        ended.append(path)
        return False

    monkeypatch.setattr(bulk_view, "write_clips", write)
    job = bulk_view.Job(BulkPlan(2000), "npy")
    thread = job._thread
    job.start()
    assert begun.wait(30)
    folder = job.path.parent
    del job
    thread.join(30)
    assert ended
    assert not folder.exists()


def test_whatever_goes_wrong_with_many_clips_is_said(monkeypatch):
    def write(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(bulk_view, "write_clips", write)
    job = bulk_view.Job(BulkPlan(2), "npy")
    job.start()
    assert job.wait(30)
    assert (job.finished, job.trouble) == (False, "MemoryError: no room")


def test_visitors_of_a_server_for_others_make_fewer_at_once(monkeypatch):
    monkeypatch.setenv("CONVLSTM_TRAINING", "off")
    most, most_bytes = bulk_view.MOST_FOR_VISITORS
    at = app().run()
    assert at.number_input(key="bulk_clips").max == most
    at.number_input(key="bulk_clips").set_value(most).run()
    assert not at.button(key="bulk_make").disabled
    at.number_input(key="bulk_frames").set_value(most_bytes // (most * 64 * 64) + 1).run()
    assert any("at most 50 MB are made here at once" in error.value for error in at.error)
    assert at.button(key="bulk_make").disabled
