"""Digits drawn by hand: made like those of MNIST, and written as a short word.

MNIST's digits are scaled, with their proportions kept, to fit a box of 20 x 20 px, and put with their centre
of mass in the middle of 28 x 28 (LeCun et al. 1998). A drawing that is made the same way looks to a model
like what it learned from.
"""

from __future__ import annotations

import base64
import binascii
import zlib

import numpy as np
from PIL import Image

from core.digits import DIGIT_SIZE

BOX = 20
INK = 24  # of 255: what is darker is ground
LEVELS = 16  # greys of a drawing: half a byte
MAX_TEXT = 400
_BYTES = DIGIT_SIZE**2 // 2
_STANDARD, _PLAIN = b"-_", b".~"  # a link's own separators are not in a word


class DrawingError(ValueError):
    """Something that is no drawing; the message says in plain words why."""


def as_digit(drawing: np.ndarray) -> np.ndarray:
    """A drawing as a digit of MNIST.

    Parameters
    ----------
    drawing : uint8 (height, width), light ink on black

    Returns
    -------
    uint8 (28, 28) of 16 greys, 0 to 255

    Raises
    ------
    DrawingError
        If there is no ink.
    """
    rows, columns = (np.flatnonzero((drawing > INK).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        raise DrawingError("nothing is drawn yet")
    ink = drawing[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = BOX / max(ink.shape)
    size = max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale))
    small = np.asarray(
        Image.fromarray(np.ascontiguousarray(ink)).resize(size, Image.Resampling.BOX), np.float64
    )
    small *= 255 / max(small.max(), 1)  # a thin line loses light when it is made small
    mass = small.sum()
    middle = [(small.sum(axis=1 - axis) * np.arange(small.shape[axis])).sum() / mass for axis in (0, 1)]
    top, left = (
        int(np.clip(round((DIGIT_SIZE - 1) / 2 - at), 0, DIGIT_SIZE - side))
        for at, side in zip(middle, small.shape, strict=True)
    )
    out = np.zeros((DIGIT_SIZE, DIGIT_SIZE))
    out[top : top + small.shape[0], left : left + small.shape[1]] = small
    return _greys(np.rint(out / 255 * (LEVELS - 1)).astype(np.uint8))


def _greys(levels: np.ndarray) -> np.ndarray:
    return (levels * (255 // (LEVELS - 1))).astype(np.uint8)


def encode(digit: np.ndarray) -> str:
    """A digit of 16 greys, uint8 (28, 28), as a word of letters, digits, "." and "~" that a link can hold."""
    levels = (digit.reshape(-1, 2) // (255 // (LEVELS - 1))).astype(np.uint8)
    packed = zlib.compress((levels[:, 0] << 4 | levels[:, 1]).tobytes(), 9)
    word = base64.urlsafe_b64encode(packed).rstrip(b"=")
    return word.translate(bytes.maketrans(_STANDARD, _PLAIN)).decode()


def decode(word: str) -> np.ndarray:
    """The digit, uint8 (28, 28), that `encode` wrote.

    Raises
    ------
    DrawingError
        If the word is anything else.
    """
    if not isinstance(word, str) or not 0 < len(word) <= MAX_TEXT or not word.isascii():
        raise DrawingError("the drawing cannot be read")
    text = word.encode().translate(bytes.maketrans(_PLAIN, _STANDARD), delete=b"=+/ \n")
    try:
        packed = base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        reader = zlib.decompressobj()
        levels = np.frombuffer(reader.decompress(packed, _BYTES + 1), np.uint8)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise DrawingError("the drawing cannot be read") from error
    if len(levels) != _BYTES or not levels.any():
        raise DrawingError("the drawing cannot be read")
    return _greys(np.stack([levels >> 4, levels & 15], axis=-1).reshape(DIGIT_SIZE, DIGIT_SIZE))
