"""From a `ModelConfig` to Keras models that share one set of weights.

`Network` owns the layers. `Network.training_model(time)` is the plain clip-in, clip-out model that Keras
trains; `Network.stateful_model(time)` also takes and returns the state, so that a long clip can run in parts
and a rollout costs one step a frame.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

import keras

from core.layers import FoldPatches, PeepholeConvLSTM2D, TemporalConv3D, UnfoldPatches

HEADS = ("causal", "leaky")
PATCHES = (1, 2, 4)


@dataclass(frozen=True)
class ModelConfig:
    """What a network looks like.

    Attributes
    ----------
    name : the configuration's name
    filters, kernels : one entry a ConvLSTM layer: channels, side of the square kernel
    patch : patches of this side are folded into channels before the first layer; 1 is full resolution
    peepholes : "spatial", "channel" or None, see `PeepholeConvLSTM2D`
    head : "causal", or "leaky" to demonstrate the error of a centred convolution
    canvas : side of the frames; only spatial peepholes tie the weights to it
    """

    name: str
    filters: tuple[int, ...]
    kernels: tuple[int, ...]
    patch: int = 1
    peepholes: str | None = "spatial"
    head: str = "causal"
    canvas: int = 64

    def __post_init__(self) -> None:
        if not self.filters or len(self.filters) != len(self.kernels):
            raise ValueError(
                f"filters and kernels need one entry a layer; got {self.filters} and {self.kernels}"
            )
        if any(not isinstance(size, int) or size < 1 for size in (*self.filters, *self.kernels)):
            raise ValueError(f"filters and kernels must be 1 or more; got {self.filters} and {self.kernels}")
        if any(side % 2 == 0 for side in self.kernels):
            raise ValueError(f"kernels must be odd; got {self.kernels}")
        if self.patch not in PATCHES:
            raise ValueError(f"patch must be one of {PATCHES}; got {self.patch!r}")
        if self.peepholes not in ("spatial", "channel", None):
            raise ValueError(f"peepholes must be 'spatial', 'channel' or None; got {self.peepholes!r}")
        if self.head not in HEADS:
            raise ValueError(f"head must be one of {', '.join(HEADS)}; got {self.head!r}")
        if not isinstance(self.canvas, int) or self.canvas < self.patch or self.canvas % self.patch:
            raise ValueError(f"canvas must be a multiple of patch ({self.patch}); got {self.canvas!r}")

    def to_json(self) -> str:
        """Indented JSON that `from_json` reads back to an equal configuration."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> ModelConfig:
        """Read a configuration; raises ValueError with one sentence when it is not one."""
        data = json.loads(text)
        names = {field.name for field in fields(cls)}
        if not isinstance(data, dict) or not {"name", "filters", "kernels"} <= set(data) <= names:
            raise ValueError(f"a model configuration is a JSON object with {', '.join(sorted(names))}")
        if not isinstance(data["filters"], list) or not isinstance(data["kernels"], list):
            raise ValueError("filters and kernels of a model configuration must be lists")
        return cls(**{**data, "filters": tuple(data["filters"]), "kernels": tuple(data["kernels"])})


CONFIGS = {
    # the described architecture: full resolution, the paper's peepholes
    "reference": ModelConfig("reference", filters=(64, 64, 64), kernels=(5, 3, 1)),
    # for live use: a sixteenth of the pixels, each of sixteen channels
    "fast": ModelConfig("fast", filters=(64,) * 4, kernels=(3,) * 4, patch=4, peepholes="channel"),
}


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
            keras.layers.BatchNormalization(name=f"norm_{n}", dtype=dtype) for n in range(1, len(layers) + 1)
        ]
        self.relus = [keras.layers.ReLU(name=f"relu_{n}", dtype=dtype) for n in range(1, len(layers) + 1)]
        self.head = TemporalConv3D(config.patch**2, causal=config.head == "causal", name="head", dtype=dtype)
        # probabilities are float32 whatever the layers compute in: BCE needs the digits near 0 and 1
        self.sigmoid = keras.layers.Activation("sigmoid", dtype="float32", name="probability")

    @property
    def state_dtype(self) -> str:
        """Type of the states: what the layers compute in."""
        return self.head.compute_dtype

    def state_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the state without the batch axis: H and C of each layer, then the head's pending sums."""
        side = self.config.canvas // self.config.patch
        cells = [(side, side, filters) for filters in self.config.filters for _ in "HC"]
        return [*cells, (2, side, side, self.config.patch**2)]

    def _apply(self, frames: Any, states: list[Any] | None) -> tuple[Any, list[Any]]:
        x = self.fold(frames) if self.fold else frames
        after: list[Any] = []
        for n, (cell, norm, relu) in enumerate(zip(self.cells, self.norms, self.relus, strict=True)):
            x, hidden, memory = cell(x, None if states is None else states[2 * n : 2 * n + 2])
            after += [hidden, memory]
            x = relu(norm(x))
        x, pending = self.head(x, None if states is None else states[-1])
        x = self.unfold(x) if self.unfold else x
        return self.sigmoid(x), [*after, pending]

    def _frames_input(self, time: int) -> Any:
        if time < 1:
            raise ValueError(f"time must be 1 or more; got {time}")
        return keras.Input((time, self.config.canvas, self.config.canvas, 1), name="frames")

    def training_model(self, time: int = 19) -> keras.Model:
        """Frames (batch, time, canvas, canvas, 1) in [0, 1] to as many predictions, each of the frame after.

        Starts from empty memory. Prediction k is of frame k + 1.
        """
        frames = self._frames_input(time)
        predictions, _ = self._apply(frames, None)
        return keras.Model(frames, predictions, name=self.config.name)

    def stateful_model(self, time: int) -> keras.Model:
        """[frames, *states] to [predictions, *states after the last frame]; see `state_shapes`."""
        if self.config.head != "causal":
            raise ValueError("the leaky head needs the future, so it cannot run step by step")
        frames = self._frames_input(time)
        states = [
            keras.Input(shape, name=f"state_{n}", dtype=self.state_dtype)
            for n, shape in enumerate(self.state_shapes())
        ]
        predictions, after = self._apply(frames, states)
        return keras.Model([frames, *states], [predictions, *after], name=f"{self.config.name}_{time}")


def build_model(config: ModelConfig, time: int = 19) -> keras.Model:
    """The clip-in, clip-out model of a configuration, with fresh weights."""
    return Network(config).training_model(time)
