"""Every page, light and dark, wide and narrow, is one that everybody can use, as far as axe-core can tell."""

from itertools import pairwise
from urllib.parse import quote_plus

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.watching import MICROSCOPE, MODEL_MS, PLAYER, START_MS, settle
from ui.evaluation_view import SECTIONS as SECTION_NAMES

PAGES = {"": PLAYER, "predict": PLAYER, "inside": MICROSCOPE, "training": "h1", "evaluation": "h1"}
SECTIONS = [f"evaluation?section={quote_plus(name)}" for name in list(SECTION_NAMES)[1:]]
# what stands there once the model has been loaded
INSIDE = {
    "What if": PLAYER,
    "Looks back": ".backward[data-ready]",
    "Directions": ".polar[data-ready]",
    "Leak": PLAYER,
    "Weights": "[data-testid=stImage] img",
}
INSIDE_SECTIONS = {f"inside?inside={quote_plus(name)}": there for name, there in INSIDE.items()}
GRAVE = ("serious", "critical")


@pytest.mark.parametrize("width", [1440, 420])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_has_a_serious_fault(browser, server, theme, width):
    context = browser.new_context(
        base_url=server,
        viewport={"width": width, "height": 1100},
        color_scheme=theme,
        reduced_motion="reduce",
    )
    page = context.new_page()
    faults = []
    for address, there in {**PAGES, **INSIDE_SECTIONS}.items():
        page.goto(f"/{address}")
        expect(page.locator(there).first).to_be_visible(timeout=MODEL_MS)
        if address == "predict":
            expect(page.get_by_text("Time on").first).to_be_visible(timeout=MODEL_MS)
        settle(page)
        for fault in Axe().run(page).response["violations"]:
            if fault["impact"] in GRAVE or fault["id"] == "heading-order":
                where = [node["html"][:120] for node in fault["nodes"][:3]]
                faults.append(f"/{address}: {fault['id']}: {fault['help']}: {where}")
    context.close()
    assert faults == []


def levels(page):
    """Levels of the headings of the page's main part, from top to bottom."""
    headings = page.locator("[data-testid=stMain]").locator("h1, h2, h3, h4, h5, h6")
    return [int(tag[1]) for tag in headings.evaluate_all("found => found.map((each) => each.tagName)")]


@pytest.mark.parametrize("address", [*PAGES, "predict?mode=rollout", *SECTIONS, *INSIDE_SECTIONS])
def test_headings_begin_with_the_title_and_go_down_one_level_at_a_time(page, address):
    page.goto(f"/{address}")
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=START_MS)
    settle(page)

    found = levels(page)
    assert found[0] == 1
    assert found.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(found))
