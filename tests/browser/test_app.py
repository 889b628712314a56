"""The app in a real browser: compose, watch, predict, scrub."""

import io
import random
import re
import time

import imageio.v3 as iio
import numpy as np
from playwright.sync_api import expect

from core.moving_mnist import render
from core.scenes import Scene
from tests.browser.watching import PLAYER, START_MS, go_to, pixels, predicted, settle, slider, visit
from ui.link import default_settings


def frame(page):
    return int(page.locator(PLAYER).get_attribute("data-frame"))


def press(page, name, key, times):
    control = slider(page, name)
    control.focus()
    for _ in range(times):
        page.keyboard.press(key)


def test_the_clip_plays_at_once(page):
    visit(page)

    expect(page.get_by_role("heading", name="Make a clip")).to_be_visible()
    seen = {frame(page)}
    for _ in range(8):
        page.wait_for_timeout(150)
        seen.add(frame(page))
    assert len(seen) > 3
    go_to(page, 0)
    assert pixels(page, "truth").max() == 255


def test_a_changed_speed_changes_the_clip(page):
    visit(page)
    go_to(page, 5)
    before = pixels(page, "truth")
    loads = page.locator(PLAYER).get_attribute("data-loads")

    press(page, "Speed", "ArrowRight", 30)
    # thirty presses are one run of the page or several, as fast as the machine is
    page.wait_for_url("**_6.6_330-**", timeout=START_MS)
    expect(page.locator(PLAYER)).not_to_have_attribute("data-loads", loads, timeout=START_MS)
    settle(page)

    expect(slider(page, "Speed")).to_have_value("6.6")
    assert frame(page) == 5  # new pictures, the same place
    assert (pixels(page, "truth") != before).any()


def test_the_scene_survives_page_reload_link_and_the_way_back(page):
    visit(page)
    page.get_by_role("button", name="Collision").click()
    page.wait_for_url("**scene=**")
    settle(page)
    link = page.url.split("scene=")[1]

    page.get_by_role("link", name="Predict it").click()
    page.wait_for_url("**/predict?scene=**")
    assert page.url.endswith(link)
    page.reload()
    expect(page.locator(PLAYER)).to_be_visible(timeout=START_MS)
    settle(page)
    expect(slider(page, "Speed")).to_have_value("3")

    page.get_by_role("button", name="Too fast").click()
    expect(slider(page, "Speed")).to_have_value("9.5", timeout=START_MS)
    settle(page)
    page.go_back()
    expect(slider(page, "Speed")).to_have_value("3", timeout=START_MS)


def test_ctrl_z_takes_a_ready_made_scene_back_wherever_the_focus_is(page):
    visit(page)
    page.get_by_role("button", name="Collision").click()
    expect(slider(page, "Speed")).to_have_value("3", timeout=START_MS)
    settle(page)
    page.keyboard.press("Control+z")
    expect(slider(page, "Speed")).to_have_value("3.6", timeout=START_MS)


def take(page, label):
    """What a person gets who clicks on a download: its name and content."""
    with page.expect_download(timeout=START_MS) as download:
        page.get_by_role("button", name=label, exact=True).click()
    return download.value.suggested_filename, download.value.path().read_bytes()


def test_a_clip_can_be_taken_away_in_every_format(page):
    visit(page)
    scene = default_settings().scene()
    clip = render(scene)

    for label, ending in (("GIF", ".gif"), ("MP4", ".mp4")):
        name, content = take(page, label)
        assert name.endswith(ending)
        film = iio.imread(
            io.BytesIO(content), extension=ending, plugin="pillow" if ending == ".gif" else "pyav"
        )
        assert film.shape[:3] == (20, 256, 256)
        assert np.abs(film[:, ::4, ::4, 0].astype(int) - clip).mean() < 4
    name, content = take(page, "Film strip")
    assert name.endswith(".png")
    assert iio.imread(content, extension=".png").shape[1] > 20 * 64
    name, content = take(page, "Numbers (NPY)")
    assert name.endswith(".npy")
    np.testing.assert_array_equal(np.load(io.BytesIO(content)), clip)
    _, content = take(page, "Scene (JSON)")
    assert Scene.from_json(content.decode()) == scene
    name, content = take(page, "Script (Python)")
    assert name.endswith(".py")
    compile(content, name, "exec")


