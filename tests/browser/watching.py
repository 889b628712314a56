"""What a person does with the player in the browser, and how a test waits for it."""

import numpy as np
from playwright.sync_api import expect

START_MS, MODEL_MS = 60_000, 240_000
PLAYER, MICROSCOPE = ".player[data-ready=true]", ".microscope[data-ready=true]"
PIXELS = """(figure) => {
  const canvas = figure.querySelector("canvas");
  return Array.from(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data);
}"""


def settle(page):
    """Wait until the script has run and the player has taken up what came."""
    page.wait_for_timeout(300)
    running = page.locator('[data-testid="stApp"]')
    expect(running).to_have_attribute("data-test-script-state", "notRunning", timeout=START_MS)
    page.wait_for_timeout(200)


def visit(page, address="/"):
    """Open a page and wait until it shows pictures."""
    page.goto(address)
    expect(page.locator(PLAYER)).to_be_visible(timeout=START_MS)
    settle(page)


def predicted(page, address="/predict"):
    """Open a page and wait until a model has predicted."""
    visit(page, address)
    expect(page.get_by_text("Time on").first).to_be_visible(timeout=MODEL_MS)
    settle(page)


def slider(page, name):
    """The first slider of that name."""
    return page.get_by_role("slider", name=name).first


def pixels(page, panel):
    """What a panel shows: uint8 (64, 64, 3)."""
    values = page.locator(f'figure[data-panel="{panel}"]').evaluate(PIXELS)
    return np.array(values, np.uint8).reshape(64, 64, 4)[..., :3]


def go_to(page, number):
    """Stop at a frame (counted from 0), as a person does with the keys."""
    page.locator(PLAYER).focus()
    page.keyboard.press("Home")
    for _ in range(number):
        page.keyboard.press("ArrowRight")
    expect(page.locator(PLAYER)).to_have_attribute("data-frame", str(number))


def bring(page, button, name, content):
    """Upload a file, in the place that a button opens."""
    page.get_by_role("button", name=button).click()
    page.locator('input[type="file"]').set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    )
