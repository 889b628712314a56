"""What a network looks like, and the networks that are trained here. No Keras: a page lists them at once."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace

from core.damage import read_json, shown

HEADS = ("causal", "leaky")
PATCHES = (1, 2, 4)
SCALES = (1, 2, 4)
MAX_LAG = 8
FAR_CELL = 2  # cells of the grid along an axis that are one where frames further apart are matched
FAR_REACH_PX = 4  # for each frame between them: a little more than standard digits fly
ENCODER_HIDDEN = 256  # units of a motion encoder's first layer
OUTLOOK_HIDDEN, OUTLOOK_HEADS, OUTLOOK_ROUNDS = 256, 4, 2
DEEP_ROUNDS, DEEP_STEP = 3, 2  # rounds with weights of their own; width of a step's inner layer, in vectors
FORECAST_LAGS = (1, 2, 3, 4, 6, 8)  # frames back with which `core.forecast` matches the last one seen
FORECAST_AHEAD = 10  # frames that a forecast is taught; further it does not lead
# the frames that it reads, by how many frames back they are, each with those before it to match with
FORECAST_READS = {0: FORECAST_LAGS, 3: (1, 2), 6: (1, 2)}
_LISTS = ("filters", "kernels", "scales", "match", "encode", "coarse")
COARSE = 2  # pixels along an axis that are one where frames are matched at half the resolution


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
    scales : one entry a layer: how many cells of the folded grid are one of the layer's, along an axis;
        () is 1 everywhere. A layer that returns to a finer grid sees the last layer on that grid, too
    motions : displacements a cell of the motion head, see `MotionHead`; 0 is without it: all is painted
    reach : largest displacement of the motion head along an axis, px
    match : the first layer also sees where each part of a frame was so many frames before, see `Match`; ()
        is without
    encode : matches with so many frames before are also read together, see `MotionEncoder`; () is without
    coarse : those of `encode` that are matched at half the resolution, in a fraction of the time: neither the
        nearest one, nor one of `match`
    others : a second encoder reads how what moves otherwise nearby was displaced, see `MotionCentre`
    forecast : pieces of the last frame seen that are followed while the network is fed with its own
        predictions, see `core.forecast`; 0 is without
    deep : the pieces of a forecast hear each other three times, each with weights of its own, and are carried
        on by two layers; without it twice with the same, and by one
    followed : of how many of the last frames the pieces are followed; their forecasts are mixed by how sure
        each is
    foresees : the forecast also has a say in each next frame of a known clip, as far as it is trusted there
    """

    name: str
    filters: tuple[int, ...]
    kernels: tuple[int, ...]
    patch: int = 1
    peepholes: str | None = "spatial"
    head: str = "causal"
    canvas: int = 64
    scales: tuple[int, ...] = ()
    motions: int = 0
    reach: int = 7
    match: tuple[int, ...] = ()
    encode: tuple[int, ...] = ()
    coarse: tuple[int, ...] = ()
    others: bool = False
    forecast: int = 0
    deep: bool = False
    followed: int = 1
    foresees: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise ValueError(f"name must be text; got {shown(self.name)}")
        both = f"{shown(self.filters)} and {shown(self.kernels)}"
        if not self.filters or len(self.filters) != len(self.kernels):
            raise ValueError(f"filters and kernels need one entry a layer; got {both}")
        if any(not isinstance(size, int) or size < 1 for size in (*self.filters, *self.kernels)):
            raise ValueError(f"filters and kernels must be 1 or more; got {both}")
        if any(side % 2 == 0 for side in self.kernels):
            raise ValueError(f"kernels must be odd; got {shown(self.kernels)}")
        if type(self.patch) is not int or self.patch not in PATCHES:
            raise ValueError(f"patch must be one of {PATCHES}; got {shown(self.patch)}")
        if self.peepholes not in ("spatial", "channel", None):
            raise ValueError(f"peepholes must be 'spatial', 'channel' or None; got {shown(self.peepholes)}")
        if self.head not in HEADS:
            raise ValueError(f"head must be one of {', '.join(HEADS)}; got {shown(self.head)}")
        if not isinstance(self.canvas, int) or self.canvas < self.patch or self.canvas % self.patch:
            raise ValueError(f"canvas must be a multiple of patch ({self.patch}); got {shown(self.canvas)}")
        self._check_scales()
        self._check_motion()
        if self.followed > 1 and not self.forecast:
            raise ValueError(f"followed above 1 needs forecast; got {self.followed}")

    def _check_motion(self) -> None:
        for name in ("match", "encode", "coarse"):
            lags = getattr(self, name)
            known = all(type(lag) is int and 1 <= lag <= MAX_LAG for lag in lags)
            if not known or len(set(lags)) < len(lags):
                raise ValueError(
                    f"{name} must be different numbers of frames, 1 to {MAX_LAG}; got {shown(lags)}"
                )
        if not set(self.coarse) <= set(self.encode) - {*self.match, *sorted(self.lags)[:1]}:
            raise ValueError(
                f"coarse must be of encode, but neither of match nor the nearest; got {shown(self.coarse)}"
            )
        cell = FAR_CELL * self.patch
        if (self.forecast or any(lag > 1 for lag in self.lags)) and self.canvas % cell:
            raise ValueError(
                f"canvas must be a multiple of {cell}, the cells that are matched; got {shown(self.canvas)}"
            )
        for name, low in (("motions", 0), ("reach", 1), ("forecast", 0), ("followed", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ValueError(f"{name} must be a whole number, {low} or more; got {shown(value)}")
        if self.forecast and self.head == "leaky":
            raise ValueError(
                "forecast must be 0 with the leaky head, which cannot make the rollouts that it is for; "
                f"got {shown(self.forecast)}"
            )
        if self.encode and not self.motions:
            raise ValueError(f"encode needs a motion head, motions of 1 or more; got {shown(self.encode)}")
        if not isinstance(self.others, bool) or (self.others and not self.encode):
            raise ValueError(f"others must be true or false, and needs encode; got {shown(self.others)}")
        for name in ("deep", "foresees"):
            value = getattr(self, name)
            if not isinstance(value, bool) or (value and not self.forecast):
                raise ValueError(f"{name} must be true or false, and needs forecast; got {shown(value)}")

    def _check_scales(self) -> None:
        if not self.scales:
            return
        if len(self.scales) != len(self.filters) or any(
            type(scale) is not int or scale not in SCALES for scale in self.scales
        ):
            raise ValueError(f"scales need one of {SCALES} for each layer; got {shown(self.scales)}")
        if self.canvas % (self.patch * max(self.scales)):
            raise ValueError(
                f"canvas must be a multiple of patch x scale ({self.patch * max(self.scales)}); "
                f"got {shown(self.canvas)}"
            )
        for filters, scale, finer in zip(self.filters, self.scales, (*self.scales[1:], 1), strict=True):
            if finer < scale and filters % (scale // finer) ** 2:
                raise ValueError(
                    f"filters of a layer before a finer one must be a multiple of {(scale // finer) ** 2}; "
                    f"got {filters}"
                )

    @property
    def layer_scales(self) -> tuple[int, ...]:
        """`scales`, one entry a layer in any case."""
        return self.scales or (1,) * len(self.filters)

    @property
    def lags(self) -> tuple[int, ...]:
        """All numbers of frames back with which a frame is matched."""
        return tuple(dict.fromkeys((*self.match, *self.encode)))

    def to_json(self) -> str:
        """Indented JSON that `from_json` reads back to an equal configuration."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> ModelConfig:
        """Read a configuration; raises ValueError with one sentence when it is not one."""
        data = read_json(text)
        names = {field.name for field in fields(cls)}
        if not isinstance(data, dict) or not {"name", "filters", "kernels"} <= set(data) <= names:
            raise ValueError(f"a model configuration is a JSON object with {', '.join(sorted(names))}")
        if any(not isinstance(data.get(name, []), list) for name in _LISTS):
            raise ValueError(f"{', '.join(_LISTS)} of a model configuration must be lists")
        lists = {name: tuple(data[name]) for name in _LISTS if name in data}
        return cls(**{**data, **lists})


def match_size(config: ModelConfig, lag: int) -> tuple[int, int]:
    """Side of the cells that are matched with the frame `lag` before, and the largest displacement, px."""
    return (config.patch, config.reach) if lag == 1 else (FAR_CELL * config.patch, FAR_REACH_PX * lag)


def margin_size(config: ModelConfig, lag: int) -> int:
    """Along an axis, how many displacements since the frame `lag` before the layers hear of."""
    _, reach = match_size(config, lag)
    return 2 * (reach // COARSE if lag in config.coarse else reach) + 1


def match_channels(config: ModelConfig) -> int:
    """Channels that the first layer and the head see beside the frames and the features.

    Two margins of each match, over the displacements along rows and along columns; and as many of each motion
    that a `MotionEncoder` proposes.
    """
    proposed = 2 * config.motions * (2 * config.reach + 1) if config.encode else 0
    return sum(2 * margin_size(config, lag) for lag in config.match) + proposed


# For live use: a sixteenth of the pixels, each of sixteen channels. A coarser grid between two fine ones sees
# whole digits; what moves is matched with earlier frames, and moved instead of painted.
_FAST = ModelConfig(
    "fast",
    filters=(64, 128, 64),
    kernels=(3, 3, 3),
    patch=4,
    peepholes="channel",
    scales=(1, 2, 1),
    motions=2,
    match=(1, 3),
    encode=(1, 2, 3, 4, 6, 8),
    coarse=(6, 8),
    forecast=96,
    deep=True,
    followed=2,
)
CONFIGS = {
    # the described architecture: full resolution, the paper's peepholes
    "reference": ModelConfig("reference", filters=(64, 64, 64), kernels=(5, 3, 1)),
    "fast": _FAST,
    # the same with a finer view back, and around, to be grown from it; slower, for surer forecasts
    "best": replace(_FAST, name="best", coarse=(), others=True, followed=4, foresees=True),
    # the described architecture with the error of the published code, to show what it does
    "leaky": ModelConfig("leaky", filters=(64, 64, 64), kernels=(5, 3, 1), head="leaky"),
    # small enough to train four times, to compare losses
    "lesson": ModelConfig("lesson", filters=(32, 32), kernels=(5, 5), patch=4, peepholes="channel"),
    # learns before the eyes of a class: two small layers
    "classroom": ModelConfig("classroom", filters=(32, 32), kernels=(5, 3), patch=4, peepholes="channel"),
}
