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

import imageio.v3 as iio
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from core import zoo
from core.digits import load_digits
from core.moving_mnist import render, to_frames
from core.scenes import preset_scenes

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "assets" / "pictures"
SHOWN_FRAME = 10  # steps from the first predicted frame: by then the model knows where the digits go
ZOOM, GAP, LABEL_HEIGHT, FRAME_MS = 4, 12, 26, 160
MISSING, EXTRA = np.array([86, 180, 233]), np.array([230, 159, 0])  # blue and orange, told apart by everyone
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


def error_picture(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Signed error as colour, (height, width, 3) uint8: blue where ink is missing, orange where there is too
    much, black where the prediction is right."""
    error = (prediction - truth)[..., None]
    return np.where(error < 0, -error * MISSING, error * EXTRA).astype(np.uint8)


def panels(truth: np.ndarray, prediction: np.ndarray, number: int, total: int) -> np.ndarray:
    """Truth, prediction and error side by side under their names: one picture of the animation."""
    grey = [np.repeat((255 * np.clip(x, 0, 1))[..., None], 3, axis=2) for x in (truth, prediction)]
    pictures = [*(x.astype(np.uint8) for x in grey), error_picture(truth, np.clip(prediction, 0, 1))]
    side = truth.shape[0] * ZOOM
    sheet = Image.new("RGB", (3 * side + 4 * GAP, side + LABEL_HEIGHT + GAP), "#14161a")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for column, (name, picture) in enumerate(zip(("truth", "prediction", "error"), pictures, strict=True)):
        left = GAP + column * (side + GAP)
        sheet.paste(
            Image.fromarray(picture).resize((side, side), Image.Resampling.NEAREST), (left, LABEL_HEIGHT)
        )
        draw.text((left, 4), f"{name}   frame {number} of {total}" if column == 0 else name, "#d8dce2", font)
    return np.asarray(sheet)


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
    frames = to_frames(render(preset_scenes()["standard"]))
    predictions = zoo.load("fast").next_frames(frames[None, ..., None])[0, ..., 0]
    pictures = [
        panels(frames[k + 1], prediction, k + 2, len(frames)) for k, prediction in enumerate(predictions)
    ]
    path = PICTURES / "prediction.gif"
    iio.imwrite(path, np.stack(pictures), duration=FRAME_MS, loop=0)
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
