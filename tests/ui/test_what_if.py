"""What is done to what a layer sees, and how it is told."""

import numpy as np
import pytest

from ui.what_if import Seen, told


@pytest.fixture
def clip():
    return np.random.default_rng(0).integers(1, 256, size=(8, 64, 64)).astype(np.uint8)


def test_nothing_is_done_unasked(clip):
    np.testing.assert_array_equal(Seen().of(clip), clip)


def test_frames_go_black_and_come_back(clip):
    seen = Seen(black=(2, 4)).of(clip)
    assert not seen[2:4].any()
    np.testing.assert_array_equal(seen[[0, 1, 4, 5, 6, 7]], clip[[0, 1, 4, 5, 6, 7]])


def test_a_film_that_stops_shows_its_frame_on_and_on(clip):
    seen = Seen(still_from=3).of(clip)
    np.testing.assert_array_equal(seen[:4], clip[:4])
    assert (seen[4:] == clip[3]).all()


def test_noise_is_as_strong_as_asked_and_the_same_each_time():
    grey = np.full((8, 64, 64), 128, np.uint8)
    seen = Seen(noise=0.1).of(grey)
    assert seen.astype(float).std() / 255 == pytest.approx(0.1, rel=0.05)
    np.testing.assert_array_equal(seen, Seen(noise=0.1).of(grey))


def test_what_stops_and_goes_black_is_black(clip):
    assert not Seen(black=(5, 6), still_from=2).of(clip)[5].any()


def test_what_it_did_is_told():
    before = np.full(5, 0.01)
    assert told(before, before) == "Not a single predicted frame has changed."
    after = before.copy()
    after[2] = 0.06
    assert told(before, after) == (
        "On average over the clip the squared error is 2.00 times what it was; it grows most in frame 4."
    )
    assert "no frame got worse" in told(before, before / 2)
    assert "20 times" in told(before, before * 20)
    assert "inf" not in told(np.zeros(5), before)
