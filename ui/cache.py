"""Cached doors into core: what is shared by all visitors of one server."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from core import zoo
from core.baselines import Baseline
from core.digits import load_digits
from core.inspection import Intervention, Target, Trace
from core.moving_mnist import render
from core.remote import VARIABLE, RemoteModel, check_address
from core.scenes import Scene
from ui import inside, pictures
from ui.doors import YOURS, ModelDoor, OwnDoors, ShippedDoors, Version, stays_whole, weights_stamp
from ui.inside import Look
from ui.link import Mode, Settings
from ui.looking_back import Back, Method
from ui.prediction import Limit, Prediction, Source, baseline_of, limit_of, stored_prediction

if TYPE_CHECKING:
    from core.inference import Predictor
    from core.model_config import ModelConfig
    from ui.own_clip import OwnClip

MOST_LOOKS = 2  # of a layer on a clip, of all visitors together; of 40 frames up to 320 MB each
MOST_OWN = 4  # models of one's own in memory, of all visitors together; whose is not there is loaded again


class Tally:
    """How often a cache was asked, and how often it had to ask in turn."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = self._made = 0

    def asked(self) -> None:
        """Somebody asked."""
        with self._lock:
            self._asked += 1

    def made(self) -> None:
        """It was not there yet."""
        with self._lock:
            self._made += 1

    def read(self) -> tuple[int, int]:
        """How often it was asked, and how often it answered from what was there."""
        with self._lock:
            return self._asked, self._asked - self._made


PREDICTIONS = Tally()  # of all visitors since the server's start


def model_names() -> list[str]:
    """Shipped models to predict with: the quick one first, what only shows an error last."""
    names = [name for name in zoo.model_names() if name not in zoo.LESSON_MODELS]
    return sorted(names, key=lambda name: (name != "fast", name == "leaky", name))


def is_causal(model: str) -> bool:
    """Whether a model predicts from the past alone; of a damaged one its door says what is wrong."""
    try:
        return zoo.is_causal(model)
    except zoo.ModelError:
        return True


def check_service() -> None:
    """Raise ValueError, with a sentence, if PREDICT_URL is set to what is no address."""
    if url := os.environ.get(VARIABLE, ""):
        check_address(url)


def _remote(name: str) -> RemoteModel | None:
    """The model behind the service that PREDICT_URL names, if any, with the weights that are here."""
    url = os.environ.get(VARIABLE, "")
    if not url or not zoo.weights_path(name).is_file():
        return None
    return RemoteModel(url, name, zoo.weights_checksum(name))


@st.cache_resource(show_spinner=False)
def _doors() -> ShippedDoors:
    return ShippedDoors(lambda name, stamp: ModelDoor(name, version=stamp, remote=_remote(name)))


def model_door(name: str) -> ModelDoor:
    """The shared door to a model; `start` it after the page has been drawn."""
    return _doors().door(name)


@st.cache_resource(show_spinner=False)
def _own_doors() -> OwnDoors:
    return OwnDoors(MOST_OWN)


def _own_door(
    version: Version, inside: bool, config: ModelConfig, arrays: Mapping[str, np.ndarray]
) -> ModelDoor:
    def load(name: str, on_cpu: bool = False) -> Predictor:
        from core.inference import Predictor

        precision = "float32" if inside else "auto"
        make = partial(Predictor.from_arrays, config, arrays, "the file", name, precision, on_cpu)
        return stays_whole(make)

    warm_up = _look_inside_once if inside else None
    return _own_doors().door(
        (*version, inside),
        lambda: ModelDoor(YOURS, load, version, warm_up, on_cpu=partial(load, on_cpu=True)),
    )


def own_door(digest: str, config: ModelConfig, arrays: Mapping[str, np.ndarray]) -> ModelDoor:
    """The door to weights of one's own, shared by all who have the same; a `NoRoom` while there is none.

    digest : tells weights apart by their numbers
    arrays : as `Predictor.from_arrays` takes them
    """
    return _own_door((digest, config.to_json()), False, config, arrays)


def own_inside_door(digest: str, config: ModelConfig, arrays: Mapping[str, np.ndarray]) -> ModelDoor:
    """The same in float32, see `inside_door`."""
    return _own_door((digest, config.to_json()), True, config, arrays)


