"""The inside of a cell, in a real browser: maps, channels, time, one pixel worked out."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from core import zoo
from core.inspection import receipt
from core.moving_mnist import render, to_frames
from core.tuning import answers_at_all, selectivity
from tests.browser.watching import MICROSCOPE, MODEL_MS, PLAYER, START_MS, settle
from ui.link import default_settings
from ui.results import SHIPPED

LARGE = "[data-screen=large]"


def open_inside(page, address="/inside"):
    page.goto(address)
    expect(page.locator(MICROSCOPE)).to_be_visible(timeout=MODEL_MS)
    settle(page)


def wait_for_width(shown, width):
    """The browser leaves its full screen a little later than the page."""
    is_so = "([shown, width]) => shown.getBoundingClientRect().width === width"
    shown.page.wait_for_function(is_so, arg=[shown.element_handle(), width], timeout=START_MS)


def test_a_gate_a_channel_and_a_pixel_are_chosen(page):
    open_inside(page)
    scope = page.locator(MICROSCOPE)
    expect(scope.locator(LARGE)).to_contain_text("Forget gate, channel")

    scope.get_by_role("button", name="Candidate: show its maps").click()
    expect(scope.locator(LARGE)).to_contain_text("Candidate, channel", timeout=START_MS)
    scope.get_by_role("button", name="Channel 7", exact=True).click()
    expect(scope.locator(LARGE)).to_contain_text("Candidate, channel 7", timeout=START_MS)

    box = scope.locator(f"{LARGE} canvas").bounding_box()
    side = box["width"] / 16
    page.mouse.click(box["x"] + 9.5 * side, box["y"] + 4.5 * side)
    expect(scope.get_by_role("heading", name=re.compile("Row 5, column 10 of channel 7"))).to_be_visible(
        timeout=START_MS
    )
    frame = int(scope.get_attribute("data-frame"))
    predictor = zoo.load("fast", "float32")
    clip = to_frames(render(default_settings().scene()))[None, ..., None]
    trace = predictor.inspect(clip, 1)
    for step in (0, 1):  # and the receipt goes along with time
        worked_out = receipt(trace, predictor.cell_weights(1), frame + step, 4, 9, 6)
        row = scope.locator("tbody tr").nth(2)  # the candidate
        expect(row).to_contain_text(f"→ {worked_out.g:.3f}".replace("-", "−"))
        scope.get_by_role("button", name="One frame on").click()
    page.keyboard.press("Escape")
    expect(scope.locator("table")).to_have_count(0, timeout=START_MS)


def test_what_is_worked_out_comes_into_sight_and_adds_up(page):
    page.set_viewport_size({"width": 1440, "height": 900})
    open_inside(page)
    scope = page.locator(MICROSCOPE)
    scope.locator(f"{LARGE} canvas").click(position={"x": 100, "y": 100})
    expect(scope.locator(".receipt")).to_be_in_viewport(ratio=0.99, timeout=START_MS)
    expect(scope.locator(f"{LARGE} canvas")).to_be_in_viewport(ratio=0.5)
    for _ in range(3):
        for row in scope.locator("tbody tr").all():
            *parts, total = [number(text) for text in row.locator("td").all_inner_texts()[:5]]
            assert abs(sum(parts) - total) < 0.0026  # five roundings of 0.0005
        cell, hidden = scope.locator(".sum").all_inner_texts()
        assert not re.search("· −", cell + hidden)  # a factor with a sign stands in brackets
        f, before, i, g, c = [number(text) for text in re.findall(r"−?\d\.\d{3}", cell)]
        assert abs(f * before + i * g - c) < 0.003 + 0.001 * abs(before)
        scope.get_by_role("button", name="One frame on").click()


@pytest.mark.parametrize(("section", "element"), [("Looks back", ".backward"), ("Directions", ".polar")])
def test_frames_and_plots_fill_the_screen_for_a_class_and_come_back(page, section, element):
    open_section(page, section, f"{element}[data-ready]")
    shown = page.locator(element)
    settle(page)
    before = shown.bounding_box()["width"]
    page.keyboard.press("f")  # the focus is on no element of ours
    expect(shown).to_have_css("width", f"{page.viewport_size['width']}px")
    page.keyboard.press("Escape")
    expect(shown).to_have_css("position", "static")
    wait_for_width(shown, before)
    shown.get_by_role("button", name="large, for a class").click()
    expect(shown).to_have_css("position", "fixed")


def test_the_cell_fills_the_screen_for_a_class_and_comes_back(page):
    open_inside(page)
    scope = page.locator(MICROSCOPE)
    before, page_size = scope.bounding_box(), page.viewport_size

    page.keyboard.press("f")  # the focus is nowhere

    for width, height in ((1280, 720), (1024, 768), (1920, 1080)):
        page.set_viewport_size({"width": width, "height": height})
        expect(scope).to_have_css("width", f"{width}px")
        for part in (".diagram", ".screens", ".bar", ".strip"):
            expect(scope.locator(part)).to_be_in_viewport(ratio=1)
    scope.get_by_role("button", name="Candidate: show its maps").click()
    expect(scope.locator(LARGE)).to_contain_text("Candidate, channel", timeout=START_MS)
    expect(scope).to_have_css("width", "1920px")
    frame = int(scope.get_attribute("data-frame"))
    page.keyboard.press("ArrowRight")
    expect(scope).to_have_attribute("data-frame", str(frame + 1))
    page.set_viewport_size(page_size)
    page.keyboard.press("Escape")
    expect(scope.locator(".gallery")).to_be_visible()
    wait_for_width(scope, before["width"])


def number(text):
    return float(text.strip().replace("−", "-").replace("–", "0"))


def test_what_is_drawn_are_the_maps(page):
    open_inside(page, "/inside?layer=3")
    scope = page.locator(MICROSCOPE)
    clip = to_frames(render(default_settings().scene()))[None, ..., None]
    trace = zoo.load("fast", "float32").inspect(clip, 3)
    channel = int(trace.f.std(axis=(0, 1, 2)).argmax())  # of a map that is nearly one value little is seen
    scope.get_by_role("button", name=f"Channel {channel + 1}", exact=True).click()
    expect(scope.locator(LARGE)).to_contain_text(f"channel {channel + 1}", timeout=START_MS)
    brightness = """(figure) => {
      const canvas = figure.querySelector("canvas");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const light = (n) => data[4 * n] + data[4 * n + 1] + data[4 * n + 2];
      return Array.from({ length: data.length / 4 }, (_, n) => light(n));
    }"""
    frame = int(scope.get_attribute("data-frame"))
    drawn = np.array(scope.locator(LARGE).evaluate(brightness)).reshape(16, 16)
    values = trace.f[frame, ..., channel]
    rising = drawn.ravel()[values.argsort(axis=None)]  # as the colour map does, in brightness
    assert np.ptp(rising) > 300
    assert np.diff(rising).min() >= 0


def test_keys_go_through_time_and_space_plays(page):
    open_inside(page)
    scope = page.locator(MICROSCOPE)
    scope.focus()
    before = int(scope.get_attribute("data-frame"))
    page.keyboard.press("ArrowRight")
    expect(scope).to_have_attribute("data-frame", str(before + 1))
    page.keyboard.press("Space")
    expect(scope).not_to_have_attribute("data-frame", str(before + 1))
    page.keyboard.press("Space")
    node = scope.get_by_role("button", name="Cell: show its maps")
    node.focus()
    page.keyboard.press("Enter")
    expect(scope.locator(LARGE)).to_contain_text("Cell, channel", timeout=START_MS)


def open_section(page, name, ready):
    page.goto(f"/inside?inside={name.replace(' ', '+')}")
    expect(page.locator(ready).first).to_be_visible(timeout=MODEL_MS)
    settle(page)


def test_a_link_restores_what_was_looked_at(page):
    open_inside(page, "/inside?layer=2&look=h.7.3.4")
    scope = page.locator(MICROSCOPE)
    expect(scope.locator(LARGE)).to_contain_text("Hidden state, channel 7")
    expect(scope.get_by_role("heading", name=re.compile("Row 3, column 4 of channel 7"))).to_be_visible()
    scope.get_by_role("button", name="Channel 9", exact=True).click()
    expect(page).to_have_url(re.compile(r"look=h\.9\.3\.4"), timeout=START_MS)
    expect(scope.locator(LARGE)).to_contain_text("channel 9", timeout=START_MS)

    settle(page)  # a click whose run is cut short is told again, after the step back
    page.go_back()
    expect(scope.locator(LARGE)).to_contain_text("Hidden state, channel 7", timeout=START_MS)
    expect(page).to_have_url(re.compile(r"look=h\.7\.3\.4"))


def test_memory_is_wiped_and_everything_reset(page):
    open_section(page, "What if", PLAYER)
    player = page.locator(PLAYER)
    expect(player.get_by_text("Now", exact=True)).to_have_count(0)
    page.get_by_role("button", name="Memory is wiped").click()
    expect(player.get_by_text("What changed", exact=True)).to_be_visible(timeout=START_MS)
    expect(page.get_by_text("On average over the clip the squared error is")).to_be_visible(timeout=START_MS)
    expect(page).to_have_url(re.compile("whatif="))
    page.get_by_role("button", name="Reset all").click()
    expect(player.get_by_text("What changed", exact=True)).to_have_count(0, timeout=START_MS)


def test_another_pixel_is_asked_about_by_mouse_and_by_keys(page):
    open_section(page, "Looks back", ".backward[data-ready]")
    back = page.locator(".backward")
    pick = back.locator(".pick")
    box = pick.bounding_box()
    side = box["width"] / 64
    page.mouse.click(box["x"] + 40.5 * side, box["y"] + 20.5 * side)
    expect(pick).to_have_attribute("aria-label", re.compile("row 21, column 41"), timeout=START_MS)
    pick.focus()
    page.keyboard.press("ArrowDown")
    expect(pick).to_have_attribute("aria-label", re.compile("row 22, column 41"), timeout=START_MS)
    expect(pick).to_be_focused()
    expect(back.locator("[data-frame]")).to_have_count(10)
    expect(back.locator(".share")).to_have_count(10, timeout=MODEL_MS)


def test_polar_plots_point_where_channels_prefer(page):
    open_section(page, "Directions", ".polar[data-ready]")
    expect(page.locator(".polar figure")).to_have_count(24)
    expect(page.locator(".polar .arrow").first).to_be_visible()
    data = np.load(SHIPPED / "fast.tuning.npz")["layer_1"]
    strength, _ = selectivity(data.max(1))
    best = int(np.where(answers_at_all(data), strength, -1).argmax())
    expect(page.locator(".polar figcaption").first).to_have_text(f"Channel {best + 1}: {strength[best]:.2f}")


def test_weights_are_pictures(page):
    open_section(page, "Weights", "[data-testid=stImage] img")
    expect(page.locator("[data-testid=stImage] img")).to_have_count(2)
    page.get_by_role("radio", name="Forget gate f").click()
    expect(page.get_by_text("One weight for each channel")).to_be_visible(timeout=START_MS)
