"""Films and film strips to take away: predictions beside the truth as GIF, MP4 and PNG.

A film is uint8 (frames, height, width) of greys or (frames, height, width, 3) of colours.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from core.moving_mnist import to_frames

MISSING, EXTRA = np.array([86, 180, 233]), np.array([230, 159, 0])  # blue and orange, told apart by everyone
BACKGROUND, INK = 24, 220  # greys of the sheet and of its words
SCALE = 4  # screen pixels of a pixel
GAP, LABEL_HEIGHT = 12, 26
STRIP_COLUMNS = 10
STRIP_GAP = 2
MOST_COLUMNS = 4  # of a sheet: more in a row would be too small on a slide
MOST_SIDE_PX = 16_384  # of a picture: what browsers and image programs open
_GREYS, _SHADES = 128, 64  # of a GIF's 256 colours: greys, and shades of each colour of the error


def error_colours(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Signed error as colour: blue where ink is missing, orange where there is too much, else black.

    Parameters
    ----------
    truth, prediction : (..., height, width) in [0, 1]

    Returns
    -------
    uint8 (..., height, width, 3)
    """
    error = (np.clip(prediction, 0, 1) - truth)[..., None]
    return np.rint(np.where(error < 0, -error * MISSING, error * EXTRA)).astype(np.uint8)


def enlarged(film: np.ndarray, scale: int) -> np.ndarray:
    """The film with every pixel `scale` times as large."""
    return film.repeat(scale, axis=1).repeat(scale, axis=2)


def comparison(
    clip: np.ndarray,
    prediction: np.ndarray,
    first: int,
    *,
    title: str = "Prediction",
    others: Mapping[str, np.ndarray] | None = None,
    baselines: Mapping[str, np.ndarray] | None = None,
    scale: int = SCALE,
) -> np.ndarray:
    """Truth, prediction and error side by side, each under its name; from five pictures on, in rows.

    Parameters
    ----------
    clip : the true frames, uint8 (time, height, width)
    prediction : float (n, height, width) in [0, 1], of the frames from number `first` of the clip on, and
        beyond its end
    first : frames before the first predicted one, which stand alone in the film
    title : the prediction's name
    others : by name, the predictions of other models, of the same shape; each has its own error, too
    baselines : by name, what else is to be seen beside them, of the same shape
    scale : screen pixels of a pixel

    Returns
    -------
    uint8 (first + n, height, width, 3), both sides even, as MP4 wants them

    Raises
    ------
    ValueError
        If a prediction does not follow on frames of the clip, or two pictures have one name.
    """
    return _sheet(_panels(clip, prediction, first, title, others or {}, baselines or {}), scale)


def comparison_strip(
    clip: np.ndarray,
    prediction: np.ndarray,
    first: int,
    *,
    title: str = "Prediction",
    others: Mapping[str, np.ndarray] | None = None,
    baselines: Mapping[str, np.ndarray] | None = None,
) -> np.ndarray:
    """The frames of a `comparison` as one picture, for paper: a row a film, a column a frame.

    Pixels are twice as large where that is not too wide for what opens pictures.

    Returns
    -------
    uint8 (height, width, 3)

    Raises
    ------
    ValueError
        As for `comparison`, or if there are too many frames for one picture.
    """
    panels = _panels(clip, prediction, first, title, others or {}, baselines or {})
    return _rows(panels)


