"""Whether the player keeps its pace: six pictures side by side at 20 frames a second, for ten seconds.

The player draws a frame when it is due, at the next refresh of the screen, and says which one it shows. A
frame that stays for the time of two, because the one after it could not be drawn in its own 50 ms, has cost a
dropped frame; one that stays for the time of three has cost two. Refreshes of a screen do not fall together
with the player's clock: up to half a frame more or less is no loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from benchmarks.app import CannotMeasure, app_server, browser, open_prediction, settle
from benchmarks.measure import Figure

RATE = 20
PANELS = 6
# two models, the last frame and the errors of both, beside the truth
_QUERY = "?compare=Best&compare=Last+frame"
_BEST_MS = 180_000
_RECORD = """(player) => {
  const drawn = (window.playerDrawn = []);
  new MutationObserver(() => drawn.push(performance.now()))
    .observe(player, { attributes: true, attributeFilter: ["data-frame"] });
}"""


def dropped(times_ms: Sequence[float], rate: float = RATE) -> int:
    """How many frames were not drawn while they were due.

    times_ms : when one frame after the other was drawn
    rate : frames a second that were asked for
    """
    stays = (after - before for before, after in pairwise(times_ms))
    return sum(max(round(stay * rate / 1000) - 1, 0) for stay in stays)


def _times_ms(page: Any, seconds: float) -> list[float]:
    player = page.locator(".player").first
    page.get_by_label("Playing speed").select_option(str(RATE))
    player.focus()
    if player.get_attribute("data-playing") != "true":
        page.keyboard.press("Space")
    page.wait_for_timeout(1000)
    player.evaluate(_RECORD)
    page.wait_for_timeout(seconds * 1000)
    return page.evaluate("window.playerDrawn")


def run(*, seconds: float = 10) -> list[Figure]:
    """Dropped frames, and how many were drawn a second, with six pictures."""
    with app_server() as server, browser() as opened:
        page = open_prediction(opened, server, _QUERY)
        page.locator("figure[data-panel=error_best]").wait_for(timeout=_BEST_MS)
        page.get_by_text("The model is not ready yet").first.wait_for(state="detached", timeout=_BEST_MS)
        settle(page)
        panels = page.locator(".player figure").count()
        if panels != PANELS:
            raise CannotMeasure(f"the player should show {PANELS} pictures; it shows {panels}")
        times = _times_ms(page, seconds)
    if len(times) < 2:
        raise CannotMeasure("the player does not play")
    shown = (len(times) - 1) * 1000 / (times[-1] - times[0])
    what = f"{PANELS} pictures at {RATE} frames/s for {seconds:g} s"
    return [
        Figure("player", f"dropped frames, {what}", dropped(times), "frames", 0),
        Figure("player", "frames drawn a second", shown, "frames/s"),
    ]
