"""The page Measure it in a real browser, with the shipped results."""

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
