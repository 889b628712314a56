"""From a `ModelConfig` to Keras models that share one set of weights.

`Network` owns the layers. `Network.training_model(time)` is the plain clip-in, clip-out model that Keras
trains; `Network.stateful_model(time)` also takes and returns the state, so that a long clip can run in parts
and a rollout costs one step a frame.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from core.layers import FoldPatches, PeepholeConvLSTM2D, TemporalConv3D, UnfoldPatches
from core.model_config import CONFIGS, ModelConfig, match_size
from core.motion import Match, MotionCentre, MotionEncoder, MotionHead

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
        self.matches = {
            lag: Match(reach, side, name=f"match_{lag}", dtype="float32")
            for lag in config.lags
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
        self._dtype = dtype
        # probabilities are float32 whatever the layers compute in: BCE needs the digits near 0 and 1
        self.sigmoid = keras.layers.Activation("sigmoid", dtype="float32", name="probability")

    @property
    def compute_dtype(self) -> str:
        """What the layers compute in."""
        return self.head.compute_dtype

    def state_dtypes(self) -> list[str]:
        """Types of the states: frames are float32, all else is what the layers compute in."""
        dtypes = [self.compute_dtype] * (2 * len(self.cells) + 1)
        return [*dtypes, "float32"] if self.matches else dtypes

    def state_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the state without the batch axis: H and C of each layer, the head's pending sums,
        and as many frames as the furthest match looks back.
        """
        side = self.config.canvas // self.config.patch
        layers = zip(self.config.filters, self.config.layer_scales, strict=True)
        cells = [(side // scale, side // scale, filters) for filters, scale in layers for _ in "HC"]
        canvas, lags = self.config.canvas, self.config.lags
        before = [(max(lags), canvas, canvas, 1)] if lags else []
        return [*cells, (2, side, side, self.config.patch**2), *before]

    def apply(
        self, frames: Any, states: list[Any] | None, training: bool | None = None
    ) -> tuple[Any, list[Any]]:
        """Predictions and the states after the last frame; `training` as in Keras, of the normalisation."""
        x = self.fold(frames) if self.fold else frames
        seen, before = self._seen(frames, None if states is None else states[-1])
        if seen:
            x = ops.concatenate([ops.cast(x, self.compute_dtype), *seen], axis=-1)
        after: list[Any] = []
        scale = 1  # of the grid that x is on
        latest: dict[int, Any] = {}  # by grid, the features that were last on it
        for n, (cell, norm, relu) in enumerate(zip(self.cells, self.norms, self.relus, strict=True)):
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
        return x, [*after, pending, *before]

    def _seen(self, frames: Any, earlier: Any) -> tuple[list[Any], list[Any]]:
        """Where each part of the frames was in earlier ones, and last, where it may head, on the finest grid;
        and the state after them.
        """
        if not self.matches:
            return [], []
        furthest, time = max(self.matches), frames.shape[1]
        if earlier is None:
            earlier = ops.repeat(ops.zeros_like(frames[:, :1]), furthest, axis=1)
        known = ops.concatenate([earlier, frames], axis=1)
        places_of = {}
        for lag, match in self.matches.items():
            places = match(frames, known[:, furthest - lag : furthest - lag + time])
            cells = match.patch // self.config.patch
            if cells > 1:
                places = ops.repeat(ops.repeat(places, cells, axis=2), cells, axis=3)
            places_of[lag] = ops.cast(places, self.compute_dtype)
        seen = [places_of[lag] for lag in self.config.match]
        if self.encoder is not None and self.centre is not None:
            nearest, encoded = places_of[min(self.matches)], [places_of[lag] for lag in self.config.encode]
            centre = ops.cast(self.centre(frames, nearest), self.compute_dtype)
            proposed = self.encoder(*_by_axis([*encoded, centre]))
            if self.others is not None:
                margins = ops.concatenate(_by_axis(encoded), axis=-1)
                found = self.others(frames, nearest, margins)
                centre, margins = (ops.cast(part, self.compute_dtype) for part in found)
                proposed = proposed + self.others_encoder(*_by_axis([margins, centre]))
            seen.append(proposed)
        return seen, [known[:, time:]]

    def _to_grid(self, x: Any, scale: int, target: int, latest: dict[int, Any]) -> tuple[Any, int]:
        """Features on a coarser or finer grid: folded, or unfolded and beside those that were last there."""
        if target == scale:
            return x, scale
        layer = FoldPatches if target > scale else UnfoldPatches
        x = layer(max(target, scale) // min(target, scale), dtype=self._dtype)(x)
        if target < scale and target in latest:
            x = ops.concatenate([x, latest[target]], axis=-1)
        return x, target

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
        predictions, states = self.apply(frames[:, :context], None, training=False)
        outputs = [predictions]
        for t in range(context, time):
            mixed = own * outputs[-1][:, -1:] + (1 - own) * frames[:, t : t + 1]
            prediction, states = self.apply(mixed, states, training=False)
            outputs.append(prediction)
        return [frames, free], ops.concatenate(outputs, axis=1)

    def stateful_model(self, time: int) -> keras.Model:
        """[frames, *states] to [predictions, *states after the last frame]; see `state_shapes`."""
        if self.config.head != "causal":
            raise ValueError("the leaky head needs the future, so it cannot run step by step")
        frames = self._frames_input(time)
        states = [
            keras.Input(shape, name=f"state_{n}", dtype=dtype)
            for n, (shape, dtype) in enumerate(zip(self.state_shapes(), self.state_dtypes(), strict=True))
        ]
        predictions, after = self.apply(frames, states)
        return keras.Model([frames, *states], [predictions, *after], name=f"{self.config.name}_{time}")


def _by_axis(parts: list[Any]) -> list[Any]:
    """Several parts, each over rows and then over columns, as one over rows and one over columns."""
    axes = zip(*(ops.split(part, 2, axis=-1) for part in parts), strict=True)
    return [ops.concatenate(axis, axis=-1) for axis in axes]


def build_model(config: ModelConfig, time: int = 19) -> keras.Model:
    """The clip-in, clip-out model of a configuration, with fresh weights."""
    return Network(config).training_model(time)
