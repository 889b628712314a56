"""Silence for libraries that write notes to standard error while they load."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

STDERR_DESCRIPTOR = 2


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what is written to standard error; show it after all if the block fails, unless by Ctrl-C.

    TensorFlow's native code writes past Python's `sys.stderr`, and some of its notes obey no setting:
    the descriptor itself has to point elsewhere. For command lines: it holds for all threads.
    """
    sys.stderr.flush()
    shown = os.dup(STDERR_DESCRIPTOR)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), STDERR_DESCRIPTOR)
        try:
            yield
        except Exception:
            held.seek(0)
            os.write(shown, held.read())
            raise
        finally:
            os.dup2(shown, STDERR_DESCRIPTOR)
            os.close(shown)
