"""Doors to models: how a page gets at one that loads, is at work, fails, is elsewhere or makes room."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core import zoo
from core.batching import BusyError, MicroBatcher, QueueFigures, ReplacedError
from core.inspection import CellWeights, Intervention, Target, Trace
from core.moving_mnist import to_frames
from core.prediction_request import PredictionRequest, PredictionResult, predict_batch
from core.remote import RemoteError, RemoteModel
from core.scenes import Scene
from ui import log
from ui.link import Mode
from ui.looking_back import Back, Method, look_back
from ui.prediction import Prediction, measured, shown_clip

if TYPE_CHECKING:
    from core.attribution import Gradients
    from core.inference import Predictor
    from core.model_config import ModelConfig

_LOG = logging.getLogger(__name__)
T = TypeVar("T")
Version = tuple[int | str, ...]
_ONE_AT_A_TIME = threading.Lock()  # TensorFlow's import does not bear company
YOURS = "yours"  # what stands for weights of one's own where the name of a shipped model would
SULK_SECONDS = 10.0  # that a prediction service is left alone after it failed
KEPT_SECONDS = 15.0  # that such a model waits for who wanted it, or used it last, before it makes room
_ELSEWHERE = ", elsewhere"  # what the device of a service ends with


def stays_whole(load: Callable[[], Predictor]) -> Predictor:
    """A model that stays whole in a Streamlit server.

    After every run of a page Streamlit calls `keras.backend.clear_session`. In the middle of building a
    network that mixes up layer names and precision; later it costs a collection of garbage and TensorFlow's
    compiled kernels at each move of a slider. The models here live as long as the server: nothing to clear.
    """
    with _ONE_AT_A_TIME:
        import keras

        keras.backend.clear_session = lambda free_memory=True: None
        return load()


def _load(name: str) -> Predictor:
    return stays_whole(lambda: zoo.load(name))


def _load_on_cpu(name: str) -> Predictor:
    return stays_whole(lambda: zoo.load(name, on_cpu=True))


def _predict_once(predictor: Predictor) -> None:
    predictor.warm_up()


class ModelDoor:
    """One model on its way into memory, or there; or one that a prediction service has.

    Loading runs in a thread of its own, so that pages paint meanwhile. One call of the model at a time:
    visitors of the same server take turns, and those who wait for a prediction of the same kind share a call.
    Where there is a service it predicts; when it does not, the model is loaded here and takes its place.
    When a GPU fails, the model is loaded once more, and computes on the CPU.

    Attributes
    ----------
    name : of the model
    version : tells apart models that have had the same name
    """

    def __init__(
        self,
        name: str,
        load: Callable[[str], Predictor] = _load,
        version: tuple[int | str, ...] = (),
        warm_up: Callable[[Predictor], None] | None = None,
        remote: RemoteModel | None = None,
        on_cpu: Callable[[str], Predictor] = _load_on_cpu,
    ) -> None:
        self.name, self.version, self._warm_up = name, version, warm_up or _predict_once
        self.error: str | None = None
        self._remote, self._remote_device = remote, ""  # no device: it has not answered yet
        self._remote_failed, self._remote_error = -math.inf, ""
        self._load, self._load_on_cpu = load, on_cpu
        self._device_error = ""
        self._predictor: Predictor | None = None
        self._gradients: Gradients | None = None  # compiled, from the first question on
        self._turn = threading.Lock()
        self._queue = MicroBatcher(self._make, lambda asked: asked.kind)
        self._begun, self._begun_here = threading.Lock(), threading.Lock()
        self._done = threading.Event()
        self._used, self._closed = time.monotonic(), False

    @property
    def ready(self) -> bool:
        """Whether it can predict now."""
        return self._predictor is not None or bool(self._remote_device)

    @property
    def settled(self) -> bool:
        """Whether loading is over, for better or worse."""
        return self._done.is_set()

    @property
    def started(self) -> bool:
        """Whether anybody has asked for it."""
        return self._begun.locked()

    def start(self, after_seconds: float = 0.0) -> None:
        """Begin to load, once; returns at once.

        Importing TensorFlow takes all of Python's attention for seconds: a little later, and the page that
        has just been made reaches the browser first.
        """
        if self._begun.acquire(blocking=False):
            timer = threading.Timer(after_seconds, self._open)
            timer.name, timer.daemon = f"load-{self.name}", True
            timer.start()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until loading is over; False on time out."""
        return self._done.wait(timeout)

    @property
    def idle(self) -> bool:
        """Whether it is not loading, and nobody has used it for a while or waits for what it computes."""
        if (self.started and not self.settled) or self._turn.locked() or self.figures().waiting:
            return False
        return time.monotonic() - self._used >= KEPT_SECONDS

    def keep(self) -> None:
        """Somebody uses it: it is not `idle` for a while."""
        self._used = time.monotonic()

    def close(self) -> bool:
        """Let go of the model for good, if `idle`; whether that is so."""
        if not self.idle or not self._turn.acquire(blocking=False):
            return False
        try:
            if not self._begun.acquire(blocking=False) and not self.settled:
                return False  # it has been started this very moment
            self._closed, self._predictor, self._gradients = True, None, None
            self._settle()
        finally:
            self._turn.release()
        return True

    def _settle(self) -> None:
        self.keep()
        self._done.set()

    def _open(self) -> None:
        if self._remote is None or not self._ask_about(self._remote):
            self._open_here()

    def _ask_about(self, remote: RemoteModel) -> bool:
        """Whether that settles it; False if the service cannot be used, so that the model is needed here."""
        settled = True
        try:
            self._remote_device = remote.about()
            log.event(_LOG, "found", model=self.name, device=self._remote_device)
        except RemoteError as error:
            self._leave_alone(error)
            settled = False
        except Exception as error:
            self._fail(error)
        finally:
            if settled:
                self._settle()
        return settled

    def _fail(self, error: Exception) -> None:
        """Whatever it is, the page says so and lives; the log has the rest."""
        _LOG.error("loading model %s", self.name, exc_info=error)
        self.error = f"loading it ended with {type(error).__name__}."

    def _open_here(self) -> None:
        """Load it into this process, once."""
        if not self._begun_here.acquire(blocking=False):
            return
        try:
            predictor = self._warm()
            import skimage.metrics  # noqa: F401 - the first score does not wait for it either

            self._predictor = predictor
            log.event(_LOG, "loaded", model=self.name, device=predictor.device)
        except zoo.ModelError as error:
            self.error = str(error)
        except Exception as error:
            self._fail(error)
        finally:
            self._settle()

    def _warm(self) -> Predictor:
        """The model, after its first call, which builds the graph: no visitor waits for that."""
        from core.device import DeviceError

        try:
            predictor = self._load(self.name)
            self._warm_up(predictor)
        except DeviceError as error:
            self._give_up(error)
            predictor = self._load_on_cpu(self.name)
            self._warm_up(predictor)
        return predictor

    def _give_up(self, error: Exception) -> None:
        """Remember that a GPU failed, and why."""
        self._device_error = str(error)
        _LOG.warning("the CPU is used", extra={"facts": {"model": self.name, "why": str(error)}})

    def _computed(self, compute: Callable[[Predictor], T]) -> T:
        """What a call gives; on the CPU from when the GPU fails. Its turn has to have come."""
        from core.device import DeviceError

        try:
            return compute(self._loaded())
        except DeviceError as error:
            self._give_up(error)
            self._predictor, self._gradients = self._load_on_cpu(self.name), None
            return compute(self._predictor)
        finally:
            self.keep()

    def _leave_alone(self, error: RemoteError) -> None:
        """Remember that the service failed, and why."""
        self._remote_failed, self._remote_error = time.monotonic(), str(error)
        _LOG.warning("the model is used here", extra={"facts": {"model": self.name, "why": str(error)}})

    @property
    def _left_alone(self) -> bool:
        """Whether the service failed a moment ago."""
        return time.monotonic() - self._remote_failed < SULK_SECONDS

    def _elsewhere(self, asked: PredictionRequest) -> PredictionResult | None:
        """What the service predicts; None where there is none, or it failed now or a moment ago."""
        if self._remote is None or self._left_alone:
            return None
        try:
            made = self._remote.ask(asked)
        except RemoteError as error:
            self._leave_alone(error)
            return None
        self._remote_failed = -math.inf
        log.event(_LOG, "predicted elsewhere", model=self.name, seconds=made.seconds)
        return replace(made, device=f"{made.device}{_ELSEWHERE}")

    def predict(self, scene: Scene, mode: Mode, context: int, horizon: int) -> Prediction:
        """Predict a scene; waits for its turn. Only once `ready`."""
        return self.predict_clip(shown_clip(scene, mode, context, horizon), mode, context, horizon)

    def predict_clip(self, clip: np.ndarray, mode: Mode, context: int, horizon: int) -> Prediction:
        """Predict a clip, uint8 (frames, 64, 64); waits for its turn. Only once `ready`.

        Raises
        ------
        core.batching.BusyError
            If too many wait already, a service failed and the model is still being loaded here, or it made
            room for others.
        """
        asked = PredictionRequest(clip, mode, context, horizon)
        return measured(asked, self._elsewhere(asked) or self._here(asked))

    def told(self, prediction: Prediction) -> Prediction:
        """A prediction, made now or a while ago, with what is to be said now of a service that failed."""
        if not self._left_alone or (prediction.device or "").endswith(_ELSEWHERE):
            return prediction
        note = f"{prediction.note} Computed on this machine: {self._remote_error}."
        return replace(prediction, note=note.strip())

    def _here(self, asked: PredictionRequest) -> PredictionResult:
        self._must_be_here()
        try:
            return self._queue.ask(_visitor(), asked, _give_way)
        except ReplacedError as error:
            _give_way()  # a newer run of the page has asked, so that Streamlit wants this one to end
            raise BusyError("you have asked for something newer meanwhile") from error

    def _must_be_here(self) -> None:
        """Begin to load it where a service was to predict; BusyError until that is done."""
        if self._predictor is None and self._remote is not None:
            threading.Thread(target=self._open_here, name=f"load-{self.name}", daemon=True).start()
            if self.error is None:
                raise BusyError(f"{self._remote_error}, so it is being loaded on this machine")
            raise BusyError(f"{self._remote_error}, and on this machine it cannot be used: {self.error}")

    def _make(self, asked: list[PredictionRequest]) -> list[PredictionResult]:
        with self._turn:
            if self._closed:
                raise BusyError("it has made room for the weights of other visitors")
            made = self._computed(lambda predictor: predict_batch(predictor, asked))
        if self.note:
            made = [replace(one, note=self.note) for one in made]
        log.event(_LOG, "predicted", model=self.name, requests=len(asked), seconds=made[0].seconds)
        return made

    def figures(self) -> QueueFigures:
        """How its queue is doing."""
        return self._queue.figures()

    @property
    def note(self) -> str:
        """A sentence on a GPU that failed, after which the CPU goes on; "" where none did."""
        return f"Computed on the CPU: {self._device_error}." if self._device_error else ""

    @property
    def device(self) -> str | None:
        """What it computes on; None before it is `ready`."""
        if self._predictor is None:
            return f"{self._remote_device}{_ELSEWHERE}" if self._remote_device else None
        return self._predictor.device

    def inspect(self, clip: np.ndarray, layer: int, intervention: Intervention | None = None) -> Trace:
        """Watch a layer while a clip, uint8 (frames, 64, 64), is predicted; waits for its turn."""
        with self._turn:
            return self._computed(lambda predictor: predictor.inspect(_as_input(clip), layer, intervention))

    def next_frames(self, clip: np.ndarray) -> np.ndarray:
        """Predictions of frames 1 and on of a clip, float32 (frames - 1, 64, 64); waits for its turn."""
        with self._turn:
            return self._computed(lambda predictor: predictor.next_frames(_as_input(clip)))[0, ..., 0]

    def look_back(self, clip: np.ndarray, target: Target, method: Method) -> Back:
        """What made a predicted pixel what it is; waits for its turn. Only once `ready`."""
        from core.attribution import Gradients

        def looked(predictor: Predictor) -> Back:
            if self._gradients is None:
                self._gradients = Gradients(predictor)
            return look_back(self._gradients, _as_input(clip), target, method)

        with self._turn:
            return self._computed(looked)

    def cell_weights(self, layer: int) -> CellWeights:
        """Weights of a layer. Only once `ready`."""
        return self._loaded().cell_weights(layer)

    def config(self) -> ModelConfig:
        """What the network looks like. Only once `ready`."""
        return self._loaded().config

    def _loaded(self) -> Predictor:
        self.keep()
        predictor = self._predictor
        if predictor is None:
            if self._closed and get_script_run_ctx(suppress_warning=True) is not None:
                st.rerun()  # a part of a page that runs by itself: the page finds another door
            raise RuntimeError(f"model {self.name!r} is not loaded")
        return predictor


