"""Names and shapes of a network's weights, computed from its configuration: no Keras, nothing is built.

`core.model` is what makes the weights; a test holds the two together.
"""

from __future__ import annotations

from core.model_config import (
    DEEP_ROUNDS,
    DEEP_STEP,
    ENCODER_HIDDEN,
    FORECAST_READS,
    OUTLOOK_HIDDEN,
    ModelConfig,
    margin_size,
    match_channels,
    match_size,
)

GATES = 4
Shapes = dict[str, tuple[int, ...]]


def variable_shapes(config: ModelConfig) -> Shapes:
    """Shape of each variable of `Network(config)`, by path ("convlstm_1/kernel").

    The variables of one layer stand in the order in which the layer keeps them.
    """
    seen = match_channels(config)
    shapes: Shapes = {}
    channels, scale = config.patch**2 + seen, 1
    latest: dict[int, int] = {}  # by grid, channels of the features that were last on it
    layers = zip(config.filters, config.kernels, config.layer_scales, strict=True)
    for n, (filters, side, target) in enumerate(layers, 1):
        channels = _on_grid(channels, scale, target, latest)
        shapes |= _cell(f"convlstm_{n}", config, channels, filters, side, target)
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        shapes |= {f"norm_{n}/{name}": (filters,) for name in names}
        channels, scale = filters, target
        latest[scale] = channels
    channels = _on_grid(channels, scale, 1, latest)
    area = config.patch**2
    shapes |= {"head/kernel": (3, 3, 3, channels, area), "head/bias": (area,)}
    features = channels + seen if config.motions else channels
    return shapes | _motion(config, features) | _forecast(config, features)


def _on_grid(channels: int, scale: int, target: int, latest: dict[int, int]) -> int:
    """Channels after folding to a coarser grid, or unfolding to a finer one beside those that were there."""
    if target >= scale:
        return channels * (target // scale) ** 2
    return channels // (scale // target) ** 2 + latest.get(target, 0)


def _cell(name: str, config: ModelConfig, channels: int, filters: int, side: int, scale: int) -> Shapes:
    shapes: Shapes = {
        f"{name}/kernel": (side, side, channels, GATES * filters),
        f"{name}/recurrent_kernel": (side, side, filters, GATES * filters),
        f"{name}/bias": (GATES * filters,),
    }
    if config.peepholes is not None:
        grid = config.canvas // config.patch // scale
        place = (grid, grid) if config.peepholes == "spatial" else ()
        shapes |= {f"{name}/peephole_{gate}": (*place, filters) for gate in "ifo"}
    return shapes


def _motion(config: ModelConfig, channels: int) -> Shapes:
    """Of the motion head and its encoders."""
    if not config.motions:
        return {}
    proposed = config.motions * (2 * config.reach + 1)
    logits = 2 * proposed + config.patch**2 * (config.motions + 1)
    shapes: Shapes = {"motion/kernel": (3, 3, channels, logits), "motion/bias": (logits,)}
    if config.encode:
        known = sum(margin_size(config, lag) for lag in config.encode) + config.canvas
        for name in ("encoder", "others_encoder") if config.others else ("encoder",):
            shapes |= {
                f"{name}/kernel": (known, ENCODER_HIDDEN),
                f"{name}/bias": (ENCODER_HIDDEN,),
                f"{name}/out_kernel": (ENCODER_HIDDEN, proposed),
                f"{name}/out_bias": (proposed,),
            }
    return shapes


def _forecast(config: ModelConfig, features: int) -> Shapes:
    if not config.forecast:
        return {}
    hidden, area, taps = OUTLOOK_HIDDEN, config.patch**2, 2 * config.canvas - 1
    shapes: Shapes = {}
    for n, lags in enumerate(FORECAST_READS.values()):
        name = f"outlook/earlier_{n}_" if n else "outlook/"
        shapes[f"{name}kernel"] = (sum(piece_parts(config, lags)), hidden)
        shapes[f"{name}bias"] = (hidden,)
    trusts = ("trust", "foresight") if config.foresees else ("trust",)
    for name in trusts:
        shapes |= {f"{name}/kernel": (3, 3, features + 2 * area, area), f"{name}/bias": (area,)}
    rounds = [f"round_{n}_" for n in range(2, DEEP_ROUNDS + 1)] if config.deep else []
    for name in (f"outlook/{prefix}" for prefix in ("", *rounds)):
        shapes |= {
            f"{name}query_kernel": (2 * hidden, hidden // 2),
            f"{name}key_kernel": (2 * hidden, hidden // 2),
            f"{name}value_kernel": (hidden, hidden),
            f"{name}heard_kernel": (2 * hidden, hidden),
            f"{name}heard_bias": (hidden,),
        }
    inner = DEEP_STEP * hidden if config.deep else hidden
    shapes |= {"outlook_step/kernel": (hidden, inner), "outlook_step/bias": (inner,)}
    if config.deep:
        shapes["outlook_step/further_kernel"] = (inner, hidden)
    return shapes | {"forecast/kernel": (hidden, taps), "forecast/bias": (taps,)}


def piece_parts(config: ModelConfig, lags: tuple[int, ...]) -> list[int]:
    """What is known of a piece along one axis, see `core.forecast.Pieces`, part by part: the margin of each
    match and the place of its thing, in pixels; and its cell. Each runs from one side to the other.
    """
    margins = [2 * match_size(config, lag)[1] + 1 for lag in lags]
    side, _ = match_size(config, min(lags))
    return [*margins, config.canvas, config.canvas // side]
