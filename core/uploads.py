"""Clips that people bring along: GIF, MP4, PNG strip, NPY and NPZ, of any size, as the models see them.

Whatever the bytes are, reading them runs nothing, takes bounded memory and ends in a clip or in one sentence.
What a file is, its first bytes say, not its name.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import IO, NamedTuple

import numpy as np
from PIL import Image

from core.damage import DAMAGE
from core.scenes import CANVAS, MIN_FRAMES

MOST_BYTES = 5_000_000
MOST_FRAMES = 1000
MOST_SIDE_PX = 4096  # of a frame
MOST_PIXELS = 64_000_000  # of what is unpacked at once: an array, a PNG, a frame of a film
MOST_ARRAY_BYTES = 2 * MOST_PIXELS
MOST_FILM_PIXELS = 500_000_000  # of all frames of a film, one unpacked after the other: seconds
# a frame that a GIF says to show so briefly is shown so long by browsers
_TOO_SHORT_S, _INSTEAD_S = 0.01, 0.1
# what `core.films` writes into a GIF, in which a picture that stays for several frames is there once
_FRAME_TIME = re.compile(rb"([1-9][0-9]{0,4}) ms a frame")
_BRIGHT = 127
_TINT = 32  # between the red, green and blue of a pixel: less is no colour that one sees
_LOOK_PX = 128  # side of the copy of a large frame that is searched for colours
_MOST_NAMED = 4  # of the arrays in a file
_ACCEPTED_FRAMES = f"at most {MOST_FRAMES} are accepted"
_ACCEPTED = "a GIF, an MP4, a PNG with frames side by side, an NPY or an NPZ"


class UploadError(ValueError):
    """A file that is no clip; the message says in plain words what arrived and what is accepted."""


@dataclass(frozen=True)
class Upload:
    """A clip that was read, and what its file was like before.

    Attributes
    ----------
    clip : uint8 (frames, canvas, canvas)
    width, height : of the file's frames, px
    coloured : whether there were colours, which are greys now
    frames_a_second : None where the file does not say
    """

    clip: np.ndarray
    width: int
    height: int
    coloured: bool = False
    frames_a_second: float | None = None

    @property
    def inverted(self) -> np.ndarray:
        """The clip with light and dark swapped; what was put around its frames stays black."""
        inside = (slice(None), *place_of(self.width, self.height, self.clip.shape[-1]))
        out = self.clip.copy()
        out[inside] = 255 - out[inside]
        return out

    @property
    def has_bright_background(self) -> bool:
        """Whether it is dark ink on bright ground; models know the other."""
        inside = place_of(self.width, self.height, self.clip.shape[-1])
        return has_bright_background(self.clip[:, inside[0], inside[1]])


def read(data: bytes, canvas: int = CANVAS) -> Upload:
    """The frames of a file, grey and fitted, and what they were.

    Each frame is turned to grey, scaled with its proportions kept until it just fits, and put in the middle
    of black. A frame of `canvas` px, and one with every pixel a whole number of times as large, keep each
    pixel exactly.

    Parameters
    ----------
    data : the file
    canvas : side of the frames, px

    Returns
    -------
    Upload, its clip of 2 to 1,000 frames

    Raises
    ------
    UploadError
        If it is not a clip that can be read.
    """
    if not data:
        raise UploadError("the file is empty")
    if len(data) > MOST_BYTES:
        raise UploadError(
            f"the file has {len(data) / 1e6:.1f} MB; at most {MOST_BYTES / 1e6:.0f} MB are accepted"
        )
    kind, reader = _reader(data)
    frames: list[np.ndarray] = []
    size, coloured, seconds, pixels = (0, 0), False, [], 0
    try:
        for frame in reader(data):
            if len(frames) == MOST_FRAMES:
                raise _too_many(kind)
            pixels += frame.grey.size
            if pixels > MOST_FILM_PIXELS:
                most = f"{MOST_FILM_PIXELS / 1e6:.0f} million"
                raise UploadError(f"the frames of the {kind} have more than {most} pixels together")
            size = size if frames else frame.grey.shape
            frames.append(fitted(frame.grey, canvas))
            coloured |= frame.coloured
            seconds.append(frame.seconds)
    except UploadError:
        raise
    except Image.DecompressionBombError as error:
        most = f"{MOST_PIXELS / 1e6:.0f} million"
        raise UploadError(f"the {kind} has more pixels than are accepted, {most}") from error
    except DAMAGE as error:
        raise UploadError(f"the {kind} is damaged or cut off ({type(error).__name__})") from error
    if len(frames) < MIN_FRAMES:
        raise UploadError(f"a clip needs {MIN_FRAMES} frames or more; the {kind} has {len(frames) or 'none'}")
    height, width = size
    rate = None
    if min(seconds) > 0:
        # a GIF holds a picture that stays for several frames once
        times = [round(one / min(seconds)) for one in seconds]
        if sum(times) > MOST_FRAMES:
            raise UploadError(f"the {kind} has {sum(times)} frames, with those that stay; {_ACCEPTED_FRAMES}")
        frames = [frame for frame, count in zip(frames, times, strict=True) for _ in range(count)]
        rate = len(frames) / sum(seconds)
    return Upload(np.stack(frames), width, height, coloured, rate)


def place_of(width: int, height: int, canvas: int = CANVAS) -> tuple[slice, slice]:
    """Rows and columns that a frame of so many px takes once it is fitted."""
    scale = canvas / max(height, width)
    sides = max(1, round(height * scale)), max(1, round(width * scale))
    rows, columns = (slice((canvas - side) // 2, (canvas - side) // 2 + side) for side in sides)
    return rows, columns


def fitted(frame: np.ndarray, canvas: int = CANVAS) -> np.ndarray:
    """A frame, uint8 (height, width), in the middle of a black square: uint8 (canvas, canvas)."""
    height, width = frame.shape
    rows, columns = place_of(width, height, canvas)
    size = columns.stop - columns.start, rows.stop - rows.start
    if size != (width, height):
        way = Image.Resampling.BOX if max(height, width) > canvas else Image.Resampling.BILINEAR
        frame = np.asarray(Image.fromarray(np.ascontiguousarray(frame)).resize(size, way))
    out = np.zeros((canvas, canvas), np.uint8)
    out[rows, columns] = frame
    return out


def has_bright_background(clip: np.ndarray) -> bool:
    """Whether a clip, uint8 (frames, height, width), is dark ink on bright ground; models know the other."""
    return bool(np.median(clip) > _BRIGHT)


# ------------------------------------------------------------------------------------------- formats


class _Frame(NamedTuple):
    """One frame of a file: uint8 (height, width); how long it is shown, 0 where the file does not say."""

    grey: np.ndarray
    coloured: bool = False
    seconds: float = 0.0


Reader = Callable[[bytes], Iterable[_Frame]]


def _has_colours(picture: Image.Image) -> bool:
    if picture.mode in ("1", "L", "LA", "I", "I;16", "F"):
        return False
    picture = picture.convert("RGB")
    if max(picture.size) > _LOOK_PX:
        picture = picture.resize([min(side, _LOOK_PX) for side in picture.size], Image.Resampling.BOX)
    colours = np.asarray(picture)
    return bool((colours.max(axis=-1) - colours.min(axis=-1)).max() > _TINT)


def _reader(data: bytes) -> tuple[str, Reader]:
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF", _read_gif
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG", _read_png
    if data.startswith(b"\x93NUMPY"):
        return "NPY", _read_npy
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "NPZ", _read_npz
    if data[4:8] == b"ftyp":
        return "MP4", _read_mp4
    raise UploadError(f"what is in it, whatever its name says, is none of what is accepted: {_ACCEPTED}")


def _too_many(kind: str) -> UploadError:
    return UploadError(f"the {kind} has more than {MOST_FRAMES} frames")


class _Opaque:
    """Gives the pictures of a file a ground where they are transparent: white if the ink of the first one
    that has any is dark, else black.
    """

    def __init__(self) -> None:
        self._ground: str | None = None

    def __call__(self, picture: Image.Image) -> Image.Image:
        if not picture.has_transparency_data:
            return picture
        picture = picture.convert("RGBA")
        ink = np.asarray(picture.getchannel("A"), np.float32)
        if self._ground is None and ink.any():
            mean = np.average(np.asarray(picture.convert("L")), weights=ink)
            self._ground = "black" if mean > _BRIGHT else "white"
        ground = Image.new("RGBA", picture.size, self._ground or "black")
        ground.alpha_composite(picture)
        return ground.convert("RGB")


def _check_size(kind: str, width: int, height: int, frames: int = 1) -> None:
    if max(width, height) > MOST_SIDE_PX or width * height * frames > MOST_PIXELS:
        many = f"{frames:,} frames of " if frames > 1 else ""
        raise UploadError(
            f"the {kind} has {many}{width:,} x {height:,} pixels; at most {MOST_SIDE_PX:,} a side and "
            f"{MOST_PIXELS / 1e6:.0f} million in all are accepted"
        )


def _read_gif(data: bytes) -> Iterator[_Frame]:
    with Image.open(io.BytesIO(data), formats=("GIF",)) as picture:
        _check_size("GIF", *picture.size)
        said = _FRAME_TIME.fullmatch(picture.info.get("comment", b""))
        number, coloured, opaque = 0, False, _Opaque()
        while True:
            try:
                picture.seek(number)
            except EOFError:
                return
            shown, seconds = opaque(picture), picture.info.get("duration", 0) / 1000
            if 0 < seconds <= _TOO_SHORT_S:
                seconds = _INSTEAD_S
            coloured = coloured or _has_colours(shown)
            frame, times = _Frame(np.asarray(shown.convert("L")), coloured, seconds), 1
            if said is not None and seconds:
                frame = frame._replace(seconds=int(said[1]) / 1000)
                times = max(1, round(seconds / frame.seconds))
            yield from repeat(frame, times)
            number += 1


def _read_png(data: bytes) -> Iterator[_Frame]:
    with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
        width, height = picture.size
        # a strip is long; a frame of it is not
        long, short = max(width, height), min(width, height)
        _check_size("PNG", short, short, frames=math.ceil(long / short))
        if long > MOST_FRAMES * short:
            raise _too_many("PNG")
        if long % short or long == short:
            raise UploadError(
                f"a PNG must hold square frames, side by side or one below the other; got {width} x {height} "
                "pixels"
            )
        # frame by frame: all colours of a large strip at once would take much memory
        coloured, opaque = False, _Opaque()
        for at in range(0, long, short):
            left, top = (at, 0) if width == long else (0, at)
            frame = picture.crop((left, top, left + short, top + short))
            if frame.mode.startswith("I"):  # of 16 bits the upper eight; Pillow cuts off what is above 255
                yield _Frame((np.asarray(frame) >> 8).astype(np.uint8))
                continue
            frame = opaque(frame)
            coloured = coloured or _has_colours(frame)
            yield _Frame(np.asarray(frame.convert("L")), coloured)


def _read_mp4(data: bytes) -> Iterator[_Frame]:
    import av

    try:
        with av.open(io.BytesIO(data), mode="r") as container:
            if not container.streams.video:
                raise UploadError("the MP4 has no film in it, only other streams")
            stream = container.streams.video[0]
            _check_size("MP4", stream.codec_context.width, stream.codec_context.height)
            seconds, coloured = float(1 / stream.average_rate) if stream.average_rate else 0.0, False
            for frame in container.decode(stream):
                _check_size("MP4", frame.width, frame.height)
                if not coloured:
                    side = min(frame.width, _LOOK_PX), min(frame.height, _LOOK_PX)
                    small = frame.reformat(*side, format="rgb24").to_ndarray()
                    coloured = _has_colours(Image.fromarray(small))
                yield _Frame(frame.to_ndarray(format="gray"), coloured, seconds)
    except av.error.FFmpegError as error:
        raise UploadError(f"the MP4 is damaged or cut off ({type(error).__name__})") from error


def _read_npz(data: bytes) -> Iterable[_Frame]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        if not names:
            raise UploadError("the NPZ has no array in it")
        name = "clip.npy" if "clip.npy" in names else names[0]
        if len(names) > 1 and name != "clip.npy":
            found = ", ".join(one.removesuffix(".npy") for one in names[:_MOST_NAMED])
            more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
            raise UploadError(
                f"the NPZ holds {len(names)} arrays ({found}{more}); save the clip alone, or under the name "
                "clip"
            )
        with archive.open(name) as file:
            return _array_frames(file)


def _read_npy(data: bytes) -> Iterable[_Frame]:
    return _array_frames(io.BytesIO(data))


def _array_frames(file: IO[bytes]) -> Iterable[_Frame]:
    """Of an NPY's content, of which no more is read than its checked header asks for."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise UploadError(f"the NPY has format {version[0]}.{version[1]}; 1.0 and 2.0 are accepted")
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, in_columns, dtype = reader(file)
    if dtype.hasobject:
        raise UploadError(
            "the NPY holds pickled Python objects, which are never loaded; numbers are accepted"
        )
    if dtype.kind not in "buif":
        raise UploadError(f"the NPY must hold numbers; got {dtype}")
    count = math.prod(shape)
    if count > MOST_PIXELS or count * dtype.itemsize > MOST_ARRAY_BYTES:
        raise UploadError(
            f"the array has {count:,} numbers, {count * dtype.itemsize / 1e6:,.0f} MB; at most "
            f"{MOST_PIXELS:,} and {MOST_ARRAY_BYTES / 1e6:.0f} MB are accepted"
        )
    array = np.frombuffer(file.read(count * dtype.itemsize), dtype, count=count)
    film, coloured = _film(array.reshape(shape, order="F" if in_columns else "C"))
    return (_Frame(frame, coloured) for frame in _pixels(film))