def _look_inside_once(predictor: Predictor) -> None:
    """What a clip of the usual length needs, for the layer that a page begins with."""
    canvas = predictor.config.canvas
    predictor.inspect(np.zeros((1, 20, canvas, canvas, 1), np.float32), 1)


@st.cache_resource(show_spinner=False)
def _inside_doors() -> ShippedDoors:
    def load(name: str, on_cpu: bool = False) -> Predictor:
        return stays_whole(partial(zoo.load, name, "float32", on_cpu))

    on_cpu = partial(load, on_cpu=True)
    return ShippedDoors(lambda name, stamp: ModelDoor(name, load, stamp, _look_inside_once, on_cpu=on_cpu))


def inside_door(name: str) -> ModelDoor:
    """The shared door to a model that computes in float32: its maps are what the equations say."""
    return _inside_doors().door(name)


@st.cache_resource(max_entries=MOST_LOOKS, show_spinner=False)
def _look(
    digest: str, model: str, version: tuple[int | str, ...], layer: int, _clip: np.ndarray, _door: ModelDoor
) -> Look:
    return Look.at(_door.inspect(_clip, layer), _door.cell_weights(layer))


def look_inside(clip: np.ndarray, layer: int, door: ModelDoor) -> Look:
    """What a layer does on a clip, uint8 (frames, 64, 64). It is shared: not to be changed."""
    return _look(digest(clip), door.name, door.version, layer, clip, door)


@st.cache_data(max_entries=32, show_spinner=False)
def _gallery(
    digest: str,
    model: str,
    version: tuple[int | str, ...],
    layer: int,
    name: str,
    _trace: Trace,
    _clip: np.ndarray,
) -> dict[str, Any]:
    return inside.gallery(_trace, name, _clip)


def gallery(clip: np.ndarray, layer: int, door: ModelDoor, trace: Trace, name: str) -> dict[str, Any]:
    """All channels of a map, see `ui.inside.gallery`; a click on a pixel or a channel draws none anew.

    trace : of that layer and clip
    """
    return _gallery(digest(clip), door.name, door.version, layer, name, trace, clip)


def digest(clip: np.ndarray) -> str:
    """Tells clips apart by every pixel."""
    return hashlib.sha256(repr(clip.shape).encode() + clip.tobytes()).hexdigest()


@st.cache_data(max_entries=64, show_spinner=False)
def _held(
    digest: str,
    model: str,
    version: tuple[int | str, ...],
    layer: int,
    doing: str,
    _clip: np.ndarray,
    _intervention: Intervention,
    _door: ModelDoor,
) -> np.ndarray:
    return _door.inspect(_clip, layer, _intervention).predictions


def held(clip: np.ndarray, layer: int, intervention: Intervention, door: ModelDoor) -> np.ndarray:
    """What is predicted of a clip while something is done to a layer, float32 (frames - 1, 64, 64)."""
    doing = repr(intervention)
    return _held(digest(clip), door.name, door.version, layer, doing, clip, intervention, door)


@st.cache_data(max_entries=64, show_spinner=False)
def _next_frames(
    digest: str, model: str, version: tuple[int | str, ...], _clip: np.ndarray, _door: ModelDoor
) -> np.ndarray:
    return _door.next_frames(_clip)


def next_frames(clip: np.ndarray, door: ModelDoor) -> np.ndarray:
    """What is predicted of a clip, float32 (frames - 1, 64, 64)."""
    return _next_frames(digest(clip), door.name, door.version, clip, door)


@st.cache_data(max_entries=32, show_spinner="Looking back …")
def _back(
    digest: str,
    model: str,
    version: tuple[int | str, ...],
    target: tuple[int, int, int],
    method: Method,
    _clip: np.ndarray,
    _door: ModelDoor,
) -> Back:
    return _door.look_back(_clip, Target(*target), method)


def back(clip: np.ndarray, target: Target, method: Method, door: ModelDoor) -> Back:
    """What made a predicted pixel what it is."""
    place = target.prediction, target.row, target.column
    return _back(digest(clip), door.name, door.version, place, method, clip, door)


@st.cache_data(max_entries=64, show_spinner=False)
def clip(scene_json: str) -> np.ndarray:
    """The clip of a scene, uint8 (frames, 64, 64)."""
    return render(Scene.from_json(scene_json))


