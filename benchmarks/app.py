"""The app in a server of its own, and a browser that looks at it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60
# A cold TensorFlow on a busy machine, and the first graph.
MODEL_SECONDS = 180
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Components live in shadow roots, which querySelector does not enter: each is looked through by itself.
IN_COMPONENTS = """
  const hosts = [...document.querySelectorAll("*")].filter((node) => node.shadowRoot);
  const roots = [document, ...hosts.map((host) => host.shadowRoot)];
  const inComponents = (selector) => roots.map((root) => root.querySelector(selector)).find(Boolean);
  const isDrawn = (canvas) => {
    if (!canvas || !canvas.width) return false;
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    return pixels.some((value, index) => index % 4 < 3 && value > 40);
  };
"""
# An element counts the pictures that it has drawn; the last event of a kind before them starts the clock.
_WATCH = """(element, event) => {
  const clock = (window.pictureClock = { began: null, took: [] });
  document.addEventListener(event, () => Object.assign(clock, { began: performance.now(), took: [] }), true);
  new MutationObserver(() => {
    const changed = element.dataset.loads;
    if (changed === clock.seen) return;
    clock.seen = changed;
    requestAnimationFrame(() => clock.began !== null && clock.took.push(performance.now() - clock.began));
  }).observe(element, { attributes: true, attributeFilter: ["data-loads"] });
  clock.seen = element.dataset.loads;
}"""


class CannotMeasure(RuntimeError):  # noqa: N818 - a sentence for a person, not a fault
    """Something that a benchmark needs is not there; one sentence says what."""


@dataclass(frozen=True)
class Server:
    """A running app: where it answers, and its process."""

    url: str
    pid: int

    @property
    def resident_mb(self) -> float:
        """Resident memory of the server's process, 10^6 bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024 / 1e6
        raise CannotMeasure(f"the system does not say how much memory process {self.pid} holds")


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise CannotMeasure(f"the app's server did not answer within {START_SECONDS} s")


@contextmanager
def app_server(
    script: Path = ROOT / "app.py", environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Start an app on a free port of this machine, and end it afterwards.

    environment : variables that it has beside those of this process
    """
    port = free_port()
    options = ["--server.headless=true", "--server.address=127.0.0.1", f"--server.port={port}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(script), *options, "--server.fileWatcherType=none"],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url, process)
        yield Server(url, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def chromium_path() -> str | None:
    """The browser that CHROMIUM names, or the first on the path; None where there is none."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


@contextmanager
def browser() -> Iterator[Any]:
    """The system's Chromium, without a window."""
    from playwright.sync_api import sync_playwright

    chromium = chromium_path()
    if chromium is None:
        raise CannotMeasure("no Chromium found: apt-get install chromium, or name one in CHROMIUM")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        try:
            yield opened
        finally:
            opened.close()


class Received:
    """What a server sends to a page over its web sockets.

    Attributes
    ----------
    kb : received since `restart`, 10^3 bytes
    """

    def __init__(self) -> None:
        self.kb = 0.0

    def watch(self, page: Any) -> None:
        """Count what a page receives, from before it is opened."""
        page.on("websocket", lambda socket: socket.on("framereceived", self._count))

    def restart(self) -> None:
        """Count from nothing again."""
        self.kb = 0.0

    def _count(self, payload: bytes | str) -> None:
        self.kb += len(payload if isinstance(payload, bytes) else payload.encode()) / 1e3


def open_prediction(opened: Any, server: Server, query: str = "", received: Received | None = None) -> Any:
    """A new visitor's page on the prediction page, once the model itself has answered.

    query : parameters of the address, from the question mark on
    received : counts what it receives
    """
    from playwright.sync_api import TimeoutError as Timeout

    page = opened.new_page(viewport={"width": 1440, "height": 1000})
    if received is not None:
        received.watch(page)
    page.goto(f"{server.url}/predict{query}")
    try:
        # Only a prediction made just now says how long it took; the stored one does not.
        page.get_by_text("Time on ").first.wait_for(timeout=MODEL_SECONDS * 1000)
        page.locator(".player[data-ready=true]").wait_for(timeout=START_SECONDS * 1000)
    except Timeout as error:
        raise CannotMeasure("the prediction page made no prediction; is the model `fast` shipped?") from error
    return page


def watch_pictures(page: Any, event: str, element: str = ".player") -> None:
    """From now on, take the time from each browser event of that name to the element's next pictures.

    element : selector of one of ours, which counts in `data-loads` how often it has drawn something new
    """
    page.locator(element).first.evaluate(_WATCH, event)


def pictures_ms(page: Any) -> list[float]:
    """When new pictures were drawn since the last event, in milliseconds after it; waits for the first.

    A person looks before moving on: what is still under way half a second later comes to its end, too.
    """
    from playwright.sync_api import TimeoutError as Timeout

    try:
        page.wait_for_function("window.pictureClock.took.length > 0", timeout=30_000)
    except Timeout as error:
        raise CannotMeasure("no new picture came within 30 s") from error
    seen = -1
    while (drawn := page.evaluate("window.pictureClock.took.length")) != seen:
        seen = drawn
        page.wait_for_timeout(500)
        settle(page)
    return page.evaluate("window.pictureClock.took")


def settle(page: Any) -> None:
    """Wait until the server has nothing more to say about a page."""
    page.wait_for_function(
        "document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'",
        timeout=START_SECONDS * 1000,
    )


def move_speed_slider(page: Any, presses: int = 1) -> None:
    """Press the right arrow key on the first digit's speed, the way a keyboard moves a slider."""
    slider = page.get_by_role("slider", name="Speed").first
    slider.focus()
    for _ in range(presses):
        slider.press("ArrowRight")
