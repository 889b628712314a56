"""What the command lines share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from core.damage import shortened, shown
from core.quiet import quiet_stderr

# What Keras computes with here, and what brings it.
BACKENDS = {"tensorflow": "requirements.txt", "jax": "requirements-cluster.txt"}


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line, by ValueError, without repeating the usage."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def named_path(text: str) -> Path:
    """An option's file or folder. An unset variable of a shell is empty text, not the present folder."""
    if not text:
        raise argparse.ArgumentTypeError("must name a file or folder; got empty text")
    return Path(text)


def check_backend() -> None:
    """ValueError unless what the environment wants Keras to compute with is known and installed."""
    name = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if name not in BACKENDS:
        raise ValueError(f"KERAS_BACKEND must be {' or '.join(BACKENDS)}; got {shown(name)}")
    if find_spec(name) is None:
        raise ValueError(f"KERAS_BACKEND {name} is not installed; pip install -r {BACKENDS[name]}")


@contextmanager
def loading_keras() -> Iterator[None]:
    """Import Keras within, in silence; ValueError where what it needs cannot be imported."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    check_backend()
    try:
        with quiet_stderr():
            yield
    except ImportError as error:
        needed = " or ".join(f"{file} ({name})" for name, file in BACKENDS.items())
        raise ValueError(f"Keras cannot be loaded: {error}; pip install -r {needed}") from error


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory does not suffice: NumPy's, TensorFlow's or JAX'."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "ResourceExhaustedError"
        or str(error).startswith("RESOURCE_EXHAUSTED")
    )


def memory_words(error: BaseException) -> str:
    """Why memory does not suffice, for a sentence."""
    return shortened(" ".join(str(error).split()), 120) or type(error).__name__