@st.cache_data(max_entries=64, show_spinner=False)
def _prediction(
    scene_json: str,
    mode: Mode,
    context: int,
    horizon: int,
    model: str,
    version: tuple[int | str, ...],
    _door: ModelDoor,
) -> Prediction:
    PREDICTIONS.made()
    return _door.predict(Scene.from_json(scene_json), mode, context, horizon)


def prediction(settings: Settings, door: ModelDoor) -> Prediction:
    """The model's prediction of the scene; made once for everyone who asks for the same."""
    # what does not matter for next-frame must not make a new entry
    context, horizon = settings.rollout_steps() if settings.mode == "rollout" else (0, 0)
    scene = settings.scene().to_json()
    PREDICTIONS.asked()
    return door.told(_prediction(scene, settings.mode, context, horizon, door.name, door.version, door))


@st.cache_data(max_entries=32, show_spinner=False)
def _own_prediction(
    digest: str,
    mode: Mode,
    context: int,
    horizon: int,
    model: str,
    version: tuple[int | str, ...],
    _clip: np.ndarray,
    _door: ModelDoor,
) -> Prediction:
    PREDICTIONS.made()
    return _door.predict_clip(_clip, mode, context, horizon)


def own_prediction(
    own: OwnClip, mode: Mode, steps: tuple[int, int], model: str, door: ModelDoor
) -> Prediction:
    """The model's prediction of somebody's own clip."""
    context, horizon = steps if mode == "rollout" else (0, 0)
    PREDICTIONS.asked()
    version, clip = door.version, own.frames
    return door.told(_own_prediction(own.digest, mode, context, horizon, model, version, clip, door))


@st.cache_data(max_entries=32, show_spinner="Computing what nobody can beat …")
def _limit(source: str | int, mode: Mode, context: int, horizon: int) -> Limit:
    return limit_of(_source(source), mode, context, horizon)


def _source(key: str | int) -> Source:
    """From a scene as JSON, or a number in the standard set, both of which can be compared."""
    return Scene.from_json(key) if isinstance(key, str) else key


def _key(settings: Settings, number: int | None, steps: tuple[int, int]) -> tuple[str | int, Mode, int, int]:
    context, horizon = steps if settings.mode == "rollout" else (0, 0)
    return settings.scene().to_json() if number is None else number, settings.mode, context, horizon


def limit(settings: Settings, number: int | None, steps: tuple[int, int]) -> Limit:
    """The ideal observer's prediction of the scene, or of a clip of the standard set; made once for everyone
    who asks for the same.

    steps : frames given and to predict, where the mode is a rollout
    """
    return _limit(*_key(settings, number, steps))


@st.cache_data(max_entries=64, show_spinner=False)
def _baseline(name: Baseline, source: str | int, mode: Mode, context: int, horizon: int) -> Prediction:
    return baseline_of(name, _source(source), mode, context, horizon)


def baseline(name: Baseline, settings: Settings, number: int | None, steps: tuple[int, int]) -> Prediction:
    """A baseline's prediction, as `limit`."""
    return _baseline(name, *_key(settings, number, steps))


@st.cache_data(max_entries=8, show_spinner=False)
def _first_paint(settings: Settings, stamp: tuple[int, int]) -> Prediction | None:
    return stored_prediction(settings)


def first_paint(settings: Settings) -> Prediction | None:
    """The stored prediction, where it fits: something true to look at while the model loads."""
    return _first_paint(settings, weights_stamp(settings.model))


@st.cache_data(max_entries=64, show_spinner=False)
def qr_code(text: str) -> str:
    """A QR code as SVG, dark on white in every theme: a camera reads no other."""
    import segno

    out = io.BytesIO()
    code = segno.make(text, error="m", micro=False)
    code.save(out, kind="svg", scale=4, border=4, light="#fff", xmldecl=False)
    return out.getvalue().decode()


@st.cache_data(max_entries=256, show_spinner=False)
def examples(digit_class: int, first: int, count: int) -> dict[str, object]:
    """Handwritten examples of a class as a sprite: at most `count` of them, from `first` on."""
    bank = load_digits("test")
    last = min(first + count, bank.count(digit_class))
    return pictures.sprite(np.stack([bank.exemplar(digit_class, number) for number in range(first, last)]))


def example_count(digit_class: int) -> int:
    """How many handwritten examples of a class there are."""
    return load_digits("test").count(digit_class)
