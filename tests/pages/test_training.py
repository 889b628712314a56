"""The training page without a browser: every state of a run, every button, and who may press it."""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core import launch
from core.history import HEADER, line_of
from core.model_config import CONFIGS
from core.run_locks import training_lock
from core.runs import Run, RunError, snapshot_name
from core.train_config import default_config
from tests.run_folders import EPOCHS, make
from tests.weights_files import npz, weights_of
from ui import training_access, training_form, training_runs, training_view
from ui.doors import ModelDoor

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    """An empty folder of runs, no recordings, training allowed, no model warming up."""
    folder = tmp_path / "runs"
    monkeypatch.setenv(training_access.FOLDER_VARIABLE, str(folder))
    monkeypatch.setenv(training_access.ACCESS_VARIABLE, "on")
    monkeypatch.setattr(training_access, "RECORDED", tmp_path / "recorded")
    monkeypatch.setattr(ModelDoor, "start", lambda self, after_seconds=0.0: None)
    st.cache_data.clear()
    st.cache_resource.clear()
    return folder


@pytest.fixture
def started(monkeypatch):
    """Names of the runs that were started, in order; no process begins."""
    names = []

    def start(run, rate=None):
        names.append((run.name, rate) if rate else run.name)

    monkeypatch.setattr(launch, "start", start)
    return names


def page(**address):
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    at.switch_page("pages/training.py")
    for name, text in address.items():
        at.query_params[name] = text
    at.run()
    assert not at.exception
    return at


def buttons(at):
    return {button.key for button in at.button}


def said(at):
    """All text on the page, as a person reads it."""
    parts = (at.title, at.header, at.markdown, at.caption, at.error, at.warning, at.info)
    return "\n".join(read(element) for part in parts for element in part)


def read(element):
    """The words of an element, without the backslashes that keep Markdown from seeing signs."""
    return re.sub(r"\\(\W)", r"\1", element.value)


def press(at, key):
    at.button(key=key).click().run()
    assert not at.exception
    return at


def payloads(at, part):
    """What the components with this part were given, in their order on the page."""
    sent = [json.loads(element.proto.json) for element in at.get("bidi_component") if element.proto.json]
    return [data[0] for data in sent if part in data[0]]


def player(at):
    found = payloads(at, "panels")
    return found[0] if found else None


def charts(at):
    return payloads(at, "lines")


# ------------------------------------------------------------------------------------- without any run


def test_without_a_run_the_classroom_preset_invites():
    at = page()

    assert "There is no run yet. Start the first one: it takes three minutes." in said(at)
    assert at.segmented_control(key="new_preset").value == "classroom"
    assert "Learns visibly in under 3 minutes" in said(at)
    assert at.number_input(key="new_minutes_classroom").value == 2.5
    assert buttons(at) == {"start"}


def test_the_scene_has_no_place_here_and_is_there_again_afterwards():
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    at.slider(key="digit0_speed_px").set_value(7.5).run()

    at.switch_page("pages/training.py").run()
    assert "Your scene" not in said(at)
    assert at.query_params["scene"] == "1-20-c-7_3_3_22_7.5_330-2_5_27_6_3.6_120"

    at.switch_page("pages/predict.py").run()
    assert not at.exception
    assert at.slider(key="digit0_speed_px").value == 7.5


