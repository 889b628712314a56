"""Digits dragged, drawn and picked, in a real browser."""

import numpy as np
from playwright.sync_api import expect

from core.moving_mnist import render, trajectory
from tests.browser.watching import START_MS, go_to, pixels, predicted, settle, slider, visit
from ui.link import decode_scene, default_settings

STAGE, MARGIN, VIEW = ".stage[data-ready=true] > svg", 5, 74


def on_stage(page, x, y):
    """Where a pixel of the scene is on the screen."""
    box = page.locator(STAGE).bounding_box()
    scale = box["width"] / VIEW
    return box["x"] + (x + MARGIN) * scale, box["y"] + (y + MARGIN) * scale


def drag(page, start, end):
    """From one pixel of the scene to another."""
    page.mouse.move(*on_stage(page, *start))
    page.mouse.down()
    page.mouse.move(*on_stage(page, *end), steps=6)
    page.mouse.up()


def test_a_digit_is_dragged_to_its_start_and_taken_back(page):
    visit(page)

    drag(page, (12, 46), (25, 35))

    page.wait_for_url("**scene=1-20-c-7_3_16_11_3.6_330-2_5_27_6_3.6_120")
    expect(slider(page, "Start, from the left")).to_have_value("16", timeout=START_MS)
    settle(page)
    page.get_by_role("button", name="Undo").click()
    expect(slider(page, "Start, from the left")).to_have_value("3", timeout=START_MS)
    page.get_by_role("button", name="Redo").click()
    expect(slider(page, "Start, from the left")).to_have_value("16", timeout=START_MS)


def test_an_arrow_is_dragged_to_a_velocity(page):
    visit(page)
    # the arrow's tip is three frames ahead of the middle, (17, 36); 2 px a frame to the right is 6 px of it
    tip = 17 + 3 * 3.6 * np.cos(np.radians(330)), 36 + 3 * 3.6 * np.sin(np.radians(330))

    drag(page, tip, (17 + 6, 36))

    page.wait_for_url("**scene=1-20-c-7_3_3_22_2_0-2_5_27_6_3.6_120")
    expect(slider(page, "Speed")).to_have_value("2", timeout=START_MS)


def test_an_arrow_follows_a_pointer_that_is_faster_and_goes_too_far(page):
    """In one move out of the picture: the digit is let go all the same, and follows Undo afterwards."""
    visit(page)
    tip = 17 + 3 * 3.6 * np.cos(np.radians(330)), 36 + 3 * 3.6 * np.sin(np.radians(330))
    page.mouse.move(*on_stage(page, *tip))
    page.mouse.down()
    page.mouse.move(*on_stage(page, 60, 36))
    page.mouse.move(*on_stage(page, 17 + 90, 36), steps=3)
    page.mouse.up()

    page.wait_for_url("**scene=1-20-c-7_3_3_22_10_0-2_5_27_6_3.6_120")
    settle(page)
    expect(page.locator(".stage .dragging")).to_have_count(0)
    page.mouse.move(*on_stage(page, 30, 50))  # nothing is held any more
    page.get_by_role("button", name="Undo").click()
    expect(slider(page, "Speed")).to_have_value("3.6", timeout=START_MS)


def test_the_stage_is_used_with_keys(page):
    visit(page)
    digit = page.locator(".stage .digit").nth(1)
    digit.focus()
    expect(slider(page, "Direction")).to_have_value("120", timeout=START_MS)  # that of the digit in focus

    for key in ("ArrowLeft", "ArrowLeft", "ArrowUp", "Shift+ArrowDown"):
        page.keyboard.press(key)
    page.wait_for_url("**-2_5_25_5_3.8_118")
    settle(page)
    page.keyboard.press("Delete")

    page.wait_for_url("**scene=1-20-c-7_3_3_22_3.6_330")
    settle(page)
    page.get_by_role("button", name="Duplicate").click()
    page.wait_for_url("**scene=1-20-c-7_3_3_22_3.6_330-7_3_9_28_3.6_330")


