"""The training page in a real browser: a run from its first click to its deletion, and what stays still."""

import re
import threading

import pytest
from playwright.sync_api import expect

from core.run_list import describe, named_run
from core.run_locks import training_lock
from core.run_status import Status
from core.runs import snapshot_name
from tests.browser.conftest import watched_page
from tests.run_folders import make

START_MS, TRAINING_MS = 60_000, 180_000
CHART = ".st-key-chart_{} .chart[data-points]"
TICKS = "chart => [...chart.querySelectorAll('.plot text')].map(text => text.textContent).join(' ')"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The folder of runs of the server that starts next."""
    folder = tmp_path / "runs"
    monkeypatch.setenv("CONVLSTM_RUNS", str(folder))
    monkeypatch.delenv("CONVLSTM_TRAINING", raising=False)
    return folder


@pytest.fixture
def visit(root, browser, fresh_server):
    """Opens the training page; nothing may break in it, and nothing be asked from outside."""
    with watched_page(browser, fresh_server, 1800) as page:

        def go():
            page.goto("/training")
            expect(page.get_by_role("heading", name="Watch it learn")).to_be_visible(timeout=START_MS)
            settle(page)
            return page

        yield go


def settle(page):
    page.wait_for_timeout(400)
    running = page.locator('[data-testid="stApp"]')
    expect(running).to_have_attribute("data-test-script-state", "notRunning", timeout=START_MS)
    page.wait_for_timeout(300)


def button(page, name):
    # while a page takes long, Streamlit's own header has a button "Stop", too
    ours = page.locator('button:not([kind="header"])')
    return page.get_by_role("button", name=name, exact=True).and_(ours)


def points(page, plot):
    shown = page.locator(CHART.format(plot))
    return int(shown.get_attribute("data-points")) if shown.count() else 0


def wait_for_points(page, plot, more_than):
    for _ in range(TRAINING_MS // 500):
        if (found := points(page, plot)) > more_than:
            return found
        page.wait_for_timeout(500)
    raise AssertionError(f"the curve {plot} never had more than {more_than} points")


def choose(page, label, option):
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option, exact=True).click()
    settle(page)


def test_a_run_is_started_watched_reloaded_stopped_resumed_and_deleted(visit, root):
    page = visit()
    expect(page.get_by_role("heading", name="(recorded)")).to_be_visible()  # alive on first open
    button(page, "New run …").click()
    settle(page)
    page.get_by_role("textbox", name="Name").fill("tiny one")
    page.get_by_role("textbox", name="Name").press("Enter")
    settle(page)
    page.get_by_text("More settings").click()
    settle(page)
    for layer in (1, 2):
        choose(page, f"Filters, layer {layer}", "8")
        choose(page, f"Kernel, layer {layer}", "1 × 1")

    button(page, "Start training").click()
    expect(page.get_by_text("Starting: loading TensorFlow")).to_be_visible(timeout=START_MS)
    run = named_run(root, "tiny one")
    try:
        assert describe(run).alive
        seen = wait_for_points(page, "loss", 0)
        wait_for_points(page, "loss", seen)  # it grows by itself
        expect(page.get_by_text("steps a second")).to_be_visible(timeout=TRAINING_MS)

        page.reload()
        expect(page.get_by_role("heading", name="tiny one")).to_be_visible(timeout=START_MS)
        wait_for_points(page, "psnr", 0)
        button(page, "Stop").click()
        expect(button(page, "Resume")).to_be_visible(timeout=START_MS)
        assert describe(run).state == "stopped"
        stopped = run.read_status().step
        assert stopped > 0

        button(page, "Resume").click()
        expect(page.get_by_text("steps a second")).to_be_visible(timeout=TRAINING_MS)
        assert run.read_status().step >= stopped
    finally:
        if run.folder.exists():
            run.request_stop()
    expect(button(page, "Delete …")).to_be_visible(timeout=TRAINING_MS)

    button(page, "Delete …").click()
    button(page, "Delete tiny one").click()
    expect(page.get_by_role("heading", name="(recorded)")).to_be_visible(timeout=START_MS)
    assert not run.folder.exists()


def test_the_page_asks_nothing_while_no_run_is_alive(visit, root):
    make(root, "one")
    sent = []
    page = visit()
    page.on("websocket", lambda socket: socket.on("framesent", lambda _: sent.append(1)))
    page.reload()
    expect(page.locator(CHART.format("loss"))).to_be_visible(timeout=START_MS)
    page.wait_for_timeout(3000)
    assert sent  # the listener hears
    sent.clear()

    page.wait_for_timeout(6000)

    assert sent == []


def test_zoom_and_the_time_machine_hold_still_while_a_run_goes_on(visit, root):
    run = make(root, "one", "running", age=0, epochs=6)
    with training_lock(run):
        stop = threading.Event()
        beat = threading.Thread(target=train_on, args=(run, stop))
        beat.start()
        try:
            page = visit()
            wait_for_points(page, "psnr", 0)
            chart = page.locator(CHART.format("loss"))
            chart.evaluate("chart => { chart.dataset.mine = 'yes'; }")
            box = chart.locator(".plot").bounding_box()
            page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 80)
            tip = chart.locator(".tip")
            expect(tip).to_contain_text("training: 0.0")
            assert tip.bounding_box()["y"] < box["y"] + box["height"] / 2
            page.mouse.down()
            page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 85, steps=8)
            page.mouse.up()
            expect(chart.get_by_role("button", name="Show all")).to_be_visible()
            page.mouse.move(10, 10)
            zoomed = chart.evaluate(TICKS)
            wait_for_points(page, "loss", points(page, "loss") + 2)
            assert chart.evaluate(TICKS) == zoomed
            assert chart.get_attribute("data-mine") == "yes"  # the very same, not a new one
            chart.get_by_role("button", name="Show all").click()
            assert chart.evaluate(TICKS) != zoomed

            slider = page.get_by_role("slider", name="The same clip")
            slider.focus()
            slider.press("Home")
            expect(page.get_by_text("After epoch 1", exact=True)).to_be_visible(timeout=START_MS)
            seen = points(page, "loss")
            wait_for_points(page, "loss", seen + 4)
            expect(page.get_by_text("After epoch 1", exact=True)).to_be_visible()
            page.get_by_role("button", name="Follow the newest").click()
            expect(page.get_by_text("After epoch 1", exact=True)).to_have_count(0, timeout=START_MS)
        finally:
            stop.set()
            beat.join()


def test_the_run_in_focus_has_an_address(visit, root):
    for age, name in ((10, "new"), (9000, "old")):
        make(root, name, age=age)
    page = visit()
    expect(page.get_by_role("radio", name=re.compile("^new"))).to_be_checked()

    page.locator("label").filter(has=page.get_by_role("radio", name=re.compile("^old"))).click()

    page.wait_for_url("**run=own*old")
    settle(page)
    page.reload()
    expect(page.get_by_role("radio", name=re.compile("^old"))).to_be_checked(timeout=START_MS)
    settle(page)
    page.go_back()
    settle(page)
    expect(page.get_by_role("radio", name=re.compile("^new"))).to_be_checked(timeout=START_MS)
    page.go_forward()
    settle(page)
    expect(page.get_by_role("radio", name=re.compile("^old"))).to_be_checked(timeout=START_MS)


def train_on(run, stop):
    """What a training writes, at a pace that a test can wait for."""
    step, epoch = 120, 6
    while not stop.wait(0.5):
        step += 10
        row = {"epoch": epoch + 1, "step": step, "minutes": step / 40, "loss": 1 / step, "bce": 1 / step}
        run.append_history("step", row)
        if step % 40 == 0:
            epoch += 1
            run.append_history("epoch", {**row, "epoch": epoch, "val_psnr": 10 + epoch})
            run.write_snapshot(snapshot_name(epoch), run.read_snapshot("truth")[1:])
        run.write_status(Status("running", step=step, epoch=epoch, share=min(step / 4000, 1.0)))


def test_the_scene_is_as_it_was_after_a_visit(visit, root):
    make(root, "one")
    page = visit()
    page.get_by_role("link", name="Make a clip").click()
    speed = page.get_by_role("slider", name="Speed").first
    expect(speed).to_be_visible(timeout=START_MS)
    settle(page)
    speed.focus()
    for _ in range(10):
        speed.press("ArrowRight")
    page.wait_for_url("**_4.6_330-**")

    page.get_by_role("link", name="Watch it learn").click()
    expect(page.locator(CHART.format("loss"))).to_be_visible(timeout=START_MS)
    expect(page.get_by_text("Your scene")).to_have_count(0)
    settle(page)
    page.get_by_role("link", name="Make a clip").click()

    expect(page.get_by_role("slider", name="Speed").first).to_have_value("4.6", timeout=START_MS)
    assert "_4.6_330-" in page.url
