"""Films to take away hold the pixels that they are made of."""

import io

import imageio.v3 as iio
import numpy as np
import pytest

from core import films
from core.moving_mnist import render, to_frames
from core.outputs import png_bytes
from core.scenes import preset_scenes

CLIP = render(preset_scenes()["standard"])
FIRST = 3
PREDICTION = np.clip(to_frames(CLIP)[FIRST:] * 0.8 + 0.1, 0, 1)


def panel(film, number, scale):
    """One panel of a comparison, at its own size."""
    side = 64 * scale
    left = films.GAP + number * (side + films.GAP)
    return film[:, films.LABEL_HEIGHT : films.LABEL_HEIGHT + side, left : left + side][:, ::scale, ::scale]


def test_an_error_is_blue_where_ink_is_missing_and_orange_where_there_is_too_much():
    truth, prediction = np.array([[1.0, 0.0, 0.5]]), np.array([[0.5, 1.0, 0.5]])
    colours = films.error_colours(truth, prediction)
    np.testing.assert_array_equal(colours[0], [[43, 90, 116], films.EXTRA, [0, 0, 0]])


def test_a_comparison_holds_truth_prediction_and_error():
    film = films.comparison(CLIP, PREDICTION, FIRST, scale=2)

    assert film.dtype == np.uint8
    assert len(film) == 20
    assert not any(side % 2 for side in film.shape[1:3])
    np.testing.assert_array_equal(panel(film, 0, 2), np.repeat(CLIP[..., None], 3, -1))
    made, error = panel(film, 1, 2), panel(film, 2, 2)
    np.testing.assert_array_equal(made[FIRST:, ..., 0], np.rint(255 * PREDICTION))
    np.testing.assert_array_equal(error[FIRST:], films.error_colours(to_frames(CLIP)[FIRST:], PREDICTION))
    assert not made[:FIRST].any()
    assert not error[:FIRST].any()


OTHERS = {"Best": np.clip(PREDICTION * 0.5, 0, 1), "Reference": np.clip(PREDICTION * 0.25, 0, 1)}
BASELINES = {"Last frame": np.repeat(to_frames(CLIP)[FIRST - 1 : FIRST], len(PREDICTION), axis=0)}


def expected_panels():
    """Truth, each prediction in order, each model's error, from the first predicted frame on."""
    true = to_frames(CLIP)[FIRST:]
    made = [true, PREDICTION, *OTHERS.values(), *BASELINES.values()]
    greys = [np.repeat(np.rint(255 * frames)[..., None], 3, -1) for frames in made]
    return greys + [films.error_colours(true, frames) for frames in (PREDICTION, *OTHERS.values())]