def test_the_line_on_the_stage_is_the_way_that_the_digits_go(page):
    for rule in "cr":
        visit(page, f"/?scene=1-30-{rule}-1_0_3_31_7.7_301-1_1_36_0_2.5_0")
        for number, line in enumerate(page.locator(".stage polyline").all()):
            drawn = [[float(at) for at in point.split(",")] for point in line.get_attribute("points").split()]
            scene = decode_scene(default_settings(), page.url.split("scene=")[1]).scene()
            np.testing.assert_allclose(drawn, trajectory(scene)[:, number] + 14, atol=0.006)


def test_a_handwriting_is_picked_by_its_picture(page):
    visit(page)
    pictures = page.get_by_role("radiogroup", name="Handwriting of digit 7")

    pictures.get_by_role("radio").nth(6).click()

    page.wait_for_url("**1-20-c-7_6_3_22**")
    settle(page)
    expect(pictures.get_by_role("radio").nth(6)).to_have_attribute("aria-checked", "true")


def test_a_digit_is_drawn_and_predicted(page):
    predicted(page)
    page.get_by_role("button", name="Draw your own").click()
    pad = page.get_by_role("img", name="Draw a digit here").bounding_box()

    def to(x, y):
        return pad["x"] + x * pad["width"], pad["y"] + y * pad["height"]

    page.mouse.move(*to(0.3, 0.2))
    page.mouse.down()
    for corner in ((0.7, 0.2), (0.7, 0.8), (0.3, 0.8), (0.3, 0.2)):  # a square: no handwriting has one
        page.mouse.move(*to(*corner), steps=5)
    page.mouse.up()

    page.wait_for_url("**scene=1-20-c-7_3_3_22_3.6_330_**")
    settle(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Drawn by you").click()
    again = page.get_by_role("img", name="Draw a digit here")
    drawn = again.evaluate("one => one.getContext('2d').getImageData(0, 0, 280, 280).data.some((at) => at)")
    assert drawn  # it can be gone on with
    page.keyboard.press("Escape")
    go_to(page, 0)
    seen = pixels(page, "truth")[22:50, 3:31, 0]
    settings = decode_scene(default_settings(), page.url.split("scene=")[1])
    np.testing.assert_array_equal(seen, render(settings.scene())[0, 22:50, 3:31])
    assert seen[4:8, 6:22].mean() > 100  # the upper side
    assert seen[12:16, 12:16].max() == 0  # and nothing inside
    classes = page.get_by_role("radiogroup", name="Digit", exact=True).get_by_role("radio")
    handwritings = page.get_by_role("radiogroup", name="Handwriting of digit 7").get_by_role("radio")
    expect(classes).to_have_count(10)
    for choice in (*classes.all(), *handwritings.all()):  # the drawing flies, and none of these
        expect(choice).to_have_attribute("aria-checked", "false")

    classes.nth(7).click()
    page.wait_for_url(lambda url: "scene=" not in url)
    settle(page)
    expect(classes.nth(7)).to_have_attribute("aria-checked", "true")
    expect(handwritings.nth(3)).to_have_attribute("aria-checked", "true")
    expect(page.get_by_role("button", name="Draw your own")).to_be_visible()


def test_a_finger_drags_a_digit_and_its_arrow(browser, server):
    """Where the page does not scroll instead."""
    context = browser.new_context(
        base_url=server, viewport={"width": 1024, "height": 768}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    visit(page, "/?scene=1-20-c-7_3_3_22_2_0")
    finger = context.new_cdp_session(page)

    def swipe(start, end):
        places = np.linspace(on_stage(page, *start), on_stage(page, *end), 20)
        for number, (x, y) in enumerate(places):
            kind = "touchMove" if number else "touchStart"
            finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    swipe((10, 30), (20, 38))
    page.wait_for_url("**scene=1-20-c-7_3_13_30_2_0")
    settle(page)
    swipe((27 + 6, 44), (27, 44 + 9))  # the arrow's tip, three frames ahead of the middle
    page.wait_for_url("**scene=1-20-c-7_3_13_30_3_90")
    context.close()
