"""Looking inside a cell: what it costs beside a prediction, and from a click to what it asked for.

Clicks are timed in the browser with its own clock, with the model `fast` and a clip of 20 frames: on another
gate in the diagram, to the gallery of its channels; on a pixel, to its receipt; and on an intervention that
was not made before, to the player's new pictures. Each asks for something that is in no cache, but for the
maps of a layer, which are taken once for all of its gates.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.app import (
    MODEL_SECONDS,
    CannotMeasure,
    Received,
    app_server,
    browser,
    pictures_ms,
    settle,
    watch_pictures,
)
from benchmarks.inference import some_clips
from benchmarks.measure import Figure, interleaved_seconds, medians
from core.scenes import STANDARD_FRAMES

MODELS = ("fast", "reference")
_MICROSCOPE = ".microscope[data-ready=true]"
_GATES = ("Input gate", "Candidate", "Output gate", "Hidden state", "Cell", "Forget gate")


def run(*, rounds: int = 11, clicks: int = 12) -> list[Figure]:
    """What an inspection costs, and medians of the clicks."""
    return [*_inspections(rounds), *_clicks(clicks)]


def _inspections(rounds: int) -> list[Figure]:
    from core.inference import Predictor
    from core.model import CONFIGS, Network

    figures = []
    for name in MODELS:
        config = CONFIGS[name]
        predictor, clip = Predictor(Network(config)), some_clips(1, STANDARD_FRAMES, CONFIGS[name].canvas)
        calls: dict[str, Callable[[], object]] = {"plain": partial(predictor.next_frames, clip)}
        for layer in range(1, len(config.filters) + 1):
            calls[f"layer {layer}"] = partial(predictor.inspect, clip, layer)
        seconds = medians(interleaved_seconds(calls, rounds))
        plain = 1e3 * seconds.pop("plain")
        slowest = 1e3 * max(seconds.values())
        bar = 1.5 * plain + 200
        figures += [
            Figure("inside", f"{name}, prediction of a 20-frame clip in float32", plain, "ms"),
            Figure(
                "inside", f"{name}, the same with all maps of a layer, the slowest one", slowest, "ms", bar
            ),
        ]
    return figures


def _opened(opened: Any, url: str, there: str, received: Received) -> Any:
    from playwright.sync_api import TimeoutError as Timeout

    page = opened.new_page(viewport={"width": 1440, "height": 1400})
    received.watch(page)
    page.goto(url)
    try:
        page.locator(there).wait_for(timeout=MODEL_SECONDS * 1000)
    except Timeout as error:
        raise CannotMeasure("the page showed no inside of a cell; is the model `fast` shipped?") from error
    settle(page)
    return page


def _clicks(clicks: int) -> list[Figure]:
    received = Received()
    with app_server() as server, browser() as opened:
        page = _opened(opened, f"{server.url}/inside", _MICROSCOPE, received)
        watch_pictures(page, "click", _MICROSCOPE)

        def asked(click: Callable[[], None]) -> tuple[float, float]:
            """Milliseconds to the pictures, and the kilobytes that came for them."""
            received.restart()
            click()
            return pictures_ms(page)[-1], received.kb

        def gate(number: int) -> None:
            page.get_by_role("button", name=f"{_GATES[number % len(_GATES)]}: show its maps").click()

        gates = [asked(partial(gate, number)) for number in range(clicks + 1)]
        box = page.locator("[data-screen=large] canvas").bounding_box()

        def pixel(number: int) -> None:
            at = (number + 1.5) / (clicks + 3)
            page.mouse.click(box["x"] + at * box["width"], box["y"] + at * box["height"])

        pixels = [asked(partial(pixel, number)) for number in range(clicks + 1)]
        page = _opened(
            opened,
            f"{server.url}/inside?inside=What+if&whatif=A+channel+is+mute",
            ".player[data-ready=true]",
            received,
        )
        watch_pictures(page, "click")
        held = [asked(page.get_by_test_id("stNumberInputStepUp").click) for _ in range(clicks + 1)]
    figures = []
    for what, found, bar_ms, bar_kb in (
        # a gallery is the maps of all channels at all times: there is no less of it
        ("click on a gate to the gallery of its channels", gates, 500, None),
        ("click on a pixel to its receipt", pixels, 200, 100),
        ("an intervention to its prediction with fast", held, 400, 100),
    ):
        ms, kb = (statistics.median(values) for values in zip(*found[1:], strict=True))
        figures += [
            Figure("inside", f"{what}, median", ms, "ms", bar_ms),
            Figure("inside", f"{what}: sent to the browser, median", kb, "kB", bar_kb),
        ]
    return figures
