"""The page Measure it in a real browser, with the shipped results."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.watching import START_MS, settle
from ui.evaluation_view import SECTIONS


def visit(page, address):
    page.goto(address)
    expect(page.get_by_role("heading", name="Measure it")).to_be_visible(timeout=START_MS)
    settle(page)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_has_an_address_and_draws_without_a_fault(page, section):
    visit(page, f"/evaluation?section={section.replace(' ', '+')}")
    expect(page.get_by_role("radio", name=section, exact=True)).to_be_checked()
    expect(page.get_by_role("heading", level=2).first).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.get_by_text("cannot be used")).to_have_count(0)


def test_a_section_is_chosen_and_stays_after_a_reload(page):
    visit(page, "/evaluation")
    page.get_by_role("radio", name="By step").click()
    page.wait_for_url("**section=By*step*")
    page.reload()
    expect(page.get_by_role("heading", name="Error by step")).to_be_visible(timeout=START_MS)


def test_a_worst_clip_is_chosen_and_stays_after_a_reload(page):
    visit(page, "/evaluation?section=Worst")
    chosen = page.get_by_role("combobox", name="Play one")
    chosen.click()
    third = page.get_by_role("option").nth(2)
    name = third.inner_text()
    third.click()
    page.wait_for_url("**clip=*")
    page.reload()
    expect(page.get_by_role("combobox", name="Play one")).to_have_value(name, timeout=START_MS)

    page.get_by_role("link", name="Open this clip in Predict it").click()

    expect(page.get_by_role("heading", name="Predict the next frame")).to_be_visible(timeout=START_MS)
    stands = page.get_by_text(f"Clip {name.split()[2]} of the standard set stands in the place of your scene")
    expect(stands).to_be_visible(timeout=START_MS)
    page.reload()
    expect(stands).to_be_visible(timeout=START_MS)
    page.go_back()
    expect(page.get_by_role("combobox", name="Play one")).to_have_value(name, timeout=START_MS)


def test_a_worst_clip_that_is_asked_for_below_the_player_brings_it_into_sight(page):
    visit(page, "/evaluation?section=Worst")
    player = page.locator(".player[data-ready=true]")
    button = page.get_by_role("button", name="Play it").last
    button.scroll_into_view_if_needed()
    expect(player).not_to_be_in_viewport()

    button.click()

    expect(player).to_be_in_viewport(ratio=0.9, timeout=START_MS)


def test_a_cell_of_the_map_has_an_address_to_which_the_way_back_leads(page):
    visit(page, "/evaluation?section=Map&map_speed=5&map_digits=3")
    speed = page.get_by_role("slider", name="Speed, px a frame")
    digits = page.get_by_role("radiogroup", name="Digits", exact=True)
    three = digits.get_by_role("radio", name="3", exact=True)
    expect(three).to_be_checked()
    expect(speed).to_have_attribute("aria-valuetext", "5")

    page.get_by_role("link", name="Open such a scene in Predict it").click()

    expect(page.get_by_role("heading", name="Predict the next frame")).to_be_visible(timeout=START_MS)
    settle(page)
    page.go_back()
    expect(speed).to_have_attribute("aria-valuetext", "5", timeout=START_MS)
    expect(three).to_be_checked(timeout=START_MS)


WORDS = (
    ".xtick text, .ytick text, .xtitle, .ytitle, .annotation-text, .textpoint text, .legendtext, "
    ".cbaxis text, .cbtitle text"
)


def contrast(color, ground):
    """Of two colours as a browser tells them: "rgb(12, 23, 29)"."""

    def luminance(told):
        parts = [int(part) / 255 for part in re.findall(r"\d+", told)[:3]]
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted([luminance(color), luminance(ground)])
    return (high + 0.05) / (low + 0.05)


def palest(page):
    """The least contrast of a word of the charts with what it stands on."""
    ground = page.get_by_test_id("stApp").evaluate("(app) => getComputedStyle(app).backgroundColor")
    words = page.locator(".js-plotly-plot").locator(WORDS)
    fills = set(words.evaluate_all("(found) => found.map((one) => getComputedStyle(one).fill)"))
    return min(contrast(fill, ground) for fill in fills)


@pytest.mark.parametrize("section", ["By step", "Map", "Leak"])
def test_the_words_of_a_chart_can_be_read_on_light_and_on_dark(page, section):
    page.emulate_media(color_scheme="light")
    visit(page, f"/evaluation?section={section.replace(' ', '+')}")
    title = page.locator(".js-plotly-plot .xtitle")
    expect(title).to_have_css("fill", "rgb(91, 107, 117)")
    assert palest(page) >= 4.5

    page.emulate_media(color_scheme="dark")
    expect(page.get_by_test_id("stApp")).to_have_css("background-color", "rgb(15, 21, 25)")
    expect(title).to_have_css("fill", "rgb(154, 170, 179)")
    assert palest(page) >= 4.5


def test_on_paper_the_dark_theme_is_light_and_the_leaderboard_whole(page):
    page.emulate_media(color_scheme="dark")
    visit(page, "/evaluation")
    heading = page.get_by_role("heading", name="Measure it")
    ground = page.get_by_test_id("stApp")
    expect(ground).to_have_css("background-color", "rgb(15, 21, 25)")
    expect(page.locator("table.on-paper")).to_be_hidden()

    page.emulate_media(media="print", color_scheme="dark")

    expect(ground).to_have_css("background-color", "rgb(255, 255, 255)")
    expect(heading).to_have_css("color", "rgb(12, 23, 29)")
    expect(page.get_by_test_id("stDataFrame")).to_be_hidden()
    expect(page.locator("table.on-paper").get_by_text("Command")).to_be_visible()
