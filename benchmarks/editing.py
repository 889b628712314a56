"""From letting go of a dragged digit to the new prediction on the screen, in the browser with its own clock.

A digit is dragged on the stage with the mouse, for about a third of a second, as a hand does: predictions of
the places in between are under way when it is let go. What counts is the last picture after the release, that
of the place where the digit lies. Every place is a new one, so that no prediction comes from a cache.
"""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np

from benchmarks.app import app_server, browser, open_prediction, pictures_ms, watch_pictures
from benchmarks.measure import Figure, percentile
from core.digits import DIGIT_SIZE
from core.scenes import CANVAS

MARGIN_PX = 5  # around the scene in the stage's picture
STEPS, STEP_MS = 8, 40
LEAST_PX = 6  # a drag of less would be a nudge
SEED = 0
_GRAB = 2  # px from the digit's corner, where no arrow of its own is
# In the scene that the page opens with: the second digit's corner, and the first one's arrow, which is above.
_START, _ARROW = (27, 6), np.linspace((17, 36), (26.4, 30.6), 5)
_FROM_ARROW_PX = 7
_STAGE = ".stage[data-ready=true] > svg"


def places(count: int) -> list[tuple[int, int]]:
    """Where to drag to: left and top of the digit, px; no place twice, and each a way from the one before."""
    rng = np.random.default_rng(SEED)
    free = [(x, y) for x in range(CANVAS - DIGIT_SIZE + 1) for y in range(CANVAS - DIGIT_SIZE + 1)]
    free = [place for place in free if place != _START and not _below_arrow(place)]
    found, at = [], _START
    for _ in range(count):
        far = [place for place in free if abs(place[0] - at[0]) + abs(place[1] - at[1]) >= LEAST_PX]
        at = far[rng.integers(len(far))]
        free.remove(at)
        found.append(at)
    return found


def _below_arrow(place: tuple[int, int]) -> bool:
    """Whether the next drag from there would take the other digit's arrow."""
    hand = place[0] + _GRAB, place[1] + _GRAB
    return any(math.dist(hand, part) < _FROM_ARROW_PX for part in _ARROW)


def drag(page: Any, start: tuple[int, int], end: tuple[int, int]) -> None:
    """Take the digit whose corner lies at `start` near that corner, and let go of it at `end`."""
    box = page.locator(_STAGE).bounding_box()
    scale = box["width"] / (CANVAS + 2 * MARGIN_PX)
    ways = np.linspace(start, end, STEPS + 1) + MARGIN_PX + _GRAB
    for number, (x, y) in enumerate(ways * scale + (box["x"], box["y"])):
        page.mouse.move(x, y)
        if number == 0:
            page.mouse.down()
        elif number < STEPS:
            page.wait_for_timeout(STEP_MS)
    page.mouse.up()


def run(*, edits: int = 40) -> list[Figure]:
    """Median and 95th percentile, with the model `fast` and a clip of 20 frames."""
    took, at = [], _START
    with app_server() as server, browser() as opened:
        page = open_prediction(opened, server)
        watch_pictures(page, "pointerup")
        for place in places(edits + 3):
            drag(page, at, place)
            page.wait_for_url(f"**_{place[0]}_{place[1]}_**", timeout=30_000)
            took.append(pictures_ms(page)[-1])
            at = place
    took = took[3:]  # the first ones fill caches
    what = "digit let go to new prediction with fast"
    return [
        Figure("editing", f"{what}, median", statistics.median(took), "ms", 300),
        Figure("editing", "the same, 95th percentile", percentile(took, 95), "ms", 600),
    ]