class NoRoom(ModelDoor):
    """What stands for a door that there is no room for now; it never opens.

    has_room : whether there would be some now
    """

    def __init__(self, has_room: Callable[[], bool]) -> None:
        super().__init__(YOURS)
        self.has_room = has_room
        self._settle()  # there is nothing to wait for in it

    def start(self, after_seconds: float = 0.0) -> None:
        """Nothing."""


class ShippedDoors:
    """A door for each shipped model, made when it is first asked for, and anew when the model is replaced."""

    def __init__(self, make: Callable[[str, Version], ModelDoor]) -> None:
        self._make, self._lock = make, threading.Lock()
        self._doors: dict[str, ModelDoor] = {}

    def door(self, name: str) -> ModelDoor:
        """That of a model."""
        stamp = weights_stamp(name)
        with self._lock:
            door = self._doors.get(name)
            if door is None or door.version != stamp:
                door = self._make(name, stamp)
                shipped = {name, *zoo.model_names()}  # what is shipped no more goes
                self._doors = {one: kept for one, kept in self._doors.items() if one in shipped}
                self._doors[name] = door
            return door


class OwnDoors:
    """Doors to weights of visitors: few at a time, and none goes while somebody waits for it or uses it."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, threading.Lock()
        self._doors: dict[Version, ModelDoor] = {}  # the one that nobody has asked for longest first

    def has_room(self, version: Version) -> bool:
        """Whether a door is there, or could be."""
        with self._lock:
            some = version in self._doors or len(self._doors) < self._most
            return some or any(door.idle for door in self._doors.values())

    def door(self, version: Version, make: Callable[[], ModelDoor]) -> ModelDoor:
        """That of a version, made if need be and if there is room; otherwise a `NoRoom`."""
        with self._lock:
            door = self._doors.pop(version, None)
            if door is None:
                if not self._make_room():
                    return NoRoom(partial(self.has_room, version))
                door = make()
            self._doors[version] = door
            door.keep()
            return door

    def _make_room(self) -> bool:
        """Let one go if there are as many as there may be; False if none can go."""
        if len(self._doors) < self._most:
            return True
        for version, door in self._doors.items():
            if door.close():
                del self._doors[version]
                return True
        return False


def _visitor() -> str | int:
    """Who asks: a browser's session, or a thread without one."""
    context = get_script_run_ctx(suppress_warning=True)
    return threading.get_ident() if context is None else context.session_id


def _give_way() -> None:
    """End this run of a page if its visitor has moved on: Streamlit does so when a run looks at its state."""
    if get_script_run_ctx(suppress_warning=True) is not None:
        st.session_state.get("any name")


def _as_input(clip: np.ndarray) -> np.ndarray:
    return to_frames(clip)[None, ..., None]


def weights_stamp(model: str) -> tuple[int, int]:
    """Changes when the weights file does, so that a repaired model is loaded without a restart."""
    try:
        stat = zoo.weights_path(model).stat()
    except (OSError, zoo.ModelError):
        return (0, 0)
    return (stat.st_mtime_ns, stat.st_size)
