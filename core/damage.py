"""What files that are cut off, changed, or of another kind make their readers raise."""

from __future__ import annotations

import json
import struct
import tokenize
import zipfile
import zlib
from typing import Any

# NumPy, zipfile, Pillow and json raise all of these; a header of a .npy file alone half of them.
DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_json(text: str | bytes) -> Any:
    """What a JSON text holds; ValueError for any other text, one that is nested without end among them."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def shortened(text: str, most: int = 80) -> str:
    """A text for a sentence: on one line, and not all of it where it is long."""
    line = "".join(sign if sign.isprintable() else "?" for sign in text[: most + 1])
    return line if len(line) <= most else f"{line[:most]} …"


def shown(value: Any) -> str:
    """A value for a sentence: as Python writes it, shortened."""
    return shortened(repr(value))