def _film(array: np.ndarray) -> tuple[np.ndarray, bool]:
    """(frames, height, width) of an array with a channel axis, or of a single clip with a batch axis.

    And whether the channels were colours.
    """
    shape, coloured = array.shape, False
    if array.ndim == 5 and 1 in (shape[0], shape[1]):
        array = array[0] if shape[0] == 1 else array[:, 0]
    if array.ndim == 4 and shape[-1] in (1, 3):
        coloured = bool((array != array[..., :1]).any())
        array = array.mean(axis=-1, dtype=np.float32) if shape[-1] == 3 else array[..., 0]
    elif array.ndim == 4 and 1 in array.shape[:2]:
        array = array[0] if array.shape[0] == 1 else array[:, 0]
    if array.ndim in (4, 5) and 0 not in array.shape:
        raise UploadError(
            f"an array must hold one clip, (frames, height, width); got {shape}: of several clips save one, "
            "in NumPy clips[:, 0] or clips[0]"
        )
    if array.ndim != 3 or 0 in array.shape:
        raise UploadError(f"an array must have the shape (frames, height, width); got {shape}")
    _check_size("array", array.shape[2], array.shape[1])
    return array, coloured


def _pixels(film: np.ndarray) -> Iterator[np.ndarray]:
    """Frames of numbers as greys: 0 to 1 where none is larger, else 0 to 255."""
    low, high = float(film.min()), float(film.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UploadError("the array holds values that are no numbers (NaN or infinite)")
    if low < 0 or high > 255:
        raise UploadError(f"pixels must be from 0 to 1 or from 0 to 255; got {low:g} to {high:g}")
    scale = 255.0 if high <= 1 else 1.0
    return (np.rint(frame * scale).astype(np.uint8) for frame in film)