def test_a_prediction_can_be_taken_away_in_every_format(page):
    predicted(page)

    for label, ending, plugin in (("GIF", ".gif", "pillow"), ("MP4", ".mp4", "pyav")):
        name, content = take(page, label)
        assert name.endswith(ending)
        assert len(iio.imread(io.BytesIO(content), extension=ending, plugin=plugin)) == 20
    _, content = take(page, "Numbers (NPZ)")
    with np.load(io.BytesIO(content)) as read:
        np.testing.assert_array_equal(read["clip"], render(default_settings().scene()))
        go_to(page, 9)
        shown = pixels(page, "prediction")[..., 0]
        np.testing.assert_array_equal(np.rint(255 * read["prediction"][9 - read["first"]]), shown)
    name, content = take(page, "Figures (CSV)")
    assert name.endswith(".csv")
    header, *rows = content.decode().splitlines()
    assert header.startswith("frame,mse,psnr,ssim")
    assert [row.split(",")[0] for row in rows] == [str(number) for number in range(2, 21)]


def test_clicks_and_steps_that_follow_each_other_quickly_leave_the_page_alive(page):
    """Runs that overtake each other; what one counted on in the browser must still be there."""
    visit(page)
    chance, ends, begun = random.Random(1), time.monotonic() + 12, page.url
    while time.monotonic() < ends:
        for name in chance.sample(["Standard", "Collision", "Corner bounce", "Three digits"], 3):
            page.get_by_role("button", name=name).click()
            page.wait_for_timeout(chance.choice([20, 60, 120]))
        if page.url != begun:  # else the way back would lead out of the app
            # as a reader's keys do: an address that is set in between may leave nothing to go forward to
            page.evaluate("() => { history.back(); setTimeout(() => history.forward(), 30); }")
    settle(page)
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-connection-state", "CONNECTED")


def test_a_link_of_garbage_is_answered_in_words(page):
    visit(page, "/?scene=1-20-c-7_3_3_22_99_330&mode=%00")

    notices = page.get_by_test_id("stAlert")
    expect(notices).to_have_count(2)
    expect(notices.first).to_contain_text("speed goes from 0 to 10")


def test_a_prediction_can_be_scrubbed(page):
    predicted(page)

    go_to(page, 0)
    expect(page.get_by_text("Nothing predicted yet")).to_be_visible()
    truth, made = [], []
    for number in range(1, 20):
        page.get_by_role("slider", name="Frame").last.fill(str(number))
        expect(page.get_by_text(f"Frame {number + 1} / 20")).to_be_visible()
        truth.append(pixels(page, "truth"))
        made.append(pixels(page, "prediction"))
        error = pixels(page, "error")
    expect(page.get_by_text("Nothing predicted yet")).to_be_hidden()
    truth, made = (np.array(frames)[..., 0] / 255 for frames in (truth, made))
    # the prediction shown is of the very frame beside it, and nearer to it than the frame before
    aligned = ((made[1:] - truth[1:]) ** 2).mean()
    assert aligned < ((made[1:] - truth[:-1]) ** 2).mean()
    assert aligned < ((truth[1:] - truth[:-1]) ** 2).mean() / 2
    # missing ink is blue, extra ink orange, and where both agree it is black
    last = made[-1] - truth[-1]
    assert (error[last < -0.3][:, 2] > error[last < -0.3][:, 0]).all()
    assert (error[last > 0.3][:, 0] > error[last > 0.3][:, 2]).all()
    assert (error[last == 0] == 0).all()


def test_playing_and_scrubbing_ask_the_server_nothing(page):
    predicted(page)
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    loads = page.locator(PLAYER).get_attribute("data-loads")

    page.locator("svg.chart").click()
    expect(page.locator(PLAYER)).to_have_attribute("data-playing", "false")
    assert frame(page) in range(8, 13)
    page.get_by_role("button", name="MSE", exact=True).click()
    page.locator(PLAYER).press("Space")
    page.wait_for_timeout(700)

    expect(page.locator(PLAYER)).to_have_attribute("data-loads", loads)
    assert sent == []


def test_a_slider_renews_the_prediction_without_a_button(page):
    predicted(page)
    go_to(page, 6)
    before = pixels(page, "prediction")

    press(page, "Direction", "ArrowLeft", 25)
    page.wait_for_url("**_3.6_305-**")
    settle(page)

    assert frame(page) == 6
    assert (pixels(page, "prediction") != before).any()


