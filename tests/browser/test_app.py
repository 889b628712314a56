"""The app in a real browser: compose, watch, predict, scrub."""

import io
import re

import imageio.v3 as iio
import numpy as np
import pytest
from playwright.sync_api import expect

from core import films
from core.moving_mnist import render, trajectory
from core.outputs import png_bytes
from core.scenes import Scene, preset_scenes
from tests.browser.watching import PLAYER, START_MS, go_to, pixels, predicted, settle, slider, visit
from ui.link import decode_scene, default_settings


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


def bring(page, name, content):
    """Put a file of one's own in the place of the scene."""
    page.get_by_role("button", name="Bring a clip").click()
    page.locator('input[type="file"]').set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    )
    settle(page)


def array_bytes(save, clip):
    """A clip as a file of NumPy's."""
    out = io.BytesIO()
    save(out, clip)
    return out.getvalue()


OWN = render(preset_scenes()["corner bounce"])
FILES = {
    "own.gif": films.gif_bytes(films.enlarged(OWN, 4)),
    "own.mp4": films.mp4_bytes(films.enlarged(OWN, 4)),
    "own.png": png_bytes(np.concatenate(list(OWN), axis=1)),
    "own.npy": array_bytes(np.save, OWN),
    "own.npz": array_bytes(np.savez_compressed, OWN),
}


@pytest.mark.parametrize("name", FILES)
def test_a_clip_of_ones_own_is_predicted_in_the_place_of_the_scene(page, name):
    predicted(page)

    bring(page, name, FILES[name])

    expect(page.get_by_role("heading", name="The clip you brought")).to_be_visible(timeout=START_MS)
    go_to(page, 6)
    assert np.abs(pixels(page, "truth")[..., 0].astype(int) - OWN[6]).mean() < 3
    page.get_by_text("On its own", exact=True).click()
    expect(page.get_by_text("What comes next?").first).to_be_visible(timeout=START_MS)
    settle(page)
    go_to(page, 20)
    assert pixels(page, "prediction").max() > 100  # beyond the end of the clip
    expect(page.get_by_text("The clip ends here.")).to_be_visible()
    page.get_by_role("button", name="Back to the scene").click()
    expect(page.locator(STAGE)).to_be_visible(timeout=START_MS)


def test_a_file_that_is_no_clip_is_answered_and_the_scene_stays(page):
    predicted(page, "/predict?scene=1-20-c-7_3_3_22_2_0")

    bring(page, "own.gif", FILES["own.gif"][:500])

    expect(page.get_by_text("own.gif cannot be used: the GIF")).to_be_visible(timeout=START_MS)
    expect(slider(page, "Speed")).to_have_value("2")
    assert "1-20-c-7_3_3_22_2_0" in page.url


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
