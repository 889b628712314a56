"""A clip of one's own in a real browser: brought along, predicted, put away."""

import io

import imageio.v3 as iio
import numpy as np
import pytest
from playwright.sync_api import expect

from core import films
from core.moving_mnist import render
from core.outputs import png_bytes
from core.scenes import preset_scenes
from tests.browser.watching import START_MS, bring, go_to, pixels, predicted, settle, slider

CLIP = "Bring a clip"  # the button


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

    bring(page, CLIP, name, FILES[name])
    settle(page)

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
    expect(page.locator(".stage[data-ready=true]")).to_be_visible(timeout=START_MS)


def test_a_file_that_is_no_clip_is_answered_and_the_scene_stays(page):
    predicted(page, "/predict?scene=1-20-c-7_3_3_22_2_0")

    bring(page, CLIP, "own.gif", FILES["own.gif"][:500])
    settle(page)

    expect(page.get_by_text("own.gif cannot be used: the GIF")).to_be_visible(timeout=START_MS)
    expect(slider(page, "Speed")).to_have_value("2")
    assert "1-20-c-7_3_3_22_2_0" in page.url


def test_a_click_while_a_file_is_read_loses_nothing(page):
    predicted(page)
    film = np.zeros((200, 800, 800), np.uint8)  # takes a second or two to read
    for number, picture in enumerate(film):
        picture[number : number + 300, 200:500] = 200

    bring(page, CLIP, "large.gif", iio.imwrite("<bytes>", film, extension=".gif"))
    expect(page.get_by_text("Reading large.gif")).to_be_visible(timeout=START_MS)
    page.get_by_text("On its own", exact=True).click()

    expect(page.get_by_role("heading", name="The clip you brought")).to_be_visible(timeout=START_MS)
    expect(page.get_by_text("What comes next?").first).to_be_visible(timeout=START_MS)
