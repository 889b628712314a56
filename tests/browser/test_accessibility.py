"""Every page, light and dark, wide and narrow, is one that everybody can use, as far as axe-core can tell."""

from itertools import pairwise
from urllib.parse import quote_plus

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.watching import MICROSCOPE, MODEL_MS, PLAYER, settle
from ui.evaluation_view import SECTIONS as SECTION_NAMES

# what stands there once a page is all there
PAGES = {
    "": PLAYER,
    "predict": PLAYER,
    "predict?mode=rollout": PLAYER,
    "training": "h1",
    "status": "table",
    **{f"evaluation?section={quote_plus(name)}": "h1" for name in SECTION_NAMES},
    "inside": MICROSCOPE,
    "inside?inside=What+if": PLAYER,
    "inside?inside=Looks+back": ".backward[data-ready]",
    "inside?inside=Directions": ".polar[data-ready]",
    "inside?inside=Leak": PLAYER,
    "inside?inside=Weights": "[data-testid=stImage] img",
}
GRAVE = ("serious", "critical")


def levels(page):
    """Levels of the headings of the page's main part, from top to bottom."""
    headings = page.locator("[data-testid=stMain]").locator("h1, h2, h3, h4, h5, h6")
    return [int(tag[1]) for tag in headings.evaluate_all("found => found.map((each) => each.tagName)")]


def faults(page):
    """What axe-core finds, and headings that do not begin with one title and go down a level at a time."""
    for fault in Axe().run(page).response["violations"]:
        if fault["impact"] in GRAVE or fault["id"] == "heading-order":
            where = [node["html"][:120] for node in fault["nodes"][:3]]
            yield f"{fault['id']}: {fault['help']}: {where}"
    found = levels(page)
    if found[:1] != [1] or found.count(1) > 1 or any(after - before > 1 for before, after in pairwise(found)):
        yield f"headings of levels {found}"


# contrast is a matter of the theme, and what lies over what one of the width: each of both, once
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 420)])
def test_no_page_has_a_serious_fault(browser, server, theme, width):
    context = browser.new_context(
        base_url=server,
        viewport={"width": width, "height": 1100},
        color_scheme=theme,
        reduced_motion="reduce",
    )
    page = context.new_page()
    found = []
    for address, there in PAGES.items():
        page.goto(f"/{address}")
        expect(page.locator(there).first).to_be_visible(timeout=MODEL_MS)
        if address.startswith("predict"):
            expect(page.get_by_text("Time on").first).to_be_visible(timeout=MODEL_MS)
        settle(page)
        found += [f"/{address}: {fault}" for fault in faults(page)]
    context.close()
    assert found == []