def test_a_rollout_marks_what_was_given(page):
    predicted(page, "/predict?mode=rollout&context=12&horizon=6")

    expect(page.get_by_text("12 given")).to_be_visible()
    expect(page.get_by_text("6 predicted")).to_be_visible()
    go_to(page, 11)
    expect(page.get_by_text("Nothing predicted yet: these frames are given.")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("Nothing predicted yet: these frames are given.")).to_be_hidden()
    expect(page.get_by_text("Frame 13 / 18")).to_be_visible()
    expect(page.get_by_text(re.compile(r"^Model: [0-9.]+ dB$"))).to_be_visible()


def test_who_wants_no_motion_gets_none(browser, server):
    context = browser.new_context(base_url=server, reduced_motion="reduce")
    page = context.new_page()
    visit(page)
    at = frame(page)
    page.wait_for_timeout(800)

    assert frame(page) == at
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    context.close()


def test_a_link_to_a_page_works_on_a_server_that_nobody_has_visited(browser, fresh_server):
    context = browser.new_context(viewport={"width": 1440, "height": 1100})
    page = context.new_page()
    visit(page, f"{fresh_server}/predict?scene=1-12-c-5_0_3_3_2_45")

    expect(page.get_by_role("heading", name="Predict the next frame")).to_be_visible()
    expect(page.get_by_text("Your scene")).to_be_visible()
    expect(page.get_by_text("Page not found")).to_have_count(0)
    expect(page.locator(PLAYER)).to_contain_text("/ 12")
    context.close()


def look(page, option):
    """Turn a way to look at the pictures on, or off."""
    if not page.locator("details.view").evaluate("details => details.open"):
        page.locator("details.view summary").click()
    page.locator("details.view").get_by_text(option).click()


def test_pictures_are_looked_at_in_other_ways(page):
    predicted(page)
    go_to(page, 9)
    signed, truth = pixels(page, "error"), pixels(page, "truth")

    look(page, "Error by its size")
    sizes = pixels(page, "error")
    assert (sizes != signed).any()
    # the brighter the greater, as Matplotlib's map of that name
    made = pixels(page, "prediction")[..., 0].astype(int)
    size = np.abs(made - truth[..., 0])
    brightness = sizes.sum(-1)
    assert brightness[size > 200].min() > brightness[size < 50].max()

    look(page, "Onion skin")
    ghost = pixels(page, "truth").astype(int)
    assert (ghost >= truth).all()
    assert ghost.sum() > truth.sum()

    look(page, "film strips")
    reel = page.locator(".reel canvas")
    expect(reel).to_have_count(3)
    page.locator(".count").click()
    first = reel.first.bounding_box()
    reel.first.click(position={"x": first["width"] * 14.5 / 20, "y": first["height"] / 2})
    expect(page.locator(PLAYER)).to_have_attribute("data-frame", "14")


def test_a_picture_is_enlarged_and_made_small_again(page):
    predicted(page)
    error = page.locator('figure[data-panel="error"]')
    before = error.bounding_box()["width"]

    error.hover()
    error.get_by_role("button", name="Error: enlarge").click()
    assert error.bounding_box()["width"] > 1.5 * before
    error.get_by_role("button", name="as small as the others").click()
    assert abs(error.bounding_box()["width"] - before) < 2


def test_a_clip_that_does_not_begin_again_stops_at_its_end(page):
    visit(page)
    look(page, "Begin again")
    page.get_by_label("Playing speed").select_option("30")

    expect(page.locator(PLAYER)).to_have_attribute("data-playing", "false", timeout=5000)
    assert frame(page) == 19
    page.get_by_role("button", name="Play", exact=True).click()
    assert frame(page) < 19


def test_a_link_opens_the_same_comparison_elsewhere(page, browser, server):
    predicted(page, "/predict?mode=rollout")
    page.get_by_test_id("stButtonGroup").get_by_text("Last frame", exact=True).click()
    page.wait_for_url("**compare=Last+frame**")
    settle(page)
    page.get_by_role("button", name="Link and QR code").click()
    link = page.locator("code", has_text="http").inner_text()

    context = browser.new_context(viewport={"width": 1440, "height": 1100})
    other = context.new_page()
    predicted(other, link)
    assert other.locator("figure").count() == 4
    context.close()
