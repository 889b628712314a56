"""Comparing, in a real browser: baselines in step, files that hold what is seen, an own clip, a phone."""

import io

import imageio.v3 as iio
import numpy as np
import pytest
from playwright.sync_api import expect

from core import baselines, films
from core.moving_mnist import render, to_frames
from core.scenes import preset_scenes
from tests.browser.watching import PLAYER, START_MS, bring, go_to, pixels, predicted, settle, slider
from ui.link import default_settings

TOLD = "compare=Constant+velocity&compare=Bounce+oracle"


def test_baselines_are_seen_in_step_and_taken_along(page):
    predicted(page, f"/predict?mode=rollout&{TOLD}")
    scene = default_settings().scene()

    for frame in (10, 14):
        go_to(page, frame)
        for name in ("constant_velocity", "bounce_oracle"):
            expected = baselines.scene_rollout(name, scene, 10, 10)[frame - 10]
            np.testing.assert_array_equal(pixels(page, name)[..., 0], np.rint(255 * expected))
    expect(page.get_by_text("Bounce oracle: ").first).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="GIF").click()
    film = iio.imread(io.BytesIO(download.value.path().read_bytes()), extension=".gif")
    assert film.shape[2] == 3 * (256 + films.GAP) + films.GAP
    assert film.shape[1] == 2 * (256 + films.LABEL_HEIGHT + films.GAP)


def test_a_link_with_garbage_to_compare_with_opens_the_page(page):
    predicted(page, "/predict?compare=%00&compare=Bounce+oracle&compare=%3Cscript%3E")

    expect(page.locator(PLAYER)).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_an_own_clip_is_shown_as_the_model_sees_it_with_what_was_changed(page):
    clip = render(preset_scenes()["corner bounce"])
    paper = np.stack([255 - np.pad(clip, [(0, 0), (0, 0), (16, 16)])] * 3, -1)
    predicted(page, f"/predict?{TOLD}&compare=Last+frame")

    bring(page, "Bring a clip", "on_paper.mp4", films.mp4_bytes(films.enlarged(paper, 2), frames_a_second=25))
    settle(page)

    card = page.locator(".st-key-own_preview")
    expect(card.get_by_text("on_paper.mp4, as the model sees it")).to_be_visible(timeout=START_MS)
    expect(card.get_by_text("made smaller, from 192 × 128 to 64 × 43 pixels")).to_be_visible()
    expect(card.get_by_text("light and dark swapped")).to_be_visible()
    expect(card.get_by_text("kept for this visit only")).to_be_visible()
    expect(card.locator("img")).to_have_count(2)
    settle(page)
    # the true places are not known: who needs them is not offered, and gone from the pictures
    expect(page.locator('figure[data-panel="copy_last"]')).to_be_visible()
    expect(page.locator('figure[data-panel="bounce_oracle"]')).to_have_count(0)
    expect(page.get_by_test_id("stButtonGroup").get_by_text("Bounce oracle")).to_have_count(0)
    go_to(page, 6)
    seen = pixels(page, "truth")[..., 0]
    assert not seen[:10].any()  # what was put around the frames is black
    assert seen.max() > 200

    page.get_by_test_id("stSidebarNavLink").filter(has_text="Make a clip").click()
    said = "Predict it shows on_paper.mp4 in the place of this clip."
    expect(page.get_by_text(said)).to_be_visible(timeout=START_MS)
    page.get_by_test_id("stSidebarNavLink").filter(has_text="Predict it").click()
    expect(card).to_be_visible(timeout=START_MS)
    page.get_by_role("button", name="Back to the scene").click()
    expect(card).to_have_count(0, timeout=START_MS)
    settle(page)
    go_to(page, 6)
    assert (
        pixels(page, "truth")[..., 0] == np.rint(255 * to_frames(render(default_settings().scene()))[6])
    ).all()


@pytest.mark.parametrize("width", [420, 360])
def test_on_a_phone_pictures_stand_in_rows_and_nothing_is_cut(browser, server, width):
    context = browser.new_context(
        base_url=server, viewport={"width": width, "height": 900}, is_mobile=True, has_touch=True
    )
    page = context.new_page()
    predicted(page, f"/predict?{TOLD}&compare=Last+frame")

    boxes = [figure.locator(".screen").bounding_box() for figure in page.locator("figure").all()]
    assert len(boxes) == 6
    assert all(box["width"] > 0.4 * width and box["x"] + box["width"] <= width for box in boxes)
    rows = sorted({round(box["y"]) for box in boxes})
    assert len(rows) == 3  # pictures of a row are at one height
    expect(page.locator(".common")).to_be_visible()
    bar = [button.bounding_box() for button in page.locator(".bar > *:not(.spring)").all()]
    assert max(box["x"] + box["width"] for box in bar) <= width
    pills = page.get_by_test_id("stButtonGroup").get_by_text("Bounce oracle").bounding_box()
    assert pills["x"] + pills["width"] <= width
    assert boxes[0]["y"] + boxes[0]["height"] < 900  # seen at once; what may be added comes below
    assert pills["y"] > boxes[-1]["y"] + boxes[-1]["height"]
    context.close()


def test_on_a_phone_the_side_bar_leaves_when_a_scene_or_a_page_was_chosen_there(browser, server):
    context = browser.new_context(
        base_url=server, viewport={"width": 420, "height": 900}, is_mobile=True, has_touch=True
    )
    page = context.new_page()
    predicted(page, "/predict")
    bar = page.get_by_test_id("stSidebar")
    expect(bar).to_have_attribute("data-collapsed", "true")

    page.get_by_test_id("stExpandSidebarButton").tap()
    expect(bar).to_have_attribute("data-collapsed", "false")
    slider(page, "Speed").press("ArrowRight")  # what is done in it leaves it open
    settle(page)
    expect(bar).to_have_attribute("data-collapsed", "false")
    bar.get_by_role("button", name="Collision").tap()
    expect(bar).to_have_attribute("data-collapsed", "true")

    page.get_by_test_id("stExpandSidebarButton").tap()
    bar.get_by_role("link", name="Make a clip").tap()
    expect(bar).to_have_attribute("data-collapsed", "true", timeout=START_MS)
    context.close()
