"""From a click on the menu to the other page's main content on the screen, in the browser with its own clock.

Main content is what a person goes there for: the clip drawn on Make a clip, the prediction on Predict it, the
time machine's prediction on Watch it learn, the figures and the table on Measure it. Every way from page to
page is gone once before it is measured.
"""

from __future__ import annotations

import json
import statistics
from itertools import permutations
from typing import Any

from benchmarks.app import IN_COMPONENTS, CannotMeasure, app_server, browser, open_prediction, settle
from benchmarks.measure import Figure

_PREDICTION = """isDrawn(inComponents('figure[data-panel="prediction"] canvas'))"""
# by the name in the menu: the page's title, and when its content is there
PAGES = {
    "Make a clip": ("Make a clip", 'isDrawn(inComponents(".strip canvas"))'),
    "Predict it": ("Predict the next frame", f'inComponents(".charthead") && {_PREDICTION}'),
    "Watch it learn": ("Watch it learn", f'!inComponents(".charthead") && {_PREDICTION}'),
    "Measure it": (
        "Measure it",
        """inComponents("[data-testid=stMetricValue]") &&
           inComponents("[data-testid=stDataFrame] canvas")?.width > 0""",
    ),
}


def _watch(title: str, content: str) -> str:
    """Script that takes the time from the next click: it looks at every refresh of the screen."""
    return f"""() => {{
      const clock = (window.switchClock = {{ took: null }});
      const isThere = () => {{
        {IN_COMPONENTS}
        return document.querySelector("h1")?.textContent.trim() === {json.dumps(title)} && {content};
      }};
      const look = (began) => requestAnimationFrame(() => {{
        if (isThere()) clock.took = performance.now() - began;
        else look(began);
      }});
      document.addEventListener("click", () => look(performance.now()), {{ capture: true, once: true }});
    }}"""


def _switch_ms(page: Any, name: str) -> float:
    from playwright.sync_api import TimeoutError as Timeout

    page.evaluate(_watch(*PAGES[name]))
    page.get_by_test_id("stSidebarNavLink").filter(has_text=name).click()
    try:
        page.wait_for_function("window.switchClock.took !== null", timeout=30_000)
    except Timeout as error:
        raise CannotMeasure(f"the page {name} did not show its content within 30 s") from error
    took = page.evaluate("window.switchClock.took")
    page.wait_for_timeout(500)
    settle(page)
    return took


def run(*, rounds: int = 5) -> list[Figure]:
    """Median of all switches, and of the slowest pair of pages, with the model `fast`."""
    pairs = list(permutations(PAGES, 2))
    times: dict[tuple[str, str], list[float]] = {pair: [] for pair in pairs}
    with app_server() as server, browser() as opened:
        page = open_prediction(opened, server)
        at = "Predict it"
        for round_number in range(rounds + 1):
            for start, end in pairs:
                if at != start:
                    _switch_ms(page, start)
                took, at = _switch_ms(page, end), end
                if round_number > 0:
                    times[start, end].append(took)
    medians = {pair: statistics.median(values) for pair, values in times.items()}
    every = [value for values in times.values() for value in values]
    return [
        Figure(
            "page_switch", f"page to page, median of all {len(pairs)} ways", statistics.median(every), "ms"
        ),
        Figure("page_switch", "the slowest of them, median", max(medians.values()), "ms", 500),
        Figure("page_switch", f"the worst of {len(every)} switches", max(every), "ms"),
    ]
