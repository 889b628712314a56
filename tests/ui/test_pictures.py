import base64
import io

import numpy as np
from PIL import Image

from ui import pictures


def decoded(url):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))))


def test_a_sprite_holds_every_frame_in_its_place():
    frames = np.random.default_rng(0).integers(0, 256, (45, 8, 6), np.uint8)

    sprite = pictures.sprite(frames)

    sheet = decoded(sprite["src"])
    assert (sprite["count"], sprite["columns"]) == (45, 20)
    assert sheet.shape == (3 * 8, 20 * 6)
    for number, frame in enumerate(frames):
        row, column = divmod(number, 20)
        assert (sheet[row * 8 : row * 8 + 8, column * 6 : column * 6 + 6] == frame).all()


def test_a_sprite_of_floats_is_clipped_and_rounded():
    frames = np.array([[[-0.5, 0.5, 1.5]]], np.float32)

    assert decoded(pictures.sprite(frames)["src"]).tolist() == [[0, 128, 255]]
