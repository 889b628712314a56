"""Make the README's pictures: an animation from the shipped model, screenshots from the running app.

    python -m scripts.make_pictures            # all
    python -m scripts.make_pictures animation  # or icon, screenshots

Screenshots need the development requirements and a Chromium (found on the path, or named by CHROMIUM).
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from core import films, zoo
from core.digits import load_digits
from core.moving_mnist import render, to_frames
from core.scenes import preset_scenes

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "assets" / "pictures"
SHOWN_FRAME = 10  # steps from the first predicted frame: by then the model knows where the digits go
FRAME_MS = 160
SCREENSHOTS = {
    "generate.png": ("", 1440, 900, "light"),
    "predict.png": ("predict", 1440, 1000, "light"),
    "predict-dark.png": ("predict", 1440, 1000, "dark"),
    "predict-phone.png": ("predict", 420, 1000, "light"),
    "training.png": ("training", 1440, 1000, "light"),
}
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
]


def make_icon() -> Path:
    """The app's icon: a flying digit with what it left behind."""
    stamp = load_digits("test").exemplar(2, 5) / 255
    picture = np.zeros((40, 40, 3))
    for age, strength in ((2, 0.25), (1, 0.5), (0, 1.0)):
        shift = 2 + 4 * (2 - age)
        window = picture[shift : shift + 28, shift : shift + 28]
        colour = np.array([255, 255, 255]) if age == 0 else strength * np.array([47, 179, 184])
        np.maximum(window, stamp[..., None] * colour, out=window)
    path = ROOT / "assets" / "icon.png"
    Image.fromarray(picture.astype(np.uint8)).resize((80, 80), Image.Resampling.NEAREST).save(path)
    return path


def make_animation() -> Path:
    """The standard scene of the app, predicted frame by frame by `fast`, as an endless GIF."""
    clip = render(preset_scenes()["standard"])
    predictions = zoo.load("fast").next_frames(to_frames(clip)[None, ..., None])[0, ..., 0]
    film = films.comparison(clip, predictions, 1)[1:]  # from the first predicted frame on
    path = PICTURES / "prediction.gif"
    path.write_bytes(films.gif_bytes(film, frame_ms=FRAME_MS))
    return path


@contextmanager
def server() -> Iterator[str]:
    """A running app; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), "--server.headless=true"]
    address = f"http://localhost:{port}"
    with tempfile.TemporaryDirectory() as no_runs:  # the recorded ones are what everybody sees
        process = subprocess.Popen(
            [*command, f"--server.port={port}"],
            cwd=ROOT,
            env={**os.environ, "CONVLSTM_RUNS": no_runs},
            stdout=subprocess.DEVNULL,
        )
        try:
            for _ in range(120):
                try:
                    with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
                        break
                except (urllib.error.URLError, OSError):
                    time.sleep(0.5)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=20)


def take_screenshots() -> list[Path]:
    """Each page as a person sees it once the model has answered."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        raise FileNotFoundError("no chromium on the path; install it or name it in CHROMIUM")
    paths: list[Path] = []
    with server() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        for name, (page_name, width, height, scheme) in SCREENSHOTS.items():
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
                reduced_motion="reduce",
            )
            page = context.new_page()
            page.goto(f"{address}/{page_name}")
            page.locator(".player[data-ready=true]").wait_for(timeout=60_000)
            page.wait_for_timeout(12_000 if not paths else 3_000)  # the first time TensorFlow loads behind
            page.locator(".player").focus()
            for _ in range(SHOWN_FRAME):
                page.keyboard.press("ArrowRight")
            page.locator(".player").evaluate("player => player.blur()")
            page.locator("[data-testid=stMain]").evaluate("main => main.scrollTo(0, 0)")
            page.wait_for_timeout(500)
            paths.append(PICTURES / name)
            page.screenshot(path=paths[-1])
            context.close()
        browser.close()
    return paths


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make the README's pictures.")
    parser.add_argument("what", nargs="?", choices=("all", "icon", "animation", "screenshots"), default="all")
    what = parser.parse_args(argv).what
    PICTURES.mkdir(parents=True, exist_ok=True)
    made = []
    if what in ("all", "icon"):
        made.append(make_icon())
    if what in ("all", "animation"):
        made.append(make_animation())
    if what in ("all", "screenshots"):
        made += take_screenshots()
    for path in made:
        print(f"wrote {path.relative_to(ROOT)} ({path.stat().st_size / 1024:.0f} KiB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
