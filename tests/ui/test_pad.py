"""What the pad reports becomes a digit, or nothing."""

import base64

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core import drawings
from ui.pad import SIDE, read_drawing


def sent(pixels):
    return base64.b64encode(pixels.astype(np.uint8).tobytes()).decode()


def test_a_line_becomes_a_digit():
    pixels = np.zeros((SIDE, SIDE))
    pixels[10:40, 20:24] = 255
    digit = drawings.decode(read_drawing(sent(pixels)))
    np.testing.assert_array_equal(digit, drawings.as_digit(pixels.astype(np.uint8)))


def test_an_empty_pad_and_one_of_another_size_are_nothing():
    assert read_drawing(sent(np.zeros((SIDE, SIDE)))) is None
    assert read_drawing(sent(np.full((SIDE, SIDE + 1), 255))) is None


@given(st.none() | st.integers() | st.text() | st.binary() | st.text("ABCab01+/=", max_size=9000))
def test_anything_else_is_nothing(event):
    assert read_drawing(event) is None


def test_even_noise_stays_short_enough_for_a_link():
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE))
    word = read_drawing(sent(noise))
    assert word is None or len(word) <= drawings.MAX_TEXT
