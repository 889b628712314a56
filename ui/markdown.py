"""Text from outside in Markdown."""

from __future__ import annotations

import re


def plain(text: str) -> str:
    """Text as Markdown that shows it as it is, on one line, without colours and without links."""
    uncoloured = re.sub(r"\x1b\[[0-9;]*m", "", text)
    words = re.sub(r"[\x00-\x1f\x7f]", " ", uncoloured).split()
    return re.sub(r"([\\`*_{}\[\]()#+!|<>~$:&@]|(?<=www)\.)", r"\\\1", " ".join(words), flags=re.IGNORECASE)
