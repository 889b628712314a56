"""Everything that a person can take along: films, numbers, the scene, a script, a link."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
import streamlit as st

from core import films
from core.outputs import png_bytes
from ui import cache, state
from ui.doors import YOURS
from ui.link import Settings
from ui.own_clip import OwnClip
from ui.prediction import Beside, Prediction

FRAMES_A_SECOND = 10
_KINDS = {"comparison": "All side by side", "prediction": "Prediction", "clip": "Clip"}
_TURN = Lock()


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
    st.header("Take it with you", anchor=False)
    files = [*_films(lambda: clip, lambda: films.film_strip(clip)), _pixels(lambda: clip)]
    with st.container(horizontal=True):
        _offer(files, name_of(settings, "clip"))
        script = _script(lambda: script_text(settings, predicted=False))
        _offer([_scene(settings), script], name_of(settings, "clip"))
        _share()


def take_prediction(
    settings: Settings,
    prediction: Prediction,
    own: OwnClip | None = None,
    beside: Sequence[Beside] = (),
    title: str = "Prediction",
) -> None:
    """Offer a prediction, the clip, and all that the page shows side by side.

    beside : what else is shown, in this order; what is not there yet is left out
    title : what the page calls the prediction
    """
    beside = [one for one in beside if one.frames is not None]
    others = _frames_of([one for one in beside if one.kind == "model"])
    baselines = _frames_of([one for one in beside if one.kind != "model"])
    clip, frames, first = prediction.clip, prediction.frames, prediction.first
    st.header("Take it with you", anchor=False)
    kind = st.segmented_control(
        "What",
        list(_KINDS),
        default="comparison",
        required=True,
        key="take_what",
        format_func=_KINDS.__getitem__,
        help="What the films and numbers show: all pictures that you see above, or one of them.",
    )

    def film() -> np.ndarray:
        if kind == "comparison":
            return films.comparison(clip, frames, first, title=title, others=others, baselines=baselines)
        return clip if kind == "clip" else _bytes_of(frames)

    def strip() -> np.ndarray:
        if kind == "comparison":
            return films.comparison_strip(
                clip, frames, first, title=title, others=others, baselines=baselines
            )
        return films.film_strip(film())

    with st.container(horizontal=True):
        everything = beside if kind == "comparison" else None
        numbers = _pixels(film) if kind == "clip" else _numbers(lambda: arrays_of(prediction, everything))
        _offer([*_films(film, strip), numbers], name_of(settings, kind, own))
        if len(prediction.scores["mse"]):
            _offer([_figures(prediction, beside)], name_of(settings, "figures", own))
        # a link, a scene and a script hold no pixels
        if own is None:
            _offer([_scene(settings)], name_of(settings, "clip"))
        if (own is None or own.number is not None) and settings.model != YOURS:  # and no weights

            def script() -> str:
                steps = first, len(frames)
                return script_text(settings, predicted=True, beside=beside, title=title, own=own, steps=steps)

            _offer([_script(script)], name_of(settings, "prediction", own))
            _share()


def _frames_of(beside: Sequence[Beside]) -> dict[str, np.ndarray]:
    return {one.title: one.frames for one in beside if one.frames is not None}


def arrays_of(prediction: Prediction, beside: Sequence[Beside] | None) -> dict[str, np.ndarray]:
    """What goes into a file of numbers, by name.

    beside : what is shown beside the prediction; None: the prediction is to stand alone, without the clip
    """
    made = {"prediction": prediction.frames, "first": np.array(prediction.first)}
    if beside is None:
        return made
    others = {_array_name(one): one.frames for one in beside if one.frames is not None}
    return {"clip": prediction.clip, **made, **others}


def _array_name(one: Beside) -> str:
    """Its name in a file: "prediction_best" of a model, "bounce_oracle" of a baseline, "best_possible"."""
    if one.kind == "model":
        return f"prediction_{one.key}"
    return "best_possible" if one.kind == "limit" else one.key


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


def _in_turn(make: Callable[[], bytes]) -> bytes:
    """One film at a time: a long one with many pictures takes hundreds of megabytes."""
    with _TURN:
        return make()


def _films(film: Callable[[], np.ndarray], strip: Callable[[], np.ndarray]) -> list[_File]:
    return [
        _File(
            "GIF",
            "gif",
            "image/gif",
            lambda: _in_turn(lambda: films.gif_bytes(_large(film()), frame_ms=1000 // FRAMES_A_SECOND)),
            f"A film for web and slides: {FRAMES_A_SECOND} frames a second, pixels four times as large.",
        ),
        _File(
            "MP4",
            "mp4",
            "video/mp4",
            lambda: _in_turn(lambda: films.mp4_bytes(_large(film()), frames_a_second=FRAMES_A_SECOND)),
            f"A film that any player shows: {FRAMES_A_SECOND} frames a second, pixels four times as large.",
        ),
        _File(
            "Film strip",
            "png",
            "image/png",
            lambda: png_bytes(strip()),
            "All frames in one picture (PNG), for paper.",
        ),
    ]


def _numbers(arrays: Callable[[], Mapping[str, np.ndarray]]) -> _File:
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
        "0 to 1, the first of them of frame number `first`, counted from 0. What you compare with has an "
        "array of its own, like `prediction`.",
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


def _figures(prediction: Prediction, beside: Sequence[Beside] = ()) -> _File:
    def text() -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        columns = dict(prediction.scores)
        if not any(one.key == "copy_last" for one in beside):  # always there, as in the chart
            columns |= {f"copy_last_{name}": values for name, values in prediction.copy_scores.items()}
        for one in beside:
            start = one.key if one.kind == "model" else _array_name(one)
            columns |= {f"{start}_{name}": values for name, values in one.scores.items()}
        writer.writerow(["frame", *columns])  # counted from 1, as on the page
        # a prediction may go on beyond the clip, where nothing is measured
        for k, row in enumerate(zip(*columns.values(), strict=True)):
            writer.writerow([prediction.first + k + 1, *(f"{value:.9g}" for value in row)])
        return out.getvalue()

    return _File(
        "Figures (CSV)",
        "csv",
        "text/csv",
        text,
        "MSE, PSNR and SSIM of each predicted frame, of repeating the last frame, and of all that you "
        "compare with, for a spreadsheet. Frames are counted from 1.",
    )


def _scene(settings: Settings) -> _File:
    return _File(
        "Scene (JSON)",
        "json",
        "application/json",
        lambda: settings.scene().to_json() + "\n",
        "The digits, their starts and velocities, for `Scene.from_json` of the library.",
    )


def _script(text: Callable[[], str]) -> _File:
    return _File(
        "Script (Python)",
        "py",
        "text/x-python",
        text,
        "A short program that makes the same picture with this project's library; start it in its folder.",
    )


def script_text(
    settings: Settings,
    *,
    predicted: bool,
    beside: Sequence[Beside] = (),
    title: str = "Prediction",
    own: OwnClip | None = None,
    steps: tuple[int, int] | None = None,
) -> str:
    """A Python program that makes the clip, or the comparison with its prediction, that a page shows.

    own : a clip of the standard set, in the place of the scene
    steps : frames given and to predict of a rollout; None: as the settings say
    """
    number = None if own is None else own.number
    name = name_of(settings, "comparison" if predicted else "clip", own)
    kinds = {one.kind for one in beside}
    if number is None:
        maker, observer = "render", "predict_scene"
        clip_lines = [
            "from core.scenes import Scene",
            "",
            f"scene = Scene.from_json({settings.scene().to_json()!r})",
            "clip = render(scene)  # uint8 (frames, 64, 64)",
        ]
    else:
        maker, observer = "benchmark_clips", "predict_standard"
        clip_lines = ["", f"[clip] = benchmark_clips({number}, {number + 1})  # uint8 (frames, 64, 64)"]
    used = ["baselines"] * ("baseline" in kinds) + ["films"] + ["zoo"] * predicted
    lines = [
        f'"""Makes {name}.gif. Run it from the folder of the project, wherever this file is."""',
        "",
        "import sys",
        "from pathlib import Path",
        "",
        'sys.path.insert(0, "")  # the folder that it is run from',
        "",
        f"from core import {', '.join(used)}",
        f"from core.moving_mnist import {maker}{', to_frames' if predicted else ''}",
        *[f"from core.observer import {observer}"] * ("limit" in kinds),
        *clip_lines,
        *(
            _comparison_lines(settings, beside, title, number, steps or settings.rollout_steps())
            if predicted
            else _CLIP_LINES
        ),
        f"Path({name + '.gif'!r}).write_bytes(films.gif_bytes(film))",
        "",
    ]
    return "\n".join(lines)


_CLIP_LINES = ["film = films.enlarged(clip, films.SCALE)"]


def _comparison_lines(
    settings: Settings, beside: Sequence[Beside], title: str, number: int | None, steps: tuple[int, int]
) -> list[str]:
    """The part of a script that predicts a clip in each way and sets all side by side."""
    context, horizon = steps
    limit = "predict_scene(scene" if number is None else f"predict_standard({number}"
    of, told = ("scene", "scene") if number is None else ("told", f"baselines.Truth.of_standard({number})")
    alone = settings.mode == "rollout"
    first = context if alone else 1

    def by_model(model: str) -> str:
        way = f"rollout(frames[:, :{context}], {horizon})" if alone else "next_frames(frames)"
        return f"zoo.load({model!r}).{way}[0, ..., 0]"

    def by_another(one: Beside) -> str:
        if one.kind == "limit":
            return f"{limit}, context={context})[1][:{horizon}]" if alone else f"{limit}, context=1)[0]"
        if alone:
            return f"baselines.{of}_rollout({one.key!r}, {told}, {context}, {horizon})"
        return f"baselines.{of}_next_frames({one.key!r}, {told})"

    options = [f"    title={title!r},"] if title != "Prediction" else []
    for option, made in (
        ("others", [(one.title, by_model(one.key)) for one in beside if one.kind == "model"]),
        ("baselines", [(one.title, by_another(one)) for one in beside if one.kind != "model"]),
    ):
        if made:
            options += [f"    {option}={{", *(f"        {name!r}: {how}," for name, how in made), "    },"]
    return [
        "frames = to_frames(clip)[None, ..., None]",
        f"prediction = {by_model(settings.model)}  # the first is of frame {first + 1}, from 1",
        *(
            ["film = films.comparison(", f"    clip, prediction, {first},", *options, ")"]
            if options
            else [f"film = films.comparison(clip, prediction, {first})"]
        ),
    ]


def _share() -> None:
    address = state.address()
    if address is None:
        return
    with st.popover("Link and QR code", help="To open the same clip and settings elsewhere."):
        st.code(address, language=None, wrap_lines=True)
        st.image(cache.qr_code(address), width=420)  # for a class, from the back of the room
        st.caption(
            "Whoever opens it sees exactly this. It works wherever this computer can be reached; an address "
            "with localhost works on this computer alone."
        )
