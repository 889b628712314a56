"""Prediction with a trained network: next-frame over a known clip, or free-running rollout."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import numpy as np
from keras import ops

from core.damage import shortened, shown
from core.device import (
    DeviceError,
    allow_memory_growth,
    compiled,
    device_name,
    failures,
    hand_back_memory,
    placed,
)
from core.inspection import PEEPING, CellWeights, Intervention, Trace
from core.model import ModelConfig, Network
from core.model_config import FORECAST_AHEAD
from core.precision import resolve_precision
from core.weights import assign

# A clip is cut into parts of these lengths, so that a few compiled graphs serve clips of any length; the
# state goes from part to part. 19 is the classic clip of 20 frames in one go, 10 what comes before a rollout.
PART_LENGTHS = (19, 10, 8, 4, 2, 1)
MAX_HORIZON = 1000
Part = Literal["more", "last", "begins", "imagined"]
_SHOWN = 8  # outputs of an inspection: predictions, what came in, four gates, C and H
CLIPS_AT_ONCE = 32  # at a sixteenth of the resolution; fewer where a frame is larger


class InputError(ValueError):
    """Frames or numbers that cannot be predicted from; the message says what arrived and what is accepted."""


def part_lengths(frames: int) -> list[int]:
    """How a clip is cut: the longest parts first, summing up to `frames`."""
    parts = []
    for length in PART_LENGTHS:
        parts += [length] * (frames // length)
        frames %= length
    return parts


class Predictor:
    """A network with trained weights, ready to predict. Calls from several threads take turns.

    What is compiled for TensorFlow holds the weights as they were at its first call: change them with
    `set_weights`, and not in the network's variables.

    Attributes
    ----------
    config : the network's `ModelConfig`
    name : what to call it
    device : "CPU" or "GPU: ..."
    causal : whether no prediction sees the frame that it is of
    precision : what it computes in, "float32" or "bfloat16"
    last_seconds : wall time of the last finished call, without waiting for its turn
    prepared : whether that call had to compile the network first, for a length that was new
    weights_sha256 : of the file that the weights are from, hexadecimal; empty where they are from none
    """

    def __init__(self, network: Network, name: str | None = None, on_cpu: bool = False) -> None:
        self.network, self.config = network, network.config
        self.name = name or network.config.name
        self.causal = network.config.head == "causal"
        self.precision: str = network.compute_dtype
        self._on_cpu = on_cpu
        allow_memory_growth()
        self.device = "CPU" if on_cpu else device_name()
        self.last_seconds = 0.0
        self.prepared = False
        self.weights_sha256 = ""
        self._lock = threading.Lock()
        self._graphs: dict[tuple[int, Part, bool], Callable[[list[Any]], Any]] = {}
        self._inside: dict[tuple[int, int], Callable[[list[Any]], Any]] = {}
        _ = self.network.variables  # makes them

    @classmethod
    def from_arrays(
        cls,
        config: ModelConfig,
        arrays: Mapping[str, np.ndarray],
        source: str,
        name: str | None = None,
        precision: str = "auto",
        on_cpu: bool = False,
    ) -> Predictor:
        """Build a network and give it weights that are in memory.

        Parameters
        ----------
        config : what the network looks like
        arrays : the weights by path, of the shapes of `core.model_shapes.variable_shapes`
        source : where they are from, for what an error says
        name : what to call it; None: the configuration's name
        precision : "float32", "mixed_bfloat16", or "auto": bfloat16 where the hardware multiplies it
        on_cpu : leave a GPU alone, should there be one

        Raises
        ------
        core.weights.WeightsError
            If they are of another network, or not finite.
        """
        with placed(on_cpu):
            network = Network(config, resolve_precision(precision))
            assign(network.variables, arrays, source)
            return cls(network, name, on_cpu)

    def set_weights(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Predict with other weights from now on, by path, of the same names and shapes.

        Raises
        ------
        core.weights.WeightsError
            If they are of another network, or not finite; then nothing has changed.
        """
        with self.computing():
            assign(self.network.variables, arrays, "what was given")
            self._graphs.clear()
            self.weights_sha256 = ""

    # ------------------------------------------------------------------------------------- public calls

    def next_frames(self, frames: np.ndarray) -> np.ndarray:
        """Predict each next frame of a known clip (teacher forced).

        Parameters
        ----------
        frames : float32 (batch, time, canvas, canvas, 1) in [0, 1], time 2 or more

        Returns
        -------
        float32 (batch, time - 1, canvas, canvas, 1) in [0, 1]; `[:, k]` predicts frame k + 1 and has seen
        frames 0 to k only (with a causal head)

        Raises
        ------
        InputError
            If shape, type or range is something else.
        DeviceError
            If it computes on a GPU, and that fails; as all calls.
        """
        frames = self._checked(frames, at_least=2)
        return self._timed(frames[:, :-1], 0)

    def rollout(self, context_frames: np.ndarray, horizon: int) -> np.ndarray:
        """Predict `horizon` frames after the context, each from the network's own predictions before it.

        Every frame costs one step: the state is carried on, nothing is computed twice. A network with a
        forecast is told which frames are its own predictions, see `core.forecast`; the forecast has a say
        from the first predicted frame on, which therefore is not what `next_frames` would predict there. It
        is taught to lead ten frames ahead; after so many the frames that were predicted are taken for seen,
        and it begins anew.

        Parameters
        ----------
        context_frames : float32 (batch, context, canvas, canvas, 1) in [0, 1], context 1 or more
        horizon : frames to predict, 1 to 1000

        Returns
        -------
        float32 (batch, horizon, canvas, canvas, 1) in [0, 1]; `[:, k]` predicts frame context + k

        Raises
        ------
        InputError
            If shape, type, range or horizon is something else, or the network's head is the leaking one.
        """
        frames = self._checked(context_frames, at_least=1)
        if (
            isinstance(horizon, bool)
            or not isinstance(horizon, (int, np.integer))
            or not 1 <= horizon <= MAX_HORIZON
        ):
            raise InputError(f"horizon must be a whole number from 1 to {MAX_HORIZON}; got {horizon!r}")
        if self.config.head != "causal":
            raise InputError(
                f"{self.name} has the leaking head, which needs frames that a rollout does not have"
            )
        return self._timed(frames, int(horizon))

    def inspect(self, frames: np.ndarray, layer: int, intervention: Intervention | None = None) -> Trace:
        """Watch one layer while the network predicts each next frame of a clip.

        Parameters
        ----------
        frames : float32 (1, time, canvas, canvas, 1) in [0, 1], time 2 or more; one clip
        layer : its number, from 1
        intervention : what is done to the layer meanwhile; None: nothing

        Returns
        -------
        Trace
            Of the first time - 1 frames, as those of `next_frames`. Its numbers are what the network computes
            in: to compare them with the equations it must be one of float32.

        Raises
        ------
        InputError
            If shape, type, range, layer or intervention is something else.
        """
        frames = self._checked(frames, at_least=2)[:, :-1]
        if len(frames) != 1:
            raise InputError(f"one clip can be inspected at once; got {len(frames)}")
        whole = isinstance(layer, (int, np.integer)) and not isinstance(layer, bool)
        if not whole or not 1 <= layer <= len(self.config.filters):
            raise InputError(f"layer must be 1 to {len(self.config.filters)}; got {shown(layer)}")
        time_seen, filters = frames.shape[1], self.config.filters[layer - 1]
        try:
            controls = (intervention or Intervention()).controls(time_seen, filters)
        except ValueError as error:
            raise InputError(str(error)) from error
        with self.computing():
            parts = self._inspected(frames, layer, controls)
        predictions, x, i, f, g, o, c, h = (np.concatenate(part).astype(np.float32) for part in parts)
        scale = self.config.patch * self.config.layer_scales[layer - 1]
        return Trace(layer, scale, x, i, f, g, o, c, h, predictions[..., 0])

    def _inspected(
        self, frames: np.ndarray, layer: int, controls: list[np.ndarray]
    ) -> list[list[np.ndarray]]:
        """Predictions and maps of a layer, each in the parts in which the clip was run."""
        causal, time = self.config.head == "causal", frames.shape[1]
        states = self._empty_states(1) if causal else []
        flow, *always = controls
        parts, first = [], 0
        for length in part_lengths(time) if causal else [time]:
            if (length, layer) not in self._inside:
                model = self.network.inspection_model(length, layer)
                self._inside[length, layer] = compiled(
                    partial(model, training=False), model.inputs, model.variables
                )
            now = slice(first, first := first + length)
            inputs = [ops.convert_to_tensor(one) for one in (frames[:, now], flow[:, now], *always)]
            made = self._inside[length, layer]([*inputs, *states])
            states = made[_SHOWN:]
            parts.append([ops.convert_to_numpy(one)[0] for one in made[:_SHOWN]])
        return [list(part) for part in zip(*parts, strict=True)]

    def _empty_states(self, batch: int) -> list[Any]:
        return [
            ops.zeros((batch, *shape), dtype)
            for shape, dtype in zip(self.network.state_shapes(), self.network.state_dtypes(), strict=True)
        ]

    def cell_weights(self, layer: int) -> CellWeights:
        """Weights of a layer, by its number from 1."""
        if not 1 <= layer <= len(self.network.cells):
            raise InputError(f"layer must be 1 to {len(self.network.cells)}; got {layer}")
        cell = self.network.cells[layer - 1]
        kernel, recurrent, bias, *peepholes = (
            ops.convert_to_numpy(weight)
            for weight in (cell.kernel, cell.recurrent_kernel, cell.bias, *cell.peephole_weights)
        )
        return CellWeights(kernel, recurrent, bias, dict(zip(PEEPING, peepholes, strict=False)))

    @contextmanager
    def computing(self) -> Iterator[None]:
        """One call at a time, timed, on its device; DeviceError where that is a GPU which fails."""
        with self._lock:
            start = time.perf_counter()
            try:
                with placed(self._on_cpu):
                    yield
            except failures() as error:
                if self.device == "CPU":
                    raise
                why = shortened(" ".join(str(error).split()))
                raise DeviceError(f"the {self.device} failed ({type(error).__name__}: {why})") from error
            self.last_seconds = time.perf_counter() - start

    def warm_up(self) -> None:
        """Compile what a 20-frame clip and a 10-frame context need, so that no person waits for it."""
        empty = np.zeros((1, 20, self.config.canvas, self.config.canvas, 1), np.float32)
        self.next_frames(empty)
        if self.config.head == "causal":
            self.rollout(empty[:, :10], 2)
        hand_back_memory()

    # ------------------------------------------------------------------------------------------- checks

    def _checked(self, frames: Any, at_least: int) -> np.ndarray:
        frames = np.asarray(frames)
        canvas = self.config.canvas
        if frames.ndim != 5 or frames.shape[2:] != (canvas, canvas, 1):
            raise InputError(
                f"frames must have shape (batch, time, {canvas}, {canvas}, 1); got {frames.shape}"
            )
        if frames.shape[0] < 1 or frames.shape[1] < at_least:
            raise InputError(
                f"frames must hold 1 or more clips of {at_least} or more frames; "
                f"got {frames.shape[0]} of {frames.shape[1]}"
            )
        if frames.dtype.kind != "f":
            raise InputError(
                f"frames must be floats in [0, 1] (to_frames in core.moving_mnist makes them); "
                f"got {frames.dtype}"
            )
        low, high = float(frames.min()), float(frames.max())
        if not (low >= 0 and high <= 1):  # NaN fails both
            raise InputError(f"frames must be in [0, 1] without NaN; got {low:g} to {high:g}")
        return frames.astype(np.float32, copy=False)

    # ------------------------------------------------------------------------------------------ running

    def _timed(self, frames: np.ndarray, horizon: int) -> np.ndarray:
        area = self.config.patch**2
        at_once, graphs = max(1, CLIPS_AT_ONCE * area // 16), len(self._graphs)
        with self.computing():
            results = [
                self._run(frames[first : first + at_once], horizon)
                for first in range(0, len(frames), at_once)
            ]
            self.prepared = len(self._graphs) > graphs
        return np.concatenate(results)

    def _graph(self, length: int, part: Part = "more", first: bool = False) -> Callable[[list[Any]], Any]:
        """The compiled network for so many frames.

        part : "more" where others come after them; "last" of a known clip; "begins" where a rollout comes
            after them; "imagined": its own prediction
        first : whether nothing comes before them: then it takes no states
        """
        if part in ("begins", "imagined") and not self.config.forecast:
            part = "more"
        if (length, part, first) not in self._graphs:
            network = self.network
            ways: dict[Part, Callable[..., Any]] = {
                "begins": network.begin_rollout,
                "imagined": network.step_rollout,
            }
            pass_through = ways.get(part, network.next_frames)

            def predict(inputs: list[Any]) -> Any:
                # layer by layer, without a Keras model around: that is traced once more, for seconds
                if network.config.head != "causal":  # it takes a clip as a whole, without a state
                    return network.next_frames(inputs[0])[0]
                frames, *states = inputs
                made, after = pass_through(frames, None if first else states)
                # after the last frame of a known clip comes nothing that needs a state
                return made if part == "last" else [made, *after]

            self._graphs[length, part, first] = compiled(
                predict,
                network.inputs(length)[:1] if first else network.inputs(length),
                network.variables,
                # where a whole clip passes at once, and for a single step
                constant=(first and part == "last") or part == "imagined" or length == 1,
            )
        return self._graphs[length, part, first]

    def _run(self, frames: np.ndarray, horizon: int) -> np.ndarray:
        """All predictions of a known clip (horizon 0), or the `horizon` predictions after it."""
        if self.config.head != "causal":
            return np.asarray(self._graph(frames.shape[1])([ops.convert_to_tensor(frames)]))
        states: list[Any] = []
        done, outputs = 0, []
        for length in part_lengths(frames.shape[1]):
            part, first = ops.convert_to_tensor(frames[:, done : done + length]), done == 0
            done += length
            if horizon == 0 and done == frames.shape[1]:
                predictions = self._graph(length, "last", first)([part, *states])
            else:
                way: Part = "begins" if done == frames.shape[1] else "more"
                predictions, *states = self._graph(length, way, first)([part, *states])
                if len(states) < len(self.network.state_shapes()):
                    # before a rollout no pieces are followed, yet all later parts are handed some
                    states += self._empty_states(len(frames))[len(states) :]
            outputs.append(predictions)
        if horizon == 0:
            return np.concatenate([np.asarray(part) for part in outputs], axis=1)
        latest = outputs[-1][:, -1:]
        rolled = [np.asarray(latest)]
        for done in range(1, horizon):
            way = "imagined" if done % FORECAST_AHEAD else "begins"
            latest, *states = self._graph(1, way)([latest, *states])
            rolled.append(np.asarray(latest))
        return np.concatenate(rolled, axis=1)
