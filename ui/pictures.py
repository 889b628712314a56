"""Pictures as bytes: PNG, and sprite sheets for the player."""

from __future__ import annotations

import base64

import numpy as np

from core.outputs import png_bytes

SPRITE_COLUMNS = 20
# One colour a digit, by Okabe and Ito: told apart with every common kind of colour blindness, and on black.
DIGIT_COLORS = ("#56B4E9", "#E69F00", "#2BBF96", "#E08FBE")
DIGIT_COLOR_NAMES = ("blue", "orange", "green", "violet")  # as the theme and Markdown call them


def data_url(png: bytes) -> str:
    """A PNG as an address that needs no request."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def sprite_sheet(frames: np.ndarray) -> np.ndarray:
    """Frames, uint8 (n, h, w), side by side in rows of `SPRITE_COLUMNS`: uint8 (rows * h, columns * w)."""
    n, height, width = frames.shape
    columns = min(SPRITE_COLUMNS, n)
    rows = -(-n // columns)
    padded = np.zeros((rows * columns, height, width), np.uint8)
    padded[:n] = frames
    return padded.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(rows * height, columns * width)


def sprite(frames: np.ndarray) -> dict[str, object]:
    """A sprite sheet as the player takes it. Floats are frames in [0, 1]; bytes are pixels."""
    if frames.dtype != np.uint8:
        frames = np.round(np.clip(frames, 0, 1) * 255).astype(np.uint8)
    return {
        "src": data_url(png_bytes(sprite_sheet(frames))),
        "columns": min(SPRITE_COLUMNS, len(frames)),
        "count": len(frames),
    }