def test_a_comparison_holds_all_that_is_compared_in_rows():
    film = films.comparison(
        CLIP, PREDICTION, FIRST, title="Fast", others=OTHERS, baselines=BASELINES, scale=1
    )

    expected = expected_panels()
    assert len(expected) == 8
    assert film.shape == (20, 2 * (films.LABEL_HEIGHT + 64 + films.GAP), 4 * (64 + films.GAP) + films.GAP, 3)
    rows = np.split(film, 2, axis=1)
    for number, frames in enumerate(expected):
        seen = panel(rows[number // 4], number % 4, 1)
        np.testing.assert_array_equal(seen[FIRST:], frames)
    labels = [row[0, : films.LABEL_HEIGHT, films.GAP + i * 76 :][:, :64] for row in rows for i in range(4)]
    assert all(label.max() > 150 for label in labels)  # each has its words
    assert len({label.tobytes() for label in labels}) == 8


def test_a_strip_of_a_comparison_has_a_row_for_each_picture():
    strip = films.comparison_strip(CLIP, PREDICTION, FIRST, title="Fast", others=OTHERS, baselines=BASELINES)

    expected = expected_panels()
    left = strip.shape[1] - 20 * (128 + films.STRIP_GAP)
    assert strip.shape[0] == films.LABEL_HEIGHT + len(expected) * (128 + films.STRIP_GAP)
    for row, frames in enumerate(expected):
        top = films.LABEL_HEIGHT + row * (128 + films.STRIP_GAP)
        for frame in (FIRST, 12, 19):
            at = left + frame * (128 + films.STRIP_GAP)
            seen = strip[top : top + 128 : 2, at : at + 128 : 2]
            np.testing.assert_array_equal(seen, frames[frame - FIRST])
        assert strip[top : top + 128, :left].max() > 150  # its name


@pytest.mark.parametrize("frames", [200, 240])
def test_a_strip_of_a_long_comparison_still_fits_one_picture(frames):
    clip, prediction = np.zeros((frames, 64, 64), np.uint8), np.zeros((frames - 1, 64, 64))
    others = {"A model with a long name": prediction}
    assert max(films.comparison_strip(clip, prediction, 1, others=others).shape) <= films.MOST_SIDE_PX


@pytest.mark.parametrize(
    ("panels", "columns"), [(1, 1), (3, 3), (4, 4), (5, 3), (6, 3), (7, 4), (9, 3), (10, 4), (11, 4)]
)
def test_rows_of_a_sheet_are_of_nearly_one_length(panels, columns):
    assert films.sheet_columns(panels) == columns


@pytest.mark.parametrize(
    ("named", "text"),
    [
        ({"others": {"Best": PREDICTION[:4]}}, r"Best must have the shape of the prediction, \(17, 64, 64\)"),
        ({"baselines": {"Truth": PREDICTION}}, "each picture needs a name of its own; got Truth, Prediction"),
    ],
)
def test_what_cannot_be_set_side_by_side_is_refused(named, text):
    with pytest.raises(ValueError, match=text):
        films.comparison(CLIP, PREDICTION, FIRST, **named)


def test_a_rollout_ends_the_film_where_it_ends():
    assert len(films.comparison(CLIP, PREDICTION[:4], FIRST, scale=1)) == FIRST + 4


def test_a_prediction_goes_on_where_the_clip_ends():
    film = films.comparison(CLIP[:5], PREDICTION[:4], FIRST, scale=1)
    assert len(film) == FIRST + 4
    assert not panel(film, 0, 1)[5:].any()
    assert not panel(film, 2, 1)[5:].any()
    np.testing.assert_array_equal(panel(film, 1, 1)[5:, ..., 0], np.rint(255 * PREDICTION[2:4]))


@pytest.mark.parametrize(("first", "side"), [(21, 64), (-1, 64), (FIRST, 32)])
def test_a_prediction_of_another_clip_is_refused(first, side):
    with pytest.raises(ValueError, match=f"must be of frames {first} and on of the clip; got shapes"):
        films.comparison(CLIP, PREDICTION[:, :side, :side], first)


def test_a_grey_gif_is_exact():
    content = films.gif_bytes(CLIP, frame_ms=120)

    np.testing.assert_array_equal(iio.imread(content, extension=".gif")[..., 0], CLIP)
    assert iio.immeta(content, extension=".gif")["duration"] == 120


def test_a_gif_of_a_comparison_is_as_good_as_its_palette():
    film = films.comparison(CLIP, PREDICTION, FIRST)
    seen = iio.imread(films.gif_bytes(film), extension=".gif")
    assert seen.shape == film.shape
    assert np.abs(seen.astype(int) - film).max() <= 4


@pytest.mark.parametrize("film", [CLIP, CLIP[:, :63, :63], films.comparison(CLIP, PREDICTION, FIRST)])
def test_an_mp4_plays_as_many_frames_of_about_these_pixels(film):
    seen = iio.imread(io.BytesIO(films.mp4_bytes(film)), extension=".mp4", plugin="pyav")
    assert len(seen) == 20
    expected = film if film.ndim == 4 else np.repeat(film[..., None], 3, -1)
    shown = seen[:, : film.shape[1], : film.shape[2]]
    assert np.abs(shown.astype(int) - expected).mean() < 4


def test_a_film_strip_shows_all_frames_row_after_row():
    strip = films.film_strip(CLIP, columns=6, scale=2, gap=4)

    assert strip.shape == (4 * 132 + 4, 6 * 132 + 4)
    frame = 13  # in the third row, the second of it
    top, left = 2 * 132 + 4, 132 + 4
    np.testing.assert_array_equal(strip[top : top + 128 : 2, left : left + 128 : 2], CLIP[frame])
    np.testing.assert_array_equal(iio.imread(png_bytes(strip), extension=".png"), strip)


def test_a_strip_larger_than_anything_opens_is_refused():
    with pytest.raises(ValueError, match="at most 16384 px high and wide; 20 frames need more"):
        films.film_strip(CLIP, columns=1, scale=16)
