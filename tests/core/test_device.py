"""What a network runs on: memory that is free goes back to the system."""

import ctypes
import sys
from pathlib import Path

import pytest

from core import device

BLOCK, BLOCKS = 64 * 1024, 2000  # each too small to be a mapping of its own


def resident_mb():
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="glibc only"
)
def test_memory_that_is_free_goes_back():
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    blocks = [libc.malloc(BLOCK) for _ in range(BLOCKS)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK)
    for block in blocks[:-1]:  # what is in use behind them keeps the library from it
        libc.free(block)
    before = resident_mb()
    device.hand_back_memory()
    assert before - resident_mb() > 0.8 * BLOCK * BLOCKS / 2**20
    libc.free(blocks[-1])


def test_another_library_is_not_asked(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    device.hand_back_memory()