def test_the_page_loads_no_network_library(root):
    make(root, "one")
    code = (
        "import sys; sys.path.insert(0, '.')\n"
        "from ui.doors import ModelDoor; ModelDoor.start = lambda self, after_seconds=0.0: None\n"
        "from streamlit.testing.v1 import AppTest\n"
        f"at = AppTest.from_file({str(ROOT / 'app.py')!r}, default_timeout=60).run()\n"
        "at.switch_page('pages/training.py').run()\n"
        "assert not at.exception and at.get('bidi_component')\n"
        "print(*sorted({'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)), 'loaded')"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert shown.stdout.strip() == "loaded", shown.stderr[-2000:]


# ---------------------------------------------------------------------------------------------- states


def test_a_finished_run_shows_curves_pictures_and_log(root):
    make(root, "one")

    at = page()

    assert "best picture quality **14.0 dB**, after epoch 4" in said(at)
    assert len(charts(at)) == 4
    assert buttons(at) == {"new", "delete"}
    shown = player(at)
    assert [panel["first"] for panel in shown["panels"]][:2] == [0, 1]
    assert shown["length"] == 20
    assert at.code[0].value == "begins\nends"


def test_the_list_says_state_best_steps_network_and_when(root):
    make(root, "one")
    caption = page().radio(key="training_run").proto.captions[0]
    assert caption.replace("\u00a0", " ") == "Finished · best 14.0 dB · 80 steps · classroom · 1 h ago"


def test_a_live_run_says_how_far_it_is(root):
    run = make(root, "one", "running", age=0)

    with training_lock(run):
        at = page()

    [progress] = at.get("progress")
    assert progress.proto.value == 50
    assert progress.proto.text == (
        "**50%** done · 1 min 15 s left · step 80, epoch 5 · 8.0 steps a second · "
        "at most 25% of the time waiting for data · CPU, float32"
    )
    assert at.radio(key="training_run").proto.captions[0].startswith(":primary[**Running**]\u00a050%")
    assert buttons(at) == {"new", "stop"}


def test_a_starting_run_says_what_it_waits_for(root):
    make(root, "one", "starting", age=0, epochs=0)

    at = page()

    assert at.get("progress")[0].proto.text == "Starting: loading TensorFlow takes some seconds."
    assert "The curves begin with the first steps." in said(at)
    assert "The first picture comes with the end of the first epoch." in said(at)


@pytest.mark.parametrize(
    ("state", "reason", "expected"),
    [
        ("stopped", "Stopped by request.", "Stopped by request."),
        ("failed", "The loss is nan after step 80.", "**This run failed.** The loss is nan after step 80."),
        ("running", "", "**This run was interrupted.** Process 4242 ended without saving, after step 80"),
    ],
)
def test_a_run_that_ended_early_says_why_and_can_go_on(root, started, state, reason, expected):
    make(root, "one", state, reason=reason)
    at = page()
    assert expected in said(at)
    assert buttons(at) == {"new", "resume", "delete"}

    press(at, "resume")

    assert started == ["one"]


def test_unreadable_runs_say_why_and_harm_no_other(root):
    make(root, "good")
    make(root, "older", age=7200)
    (root / "older" / "config.json").write_text('{"format": 1}')
    (root / "<b>odd _name_").mkdir()
    (root / "<b>odd _name_" / "config.json").touch()
    (root / "Documents").mkdir()

    at = page()
    assert set(at.radio(key="training_run").options) == {"good", "older", "\\<b\\>odd \\_name\\_"}
    assert len(charts(at)) == 4
    captions = at.radio(key="training_run").proto.captions
    assert ":red[**Unreadable**]: older has run format 1; this version reads 2" in captions

    at.radio(key="training_run").set_value("own/older").run()
    assert "older has run format 1; this version reads 2" in said(at)
    assert len(charts(at)) == 0
    assert buttons(at) == {"new", "delete"}


def test_a_damaged_history_is_one_sentence_and_the_pictures_stay(root):
    run = make(root, "one")
    with run.history_path.open("a") as file:
        file.write("nonsense\n")

    at = page()

    assert "The curves of one cannot be read: history.csv is damaged" in said(at)
    assert len(charts(at)) == 0
    assert player(at) is not None


def test_a_torn_snapshot_is_one_sentence(root):
    run = make(root, "one")
    (run.folder / "snapshots" / f"{snapshot_name(EPOCHS)}.png").write_bytes(b"\x89PNG torn")

    at = page()

    assert f"snapshot {snapshot_name(EPOCHS)}" in said(at).replace("\\", "")
    assert len(charts(at)) == 4


def test_recordings_can_be_watched_but_not_touched(root, tmp_path):
    make(tmp_path / "recorded", "one")

    at = page()

    assert at.radio(key="training_run").options == ["one (recorded)"]
    assert len(charts(at)) == 4
    assert buttons(at) == {"new"}


def test_a_run_without_a_log_shows_none_unless_it_may_yet_come(root):
    run = make(root, "one")
    run.log_path.unlink()
    assert not page().expander

    run = make(root, "two", "running", age=0)
    run.log_path.unlink()
    with training_lock(run):
        at = page()
    assert at.code[0].value == "Nothing yet."


def test_a_failed_run_can_go_on_with_a_lower_rate(root, started):
    run = make(root, "one", "failed", reason="The loss is nan after step 80.")
    before = run.read_config()
    at = page()
    [field] = at.number_input
    assert (field.label, field.value, bool(field.help)) == ("Highest rate", before.learning_rate, True)

    field.set_value(0.0004)
    press(at, "resume")

    assert started == [("one", 0.0004)]
    assert run.read_config() == before  # the training itself changes it, and writes down what it was


def test_a_failed_run_that_goes_on_as_it_was_keeps_its_settings(root, started):
    run = make(root, "one", "failed", reason="The disk was full.", learning_rate=0.5)
    before = run.config_path.stat().st_mtime_ns
    press(page(), "resume")
    assert started == ["one"]
    assert run.config_path.stat().st_mtime_ns == before


def test_a_rate_that_is_none_is_refused_in_one_sentence(root, started):
    run = make(root, "one", "failed", reason="The loss is nan after step 80.")
    before = run.read_config()
    at = page()
    at.number_input[0].set_value(-1.0)
    press(at, "resume")

    assert started == []
    assert run.read_config() == before
    assert read(at.error[0]) == "That was not done: learning rate must be above 0; got -1.0."


def test_no_rate_is_changed_after_training_was_switched_off(root, started, monkeypatch):
    run = make(root, "one", "failed", reason="The loss is nan after step 80.")
    before = run.read_config()
    at = page()
    at.number_input[0].set_value(0.0004)
    monkeypatch.setenv(training_access.ACCESS_VARIABLE, "off")
    press(at, "resume")

    assert started == []
    assert run.read_config() == before


# ------------------------------------------------------------------------------------ choosing, drawing


def test_a_run_named_like_a_recording_is_told_from_it(root, tmp_path):
    make(root, "lesson")
    make(tmp_path / "recorded", "lesson")
    at = page()
    at.multiselect(key="training_compare").set_value(["recorded/lesson"]).run()
    assert not at.exception
    assert [line["name"] for line in charts(at)[0]["lines"]] == ["lesson", "lesson (recorded)"]


def test_what_is_compared_is_in_the_address(root):
    for number in range(2):
        make(root, f"run {number}", age=60 * (number + 1))
    at = page(**{"with": "own/run 1,own/gone"})

    assert at.multiselect(key="training_compare").value == ["own/run 1"]
    for focus in ("own/run 1", "own/run 0"):  # beside itself it is not drawn
        at.radio(key="training_run").set_value(focus).run()
    assert [line["name"] for line in charts(at)[0]["lines"]] == ["run 0", "run 1"]


def test_runs_are_overlaid(root):
    for number in range(3):
        make(root, f"run {number}", age=60 * (number + 1))
    at = page()

    at.radio(key="training_run").set_value("own/run 1").run()
    at.multiselect(key="training_compare").set_value(["own/run 0", "own/run 2"]).run()

    assert not at.exception
    lines = charts(at)[0]["lines"]
    assert [line["name"] for line in lines] == ["run 1", "run 0", "run 2"]
    assert len({line["color"] for line in lines}) == 3


def test_a_compared_run_that_is_put_in_focus_is_drawn_once(root):
    make(root, "one", age=60)
    make(root, "two", age=120)
    at = page()
    at.multiselect(key="training_compare").set_value(["own/two"]).run()

    at.radio(key="training_run").set_value("own/two").run()

    assert not at.exception
    assert len(charts(at)[0]["lines"]) == 1


def test_axes_and_smoothing_can_be_chosen(root):
    make(root, "one")
    at = page()

    at.segmented_control(key="training_x").set_value("minutes").run()
    at.toggle(key="training_log_axis").set_value(True).run()
    at.slider(key="training_smoothing").set_value(0.0).run()

    assert not at.exception
    loss = charts(at)[1]
    assert loss["title_x"] == "Minutes of training"
    assert loss["log"]
    assert [line["name"] for line in loss["lines"]] == ["training", "validation"]


def test_charts_have_words_for_those_who_cannot_see_them(root):
    make(root, "one")
    assert [chart["label"].split(" over ")[0] for chart in charts(page())] == [
        "Picture quality", "Loss", "SSIM", "Learning rate",
    ]  # fmt: skip


def test_every_control_has_help(root):
    make(root, "one")
    make(root, "two", "stopped", reason="Stopped by request.")
    at = page()
    controls = [*at.slider, *at.button, *at.toggle, *at.multiselect, *at.get("button_group")]
    press(at, "new")
    controls += [*at.button, *at.number_input, *at.selectbox, *at.text_input, *at.get("button_group")]
    assert len(controls) > 20
    assert [control.key for control in controls if not control.proto.help] == []


# --------------------------------------------------------------------------------------- time machine


def test_the_time_machine_shows_the_network_as_it_was(root):
    make(root, "one")
    at = page()
    newest = player(at)["panels"][1]["sprite"]["src"]
    [metric] = at.metric
    assert (metric.label, metric.value) == ("After epoch 4", "14.0 dB")

    at.select_slider(key=f"epoch_own/one_{EPOCHS}").set_value(1).run()

    assert player(at)["panels"][1]["sprite"]["src"] != newest
    assert at.metric[0].value == "11.0 dB"


def test_a_link_leads_to_the_epoch_that_was_looked_at(root):
    make(root, "one")
    at = page()
    assert "epoch" not in at.query_params
    at.select_slider[0].set_value(2).run()
    assert (at.query_params["run"], at.query_params["epoch"]) == ("own/one", "2")

    another = page(run="own/one", epoch="2")
    assert another.select_slider[0].value == 2
    assert another.metric[0].label == "After epoch 2"
    another.select_slider[0].set_value(EPOCHS).run()
    assert "epoch" not in another.query_params


@pytest.mark.parametrize("epoch", ["0", "99", "two", str(EPOCHS), ""])
def test_an_epoch_that_is_not_there_is_the_newest(root, epoch):
    make(root, "one")
    assert page(epoch=epoch).select_slider[0].value == EPOCHS


def test_another_run_begins_with_its_newest_epoch(root):
    make(root, "one")
    make(root, "two", age=9000)
    at = page(run="own/one", epoch="1")
    at.radio[0].set_value("own/two").run()
    assert at.select_slider[0].value == EPOCHS
    assert "epoch" not in at.query_params
    at.radio[0].set_value("own/one").run()
    assert at.select_slider[0].value == 1
    assert (at.query_params["run"], at.query_params["epoch"]) == ("own/one", "1")


def test_an_epoch_of_a_run_that_is_gone_is_of_no_other(root):
    make(root, "one")
    assert page(run="own/gone", epoch="2").select_slider[0].value == EPOCHS


def test_it_follows_the_newest_epoch_until_a_person_moves_it(root):
    run = make(root, "one", "running", age=0)
    with training_lock(run):
        at = page()
        run.write_snapshot(snapshot_name(5), np.zeros((19, 64, 64), np.uint8))
        at.run()
        assert at.select_slider[0].value == 5

        at.select_slider[0].set_value(2).run()
        run.write_snapshot(snapshot_name(6), np.zeros((19, 64, 64), np.uint8))
        at.run()
        assert at.select_slider[0].value == 2
        assert "follow" in buttons(at)

        press(at, "follow")
        assert at.select_slider[0].value == 6


def test_a_snapshot_that_was_written_again_is_shown_anew(root):
    run = make(root, "one")
    before = training_runs.prediction_at(run, 1)
    time.sleep(0.01)
    run.write_snapshot(snapshot_name(1), np.full((19, 64, 64), 77, np.uint8))

    assert (training_runs.prediction_at(run, 1) == 77).all()
    assert not (before == 77).all()


# ----------------------------------------------------------------------------------------- going live


@pytest.fixture
def intervals(monkeypatch):
    """How often each fragment of the page looks again."""
    found = []
    real = st.fragment

    def fragment(part, *, run_every=None):
        found.append((part.__name__, run_every))
        return real(part, run_every=run_every)

    monkeypatch.setattr(training_view.st, "fragment", fragment)
    return found


@pytest.mark.parametrize("state", ["finished", "stopped", "failed", "running"])
def test_the_page_is_idle_where_no_run_is_alive(root, intervals, state):
    make(root, "one", state, reason="Because.")  # "running", but nobody holds it: interrupted
    page()
    assert intervals == [("choose", None), ("show", None)]


def test_the_page_looks_every_two_seconds_while_a_run_is_alive(root, intervals):
    run = make(root, "one", "running", age=0)
    with training_lock(run):
        page()
    assert intervals == [("choose", 2.0), ("show", 2.0)]


def test_a_finished_run_stands_still_while_another_one_trains(root, intervals):
    make(root, "old")
    run = make(root, "one", "running", age=0)
    with training_lock(run):
        at = page()
        intervals.clear()
        at.radio(key="training_run").set_value("own/old").run()
    assert intervals[-2:] == [("choose", 2.0), ("show", None)]


def test_a_run_that_ends_is_seen_to_end(root):
    run = make(root, "one", "running", age=0)
    with training_lock(run):
        at = page()
    run.write_status(replace(run.read_status(), state="finished"))

    at.run()

    assert not at.get("progress")
    assert buttons(at) == {"new", "delete"}


# -------------------------------------------------------------------------------------------- actions


def test_the_classroom_run_is_two_clicks_away(root, started):
    at = press(page(), "start")

    assert started == ["classroom 1"]
    assert Run(root / "classroom 1").read_config() == default_config("classroom", minutes=2.5)
    assert at.radio(key="training_run").value == "own/classroom 1"
    assert at.query_params["run"] == "own/classroom 1"  # a reload leads there, too
    assert "Starting" in said(at)


def test_settings_of_the_form_become_the_configuration(root, started):
    at = page()
    at.segmented_control(key="new_preset").set_value("fast").run()
    at.text_input(key="new_name_fast").set_value("mine")
    at.number_input(key="new_minutes_fast").set_value(12.0)
    at.slider(key="new_layers_fast").set_value(2).run()
    at.selectbox(key="new_filters_fast_0").set_value(16)
    at.selectbox(key="new_kernel_fast_1").set_value(5)
    at.selectbox(key="new_patch_fast").set_value(2)
    at.selectbox(key="new_peepholes_fast").set_value("none")
    at.number_input(key="new_loss_bce_fast").set_value(10.0)
    at.number_input(key="new_loss_gdl_fast").set_value(0.5)
    at.number_input(key="new_rate_fast").set_value(0.002)
    at.selectbox(key="new_schedule_fast").set_value("one-cycle")
    press(at, "start")

    config = Run(root / "mine").read_config()
    assert (config.model.name, config.model.filters, config.model.kernels) == ("custom", (16, 128), (3, 5))
    assert (config.model.scales, config.model.motions, config.model.match) == ((), 2, (1, 3))
    assert (config.model.patch, config.model.peepholes) == (2, None)
    assert config.loss == {"bce": 10.0, "gdl": 0.5}
    assert (config.minutes, config.learning_rate, config.schedule) == (12.0, 0.002, "one-cycle")
    assert config.batch_size == default_config("fast").batch_size


@pytest.mark.parametrize("preset", ["classroom", "fast", "reference"])
def test_a_preset_left_as_it_is_trains_that_very_network(root, started, preset):
    at = page()
    at.segmented_control(key="new_preset").set_value(preset).run()
    at.text_input(key=f"new_name_{preset}").set_value("mine")
    press(at, "start")

    assert Run(root / "mine").read_config().model == CONFIGS[preset]


def test_single_pixels_are_neither_matched_nor_moved(root, started):
    at = page()
    at.segmented_control(key="new_preset").set_value("fast").run()
    at.text_input(key="new_name_fast").set_value("mine")
    at.selectbox(key="new_patch_fast").set_value(1)
    press(at, "start")

    model = Run(root / "mine").read_config().model
    assert (model.motions, model.match, model.encode, model.coarse) == (0, (), (), ())
    assert (model.forecast, model.deep, model.foresees) == (0, False, False)


def test_a_loss_without_any_part_is_refused_in_one_sentence(root, started):
    at = page()
    at.number_input(key="new_loss_bce_classroom").set_value(0.0)
    press(at, "start")

    assert started == []
    assert read(at.error[0]).startswith("That was not done: loss")
    assert not (root / "classroom 1" / "config.json").exists()


@pytest.mark.parametrize("name", ["../out", "a/b", "/tmp/x", "", "  ", ".hidden", "..", "a\\b", "no\nline"])
def test_names_that_would_leave_the_folder_are_refused_in_one_sentence(root, started, tmp_path, name):
    at = page()
    before = set(tmp_path.rglob("*"))
    at.text_input(key="new_name_classroom").set_value(name)
    press(at, "start")

    assert started == []
    assert len(at.error) == 1
    assert read(at.error[0]).startswith("That was not done: a run's name has 1 to 60 letters")
    assert set(tmp_path.rglob("*")) == before


def test_a_name_that_is_taken_is_refused(root, started):
    make(root, "classroom 1")
    at = press(page(), "new")
    assert at.text_input(key="new_name_classroom").value == "classroom 2"
    at.text_input(key="new_name_classroom").set_value("classroom 1")
    press(at, "start")

    assert started == []
    assert "There is a run named “classroom 1” already" in read(at.error[0])


def test_one_run_at_a_time_is_said_and_enforced(root, started):
    make(root, "old", "stopped", reason="Stopped by request.")
    run = make(root, "first", "running", age=0)
    with training_lock(run):
        at = press(page(), "new")
        assert at.button(key="start").disabled
        assert "“first” is being trained, and a machine trains one run at a time well." in said(at)
        press(at, "back")
        at.radio(key="training_run").set_value("own/old").run()
        assert at.button(key="resume").disabled
        assert "“first” is being trained" in said(at)


def test_a_race_for_the_machine_is_lost_in_one_sentence(root, started):
    at = page()
    run = make(root, "first", "running", age=0)
    with training_lock(run):
        press(at, "start")

    assert started == []
    assert "“first” is being trained" in read(at.error[0])


def test_signs_of_markdown_in_a_name_are_escaped_once(root, started):
    at = page()
    make(root, "old", "stopped", reason="Stopped by request.")
    run = make(root, "my_run", "running", age=0)
    with training_lock(run):
        press(at, "start")
        assert [element.value.count("“my\\_run” is") for element in at.error] == [1]
        press(at, "new")
        assert any(element.value.startswith("“my\\_run” is") for element in at.caption)
        press(at, "back")
        at.radio(key="training_run").set_value("own/old").run()
        assert any(element.value.startswith("“my\\_run” is") for element in at.caption)


def test_a_process_that_cannot_start_is_one_sentence(root, monkeypatch):
    def refuse(run):
        raise RunError(f"{run.name} cannot be started (Out of memory)")

    monkeypatch.setattr(launch, "start", refuse)
    at = press(page(), "start")
    assert read(at.error[0]) == "That was not done: classroom 1 cannot be started (Out of memory)."


def test_stop_asks_the_run_and_says_so(root):
    run = make(root, "one", "running", age=0)
    with training_lock(run):
        at = press(page(), "stop")
        assert run.stop_requested
        assert at.button(key="stop").disabled
        assert "Stopping: it saves after the present step." in said(at)


def test_delete_is_asked_twice(root):
    make(root, "other", age=60)
    run = make(root, "one", age=30)
    at = press(page(), "delete")
    assert "Delete “one” with its curves, pictures and weights? This cannot be undone." in said(at)
    assert buttons(at) == {"new", "delete_really", "keep"}

    press(at, "keep")
    assert run.folder.exists()
    press(press(at, "delete"), "delete_really")

    assert not run.folder.exists()
    assert at.radio(key="training_run").options == ["other"]


def test_a_question_is_over_when_another_run_is_chosen(root):
    make(root, "one", age=30)
    make(root, "two", age=60)
    at = press(page(), "delete")

    at.radio(key="training_run").set_value("own/two").run()
    at.radio(key="training_run").set_value("own/one").run()

    assert buttons(at) == {"new", "delete"}


def test_the_last_run_that_is_deleted_leaves_the_invitation(root):
    make(root, "one")
    at = press(press(page(), "delete"), "delete_really")
    assert "There is no run yet." in said(at)


# ----------------------------------------------------------------------------------------- permission


@pytest.mark.parametrize(
    ("setting", "address", "allowed"),
    [
        (None, "localhost", True),
        (None, "127.0.0.1", True),
        (None, "::1", True),
        (None, "0.0.0.0", False),
        (None, "192.168.1.5", False),
        (None, "localhost.example.org", False),
        (None, None, False),
        ("on", "0.0.0.0", True),
        ("on", None, True),
        ("off", "localhost", False),
        ("yes", "localhost", False),
        ("ON", "localhost", False),
    ],
)
def test_who_may_train(setting, address, allowed):
    found = training_access.access(setting, address)
    assert found.allowed is allowed
    assert bool(found.reason) is not allowed


def test_why_not_is_said_in_plain_words():
    assert training_access.access(None, "0.0.0.0").reason == (
        "Training from this page is off, because this server listens on 0.0.0.0, where others can reach it. "
        "Whoever runs the server can switch it on: start it with CONVLSTM_TRAINING=on."
    )
    assert "listens on every address of its machine" in training_access.access(None, None).reason
    assert training_access.access("maybe", "localhost").reason == (
        "CONVLSTM_TRAINING must be on or off; got “maybe”. Training from this page stays off."
    )


def test_the_shipped_setting_lets_only_this_machine_in():
    assert 'address = "localhost"' in (ROOT / ".streamlit" / "config.toml").read_text()


@pytest.mark.parametrize(("setting", "words"), [("off", "switched off"), ("maybe", "must be on or off")])
def test_where_training_is_off_runs_can_be_watched_only(root, monkeypatch, setting, words):
    monkeypatch.setenv(training_access.ACCESS_VARIABLE, setting)
    make(root, "one", "stopped", reason="Stopped by request.")
    run = make(root, "two", "running", age=0)
    with training_lock(run):
        at = page()
        assert buttons(at) == set()
        assert words in said(at)
        assert len(charts(at)) == 4
        at.radio(key="training_run").set_value("own/one").run()
        assert buttons(at) == set()


def test_where_training_is_off_and_nothing_is_there_the_page_says_both(monkeypatch):
    monkeypatch.setenv(training_access.ACCESS_VARIABLE, "off")
    at = page()
    assert "There is no run yet." in said(at)
    assert "switched off" in said(at)
    assert buttons(at) == set()


@pytest.mark.parametrize(
    ("first", "second", "state"),
    [
        (None, "start", None),
        (None, "resume", "stopped"),
        ("delete", "delete_really", "finished"),
        (None, "stop", "running"),
    ],
)
def test_a_button_that_is_pressed_after_training_was_switched_off_does_nothing(
    root, started, monkeypatch, first, second, state
):
    """The page that a person has open, or a forged message, may be older than the setting."""
    run = make(root, "one", state, reason="Because.", age=0) if state else Run(root / "classroom 1")
    held = training_lock(run) if state == "running" else None
    if held:
        held.__enter__()
    at = page()
    if first:
        press(at, first)
    monkeypatch.setenv(training_access.ACCESS_VARIABLE, "off")
    at.button(key=second).click().run()
    if held:
        held.__exit__(None, None, None)

    assert not at.exception
    assert "Training from this page is switched off" in read(at.error[0])
    assert started == []
    assert run.folder.exists() is bool(state)
    assert not run.stop_requested


def test_a_deletion_that_nobody_confirmed_is_refused(root):
    """A forged message cannot skip the first question."""
    make(root, "one", age=30)
    run = make(root, "two", age=60)
    at = press(page(), "delete")
    at.session_state["training_doomed"] = "two"  # the question was about another run

    press(at, "delete_really")

    assert run.folder.exists()
    assert (root / "one").exists()
    assert "was not confirmed" in read(at.error[0])


# ------------------------------------------------------------------------------------------ long runs


def test_a_history_of_100000_rows_is_drawn_with_2000_points(root):
    run = make(root, "long")
    rng = np.random.default_rng(0)
    row = {"epoch": 1, "minutes": 1, "learning_rate": 1e-3, "rollout": 0, "waiting": 0, "bce": 1}
    lines = [line_of("step", {**row, "step": step, "loss": rng.random()}) for step in range(1, 100_001)]
    run.history_path.write_text(HEADER + "".join(lines))

    points = [sum(len(line["x"]) for line in chart["lines"]) for chart in charts(page())]

    assert max(points) <= 2000
    assert max(points) > 1000


# ------------------------------------------------------------------------------------------------ words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3, "just now"), (90, "2 min ago"), (3600, "1 h ago"), (90_000, "25 h ago")],
)
def test_how_long_ago(seconds, words):
    assert training_runs.ago(1e9 - seconds, now=1e9) == words


