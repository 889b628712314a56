"""How the server is doing: figures of all visitors together, and nothing of any one of them."""

from __future__ import annotations

import platform
import threading
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core.batching import QueueFigures
from ui import cache

RECENT_SECONDS = 300.0
PACKAGES = ("streamlit", "tensorflow", "keras", "numpy")
_STARTED = time.monotonic()


class Visits:
    """How many sessions have asked for a page of late."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}

    def note(self, session: str, now: float) -> None:
        """A session asked for something."""
        with self._lock:
            self._last[session] = now
            self._forget(now)

    def recent(self, now: float) -> int:
        """Sessions of the last five minutes."""
        with self._lock:
            self._forget(now)
            return len(self._last)

    def _forget(self, now: float) -> None:
        self._last = {key: last for key, last in self._last.items() if now - last < RECENT_SECONDS}


@st.cache_resource(show_spinner=False)
def visits() -> Visits:
    """Those of this server."""
    return Visits()


def note_visit() -> None:
    """Count the session that runs this page."""
    context = get_script_run_ctx(suppress_warning=True)
    if context is not None:
        visits().note(context.session_id, time.monotonic())


@dataclass(frozen=True)
class ModelStatus:
    """One model: `state` tells whether it is in memory; `device` is None where it is not."""

    name: str
    state: Literal["not loaded", "loading", "ready", "failed"]
    device: str | None
    queue: QueueFigures


@dataclass(frozen=True)
class Status:
    """A server.

    Attributes
    ----------
    up_seconds : since the first page
    visitors : sessions that asked for a page in the last five minutes
    memory_mb : resident, 10^6 bytes; None where the system does not tell
    asked, from_cache : predictions that pages asked for since the start, and those that were there already
    versions : by name of the package
    """

    up_seconds: float
    visitors: int
    memory_mb: float | None
    asked: int
    from_cache: int
    models: tuple[ModelStatus, ...]
    versions: dict[str, str]


def read() -> Status:
    """Of this server, now."""
    now = time.monotonic()
    asked, from_cache = cache.PREDICTIONS.read()
    versions = {"Python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}}
    return Status(
        now - _STARTED,
        visits().recent(now),
        _memory_mb(),
        asked,
        from_cache,
        tuple(_of_model(name) for name in cache.model_names()),
        versions,
    )


def _of_model(name: str) -> ModelStatus:
    door = cache.model_door(name)
    state: Literal["not loaded", "loading", "ready", "failed"] = (
        "ready" if door.ready else "failed" if door.error else "loading" if door.started else "not loaded"
    )
    return ModelStatus(name, state, door.device, door.figures())


def _memory_mb() -> float | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmRSS:")]
    return found[0] if found else None
