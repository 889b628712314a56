"""Files that people bring along: read as they are meant, or answered in one sentence."""

import io
import tracemalloc
import zipfile
from contextlib import suppress

import imageio.v3 as iio
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from core import films, uploads
from core.moving_mnist import render
from core.outputs import png_bytes
from core.scenes import Digit, Scene, preset_scenes
from core.uploads import Upload, UploadError, fitted, has_bright_background, place_of, read

CLIP = render(preset_scenes()["standard"])


def npy(array, **options):
    out = io.BytesIO()
    np.save(out, array, **options)
    return out.getvalue()


def npz(**arrays):
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def read_clip(data):
    return read(data).clip


def png(array):
    return png_bytes(array)


def half(data):
    return data[: len(data) // 2]


def sound():
    """An MP4 with a stream of sound and no film."""
    import av

    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


EXACT = {
    "GIF": films.gif_bytes(CLIP),
    "GIF, four times as large": films.gif_bytes(films.enlarged(CLIP, 4)),
    "PNG strip": png(np.concatenate(list(CLIP), axis=1)),
    "PNG strip from top to bottom": png(np.concatenate(list(CLIP), axis=0)),
    "NPY": npy(CLIP),
    "NPY, one of the public layout": npy(CLIP[:, None]),
    "NPY, batch and channel": npy(CLIP[None, ..., None]),
    "NPY, colours": npy(np.repeat(CLIP[..., None], 3, -1)),
    "NPY, 0 to 1": npy(CLIP / 255),
    "NPY, column by column": npy(np.asfortranarray(CLIP)),
    "NPY, other byte order": npy(CLIP.astype(">i4")),
    "NPZ": npz(first=np.array(3), clip=CLIP),
}


@pytest.mark.parametrize("kind", EXACT)
def test_every_pixel_arrives(kind):
    np.testing.assert_array_equal(read_clip(EXACT[kind]), CLIP)


def test_a_film_arrives_with_what_its_compression_costs():
    seen = read_clip(films.mp4_bytes(films.enlarged(CLIP, 4)))
    assert seen.shape == CLIP.shape
    assert np.abs(seen.astype(int) - CLIP).mean() < 3


def test_proportions_are_kept_in_the_middle_of_black():
    frame = np.full((100, 200), 200, np.uint8)
    seen = fitted(frame)
    assert seen[16:48].min() == 200
    assert not seen[:16].any()
    assert not seen[48:].any()
    assert fitted(np.full((7, 3), 9, np.uint8), 8).shape == (8, 8)


def test_a_small_clip_is_enlarged():
    assert read_clip(npy(CLIP[:, ::2, ::2])).shape == CLIP.shape


def test_ink_on_paper_is_told_from_light_on_black():
    assert not has_bright_background(CLIP)
    assert has_bright_background(255 - CLIP)


def tinted(frames):
    """Frames with red ink."""
    return np.stack([frames, 0 * frames, 0 * frames], -1)


WIDE = np.pad(CLIP, [(0, 0), (0, 0), (16, 16)])  # 96 px wide, 64 px high


@pytest.mark.parametrize(
    ("data", "size", "coloured", "rate"),
    [
        (films.gif_bytes(films.enlarged(CLIP, 4), frame_ms=40), (256, 256), False, 25),
        (films.gif_bytes(WIDE, frame_ms=0), (96, 64), False, None),
        (iio.imwrite("<bytes>", tinted(CLIP), extension=".gif", duration=100), (64, 64), True, 10),
        (films.mp4_bytes(WIDE, frames_a_second=12), (96, 64), False, 12),
        (films.mp4_bytes(tinted(WIDE), frames_a_second=30), (96, 64), True, 30),
        (png(np.concatenate(list(CLIP), axis=1)), (64, 64), False, None),
        (png(tinted(np.concatenate(list(CLIP), axis=0))), (64, 64), True, None),
        (npy(WIDE), (96, 64), False, None),
        (npy(tinted(WIDE)), (96, 64), True, None),
        (npy(np.repeat(CLIP[..., None], 3, -1)), (64, 64), False, None),
        (npy(tinted(CLIP) > 0), (64, 64), True, None),
    ],
)
def test_what_a_file_was_like_is_known(data, size, coloured, rate):
    upload = read(data)
    assert (upload.width, upload.height) == size
    assert upload.coloured is coloured
    assert upload.frames_a_second == (rate if rate is None else pytest.approx(rate))
    assert upload.clip.shape == CLIP.shape


@given(st.integers(1, 5000), st.integers(1, 5000), st.sampled_from([32, 64]))
def test_a_frame_lies_in_the_middle_and_touches_two_sides(width, height, canvas):
    rows, columns = place_of(width, height, canvas)
    sides = [place.stop - place.start for place in (rows, columns)]
    assert max(sides) == canvas
    assert min(sides) >= 1
    for place in (rows, columns):
        assert 0 <= place.start <= place.stop <= canvas
        assert abs(place.start - (canvas - place.stop)) <= 1


def test_swapping_light_and_dark_leaves_what_was_put_around_black():
    upload = read(npy(255 - WIDE))
    rows, columns = place_of(96, 64)
    assert upload.has_bright_background
    assert (rows.start, columns.start) == (10, 0)
    assert not upload.inverted[:, :10].any()
    assert not upload.inverted[:, rows.stop :].any()
    np.testing.assert_array_equal(upload.inverted[:, rows], 255 - upload.clip[:, rows])
    narrow = read(npy(np.full((3, 200, 20), 255, np.uint8)))  # most of it is what was put around
    assert not has_bright_background(narrow.clip)
    assert narrow.has_bright_background
    assert Upload(CLIP, 64, 64).inverted.tolist() == (255 - CLIP).tolist()


BAD = {
    "nothing": (b"", "the file is empty"),
    "text": (
        b"hello, world",
        "whatever its name says, is none of what is accepted: a GIF, an MP4",
    ),
    "too large": (b"GIF89a" + bytes(uploads.MOST_BYTES), "has 5.0 MB; at most 5 MB"),
    "half a GIF": (half(EXACT["GIF"]), "the GIF"),
    "half a PNG": (half(EXACT["PNG strip"]), "the PNG is damaged or cut off"),
    "half an MP4": (half(films.mp4_bytes(CLIP)), "the MP4 is damaged or cut off"),
    "half an NPY": (half(EXACT["NPY"]), "the NPY is damaged or cut off"),
    "half an NPZ": (half(EXACT["NPZ"]), "the NPZ is damaged or cut off"),
    "one frame": (npy(CLIP[:1]), "a clip needs 2 frames or more; the NPY has 1"),
    "a picture": (films.gif_bytes(CLIP[:1]), "a clip needs 2 frames or more; the GIF has 1"),
    "a square PNG": (png(CLIP[0]), "must hold square frames, side by side .*; got 64 x 64 pixels"),
    "no whole frames": (png(np.zeros((64, 200), np.uint8)), "got 200 x 64 pixels"),
    "a large PNG": (
        png(np.zeros((10_000, 10_000), np.uint8)),
        "10,000 x 10,000 pixels; at most 4,096 a side",
    ),
    "too many in all": (png(np.zeros((4000, 20_000), np.uint8)), "5 frames of 4,000 x 4,000 pixels"),
    "pickled": (npy(np.array([{}, 1], object), allow_pickle=True), "pickled Python objects"),
    "pickled in an NPZ": (npz(clip=np.array([{}], object)), "pickled Python objects"),
    "words": (npy(np.array([["a"]])), "must hold numbers; got <U1"),
    "complex": (npy(CLIP.astype(complex)[:2]), "must hold numbers; got complex128"),
    "NaN": (npy(np.full((3, 8, 8), np.nan)), r"no numbers \(NaN or infinite\)"),
    "infinite": (npy(np.full((3, 8, 8), np.inf)), r"no numbers \(NaN or infinite\)"),
    "below 0": (npy(CLIP - 300.0), "from 0 to 1 or from 0 to 255; got -300 to -45"),
    "above 255": (npy(CLIP.astype(np.int32) * 2), "got 0 to 510"),
    "two axes": (npy(CLIP[0]), r"shape \(frames, height, width\); got \(64, 64\)"),
    "many clips": (
        npy(np.zeros((4, 3, 8, 8))),
        r"got \(4, 3, 8, 8\): of several clips save one",
    ),
    "no pixels": (npy(np.zeros((3, 0, 8))), r"got \(3, 0, 8\)"),
    "several arrays": (
        npz(first=CLIP, second=CLIP),
        "the NPZ holds 2 arrays .first, second.; save the clip alone, or under the name clip",
    ),
    "many arrays": (npz(**{f"a{n}": CLIP for n in range(9)}), "holds 9 arrays .a0, a1, a2, a3 and 5 more.;"),
    "an empty archive": (b"PK\x05\x06" + bytes(18), "the NPZ has no array in it"),
    "sound alone": (sound(), "the MP4 has no film in it"),
    "a strip of millions": (png(np.zeros((1, 2_000_000), np.uint8)), "the PNG has more than 1000 frames"),
    "an array that unpacks to much": (npz(clip=np.zeros((249, 256, 1000))), "63,744,000 numbers, 510 MB; at"),
    "a thousand with one that stays": (
        films.gif_bytes(np.arange(1002, dtype=np.uint8)[:, None, None].clip(1) * np.ones((4, 4), np.uint8)),
        "the GIF has more than 1000 frames",
    ),
    "a thousand and one": (npy(np.zeros((1001, 4, 4), np.uint8)), "more than 1000 frames"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_clip_is_answered_in_one_sentence(kind):
    data, words = BAD[kind]
    with pytest.raises(UploadError, match=words) as caught:
        read_clip(data)
    assert "\n" not in str(caught.value)


def test_a_header_that_claims_more_than_there_is_costs_nothing():
    head = b"{'descr': '|u1', 'fortran_order': False, 'shape': (9000, 9000, 9000), }"
    head += b" " * (118 - len(head) - 1) + b"\n"
    with pytest.raises(UploadError, match="has 729,000,000,000 numbers, 729,000 MB; at most 64,000,000"):
        read_clip(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head)


def test_of_a_zip_bomb_no_more_is_unpacked_than_its_array():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("clip.npy", "w") as file:
        file.write(EXACT["NPY"])
        block = bytes(16_000_000)
        for _ in range(40):
            file.write(block)
    assert len(out.getvalue()) < 1_000_000
    tracemalloc.start()
    seen = read_clip(out.getvalue())
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()
    np.testing.assert_array_equal(seen, CLIP)


def test_a_picture_that_stays_is_as_many_frames_as_it_lasts():
    still = CLIP.copy()
    still[5:9], still[15:] = still[4], still[14]
    seen = read(films.gif_bytes(still))
    np.testing.assert_array_equal(seen.clip, still)
    assert seen.frames_a_second == pytest.approx(10)


@pytest.mark.parametrize("speed", [0.0, 0.1, 0.3, 3.6])
def test_a_clip_that_was_taken_away_as_a_gif_comes_back_however_slow_it_is(speed):
    clip = render(Scene((Digit(7, 3, 3.0, 22.0, speed, 0.0),), frames=20))
    seen = read(films.gif_bytes(films.enlarged(clip, 4)))
    np.testing.assert_array_equal(seen.clip, clip)
    assert seen.frames_a_second == pytest.approx(10)


def test_a_comment_that_says_too_much_is_answered_in_one_sentence():
    out = io.BytesIO()
    pictures = [Image.fromarray(frame) for frame in CLIP[:2]]
    pictures[0].save(
        out, "GIF", save_all=True, append_images=pictures[1:], duration=60_000, comment=b"1 ms a frame"
    )
    with pytest.raises(UploadError, match="more than 1000 frames"):
        read(out.getvalue())


def test_a_frame_that_a_gif_hardly_shows_lasts_as_in_a_browser():
    pictures = [Image.fromarray(frame) for frame in CLIP[:3]]
    out = io.BytesIO()
    pictures[0].save(out, "GIF", save_all=True, append_images=pictures[1:], duration=[100, 10, 100])
    upload = read(out.getvalue())
    assert (len(upload.clip), upload.frames_a_second) == (3, pytest.approx(10))


@pytest.mark.parametrize(("ink", "turned"), [(0, True), (255, False)])
@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_what_is_transparent_is_no_ink(ink, turned, kind):
    """Dark ink stands on white, which is then turned; bright ink stands on black."""
    opaque = np.where(CLIP > 127, 255, 0).astype(np.uint8)
    frames = np.stack([np.full_like(opaque, ink), opaque], axis=-1)
    out = io.BytesIO()
    if kind == "PNG":
        Image.fromarray(np.concatenate(list(frames), axis=1)).save(out, "PNG")
    else:
        first, *rest = (Image.fromarray(frame).convert("RGBA") for frame in frames)
        first.save(out, "GIF", save_all=True, append_images=rest, duration=100, disposal=2)
    upload = read(out.getvalue())
    assert upload.has_bright_background == turned
    np.testing.assert_array_equal(upload.inverted if turned else upload.clip, opaque)


def test_a_film_of_huge_frames_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr(uploads, "MOST_FILM_PIXELS", CLIP[:5].size)
    assert len(read_clip(films.gif_bytes(CLIP[:5]))) == 5
    with pytest.raises(UploadError, match="the frames of the GIF have more than 0 million pixels together"):
        read_clip(EXACT["GIF"])


def test_colours_of_a_large_frame_are_found():
    frames = np.zeros((2, 600, 400, 3), np.uint8)
    frames[1, 100:140, 300:330, 0] = 200
    seen = read(iio.imwrite("<bytes>", frames, extension=".gif"))
    assert seen.coloured


def test_greys_of_16_bits_keep_their_shades():
    ramp = np.repeat(np.linspace(0, 65535, 128).astype(np.uint16)[None], 64, axis=0)
    out = io.BytesIO()
    Image.fromarray(ramp).save(out, "PNG")
    np.testing.assert_array_equal(np.concatenate(list(read_clip(out.getvalue())), axis=1), ramp >> 8)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool, np.float32])
def test_a_mask_is_black_and_white_whatever_its_type(dtype):
    mask = (CLIP > 127).astype(dtype)
    np.testing.assert_array_equal(read_clip(npy(mask)), (CLIP > 127) * np.uint8(255))


def test_a_gif_of_a_huge_screen_is_not_drawn():
    data = bytearray(EXACT["GIF"])
    data[6:10] = (60_000).to_bytes(2, "little") * 2
    with pytest.raises(UploadError, match="the GIF has more pixels than are accepted, 64 million"):
        read_clip(bytes(data))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(EXACT)), st.data())
@example("NPY", None)
def test_damage_anywhere_ends_in_a_clip_or_a_sentence(kind, draw):
    data = bytearray(EXACT[kind])
    if draw is not None:
        for _ in range(draw.draw(st.integers(1, 6))):
            data[draw.draw(st.integers(6, len(data) - 1))] = draw.draw(st.integers(0, 255))
        data = data[: draw.draw(st.integers(1, len(data)))]
    with suppress(UploadError):
        assert read_clip(bytes(data)).dtype == np.uint8


def test_a_gif_with_colours_and_a_still_background_is_grey():
    frames = np.zeros((3, 32, 32, 3), np.uint8)
    frames[:, 8:16, 8:16] = (200, 0, 0)
    frames[1, 20:22] = frames[2, 20:24] = (0, 90, 0)
    seen = read_clip(iio.imwrite("<bytes>", frames, extension=".gif"))
    grey = np.asarray(Image.fromarray(frames[2]).convert("L"))
    assert np.abs(seen[2][::2, ::2].astype(int) - grey).max() <= 40
    assert seen[2].max() > 40