def test_long_ago_is_a_date_and_never_is_nothing():
    assert training_runs.ago(1e9 - 5e6, now=1e9).endswith("2001")
    assert training_runs.ago(0.0) == ""


@pytest.mark.parametrize(("seconds", "words"), [(9.6, "10 s"), (75, "1 min 15 s"), (7500, "2 h 5 min")])
def test_a_time_left_in_words(seconds, words):
    assert training_runs.duration(seconds) == words


def test_a_run_is_described_in_one_line():
    assert training_form.describe(default_config("reference", epochs=3)) == (
        "reference\\: 3 layers of 64 filters, kernels 5×5, 3×3, 1×1. Loss 10 cross entropy \\+ 0.1 "
        "perceptual \\+ 0.1 gradient difference. Learning rate 0.001, cosine. Clips of 1 to 3 digits, tested "
        "on 8 other clips."
    )


def test_a_run_that_goes_on_from_another_says_so():
    config = replace(default_config("classroom", epochs=3), init_from="classroom", digits=2)
    described = training_form.describe(config)
    assert described.startswith("classroom, goes on from classroom\\: 2 layers")
    assert "Clips of 2 digits, tested on 8 other clips" in described


@pytest.mark.parametrize(
    ("change", "alike"),
    [
        ({"seed": 5}, True),
        ({"digits": 2}, False),
        ({"validation_clips": 9}, False),
        ({"rollout": 0.5}, False),
    ],
)
def test_runs_that_were_tested_otherwise_are_told(root, change, alike):
    make(root, "one", age=60)
    make(root, "two", **change)
    at = page()
    at.radio(key="training_run").set_value("own/one").run()
    at.multiselect(key="training_compare").set_value(["own/two"]).run()

    assert not at.exception
    assert ("were not tested on the same clips" in said(at)) is not alike


