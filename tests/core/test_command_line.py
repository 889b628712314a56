"""What the command lines share: paths that are named, a backend that is there, memory that is not."""

import argparse
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import tensorflow as tf

from core import command_line
from core.command_line import check_backend, loading_keras, memory_words, named_path, out_of_memory


def test_a_path_is_named():
    assert named_path("a/b") == Path("a/b")
    with pytest.raises(argparse.ArgumentTypeError, match="must name a file or folder; got empty text"):
        named_path("")


@pytest.mark.parametrize("name", ["tensorflow", "jax", "", None])
def test_backends_that_are_there(monkeypatch, name):
    monkeypatch.setattr(command_line, "find_spec", lambda name: ModuleSpec(name, None))
    monkeypatch.delenv("KERAS_BACKEND") if name is None else monkeypatch.setenv("KERAS_BACKEND", name)
    check_backend()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("foo", "KERAS_BACKEND must be tensorflow or jax; got 'foo'"),
        ("jax", r"KERAS_BACKEND jax is not installed; pip install -r requirements-cluster\.txt"),
        ("", r"KERAS_BACKEND tensorflow is not installed; pip install -r requirements\.txt"),
    ],
)
def test_backends_that_are_not(monkeypatch, name, message):
    monkeypatch.setattr(command_line, "find_spec", lambda _: None)
    monkeypatch.setenv("KERAS_BACKEND", name)
    for ask in (check_backend, loading_keras().__enter__):
        with pytest.raises(ValueError, match=f"^{message}$"):
            ask()


def test_files_that_a_backend_asks_for_are_there():
    assert all((Path(__file__).parents[2] / name).is_file() for name in command_line.BACKENDS.values())


def test_what_keras_lacks_is_named():
    with (
        pytest.raises(ValueError, match=r"^Keras cannot be loaded: no wheel; pip install -r "),
        loading_keras(),
    ):
        raise ImportError("no wheel")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "MemoryError"),
        (MemoryError("Unable to\nallocate 37 TiB"), "Unable to allocate 37 TiB"),
        (tf.errors.ResourceExhaustedError(None, None, "OOM " * 99), "OOM " * 30 + " …"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory"), "RESOURCE_EXHAUSTED: Out of memory"),
    ],
)
def test_memory_that_does_not_suffice(error, words):
    assert out_of_memory(error)
    assert memory_words(error) == words


@pytest.mark.parametrize(
    "error", [OSError(12, "x"), RuntimeError("odd"), tf.errors.InternalError(None, None, "x")]
)
def test_other_errors_are_others(error):
    assert not out_of_memory(error)
