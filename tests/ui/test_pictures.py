import base64
import io

import imageio.v3 as iio
import numpy as np
from PIL import Image

from core.moving_mnist import render
from ui import pictures
from ui.link import default_settings


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


def test_the_gif_shows_the_clip_four_times_as_large():
    clip = render(default_settings().scene())

    content = pictures.gif(clip)

    frames = iio.imread(content, extension=".gif")[..., 0]
    assert frames.shape == (20, 256, 256)
    # a palette of 256 greys holds every pixel as it was
    assert (frames[:, ::4, ::4] == clip).all()
    assert iio.immeta(content, extension=".gif")["duration"] == 100


def test_the_npy_is_the_clip():
    clip = render(default_settings().scene())

    assert (np.load(io.BytesIO(pictures.npy(clip)), allow_pickle=False) == clip).all()
