"""Every page, light and dark, wide and narrow, is one that everybody can use, as far as axe-core can tell."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.test_app import MODEL_MS, PLAYER, START_MS, settle

PAGES = {"": PLAYER, "predict": PLAYER, "training": "h1", "evaluation": "h1"}
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
    for address, there in PAGES.items():
        page.goto(f"/{address}")
        expect(page.locator(there).first).to_be_visible(timeout=START_MS)
        if address == "predict":
            expect(page.get_by_text("Time on").first).to_be_visible(timeout=MODEL_MS)
        settle(page)
        for fault in Axe().run(page).response["violations"]:
            if fault["impact"] in GRAVE:
                where = [node["html"][:120] for node in fault["nodes"][:3]]
                faults.append(f"/{address}: {fault['id']}: {fault['help']}: {where}")
    context.close()
    assert faults == []
