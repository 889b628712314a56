"""From opening the prediction page of a server just started to a real prediction on the screen."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.app import IN_COMPONENTS, START_SECONDS, app_server, browser
from benchmarks.measure import Figure

_PREDICTION_IS_DRAWN = f"""() => {{
  {IN_COMPONENTS}
  return isDrawn(inComponents('figure[data-panel="prediction"] canvas'));
}}"""
_EMPTY_APP = "import streamlit as st\nst.title('Empty')\n"


def _prediction_ms(opened: Any) -> float:
    with app_server() as server:
        page = opened.new_page(viewport={"width": 1440, "height": 1000})
        began = time.perf_counter()
        page.goto(f"{server.url}/predict", wait_until="commit")
        page.wait_for_function(_PREDICTION_IS_DRAWN, timeout=START_SECONDS * 1000, polling=40)
        took = time.perf_counter() - began
        page.close()
    return took * 1000


def _empty_ms(opened: Any, script: Path) -> float:
    """The same for an app of one line: what no Streamlit app can undercut."""
    with app_server(script) as server:
        page = opened.new_page(viewport={"width": 1440, "height": 1000})
        began = time.perf_counter()
        page.goto(server.url, wait_until="commit")
        page.get_by_role("heading", name="Empty").wait_for(timeout=START_SECONDS * 1000)
        took = time.perf_counter() - began
        page.close()
    return took * 1000


def run(*, rounds: int = 5) -> list[Figure]:
    """Median first paint, in turns with an empty app; each time a new server and an empty browser cache."""
    times: dict[str, list[float]] = {"app": [], "empty": []}
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "app.py"
        script.write_text(_EMPTY_APP)
        for _ in range(rounds):
            with browser() as opened:
                times["app"].append(_prediction_ms(opened))
            with browser() as opened:
                times["empty"].append(_empty_ms(opened, script))
    return [
        Figure(
            "first_paint",
            "fresh server to a real prediction, median",
            statistics.median(times["app"]),
            "ms",
            2000,
        ),
        Figure("first_paint", "an empty Streamlit app, median", statistics.median(times["empty"]), "ms"),
    ]