def _panels(
    clip: np.ndarray,
    prediction: np.ndarray,
    first: int,
    title: str,
    others: Mapping[str, np.ndarray],
    baselines: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """The pictures of a comparison by name, in order: uint8 (first + n, height, width, 3) each."""
    total = first + len(prediction)
    if not 0 <= first <= len(clip) or first == total or prediction.shape[1:] != clip.shape[1:]:
        raise ValueError(
            f"the prediction must be of frames {first} and on of the clip; got shapes {prediction.shape} and "
            f"{clip.shape}"
        )
    for name, frames in (*others.items(), *baselines.items()):
        if frames.shape != prediction.shape:
            raise ValueError(
                f"{name} must have the shape of the prediction, {prediction.shape}; got {frames.shape}"
            )
    known = min(total, len(clip))
    true = np.zeros((total, *clip.shape[1:], 3), np.uint8)
    true[:known] = clip[:known, ..., None]

    def grey(frames: np.ndarray) -> np.ndarray:
        made = np.zeros_like(true)
        made[first:] = np.rint(255 * np.clip(frames, 0, 1)).astype(np.uint8)[..., None]
        return made

    def error(frames: np.ndarray) -> np.ndarray:
        made = np.zeros_like(true)
        made[first:known] = error_colours(to_frames(clip[first:known]), frames[: known - first])
        return made

    named = [
        ("Truth", true),
        (title, grey(prediction)),
        *((name, grey(frames)) for name, frames in (*others.items(), *baselines.items())),
        (f"Error of {title}" if others else "Error", error(prediction)),
        *((f"Error of {name}", error(frames)) for name, frames in others.items()),
    ]
    panels = dict(named)
    if len(panels) != len(named):
        raise ValueError(f"each picture needs a name of its own; got {', '.join(name for name, _ in named)}")
    return panels


def sheet_columns(panels: int) -> int:
    """How many of so many pictures stand side by side: rows of nearly the same length."""
    rows = -(-panels // MOST_COLUMNS)
    return -(-panels // rows)


def _sheet(panels: Mapping[str, np.ndarray], scale: int) -> np.ndarray:
    """Films under their names in rows, with the number of the frame beside the first."""
    time, height, width = next(iter(panels.values())).shape[:3]
    height, width = height * scale, width * scale
    columns = sheet_columns(len(panels))
    tile = (height + LABEL_HEIGHT + GAP, width + GAP)
    shape = (-(-len(panels) // columns) * tile[0], columns * tile[1] + GAP)
    sheet = np.full((time, *(side + side % 2 for side in shape), 3), BACKGROUND, np.uint8)
    for place, (name, panel) in enumerate(panels.items()):
        row, column = divmod(place, columns)
        top, left = row * tile[0], GAP + column * tile[1]
        sheet[:, top : top + LABEL_HEIGHT, left : left + width] = _label(name, width)
        top += LABEL_HEIGHT
        sheet[:, top : top + height, left : left + width] = enlarged(panel, scale)
    numbers = [_label(f"{frame + 1} / {time}", width, right=True) for frame in range(time)]
    sheet[:, :LABEL_HEIGHT, GAP : GAP + width] = np.maximum(
        sheet[:, :LABEL_HEIGHT, GAP : GAP + width], np.stack(numbers)
    )
    return sheet


def _rows(panels: Mapping[str, np.ndarray]) -> np.ndarray:
    """Films one below the other, their names at the left, the numbers of the frames above."""
    time, height, width = next(iter(panels.values())).shape[:3]
    font = ImageFont.load_default(15)
    names = 2 * GAP + max(round(font.getlength(name)) for name in panels)
    scale = 2 if names + time * (2 * width + STRIP_GAP) <= MOST_SIDE_PX else 1
    tile = (height * scale + STRIP_GAP, width * scale + STRIP_GAP)
    shape = (LABEL_HEIGHT + len(panels) * tile[0], names + time * tile[1])
    if max(shape) > MOST_SIDE_PX:
        raise ValueError(f"a film strip is at most {MOST_SIDE_PX} px high and wide; {time} frames need more")
    strip = np.full((*shape, 3), BACKGROUND, np.uint8)
    for frame in range(time):
        left = names + frame * tile[1]
        strip[:LABEL_HEIGHT, left : left + width * scale] = _label(str(frame + 1), width * scale)
    for row, (name, panel) in enumerate(panels.items()):
        top = LABEL_HEIGHT + row * tile[0]
        middle = top + (height * scale - LABEL_HEIGHT) // 2
        strip[middle : middle + LABEL_HEIGHT, GAP:names] = _label(name, names - GAP)
        for frame, picture in enumerate(enlarged(panel, scale)):
            left = names + frame * tile[1]
            strip[top : top + height * scale, left : left + width * scale] = picture
    return strip


def _label(text: str, width: int, *, right: bool = False) -> np.ndarray:
    """Words as a picture: uint8 (LABEL_HEIGHT, width, 1)."""
    picture = Image.new("L", (width, LABEL_HEIGHT), BACKGROUND)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(15)
    left = width - draw.textlength(text, font) if right else 0
    draw.text((left, 4), text, INK, font)
    return np.asarray(picture)[..., None]


def film_strip(film: np.ndarray, *, columns: int = STRIP_COLUMNS, scale: int = 2, gap: int = 4) -> np.ndarray:
    """All frames of a film as one picture, row after row: uint8 (height, width) or (height, width, 3).

    Raises
    ------
    ValueError
        If that picture would be larger than what is opened anywhere.
    """
    time, height, width = film.shape[:3]
    columns = min(columns, time)
    rows = -(-time // columns)
    tile = (height * scale + gap, width * scale + gap)
    if max(rows * tile[0], columns * tile[1]) + gap > MOST_SIDE_PX:
        raise ValueError(f"a film strip is at most {MOST_SIDE_PX} px high and wide; {time} frames need more")
    strip = np.full((rows * tile[0] + gap, columns * tile[1] + gap, *film.shape[3:]), BACKGROUND, np.uint8)
    for frame, picture in enumerate(enlarged(film, scale)):
        top, left = (place * side + gap for place, side in zip(divmod(frame, columns), tile, strict=True))
        strip[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return strip


# --------------------------------------------------------------------------------------------- files


def gif_bytes(film: np.ndarray, *, frame_ms: int = 100) -> bytes:
    """A film as an endless GIF.

    Greys are kept as they are. A film with colours shares its 256 between greys and the two of an error.
    A picture that stays is in the file once, for longer; a comment says how long a frame is, so that
    `core.uploads` tells how many it was.
    """
    if film.ndim == 3:
        pictures = [Image.fromarray(np.ascontiguousarray(frame)) for frame in film]
    else:
        palette = _error_palette()
        pictures = [
            Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in film
        ]
    rest: Any = pictures[1:]
    comment = f"{frame_ms} ms a frame".encode()
    return _saved(
        pictures[0], "GIF", save_all=True, append_images=rest, duration=frame_ms, loop=0, comment=comment
    )


def _error_palette() -> Image.Image:
    greys = np.linspace(0, 255, _GREYS)[:, None].repeat(3, axis=1)
    shades = np.linspace(0, 1, _SHADES + 1)[1:, None]
    palette = Image.new("P", (1, 1))
    colours = np.concatenate([greys, shades * MISSING, shades * EXTRA])
    palette.putpalette(np.rint(colours).astype(np.uint8).ravel().tolist())
    return palette


def mp4_bytes(film: np.ndarray, *, frames_a_second: int = 10) -> bytes:
    """A film as an MP4 (H.264), which any player and any slide shows."""
    import imageio.v3 as imageio

    if film.ndim == 3:
        film = np.repeat(film[..., None], 3, axis=-1)
    odd = [side % 2 for side in film.shape[1:3]]
    if any(odd):
        film = np.pad(film, [(0, 0), *((0, side) for side in odd), (0, 0)])
    return imageio.imwrite(
        "<bytes>",
        film,
        extension=".mp4",
        plugin="pyav",
        codec="libx264",
        fps=frames_a_second,
        out_pixel_format="yuv420p",  # the only one that every player knows
    )


def _saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()
