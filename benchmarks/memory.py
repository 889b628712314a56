"""Resident memory of the app's server: with the model loaded, and for each further visitor."""

from __future__ import annotations

from pathlib import Path

from benchmarks.app import CannotMeasure, app_server, browser, move_speed_slider, open_prediction
from benchmarks.measure import Figure


def run(*, further_sessions: int = 8) -> list[Figure]:
    """Megabytes after the first visitor's prediction, and the mean growth of the visitors after.

    Every visitor looks at a scene of their own, so the caches grow as they would.
    """
    if not Path("/proc/self/status").exists():
        raise CannotMeasure("resident memory is read from /proc, which this system does not have")
    with app_server() as server, browser() as opened:
        first = open_prediction(opened, server)
        first.wait_for_timeout(1000)
        alone_mb = server.resident_mb
        for number in range(further_sessions):
            page = open_prediction(opened, server)
            move_speed_slider(page, presses=number + 1)
            page.wait_for_timeout(1500)
        together_mb = server.resident_mb
    grown_mb = (together_mb - alone_mb) / further_sessions
    return [
        Figure("memory", "server with TensorFlow and fast loaded, one session", alone_mb, "MB", 1500),
        Figure("memory", f"each of {further_sessions} further sessions", grown_mb, "MB", 10),
    ]
