"""Make the README's pictures: an animation from the shipped model, screenshots from the running app.

    python -m scripts.make_pictures               # all
    python -m scripts.make_pictures screenshots   # every page; or icon, animation
    python -m scripts.make_pictures predict-dark  # one of the screenshots

Screenshots need the development requirements and a Chromium (found on the path, or named by CHROMIUM).
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from benchmarks.app import CannotMeasure, app_server, browser
from core import films, zoo
from core.digits import load_digits
from core.moving_mnist import render, to_frames
from core.scenes import preset_scenes

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
SHOWN_FRAME = 10  # steps from the first predicted frame: by then the model knows where the digits go
ALONE_FRAME = 2  # the same where it goes on from its own pictures: it still knows what the digits were
FRAME_MS = 160
MODEL_SECONDS = 240  # until TensorFlow has loaded and answered, on a busy machine
MOST_WIDE, QUALITY = 1440, 65


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
    """The standard scene of the app, predicted frame by frame by `fast`: endless, and as it was made."""
    clip = render(preset_scenes()["standard"])
    predictions = zoo.load("fast").next_frames(to_frames(clip)[None, ..., None])[0, ..., 0]
    film = films.comparison(clip, predictions, 1)[1:]  # from the first predicted frame on
    first, *others = (Image.fromarray(picture) for picture in film)
    path = PICTURES / "prediction.webp"
    first.save(
        path,
        save_all=True,
        append_images=others,
        duration=FRAME_MS,
        loop=0,
        lossless=True,
        quality=100,
        method=6,
    )
    return path


def _settle(page: Any) -> None:
    """Wait until the server has said everything and the browser has drawn it."""
    page.wait_for_timeout(500)
    page.wait_for_function(
        "document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'",
        timeout=MODEL_SECONDS * 1000,
    )
    page.wait_for_timeout(1000)


def _go_on(page: Any, steps: int = SHOWN_FRAME) -> None:
    """To a frame at which the model knows where the digits go, and back to the top of the page."""
    player = page.locator(".player[data-ready=true]")
    player.focus()
    for _ in range(steps):
        page.keyboard.press("ArrowRight")
    player.evaluate("player => player.blur()")
    page.locator("[data-testid=stMain]").evaluate("main => main.scrollTo(0, 0)")


def _begin(page: Any) -> None:
    _go_on(page, 1)


def _predict(page: Any, steps: int = SHOWN_FRAME) -> None:
    # only a prediction made just now says how long it took: the model itself has answered
    page.get_by_text("Time on ").first.wait_for(timeout=MODEL_SECONDS * 1000)
    _settle(page)
    _go_on(page, steps)


def _show_strips(page: Any) -> None:
    _predict(page, ALONE_FRAME)
    view = page.locator("details.view")
    view.locator("summary").click()
    view.get_by_text("All frames as film strips").click()
    view.locator("summary").click()


def _present(page: Any) -> None:
    _predict(page, ALONE_FRAME)
    page.locator(".player").focus()
    page.keyboard.press("f")


def _measure(page: Any) -> None:
    page.locator(".js-plotly-plot .legend").wait_for(timeout=MODEL_SECONDS * 1000)


def _look(page: Any) -> None:
    page.locator(".microscope[data-ready=true], .polar[data-ready=true]").first.wait_for(
        timeout=MODEL_SECONDS * 1000
    )


@dataclass(frozen=True)
class Shot:
    """A picture of the app: where, what to do there, in which window, and of what if not of all of it."""

    address: str
    prepare: Callable[[Any], None]
    width: int = 1440
    height: int = 1000
    scheme: Literal["light", "dark"] = "light"
    part: str | None = None


# the first one waits for TensorFlow
SHOTS = {
    "predict": Shot("predict", _predict),
    "generate": Shot("?scene=1-20-c-7_3_3_22_3.6_330-2_5_27_6_3.6_120-4_1_30_33_2.4_200", _begin),
    "strips": Shot("predict?mode=rollout", _show_strips, part=".player"),
    "present": Shot("predict?mode=rollout", _present, 1920, 1080),
    "training": Shot("training", _go_on),
    "evaluation": Shot("evaluation?section=By+step", _measure),
    "inside": Shot("inside?look=f.12", _look, height=1300),
    "directions": Shot("inside?inside=Directions&layer=2", _look, height=1300),
    "predict-dark": Shot("predict", _predict, scheme="dark"),
    "predict-phone": Shot("predict", _predict, 420),
}


def take_screenshots(names: Iterable[str] = SHOTS) -> list[Path]:
    """The pages as a person sees them, as WebP; `names` are those of SHOTS."""
    paths: list[Path] = []
    with ExitStack() as stack:
        # no runs of one's own: the recorded ones are what everybody sees
        nowhere = {"CONVLSTM_RUNS": stack.enter_context(tempfile.TemporaryDirectory())}
        opened = stack.enter_context(browser())
        server = stack.enter_context(app_server(environment=nowhere))
        for name in names:
            shot = SHOTS[name]
            context = opened.new_context(
                viewport={"width": shot.width, "height": shot.height},
                color_scheme=shot.scheme,
                reduced_motion="reduce",
            )
            page = context.new_page()
            page.goto(f"{server.url}/{shot.address}")
            page.get_by_role("heading", level=1).wait_for(timeout=60_000)
            _settle(page)
            shot.prepare(page)
            page.wait_for_timeout(700)
            seen = page.locator(shot.part).first if shot.part else page
            paths.append(PICTURES / f"{name}.webp")
            picture = Image.open(io.BytesIO(seen.screenshot())).convert("RGB")
            picture.thumbnail((MOST_WIDE, MOST_WIDE), Image.Resampling.LANCZOS)
            picture.save(paths[-1], quality=QUALITY, method=6)
            context.close()
    return paths


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make the README's pictures.")
    parser.add_argument(
        "what", nargs="?", choices=("all", "icon", "animation", "screenshots", *SHOTS), default="all"
    )
    what = parser.parse_args(argv).what
    PICTURES.mkdir(parents=True, exist_ok=True)
    made = []
    try:
        if what in ("all", "icon"):
            made.append(make_icon())
        if what in ("all", "animation"):
            made.append(make_animation())
        if what in ("all", "screenshots"):
            made += take_screenshots()
        elif what in SHOTS:
            made += take_screenshots([what])
    except CannotMeasure as error:
        print(f"make_pictures: {error}", file=sys.stderr)
        return 2
    for path in made:
        print(f"wrote {path.relative_to(ROOT)} ({path.stat().st_size / 1024:.0f} KiB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
