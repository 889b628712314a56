"""Pictures as bytes: sprite sheets for the player, a GIF to keep, a map of where the digits start."""

from __future__ import annotations

import base64
import io
import math

import numpy as np

from core.digits import DIGIT_SIZE, load_digits
from core.scenes import CANVAS
from ui.link import Settings

SPRITE_COLUMNS = 20
# One colour a digit, by Okabe and Ito: told apart with every common kind of colour blindness, and on black.
DIGIT_COLORS = ("#56B4E9", "#E69F00", "#2BBF96", "#E08FBE")
DIGIT_COLOR_NAMES = ("blue", "orange", "green", "violet")  # as the theme and Markdown call them


def png(pixels: np.ndarray) -> bytes:
    """A grey picture, uint8 (height, width), as PNG."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "PNG", compress_level=6)
    return out.getvalue()


def data_url(content: bytes, mime: str = "image/png") -> str:
    """Bytes as an address that needs no request."""
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def sprite_sheet(frames: np.ndarray, columns: int = SPRITE_COLUMNS) -> np.ndarray:
    """Frames, uint8 (n, h, w), side by side in rows of `columns`: uint8 (rows * h, columns * w)."""
    n, height, width = frames.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    padded = np.zeros((rows * columns, height, width), np.uint8)
    padded[:n] = frames
    return padded.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(rows * height, columns * width)


def sprite(frames: np.ndarray) -> dict[str, object]:
    """A sprite sheet as the player takes it. Floats are frames in [0, 1]; bytes are pixels."""
    if frames.dtype != np.uint8:
        frames = np.round(np.clip(frames, 0, 1) * 255).astype(np.uint8)
    return {
        "src": data_url(png(sprite_sheet(frames))),
        "columns": min(SPRITE_COLUMNS, len(frames)),
        "count": len(frames),
    }


def gif(clip: np.ndarray, *, scale: int = 4, frame_ms: int = 100) -> bytes:
    """A clip, uint8 (frames, h, w), as an endless GIF with every pixel `scale` times as large."""
    import imageio.v3 as iio

    large = clip.repeat(scale, axis=1).repeat(scale, axis=2)
    return iio.imwrite("<bytes>", large, extension=".gif", duration=frame_ms, loop=0)


def npy(clip: np.ndarray) -> bytes:
    """A clip as a NumPy file."""
    out = io.BytesIO()
    np.save(out, clip, allow_pickle=False)
    return out.getvalue()


def start_map(settings: Settings) -> str:
    """The first frame as SVG, with an arrow for each digit: where it heads and, by length, how fast."""
    bank = load_digits("test")
    stamps, arrows = [], []
    for digit, color in zip(settings.digits[: settings.count], DIGIT_COLORS, strict=False):
        stamp = data_url(png(bank.exemplar(digit.digit_class, digit.exemplar)))
        stamps.append(
            f'<image href="{stamp}" x="{digit.x}" y="{digit.y}" width="{DIGIT_SIZE}" height="{DIGIT_SIZE}"'
            ' style="image-rendering:pixelated;mix-blend-mode:lighten"/>'
        )
        middle_x, middle_y = digit.x + DIGIT_SIZE / 2, digit.y + DIGIT_SIZE / 2
        arrows.append(_arrow(middle_x, middle_y, digit.speed_px, digit.direction_deg, color))
    drawing = "".join(stamps + arrows)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {CANVAS} {CANVAS}" width="192" height="192">'
        f'<rect width="{CANVAS}" height="{CANVAS}" rx="2" fill="#000"/>{drawing}</svg>'
    )


def _arrow(x: float, y: float, speed_px: float, direction_deg: float, color: str) -> str:
    dot = f'<circle cx="{x}" cy="{y}" r="1.6" fill="{color}" stroke="#000" stroke-width=".5"/>'
    if speed_px == 0:
        return dot
    length = 5 + 1.7 * speed_px
    dx, dy = math.cos(math.radians(direction_deg)), math.sin(math.radians(direction_deg))
    tip_x, tip_y = x + length * dx, y + length * dy
    base_x, base_y = tip_x - 3.6 * dx, tip_y - 3.6 * dy
    head = (
        f"{tip_x:.2f},{tip_y:.2f} {base_x - 2 * dy:.2f},{base_y + 2 * dx:.2f} "
        f"{base_x + 2 * dy:.2f},{base_y - 2 * dx:.2f}"
    )
    shaft = f'x1="{x}" y1="{y}" x2="{base_x:.2f}" y2="{base_y:.2f}"'
    return (
        f'<line {shaft} stroke="#000" stroke-width="2.4"/>'
        f'<polygon points="{head}" fill="{color}" stroke="#000" stroke-width=".5"/>'
        f'<line {shaft} stroke="{color}" stroke-width="1.4"/>{dot}'
    )
