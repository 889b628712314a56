"""From a `ModelConfig` to Keras models that share one set of weights.

`Network` owns the layers. `Network.training_model(time)` is the plain clip-in, clip-out model that Keras
trains; `Network.stateful_model(time)` also takes and returns the state, so that a long clip can run in parts
and a rollout costs one step a frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops

from core.forecast import Forecast, Outlook, OutlookStep, Trust
from core.layers import FoldPatches, PeepholeConvLSTM2D, TemporalConv3D, UnfoldPatches, WatchedCell
from core.model_config import COARSE, CONFIGS, FORECAST_LAGS, ModelConfig, match_size
from core.motion import Match, MotionCentre, MotionEncoder, MotionHead, by_axis, cells_found
from core.piece_finder import PieceFinder

__all__ = ["CONFIGS", "ModelConfig", "Network", "build_model"]

RUNNING_MEAN = 0.95  # momentum of the normalisation's running means


class Network:
    """The layers of one network, and the models built of them. All models share the weights.

    Parameters
    ----------
    config : what the network looks like
    dtype : Keras dtype policy of the layers: "float32", "mixed_bfloat16", ...
    """

    def __init__(self, config: ModelConfig, dtype: str = "float32") -> None:
        self.config = config
        self.fold = FoldPatches(config.patch, name="fold", dtype=dtype) if config.patch > 1 else None
        self.unfold = UnfoldPatches(config.patch, name="unfold", dtype=dtype) if config.patch > 1 else None
        layers = list(zip(config.filters, config.kernels, strict=True))
        self.cells = [
            PeepholeConvLSTM2D(filters, side, config.peepholes, name=f"convlstm_{n}", dtype=dtype)  # type: ignore[arg-type]
            for n, (filters, side) in enumerate(layers, 1)
        ]
        self.norms = [
            # the running means of Keras' default, 0.99, lag behind for the first hundreds of steps
            keras.layers.BatchNormalization(momentum=RUNNING_MEAN, name=f"norm_{n}", dtype=dtype)
            for n in range(1, len(layers) + 1)
        ]
        self.relus = [keras.layers.ReLU(name=f"relu_{n}", dtype=dtype) for n in range(1, len(layers) + 1)]
        self.head = TemporalConv3D(config.patch**2, causal=config.head == "causal", name="head", dtype=dtype)
        self.motion = (
            MotionHead(config.motions, config.reach, config.patch, name="motion", dtype=dtype)
            if config.motions
            else None
        )
        fine = [lag for lag in config.lags if lag not in config.coarse]
        self.matches = {
            lag: Match(reach, side, name=f"match_{lag}", dtype="float32")
            for lag in dict.fromkeys((*fine, *(FORECAST_LAGS if config.forecast else ())))
            for side, reach in [match_size(config, lag)]
        }
        self.coarse_matches = {
            lag: Match(reach, side, COARSE, name=f"coarse_match_{lag}", dtype="float32")
            for lag in config.coarse
            for side, reach in [match_size(config, lag)]
        }
        self.encoder = (
            MotionEncoder(config.motions, config.reach, name="encoder", dtype=dtype)
            if config.encode
            else None
        )
        self.centre = MotionCentre(config.patch, name="centre", dtype="float32") if config.encode else None
        self.others: MotionCentre | None = None
        if config.others:
            self.others = MotionCentre(config.patch, others=True, name="others", dtype="float32")
            self.others_encoder = MotionEncoder(
                config.motions, config.reach, name="others_encoder", dtype=dtype
            )
        self.finder: PieceFinder | None = None
        if config.forecast:
            self.finder = PieceFinder(config, self.matches)
            self.outlook = Outlook(deep=config.deep, name="outlook", dtype=dtype)
            self.outlook_step = OutlookStep(config.deep, name="outlook_step", dtype="float32")
            self.forecast = Forecast(config.canvas, name="forecast", dtype="float32")
            self.trust = Trust(config.patch, name="trust", dtype="float32")
            if config.foresees:
                self.foresight = Trust(config.patch, name="foresight", dtype="float32")
        self._dtype = dtype
        # probabilities are float32 whatever the layers compute in: BCE needs the digits near 0 and 1
        self.sigmoid = keras.layers.Activation("sigmoid", dtype="float32", name="probability")

    @property
    def compute_dtype(self) -> str:
        """What the layers compute in."""
        return self.head.compute_dtype

    @cached_property
    def variables(self) -> list[Any]:
        """Every variable of the network: those of next-frame predictions first, then those of a forecast."""
        if self.finder is None:
            return self.training_model(1).variables
        model = self.stateful_model(1, begins=True)
        layers: list[Any] = [self.outlook, self.outlook_step, self.forecast, self.trust]
        if not self.outlook_step.built:
            self.outlook_step.build((None, self.finder.count, 2, self.outlook.hidden))
        if self.config.foresees:
            if not self.foresight.built:
                self.foresight.build((self.trust.kernel.shape[2] - 2 * self.config.patch**2,))
            layers.append(self.foresight)
        own = [variable for layer in layers for variable in layer.variables]
        others = {id(variable) for variable in own}
        return [*(variable for variable in model.variables if id(variable) not in others), *own]

    def freeze_all_but(self, learning: str) -> None:
        """Let nothing learn but the "forecast", with the trust of rollouts in it, or this "trust" alone, or
        the "foresight", which is the trust of known clips; before a model is built to train.
        """
        others = [*self.cells, *self.norms, self.head, self.motion, self.encoder]
        if self.others is not None:
            others.append(self.others_encoder)
        if learning != "forecast":
            others += [self.outlook, self.outlook_step, self.forecast]
        if learning == "foresight":
            others.append(self.trust)
        elif self.config.foresees:
            others.append(self.foresight)
        for layer in filter(None, others):
            layer.trainable = False

    def state_dtypes(self) -> list[str]:
        """Types of the states: frames and a forecast are float32, all else is what the layers compute in."""
        dtypes = [self.compute_dtype] * (2 * len(self.cells) + 1)
        if self.matches:
            dtypes.append("float32")
        return [*dtypes, *["float32"] * 3] if self.finder else dtypes

    @property
    def _furthest(self) -> int:
        """How many frames back matches look at most."""
        return max((*self.matches, *self.coarse_matches))

    def state_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the state without the batch axis: H and C of each layer, the head's pending sums, as
        many frames as the furthest match looks back, and the pieces that are followed: outlook, ink, place.
        """
        side = self.config.canvas // self.config.patch
        layers = zip(self.config.filters, self.config.layer_scales, strict=True)
        cells = [(side // scale, side // scale, filters) for filters, scale in layers for _ in "HC"]
        canvas, patch = self.config.canvas, self.config.patch
        others: list[tuple[int, ...]] = []
        if self.matches:
            others.append((self._furthest, canvas, canvas, 1))
        if self.finder is not None:
            count = self.finder.count
            others += [(count, 2, self.outlook.hidden), (count, patch, patch), (count, 2)]
        return [*cells, (2, side, side, patch**2), *others]

    def apply(
        self,
        frames: Any,
        states: list[Any] | None,
        training: bool | None = None,
        begins: Any = None,
        imagined: Any = None,
        cells: Sequence[Callable[..., Any]] | None = None,
        apart: bool = False,
    ) -> tuple[Any, list[Any]]:
        """Predictions and the states after the last frame.

        Parameters
        ----------
        frames : (batch, time, canvas, canvas, 1) in [0, 1]
        states : of the shapes of `state_shapes`, after the frames before; None where there were none
        training : as in Keras, of the normalisation
        begins : None where another seen frame comes; True where a rollout begins after the last one: its
            pieces are followed from there, and the forecast has a say in the last prediction, in it alone,
            as in those to come; or (batch, 1), 1 for the clips where it does
        imagined : None where all frames were seen; for a single frame True where it is the network's own
            prediction, or (batch, 1), 1 for the clips where it is and was from where the rollout began
        cells : what stands in the place of `self.cells`, if anything does
        apart : of known clips, what the foresight reads in the place of what it predicts: features, the
            network's own predictions and those of the forecast
        """
        x = self.fold(frames) if self.fold else frames
        earlier = None if states is None or not self.matches else states[2 * len(self.cells) + 1]
        seen, before, known, places = self._seen(frames, earlier)
        if seen:
            x = ops.concatenate([ops.cast(x, self.compute_dtype), *seen], axis=-1)
        after: list[Any] = []
        scale = 1  # of the grid that x is on
        latest: dict[int, Any] = {}  # by grid, the features that were last on it
        running: Sequence[Callable[..., Any]] = self.cells if cells is None else cells
        for n, (cell, norm, relu) in enumerate(zip(running, self.norms, self.relus, strict=True)):
            x, scale = self._to_grid(x, scale, self.config.layer_scales[n], latest)
            x, hidden, memory = cell(x, None if states is None else states[2 * n : 2 * n + 2])
            after += [hidden, memory]
            x = latest[scale] = relu(norm(x, training=training))
        features, _ = self._to_grid(x, scale, 1, latest)
        x, pending = self.head(features, None if states is None else states[2 * len(self.cells)])
        x = self.sigmoid(self.unfold(x) if self.unfold else x)
        if self.motion is not None:
            features = ops.concatenate([features, *seen], axis=-1) if seen else features
            x = self.motion(features, frames, x, seen[-1] if self.encoder else None)
        followed: list[Any] = []
        if self.finder is not None and states is not None:
            followed = list(states[-3:])
        if self.config.foresees and imagined is None and begins is None:
            foreseen = self.forecast(*self._follow(known, frames.shape[1], places))
            parts = [features, x, ops.reshape(foreseen, (-1, *frames.shape[1:]))]
            x = parts if apart else self.foresight(*parts)
        elif self.finder is not None and begins is not None:
            followed = self._follow(known, 1)
            trusted = self.trust(features[:, -1:], made := x[:, -1:], self.forecast(*followed))
            last = trusted if begins is True else _where(begins, trusted, made)
            x = ops.concatenate([x[:, :-1], last], axis=1) if x.shape[1] > 1 else last
        elif self.finder is not None and imagined is not None:
            outlook, *things = followed
            followed = [self.outlook_step(outlook), *things]
            trusted = self.trust(features, x, self.forecast(*followed))
            x = trusted if imagined is True else _where(imagined, trusted, x)
        return x, [*after, pending, *before, *followed]

    def _follow(self, known: Any, time: int, places: Mapping[int, Any] | None = None) -> list[Any]:
        """What a forecast begins with after each of the last `time` frames: outlook, ink and place of its
        pieces, (batch x time, ...); see `PieceFinder`.
        """
        assert self.finder is not None
        pieces, where, motion, *earlier = self.finder(known, time, places)
        ink = [ops.sum(pieces, axis=(-1, -2)), *earlier[::2]]
        return [self.outlook([motion, *earlier[1::2]], ink), pieces, where]

    def _seen(self, frames: Any, earlier: Any) -> tuple[list[Any], list[Any], Any, dict[int, Any]]:
        """Where each part of the frames was in earlier ones, and last, where it may head, on the finest grid;
        the state after them; the frames with the earlier ones; and by lag, where each part was.
        """
        if not self.matches:
            return [], [], frames, {}
        furthest, time = self._furthest, frames.shape[1]
        if earlier is None:
            earlier = ops.repeat(ops.zeros_like(frames[:, :1]), furthest, axis=1)
        known = ops.concatenate([earlier, frames], axis=1)

        def found(match: Match, lag: int) -> Any:
            return cells_found(
                match, self.config.patch, frames, known[:, furthest - lag : furthest - lag + time]
            )

        coarse = {lag: found(match, lag) for lag, match in self.coarse_matches.items()}
        places = {lag: found(self.matches[lag], lag) for lag in self.config.lags if lag not in coarse}
        places_of = {lag: ops.cast(one, self.compute_dtype) for lag, one in (places | coarse).items()}
        seen = [places_of[lag] for lag in self.config.match]
        if self.encoder is not None and self.centre is not None:
            nearest, encoded = (
                places_of[min(self.config.lags)],
                [places_of[lag] for lag in self.config.encode],
            )
            centre = ops.cast(self.centre(frames, nearest), self.compute_dtype)
            proposed = self.encoder(*by_axis([*encoded, centre]))
            if self.others is not None:
                margins = ops.concatenate(by_axis(encoded), axis=-1)
                others = self.others(frames, nearest, margins)
                centre, margins = (ops.cast(part, self.compute_dtype) for part in others)
                proposed = proposed + self.others_encoder(*by_axis([margins, centre]))
            seen.append(proposed)
        return seen, [known[:, time:]], known, places

    def _to_grid(self, x: Any, scale: int, target: int, latest: dict[int, Any]) -> tuple[Any, int]:
        """Features on a coarser or finer grid: folded, or unfolded and beside those that were last there."""
        if target == scale:
            return x, scale
        layer = FoldPatches if target > scale else UnfoldPatches
        x = layer(max(target, scale) // min(target, scale), dtype=self._dtype)(x)
        if target < scale and target in latest:
            x = ops.concatenate([x, latest[target]], axis=-1)
        return x, target

    def inputs(self, time: int) -> list[Any]:
        """What `stateful_model` takes; of the leaking head, which has no states, the frames alone."""
        frames = self._frames_input(time)
        return [frames, *self._states_input()] if self.config.head == "causal" else [frames]

    def _states_input(self) -> list[Any]:
        return [
            keras.Input(shape, name=f"state_{n}", dtype=dtype)
            for n, (shape, dtype) in enumerate(zip(self.state_shapes(), self.state_dtypes(), strict=True))
        ]

    def _frames_input(self, time: int) -> Any:
        if time < 1:
            raise ValueError(f"time must be 1 or more; got {time}")
        return keras.Input((time, self.config.canvas, self.config.canvas, 1), name="frames")

    def training_model(self, time: int = 19) -> keras.Model:
        """Frames (batch, time, canvas, canvas, 1) in [0, 1] to as many predictions, each of the frame after.

        Starts from empty memory. Prediction k is of frame k + 1.
        """
        frames = self._frames_input(time)
        predictions, _ = self.apply(frames, None)
        return keras.Model(frames, predictions, name=self.config.name)

    def own_model(self, time: int) -> keras.Model:
        """As `training_model`, of a network that foresees, without its forecast's say: what a foresight mixes
        with that forecast.
        """
        frames = self._frames_input(time)
        (_, own, _), _ = self.apply(frames, None, apart=True)
        return keras.Model(frames, own, name=self.config.name)

    def rollout_inputs(self, time: int, context: int) -> tuple[list[Any], Any]:
        """Inputs and predictions of a model that learns from its own predictions, as a rollout makes them.

        Scheduled sampling (Bengio et al. 2015) by whole clips: a clip with `free` 1 is seen for `context`
        frames; each frame after them is what the network itself predicted. The gradient goes back through
        the predictions that were fed in, so that a prediction also answers for what is made of it later. The
        normalisation keeps its running means, as at inference, since a batch of one time step is no sample of
        a clip.

        Returns
        -------
        inputs : frames (batch, time, canvas, canvas, 1) and `free` (batch, 1), 1 for clips that run freely
        predictions : as those of `training_model`
        """
        if self.config.head != "causal":
            raise ValueError("the leaky head needs the future, so it cannot learn from its own predictions")
        if not 1 <= context < time:
            raise ValueError(f"context must be 1 to {time - 1}, below time; got {context}")
        frames = self._frames_input(time)
        free = keras.Input((1,), name="free")
        own = ops.reshape(free, (-1, 1, 1, 1, 1))
        asked = free if self.finder is not None else None
        predictions, states = self.apply(frames[:, :context], None, training=False, begins=asked)
        outputs = [predictions]
        for t in range(context, time):
            mixed = own * outputs[-1][:, -1:] + (1 - own) * frames[:, t : t + 1]
            prediction, states = self.apply(mixed, states, training=False, imagined=asked)
            outputs.append(prediction)
        return [frames, free], ops.concatenate(outputs, axis=1)

    def forecast_inputs(self, time: int, context: int) -> tuple[list[Any], Any]:
        """Inputs and predictions of a model that forecasts from what it sees of a clip, and no more.

        Parameters
        ----------
        time, context : as in `rollout_inputs`

        Returns
        -------
        inputs : frames (batch, time, canvas, canvas, 1) and `unseen` (batch, 1), how many frames at the
            beginning of a clip are as if they had not been; so it also learns from few frames
        predictions : as those of `training_model`; the first `context` - 1 are the true frames, since what
            is forecast begins after the context
        """
        if not 1 <= context < time:
            raise ValueError(f"context must be 1 to {time - 1}, below time; got {context}")
        frames = self._frames_input(time)
        unseen = keras.Input((1,), name="unseen")
        outlook, *things = self._follow(self._known(frames[:, :context], unseen), 1)
        predictions = [self.forecast(outlook, *things)]
        for _ in range(context, time):
            outlook = self.outlook_step(outlook)
            predictions.append(self.forecast(outlook, *things))
        return [frames, unseen], ops.concatenate([frames[:, 1:context], *predictions], axis=1)

    def foresight_inputs(self, time: int) -> tuple[list[Any], Any]:
        """What a foresight reads of so many frames, see `apart` of `apply`, and its predictions."""
        side, canvas = self.config.canvas // self.config.patch, self.config.canvas
        _ = self.variables  # or it would not know how many features there are
        channels = self.foresight.kernel.shape[2] - 2 * self.config.patch**2
        shapes = [(time, side, side, channels), *[(time, canvas, canvas, 1)] * 2]
        inputs = [
            keras.Input(shape, name=name)
            for name, shape in zip(("features", "own", "foreseen"), shapes, strict=True)
        ]
        return inputs, self.foresight(*inputs)

    def apart_model(self, time: int) -> keras.Model:
        """Frames (batch, time, canvas, canvas, 1) in [0, 1] to what a foresight reads, all float32."""
        frames = self._frames_input(time)
        parts, _ = self.apply(frames, None, apart=True)
        return keras.Model(frames, [ops.cast(part, "float32") for part in parts])

    def pieces_model(self, context: int) -> keras.Model:
        """[frames, unseen], as `forecast_inputs` takes them, to the pieces that a forecast reads: those of
        the last frame, see `Pieces`; of each earlier frame the sums of its pieces and what is known of them.
        """
        frames = self._frames_input(context)
        unseen = keras.Input((1,), name="unseen")
        known = self._known(frames, unseen)
        assert self.finder is not None  # or nothing would be known
        return keras.Model([frames, unseen], self.finder(known, 1))

    def _known(self, frames: Any, unseen: Any) -> Any:
        """Frames with as many before them as matches look back; those that are `unseen` are black."""
        if self.finder is None:
            raise ValueError("a network without a forecast has none to learn; forecast must be 1 or more")
        number = np.arange(frames.shape[1], dtype="float32").reshape(1, -1, 1, 1, 1)
        seen = frames * ops.cast(ops.greater_equal(number, ops.reshape(unseen, (-1, 1, 1, 1, 1))), "float32")
        before = ops.repeat(ops.zeros_like(frames[:, :1]), max(self.matches), axis=1)
        return ops.concatenate([before, seen], axis=1)

    def inspection_model(self, time: int, layer: int) -> keras.Model:
        """The model that predicts, with one of its layers under control and its parts shown.

        Parameters
        ----------
        layer : its number, from 1

        Returns
        -------
        keras.Model
            [frames, flow, gates, alive, *states], see `core.inspection.neutral_controls` and `state_shapes`,
            to predictions as those of `training_model`, what came in, i, f, the candidate, o, C, H,
            and the states after the last frame. With the leaking head there are no states.
        """
        if not 1 <= layer <= len(self.cells):
            raise ValueError(f"layer must be 1 to {len(self.cells)}; got {layer}")
        frames, filters = self._frames_input(time), self.config.filters[layer - 1]
        controls = [
            keras.Input(shape, name=name)
            for name, shape in (("flow", (time, 4)), ("gates", (2, 4 * filters)), ("alive", (filters,)))
        ]
        causal = self.config.head == "causal"
        states = self._states_input() if causal else None
        watched = WatchedCell(self.cells[layer - 1])
        shown: list[Any] = []

        def watch(x: Any, before: Any) -> tuple[Any, ...]:
            hidden, *after = watched(x, *controls, before)
            shown.extend([x, *after[2:], hidden])
            return hidden, *after[:2]

        cells = [watch if n == layer else cell for n, cell in enumerate(self.cells, 1)]
        predictions, after = self.apply(frames, states, cells=cells)
        outputs = [predictions, *shown, *(after if causal else [])]
        return keras.Model([frames, *controls, *(states or [])], outputs, name=f"inside_{layer}_{time}")

    def stateful_model(self, time: int, imagined: bool = False, begins: bool = False) -> keras.Model:
        """[frames, *states] to [predictions, *states after the last frame]; see `state_shapes`.

        imagined : whether the frame, a single one, is the network's own prediction
        begins : whether a rollout begins after the last frame, see `apply`
        """
        if self.config.head != "causal":
            raise ValueError("the leaky head needs the future, so it cannot run step by step")
        frames, *states = self.inputs(time)
        predictions, after = self.apply(
            frames, states, imagined=True if imagined else None, begins=True if begins else None
        )
        return keras.Model([frames, *states], [predictions, *after], name=f"{self.config.name}_{time}")


def _where(chosen: Any, one: Any, other: Any) -> Any:
    """`one` for the clips where `chosen` (batch, 1) is 1, `other` where it is 0."""
    share = ops.cast(ops.reshape(chosen, (-1, *[1] * (len(one.shape) - 1))), one.dtype)
    return share * one + (1 - share) * other


def build_model(config: ModelConfig, time: int = 19) -> keras.Model:
    """The clip-in, clip-out model of a configuration, with fresh weights."""
    return Network(config).training_model(time)
