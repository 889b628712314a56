"""From a `ModelConfig` to Keras models that share one set of weights.

`Network` owns the layers. `Network.training_model(time)` is the plain clip-in, clip-out model that Keras
trains; `Network.stateful_model(time)` also takes and returns the state, so that a long clip can run in parts
and a rollout costs one step a frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import keras
from keras import ops

from core.forecast import Forecast, Outlook, OutlookStep, Trust
from core.layers import FoldPatches, PeepholeConvLSTM2D, TemporalConv3D, UnfoldPatches, WatchedCell
from core.matching import Match, MotionCentre, by_axis, cells_found
from core.model_config import COARSE, CONFIGS, FORECAST_LAGS, ModelConfig, match_size
from core.motion import MotionEncoder, MotionHead
from core.piece_finder import PieceFinder

__all__ = ["CONFIGS", "ModelConfig", "Network", "build_model"]

RUNNING_MEAN = 0.95  # momentum of the normalisation's running means


class _Passed(NamedTuple):
    """What comes out of the layers, before a forecast has a say.

    Attributes
    ----------
    features : what the heads read
    made : the network's own predictions
    states : after the last frame, without the pieces that are followed
    known : the frames, and as many before them as matches look back
    places : by lag, where each part of the frames was
    """

    features: Any
    made: Any
    states: list[Any]
    known: Any
    places: dict[int, Any]


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
            self.forecast = Forecast(config.canvas, config.followed, name="forecast", dtype="float32")
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
            self.outlook_step.build((None, None, 2, self.outlook.hidden))
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
        return [*dtypes, *["float32"] * self._followed]

    @property
    def _followed(self) -> int:
        """How many states a forecast has: outlook, ink and place of the pieces that are followed; and where
        they are of several frames, for how long.
        """
        return 0 if self.finder is None else 3 + (self.config.followed > 1)

    @property
    def furthest(self) -> int:
        """How many frames back matches look at most, those of a frame before the last one among them."""
        return max((*self.matches, *self.coarse_matches)) + self.config.followed - 1

    def state_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the state without the batch axis: H and C of each layer, the head's pending sums, as
        many frames as the furthest match looks back, and the pieces that are followed: outlook, ink, place,
        and where they are of several frames, for how long.
        """
        side = self.config.canvas // self.config.patch
        layers = zip(self.config.filters, self.config.layer_scales, strict=True)
        cells = [(side // scale, side // scale, filters) for filters, scale in layers for _ in "HC"]
        canvas, patch = self.config.canvas, self.config.patch
        others: list[tuple[int, ...]] = []
        if self.matches:
            others.append((self.furthest, canvas, canvas, 1))
        if self.finder is not None:
            count = self.finder.count * self.config.followed
            others += [(count, 2, self.outlook.hidden), (count, patch, patch), (count, 2)]
            others += [(1,)] * (self.config.followed > 1)
        return [*cells, (2, side, side, patch**2), *others]

    def next_frames(
        self,
        frames: Any,
        states: list[Any] | None = None,
        cells: Sequence[Callable[..., Any]] | None = None,
    ) -> tuple[Any, list[Any]]:
        """Predictions of each next frame of what is seen, and the states after the last frame.

        Parameters
        ----------
        frames : (batch, time, canvas, canvas, 1) in [0, 1]
        states : of the shapes of `state_shapes`, after the frames before; None where there were none
        cells : what stands in the place of `self.cells`, if anything does
        """
        passed = self._pass(frames, states, cells)
        followed = [] if self.finder is None or states is None else states[-self._followed :]
        made = self.foresight(*self._foreseen(frames, passed)) if self.config.foresees else passed.made
        return made, [*passed.states, *followed]

    def apart(self, frames: Any) -> list[Any]:
        """What the foresight reads of each frame of a known clip: features, the network's own predictions,
        and those of its forecast.
        """
        return self._foreseen(frames, self._pass(frames, None))

    def begin_rollout(
        self, frames: Any, states: list[Any] | None = None, where: Any = None
    ) -> tuple[Any, list[Any]]:
        """As `next_frames`, where a rollout begins after the last frame: its pieces are followed from there,
        and the forecast has a say in the last prediction, in it alone, as in those to come.

        where : None for all clips; or (batch, 1), 1 for those where it does
        """
        if self.finder is None:
            return self.next_frames(frames, states)
        passed = self._pass(frames, states)
        followed = self.follow(passed.known, 1)
        made = passed.made[:, -1:]
        trusted = self.trust(passed.features[:, -1:], made, self.forecast(*followed))
        last = trusted if where is None else _where(where, trusted, made)
        if frames.shape[1] > 1:
            last = ops.concatenate([passed.made[:, :-1], last], axis=1)
        return last, [*passed.states, *followed]

    def step_rollout(self, frame: Any, states: list[Any], where: Any = None) -> tuple[Any, list[Any]]:
        """The prediction after one of the network's own, and the states after it.

        Parameters
        ----------
        frame : (batch, 1, canvas, canvas, 1) in [0, 1]
        states : of the shapes of `state_shapes`, after `begin_rollout` or the step before
        where : None for all clips; or (batch, 1), 1 for those where the frame is the network's own, and was
            since the rollout began
        """
        if self.finder is None:
            return self.next_frames(frame, states)
        passed = self._pass(frame, states)
        followed = self.carried_on(states[-self._followed :])
        trusted = self.trust(passed.features, passed.made, self.forecast(*followed))
        made = trusted if where is None else _where(where, trusted, passed.made)
        return made, [*passed.states, *followed]

    def _pass(
        self,
        frames: Any,
        states: list[Any] | None,
        cells: Sequence[Callable[..., Any]] | None = None,
    ) -> _Passed:
        """Once through all layers but those of a forecast; as `next_frames`."""
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
            x = latest[scale] = relu(norm(x))
        features, _ = self._to_grid(x, scale, 1, latest)
        x, pending = self.head(features, None if states is None else states[2 * len(self.cells)])
        x = self.sigmoid(self.unfold(x) if self.unfold else x)
        if self.motion is not None:
            features = ops.concatenate([features, *seen], axis=-1) if seen else features
            x = self.motion(features, frames, x, seen[-1] if self.encoder else None)
        return _Passed(features, x, [*after, pending, *before], known, places)

    def _foreseen(self, frames: Any, passed: _Passed) -> list[Any]:
        followed = self.follow(passed.known, frames.shape[1], passed.places)
        foreseen = self.forecast(*followed)
        return [passed.features, passed.made, ops.reshape(foreseen, (-1, *frames.shape[1:]))]

    def follow(self, known: Any, time: int, places: Mapping[int, Any] | None = None) -> list[Any]:
        """What a forecast begins with after each of the last `time` frames: outlook, ink and place of its
        pieces, (batch x time, ...), see `PieceFinder`. Where those of frames before are followed, too, they
        come after them, carried on to the same frame; and last, for how many frames all of them have been
        followed, (batch x time, 1).
        """
        assert self.finder is not None
        more = self.config.followed - 1
        pieces, where, motion, *earlier = self.finder(known, time + more, places)
        ink = [ops.sum(pieces, axis=(-1, -2)), *earlier[::2]]
        followed = [self.outlook([motion, *earlier[1::2]], ink), pieces, where]
        return self._with_those_before(followed, time) if more else followed

    def _with_those_before(self, followed: list[Any], time: int) -> list[Any]:
        more = self.config.followed - 1
        outlook, *things = (ops.reshape(one, (-1, time + more, *one.shape[1:])) for one in followed)
        outlooks = []
        for back in range(more + 1):
            at = outlook[:, more - back : more - back + time]
            for _ in range(back):
                at = self.outlook_step(at)
            outlooks.append(at)
        parts = [outlooks, *([one[:, n : n + time] for n in range(more, -1, -1)] for one in things)]
        joined = [ops.concatenate(part, axis=2) for part in parts]
        joined = [ops.reshape(one, (-1, *one.shape[2:])) for one in joined]
        return [*joined, ops.ones_like(joined[1][:, 0, 0, :1])]

    def carried_on(self, followed: list[Any]) -> list[Any]:
        """What `follow` returned, a frame further."""
        outlook, pieces, where, *frames = followed
        return [self.outlook_step(outlook), pieces, where, *(one + 1 for one in frames)]

    def _seen(self, frames: Any, earlier: Any) -> tuple[list[Any], list[Any], Any, dict[int, Any]]:
        """Where each part of the frames was in earlier ones, and last, where it may head, on the finest grid;
        the state after them; the frames with the earlier ones; and by lag, where each part was.
        """
        if not self.matches:
            return [], [], frames, {}
        furthest, time = self.furthest, frames.shape[1]
        black = ops.repeat(ops.zeros_like(frames[:, :1]), furthest, axis=1)
        known = ops.concatenate([black if earlier is None else earlier, frames], axis=1)

        def found(match: Match, lag: int) -> Any:
            if earlier is None:
                before = frames[:, : max(time - lag, 0)]
            else:
                before = known[:, furthest - lag : furthest - lag + time]
            return cells_found(match, self.config.patch, frames, before)

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
        frames = self.frames_input(time)
        return [frames, *self._states_input()] if self.config.head == "causal" else [frames]

    def _states_input(self) -> list[Any]:
        return [
            keras.Input(shape, name=f"state_{n}", dtype=dtype)
            for n, (shape, dtype) in enumerate(zip(self.state_shapes(), self.state_dtypes(), strict=True))
        ]

    def frames_input(self, time: int) -> Any:
        if time < 1:
            raise ValueError(f"time must be 1 or more; got {time}")
        return keras.Input((time, self.config.canvas, self.config.canvas, 1), name="frames")

    def training_model(self, time: int = 19) -> keras.Model:
        """Frames (batch, time, canvas, canvas, 1) in [0, 1] to as many predictions, each of the frame after.

        Starts from empty memory. Prediction k is of frame k + 1.
        """
        frames = self.frames_input(time)
        predictions, _ = self.next_frames(frames)
        return keras.Model(frames, predictions, name=self.config.name)

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
        frames, filters = self.frames_input(time), self.config.filters[layer - 1]
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
        predictions, after = self.next_frames(frames, states, cells=cells)
        outputs = [predictions, *shown, *(after if causal else [])]
        return keras.Model([frames, *controls, *(states or [])], outputs, name=f"inside_{layer}_{time}")

    def stateful_model(self, time: int, imagined: bool = False, begins: bool = False) -> keras.Model:
        """[frames, *states] to [predictions, *states after the last frame]; see `state_shapes`.

        imagined : whether the frame, a single one, is the network's own prediction
        begins : whether a rollout begins after the last frame
        """
        if self.config.head != "causal":
            raise ValueError("the leaky head needs the future, so it cannot run step by step")
        frames, *states = self.inputs(time)
        run = self.step_rollout if imagined else self.begin_rollout if begins else self.next_frames
        predictions, after = run(frames, states)
        return keras.Model([frames, *states], [predictions, *after], name=f"{self.config.name}_{time}")


def _where(chosen: Any, one: Any, other: Any) -> Any:
    """`one` for the clips where `chosen` (batch, 1) is 1, `other` where it is 0."""
    share = ops.cast(ops.reshape(chosen, (-1, *[1] * (len(one.shape) - 1))), one.dtype)
    return share * one + (1 - share) * other


def build_model(config: ModelConfig, time: int = 19) -> keras.Model:
    """The clip-in, clip-out model of a configuration, with fresh weights."""
    return Network(config).training_model(time)
