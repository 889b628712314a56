"""Everything that a person can take along: films, numbers, the scene, a script, a link."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import streamlit as st

from core import films
from ui import cache, state
from ui.link import Settings
from ui.own_clip import OwnClip
from ui.prediction import Prediction

FRAMES_A_SECOND = 10
_KINDS = {"comparison": "All side by side", "prediction": "Prediction", "clip": "Clip"}


@dataclass(frozen=True)
class _File:
    label: str
    ending: str
    mime: str
    make: Callable[[], bytes | str]
    help: str


def name_of(settings: Settings, kind: str, own: OwnClip | None = None) -> str:
    """What a file is called, without its ending: "moving-digits-7-2" or "fast-prediction-7-2"."""
    digits = "-".join(
        "own" if digit.drawing is not None else str(digit.digit_class)
        for digit in settings.digits[: settings.count]
    )
    if own is not None:
        digits = re.sub(r"[^A-Za-z0-9]+", "-", own.name.rsplit(".", 1)[0]).strip("-").lower() or "clip"
    if kind == "clip":
        return f"as-seen-{digits}" if own is not None else f"moving-digits-{digits}"
    ahead = "on-its-own-" if settings.mode == "rollout" else ""
    return f"{settings.model}-{ahead}{kind}-{digits}"


def take_clip(settings: Settings, clip: np.ndarray) -> None:
    """Offer the clip of a scene."""
    st.subheader("Take it with you", anchor=False)
    files = [*_films(lambda: clip), _pixels(lambda: clip)]
    with st.container(horizontal=True):
        _offer(files, name_of(settings, "clip"))
        _offer([_scene(settings), _script(settings, None)], name_of(settings, "clip"))
        _share()


def take_prediction(settings: Settings, prediction: Prediction, own: OwnClip | None = None) -> None:
    """Offer a prediction, the clip, and both beside their difference."""
    st.subheader("Take it with you", anchor=False)
    kind = st.segmented_control(
        "What",
        list(_KINDS),
        default="comparison",
        required=True,
        key="take_what",
        format_func=_KINDS.__getitem__,
        help="What the films and numbers show: truth, prediction and error, or one of them.",
    )

    def film() -> np.ndarray:
        if kind == "comparison":
            return films.comparison(prediction.clip, prediction.frames, prediction.first)
        return prediction.clip if kind == "clip" else _bytes_of(prediction.frames)

    def arrays() -> dict[str, np.ndarray]:
        clip = {"clip": prediction.clip}
        made = {"prediction": prediction.frames, "first": np.array(prediction.first)}
        return {**clip, **made} if kind == "comparison" else made

    with st.container(horizontal=True):
        numbers = _pixels(film) if kind == "clip" else _numbers(arrays)
        _offer([*_films(film), numbers], name_of(settings, kind, own))
        if len(prediction.scores["mse"]):
            _offer([_figures(prediction)], name_of(settings, "figures", own))
        if own is None:  # a link, a scene and a script hold no pixels
            _offer([_scene(settings)], name_of(settings, "clip"))
            _offer([_script(settings, prediction)], name_of(settings, "prediction"))
            _share()


def _offer(files: list[_File], name: str) -> None:
    for file in files:
        st.download_button(
            file.label,
            file.make,
            file_name=f"{name}.{file.ending}",
            mime=file.mime,
            key=f"take_{file.ending}",
            on_click="ignore",
            help=file.help,
        )


def _bytes_of(frames: np.ndarray) -> np.ndarray:
    return np.rint(255 * np.clip(frames, 0, 1)).astype(np.uint8)


def _large(film: np.ndarray) -> np.ndarray:
    return film if film.ndim == 4 else films.enlarged(film, films.SCALE)


def _films(film: Callable[[], np.ndarray]) -> list[_File]:
    return [
        _File(
            "GIF",
            "gif",
            "image/gif",
            lambda: films.gif_bytes(_large(film()), frame_ms=1000 // FRAMES_A_SECOND),
            f"A film for web and slides: {FRAMES_A_SECOND} frames a second, pixels four times as large.",
        ),
        _File(
            "MP4",
            "mp4",
            "video/mp4",
            lambda: films.mp4_bytes(_large(film()), frames_a_second=FRAMES_A_SECOND),
            f"A film that any player shows: {FRAMES_A_SECOND} frames a second, pixels four times as large.",
        ),
        _File(
            "Film strip",
            "png",
            "image/png",
            lambda: films.png_bytes(_strip(film())),
            "All frames in one picture (PNG), for paper.",
        ),
    ]


def _strip(film: np.ndarray) -> np.ndarray:
    if film.ndim == 3:
        return films.film_strip(film)
    return films.film_strip(film, columns=2, scale=1, gap=0)


def _numbers(arrays: Callable[[], dict[str, np.ndarray]]) -> _File:
    def npz() -> bytes:
        out = io.BytesIO()
        np.savez_compressed(out, allow_pickle=False, **arrays())
        return out.getvalue()

    return _File(
        "Numbers (NPZ)",
        "npz",
        "application/octet-stream",
        npz,
        "The pixels for NumPy. `clip`: frames of 64 by 64, from 0 (black) to 255 (white). `prediction`: from "
        "0 to 1, the first of them of frame number `first`, counted from 0.",
    )


def _pixels(clip: Callable[[], np.ndarray]) -> _File:
    def npy() -> bytes:
        out = io.BytesIO()
        np.save(out, clip(), allow_pickle=False)
        return out.getvalue()

    return _File(
        "Numbers (NPY)",
        "npy",
        "application/octet-stream",
        npy,
        "The pixels for NumPy: frames of 64 by 64, from 0 (black) to 255 (white).",
    )


def _figures(prediction: Prediction) -> _File:
    def text() -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        names = list(prediction.scores)
        writer.writerow(["frame", *names, *(f"copy_last_{name}" for name in names)])
        for k in range(len(prediction.frames)):
            scores = [prediction.scores[name][k] for name in names]
            copied = [prediction.copy_scores[name][k] for name in names]
            writer.writerow([prediction.first + k, *(f"{value:.9g}" for value in scores + copied)])
        return out.getvalue()

    return _File(
        "Figures (CSV)",
        "csv",
        "text/csv",
        text,
        "MSE, PSNR and SSIM of each predicted frame, and of repeating the last frame, for a spreadsheet. "
        "Frames are counted from 0.",
    )


def _scene(settings: Settings) -> _File:
    return _File(
        "Scene (JSON)",
        "json",
        "application/json",
        lambda: settings.scene().to_json() + "\n",
        "The digits, their starts and velocities, for `Scene.from_json` of the library.",
    )


def _script(settings: Settings, prediction: Prediction | None) -> _File:
    return _File(
        "Script (Python)",
        "py",
        "text/x-python",
        lambda: script_text(settings, predicted=prediction is not None),
        "A short program that makes the same picture with this project's library; start it in its folder.",
    )


def script_text(settings: Settings, *, predicted: bool) -> str:
    """A Python program that makes the clip, or the comparison with its prediction, that a page shows."""
    scene = settings.scene().to_json()
    name = name_of(settings, "comparison" if predicted else "clip")
    lines = [
        f'"""Makes {name}.gif. Start it in the folder of the project."""',
        "",
        "from pathlib import Path",
        "",
        "from core import films, zoo" if predicted else "from core import films",
        f"from core.moving_mnist import render{', to_frames' if predicted else ''}",
        "from core.scenes import Scene",
        "",
        f"scene = Scene.from_json({scene!r})",
        "clip = render(scene)  # uint8 (frames, 64, 64)",
    ]
    if predicted:
        context, horizon = settings.rollout_steps()
        lines += ["frames = to_frames(clip)[None, ..., None]", f"model = zoo.load({settings.model!r})"]
        if settings.mode == "rollout":
            lines += [
                f"prediction = model.rollout(frames[:, :{context}], {horizon})[0, ..., 0]",
                f"film = films.comparison(clip, prediction, {context})",
            ]
        else:
            lines += [
                "prediction = model.next_frames(frames)[0, ..., 0]  # the first is of frame 1",
                "film = films.comparison(clip, prediction, 1)",
            ]
    else:
        lines += ["film = films.enlarged(clip, films.SCALE)"]
    lines += [f"Path({name + '.gif'!r}).write_bytes(films.gif_bytes(film))", ""]
    return "\n".join(lines)


def _share() -> None:
    address = state.address()
    if address is None:
        return
    with st.popover("Link and QR code", help="To open the same scene and settings elsewhere."):
        st.code(address, language=None, wrap_lines=True)
        st.image(cache.qr_code(address), width=240)
        st.caption(
            "Who opens it sees exactly this. It works wherever this computer can be reached: an address with "
            "localhost, on this computer alone."
        )
