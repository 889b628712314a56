"""Pictures on the whole screen, in a real browser."""

import re

from playwright.sync_api import expect

from tests.browser.watching import PLAYER, START_MS, predicted


def test_pictures_are_presented_large_and_stepped_with_keys(page):
    predicted(page)
    width = page.locator('figure[data-panel="truth"] canvas').bounding_box()["width"]

    page.keyboard.press("f")  # the focus is nowhere

    assert page.locator('figure[data-panel="truth"] canvas').bounding_box()["width"] > 1.15 * width
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    expect(page.locator(".heading")).to_have_text(re.compile(r"^Fast\. The model makes \d+% less error"))
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("Frame 2 of 20")).to_be_visible()
    page.keyboard.press("PageDown")  # as a presenter's clicker does
    expect(page.get_by_text("Frame 3 of 20")).to_be_visible()
    page.keyboard.press("PageUp")
    expect(page.get_by_text("Frame 2 of 20")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    assert abs(page.locator('figure[data-panel="truth"] canvas').bounding_box()["width"] - width) < 2


CUT_OFF = """(player) => {
  const parts = [...player.querySelectorAll(".name, .screen, .legend, .caption b, .caption span")];
  const cut = ({ width, left, top, right, bottom }) =>
    width && (left < 0 || top < 0 || right > innerWidth || bottom > innerHeight);
  return parts.filter((part) => cut(part.getBoundingClientRect())).map((part) => part.className);
}"""


def test_however_many_pictures_are_presented_all_are_on_the_screen(page):
    compare = "&".join(f"compare={name}" for name in ("Last+frame", "Constant+velocity", "Bounce+oracle"))
    predicted(page, f"/predict?{compare}&limit=true")
    expect(page.locator("figure")).to_have_count(7, timeout=START_MS)
    page.locator(PLAYER).focus()
    page.keyboard.press("f")

    for width, height in ((1440, 900), (1280, 720), (420, 800)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(500)
        assert page.locator(PLAYER).evaluate(CUT_OFF) == []
        expect(page.locator(".legend:visible")).to_have_count(1)
        expect(page.locator(".caption")).to_be_visible()

    page.set_viewport_size({"width": 420, "height": 240})
    page.wait_for_timeout(500)
    assert page.locator(".name").first.bounding_box()["y"] >= 0
    page.locator(".caption").scroll_into_view_if_needed()
    box = page.locator(".caption").bounding_box()
    assert box["y"] + box["height"] <= 240


def test_a_picture_that_was_enlarged_is_presented_alone(page):
    predicted(page)
    error = page.locator('figure[data-panel="error"]')
    error.hover()
    error.get_by_role("button", name="Error: enlarge").click()
    page.locator(PLAYER).focus()
    page.keyboard.press("f")

    expect(page.locator("figure:visible")).to_have_count(1)
    page.wait_for_timeout(500)
    assert page.locator(PLAYER).evaluate(CUT_OFF) == []
    assert error.locator(".screen").bounding_box()["width"] > 700
    page.keyboard.press("Escape")
    expect(page.locator("figure:visible")).to_have_count(3)
