"""From moving a slider to the new prediction on the screen, measured in the browser with its own clock."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.app import app_server, browser, move_speed_slider, open_prediction
from benchmarks.measure import Figure

# The player counts the pictures that it has drawn; the key that moves the slider starts the clock.
_WATCH = """player => {
  const clock = (window.sliderClock = { began: 0, took: [] });
  document.addEventListener("keydown", () => (clock.began = performance.now()), true);
  new MutationObserver(() => {
    const changed = player.dataset.loads;
    if (changed === clock.seen) return;
    clock.seen = changed;
    requestAnimationFrame(() => clock.began && clock.took.push(performance.now() - clock.began));
  }).observe(player, { attributes: true, attributeFilter: ["data-loads"] });
  clock.seen = player.dataset.loads;
}"""


def _times_ms(page: Any, moves: int) -> list[float]:
    page.locator(".player").first.evaluate(_WATCH)
    for done in range(moves):
        move_speed_slider(page)
        page.wait_for_function(f"window.sliderClock.took.length > {done}", timeout=30_000)
        page.wait_for_timeout(300)  # a person looks before moving on; what is left of the run ends
    return page.evaluate("window.sliderClock.took")


def run(*, moves: int = 21) -> list[Figure]:
    """Median and 90th percentile, with the model `fast` and a clip of 20 frames."""
    with app_server() as server, browser() as opened:
        page = open_prediction(opened, server)
        took = _times_ms(page, moves + 2)[2:]  # the first moves fill caches
    worst_tenth = statistics.quantiles(took, n=10)[-1] if len(took) > 1 else took[0]
    return [
        Figure("slider", "slider to new picture with fast, median", statistics.median(took), "ms", 400),
        Figure("slider", "the same, 90th percentile", worst_tenth, "ms"),
    ]
