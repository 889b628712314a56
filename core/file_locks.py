"""Locks that the system frees when the process that holds them ends, however it ends."""

from __future__ import annotations

import sys
from pathlib import Path

from filelock import FileLock, Timeout


def lock(path: Path) -> FileLock:
    """A lock of that file, free as yet."""
    # an object each: the same object may be acquired twice, which is no lock at all
    return FileLock(path, is_singleton=False)


def is_held(path: Path) -> bool:
    """Whether a process holds the lock of that file; looking neither makes the file nor keeps anybody waiting
    for longer than an instant.
    """
    if sys.platform == "win32":
        return path.exists() and _cannot_be_locked(path)
    try:
        file = path.open("rb")  # no more than reading: a folder that is deleted meanwhile stays deleted
    except OSError:
        return False
    import fcntl

    with file:
        try:
            # shared: two pages that look at the same moment do not take each other for a training
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # a file system without such locks: filelock has a way of its own
            return _cannot_be_locked(path)
    return False


def _cannot_be_locked(path: Path) -> bool:
    one = lock(path)
    try:
        one.acquire(blocking=False)
    except Timeout:
        return True
    except OSError:  # a read-only folder of a recorded run: nobody trains there
        return False
    one.release()
    return False