@pytest.mark.parametrize("filters", [(32, 32), (8, 24)])  # the preset's, and what is known nowhere else
def test_a_trained_network_predicts(root, filters):
    config = replace(CONFIGS["classroom"], filters=filters)
    run = make(root, "mine")
    data = json.loads(run.config_path.read_text())
    run.write_text("config.json", json.dumps({**data, "model": {**data["model"], "filters": filters}}))
    run.weights_path.write_bytes(npz(weights_of(config)))
    at = page()
    assert "Weights (NPZ)" in [button.proto.label for button in at.get("download_button")]

    at.button(key="predict_with_it").click().run()

    assert not at.exception
    mine = at.session_state["_own_weights"]
    assert (mine.name, mine.config) == ("mine", config)
    assert "**Yours** is mine, recognised as" in said(at)


@pytest.mark.parametrize(("digits", "told"), [(1, True), (None, False)])
def test_a_network_that_knows_clips_of_one_digit_says_so_where_it_predicts(root, digits, told):
    run = make(root, "mine", digits=digits)
    run.weights_path.write_bytes(npz(weights_of(run.read_config().model)))
    at = page()

    at.button(key="predict_with_it").click().run()

    assert "**Yours** is mine, recognised as" in said(at)
    assert ("It learned from clips of **1 digit** only, and" in said(at)) is told


def test_a_torn_weights_file_of_a_run_is_one_sentence(root):
    make(root, "mine").weights_path.write_bytes(b"PK torn")
    at = page()

    at.button(key="predict_with_it").click().run()

    assert not at.exception
    assert "mine cannot be used: " in said(at)


def test_a_folder_of_runs_that_is_none_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(training_access.FOLDER_VARIABLE, str(tmp_path / "file"))
    at = page()
    assert any("cannot" in error.value or "file" in error.value for error in at.error)
    assert not buttons(at) & {"start", "new"}


def test_the_time_machine_says_how_the_clip_was_predicted(root):
    make(root, "forced")
    free = make(root, "free", rollout=1.0, context_frames=4)
    forecast = Run(root / "forecast")
    forecast.create(default_config("fast", rollout=0.0, learn="forecast", context_frames=5))
    by_name = {item.name: item for item in training_runs.items()}
    assert training_view._how_predicted(by_name["forced"]) == "Each frame from the true frames before it."
    assert training_view._how_predicted(by_name[free.name]) == (
        "After 4 true frames, from its own predictions."
    )
    assert training_view._how_predicted(by_name[forecast.name]) == (
        "The truth up to frame 5, and from there its forecast."
    )
