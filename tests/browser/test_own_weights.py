"""Weights of one's own in a real browser: brought along, recognised, predicting, put away."""

import numpy as np
import pytest
from playwright.sync_api import expect

from core.model_config import CONFIGS
from core.moving_mnist import render, to_frames
from core.own_weights import read_weights
from tests.browser.watching import MODEL_MS, START_MS, bring, go_to, pixels, settle, slider, visit
from tests.weights_files import npz, saved, trained, weights_of
from ui.link import default_settings

CLASSROOM = CONFIGS["classroom"]
ARRAYS = weights_of(CLASSROOM)
WEIGHTS = "Bring weights"  # the button


def apart(page, frame):
    """Largest difference of the prediction that is shown from a frame (64, 64, 1) in [0, 1], of 255."""
    return np.abs(pixels(page, "prediction")[..., 0].astype(int) - np.rint(255 * frame[..., 0])).max()


@pytest.mark.timeout(600)  # two models load, one after the other
@pytest.mark.parametrize("ending", [".npz", ".keras"])
def test_weights_of_ones_own_predict(page, ending):
    from core.inference import Predictor

    content = npz(ARRAYS) if ending == ".npz" else saved(trained(CLASSROOM, ARRAYS), ending)
    visit(page, "/predict")

    bring(page, WEIGHTS, f"mine{ending}", content)
    settle(page)

    expect(page.get_by_text(f"Yours is mine{ending}, recognised as classroom")).to_be_visible(
        timeout=MODEL_MS
    )
    expect(page.get_by_text("Time on").first).to_be_visible(timeout=MODEL_MS)
    settle(page)
    frames = to_frames(render(default_settings().scene()))[None, ..., None]
    predictor = Predictor.from_arrays(CLASSROOM, read_weights(content).arrays, "mine")
    go_to(page, 9)
    assert apart(page, predictor.next_frames(frames)[0, 8]) <= 2
    assert "model=" not in page.url
    page.get_by_text("On its own", exact=True).click()
    expect(page.get_by_text("Frames given").first).to_be_visible(timeout=START_MS)
    settle(page)
    go_to(page, 12)
    assert apart(page, predictor.rollout(frames[:, :10], 10)[0, 2]) <= 2
    page.get_by_role("button", name="Put it away").click()
    settle(page)
    expect(page.get_by_text("recognised as")).to_be_hidden(timeout=START_MS)
    expect(page.get_by_text("Yours", exact=True)).to_be_hidden()


def test_a_reload_forgets_weights_of_ones_own(page):
    visit(page, "/predict")
    bring(page, WEIGHTS, "mine.npz", npz(ARRAYS))
    settle(page)
    expect(page.get_by_text("recognised as")).to_be_visible(timeout=MODEL_MS)

    page.reload()

    expect(page.get_by_text("How good is each predicted frame?")).to_be_visible(timeout=MODEL_MS)
    settle(page)
    expect(page.get_by_text("recognised as")).to_be_hidden()


def test_a_damaged_file_is_answered_and_the_scene_stays(page):
    visit(page, "/predict?scene=1-20-c-7_3_3_22_2_0")

    bring(page, WEIGHTS, "mine.npz", npz(ARRAYS)[:5000])
    settle(page)

    expect(page.get_by_text("mine.npz cannot be used: the NPZ file is damaged")).to_be_visible(
        timeout=MODEL_MS
    )
    expect(slider(page, "Speed")).to_have_value("2")
    assert "1-20-c-7_3_3_22_2_0" in page.url
