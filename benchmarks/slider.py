"""From moving a slider to the new prediction on the screen, measured in the browser with its own clock."""

from __future__ import annotations

import statistics

from benchmarks.app import (
    Received,
    app_server,
    browser,
    move_speed_slider,
    open_prediction,
    pictures_ms,
    watch_pictures,
)
from benchmarks.measure import Figure, percentile


def run(*, moves: int = 21) -> list[Figure]:
    """Median and 90th percentile, and what was sent, with the model `fast` and a clip of 20 frames."""
    took, sent, received = [], [], Received()
    with app_server() as server, browser() as opened:
        page = open_prediction(opened, server, received=received)
        watch_pictures(page, "keydown")
        for _ in range(moves + 2):
            received.restart()
            move_speed_slider(page)
            took.append(pictures_ms(page)[0])
            sent.append(received.kb)
    took, sent = took[2:], sent[2:]  # the first moves fill caches
    return [
        Figure("slider", "slider to new picture with fast, median", statistics.median(took), "ms", 300),
        Figure("slider", "the same, 90th percentile", percentile(took, 90), "ms"),
        Figure("slider", "sent to the browser for it, median", statistics.median(sent), "kB", 100),
    ]
