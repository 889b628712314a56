"""What the command lines share."""

from __future__ import annotations

import argparse
from typing import NoReturn


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line, by ValueError, without repeating the usage."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)
