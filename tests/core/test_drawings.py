"""Drawings become digits like those of MNIST, and short words."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import drawings
from core.digits import load_digits
from core.drawings import DrawingError, as_digit, decode, encode


def stroke():
    """A one, far from the middle and thin."""
    drawing = np.zeros((56, 56), np.uint8)
    drawing[5:45, 40:43] = 255
    return drawing


def centre(digit):
    mass = digit.astype(float)
    return [(mass.sum(axis=1 - axis) * np.arange(28)).sum() / mass.sum() for axis in (0, 1)]


def test_a_drawing_fits_the_box_and_lies_in_the_middle():
    digit = as_digit(stroke())

    rows, columns = np.nonzero(digit)
    assert rows.max() - rows.min() + 1 == drawings.BOX
    assert columns.max() - columns.min() + 1 <= 3
    np.testing.assert_allclose(centre(digit), 13.5, atol=0.5)
    assert digit.max() == 255


def test_a_digit_of_mnist_stays_about_what_it_is():
    bank = load_digits("test")
    for digit_class in range(10):
        original = bank.exemplar(digit_class, 0)
        again = as_digit(original.repeat(2, axis=0).repeat(2, axis=1))
        # but for a pixel, where its middle lies between two
        shifted = [np.roll(original, by, (0, 1)) for by in np.ndindex(3, 3)]
        shifted = [np.roll(one, (-1, -1), (0, 1)).astype(int) for one in shifted]
        assert min(np.abs(again - one).mean() for one in shifted) < 12
        np.testing.assert_allclose(centre(again), centre(original), atol=1.1)


def test_nothing_is_no_drawing():
    with pytest.raises(DrawingError, match="nothing is drawn yet"):
        as_digit(np.full((56, 56), drawings.INK, np.uint8))


def test_a_word_holds_a_drawing_and_nothing_a_link_minds():
    digit = as_digit(stroke())
    word = encode(digit)

    assert re.fullmatch(r"[A-Za-z0-9.~]+", word)
    assert len(word) < 150
    np.testing.assert_array_equal(decode(word), digit)


@given(st.lists(st.integers(0, 15), min_size=784, max_size=784).filter(any))
def test_every_drawing_that_fits_comes_back(levels):
    digit = (np.array(levels, np.uint8) * 17).reshape(28, 28)
    word = encode(digit)
    if len(word) <= drawings.MAX_TEXT:
        np.testing.assert_array_equal(decode(word), digit)


@given(st.text(max_size=500) | st.text("abcXYZ019.~", max_size=500))
def test_anything_else_is_no_drawing(word):
    with pytest.raises(DrawingError, match="the drawing cannot be read"):
        decode(word)


def test_a_word_that_unpacks_to_more_is_none():
    import base64
    import zlib

    word = (
        base64.b64encode(zlib.compress(bytes(10_000_000), 9))[:40]
        .decode()
        .replace("+", ".")
        .replace("/", "~")
    )
    for text in (word, base64.b64encode(zlib.compress(b"\1" * 393)).decode().rstrip("=")):
        with pytest.raises(DrawingError):
            decode(text.replace("+", ".").replace("/", "~"))
