"""A wider network that predicts what a narrower one does: how training goes on with more room.

Net2Net (Chen, Goodfellow and Shlens 2016) grows a trained network without losing what it knows. Here the
old channels keep their weights, the new ones get fresh weights, and nothing that was there listens to a new
channel yet: its weights begin at 0 and have a gradient, so that the new channels are heard as soon as they
have something to say. Until then the wider network predicts the same as the narrower one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np

from core.model_config import FORECAST_LAGS, ModelConfig, margin_size, match_channels, match_size
from core.model_shapes import GATES

_ENCODER, _OTHERS = "encoder/", "others_encoder/"
OUTLOOK = ("outlook/", "outlook_step/", "forecast/")
_TRUST, _FORESIGHT = "trust/", "foresight/"
_FORECAST = (*OUTLOOK, _TRUST)
_STIRS = 1e-3  # where a ReLU has a slope, and hardly says anything


def check_growth(old: ModelConfig, new: ModelConfig) -> None:
    """ValueError with one sentence unless `new` is `old` with at least as many filters and matches.

    It may also begin to encode matches, or encode more of them, after which the first layer gets no more;
    begin to encode those of what moves otherwise; begin to forecast: rollouts hardly listen to one that
    nobody has trained; begin to use it for known clips, too; and begin to forecast with more layers.

    What only helps may be left out, to be faster: encoded matches, or half of their resolution, those of what
    moves otherwise, and the forecast's say in known clips. Then it does not predict the same, and has to
    learn to do without. Nor does it quite where a match is told at the whole resolution from now on.
    """
    but = (
        *("name", "filters", "encode", "coarse", "others", "followed", "foresees"),
        *(() if old.encode else ("match",)),
        *(() if old.forecast else ("forecast",)),
        *(() if old.deep else ("deep",)),
    )
    kept = [{name: value for name, value in asdict(one).items() if name not in but} for one in (old, new)]
    without = bool(old.encode and not new.encode)
    same = kept[0] == kept[1] and new.match[: len(old.match)] == old.match and not without
    if not same or any(now < before for before, now in zip(old.filters, new.filters, strict=False)):
        raise ValueError(
            f"{new.name} cannot begin with the weights of {old.name}: it must have the same layers, with as "
            f"many filters or more; got {new.filters} from {old.filters}"
            + ("" if same else ", and other settings differ")
        )


def _places(old: ModelConfig, new: ModelConfig) -> list[np.ndarray]:
    """For each layer, the new channel of each old one.

    Channels that the next layer unfolds to a finer grid are as many groups as a coarse cell has fine ones:
    an old channel keeps its group.
    """
    scales = (*old.layer_scales, 1)
    places = []
    for n, (before, now) in enumerate(zip(old.filters, new.filters, strict=True)):
        groups = max(scales[n] // scales[n + 1], 1) ** 2
        group, place = np.divmod(np.arange(before), before // groups)
        places.append(group * (now // groups) + place)
    return places


def _inputs(old: ModelConfig, new: ModelConfig) -> list[tuple[np.ndarray, int]]:
    """For each layer and then the head: the new input channel of each old one, and how many there are now."""
    before, now = (config.patch**2 + match_channels(config) for config in (old, new))
    places = _places(old, new)
    latest: dict[int, tuple[np.ndarray, int]] = {}
    x, scale = (np.arange(before), now), 1
    inputs = []
    for n, target in enumerate((*old.layer_scales, 1)):
        index, count = x
        if target > scale:  # the cells of a coarser one, side by side
            cells = (target // scale) ** 2
            x = (np.concatenate([index + cell * count for cell in range(cells)]), cells * count)
        elif target < scale:  # the first group of each channel's unfolding, then what was last on that grid
            groups = (scale // target) ** 2
            x = (index[: len(index) // groups], count // groups)
            if target in latest:
                beside, more = latest[target]
                x = (np.concatenate([x[0], x[1] + beside]), x[1] + more)
        inputs.append(x)
        if n < len(places):
            scale = target
            x = latest[scale] = (places[n], new.filters[n])
    return inputs


def _encoder_kernel(trained: np.ndarray, old: ModelConfig, new: ModelConfig) -> np.ndarray:
    """An encoder's first kernel: of what it did not know it hears nothing, what is no more is dropped."""
    ends = np.cumsum([margin_size(old, lag) for lag in old.encode])
    *margins, place = np.split(trained, ends)
    known = dict(zip(old.encode, margins, strict=True))
    parts = []
    for lag in new.encode:
        size = margin_size(new, lag)
        part = known.get(lag, np.zeros((size, trained.shape[1]), trained.dtype))
        if len(part) > size:  # every second displacement stands for half of those beside it, too
            shared = np.pad(part, [(1, 1), (0, 0)], mode="reflect")
            part = (shared[:-2] + 2 * part + shared[2:])[::2] / 4
        elif len(part) < size:  # and what lies between two for half of each
            part = np.insert(part, range(1, len(part)), (part[1:] + part[:-1]) / 2, axis=0)
        parts.append(part)
    return np.concatenate([*parts, place])


def _trusted(old: ModelConfig, new: ModelConfig) -> np.ndarray:
    """The new input of the trust in a forecast for each old one: features, then two folded pictures."""
    taken, features = _inputs(old, new)[-1]
    pixels = 2 * old.patch**2
    matches = (match_channels(old), match_channels(new))
    return np.concatenate(
        [taken, features + np.arange(matches[0]), features + matches[1] + np.arange(pixels)]
    )


def grow(
    arrays: Mapping[str, np.ndarray], old: ModelConfig, fresh: Mapping[str, np.ndarray], new: ModelConfig
) -> dict[str, np.ndarray]:
    """Weights of a wider network from those of a narrower one.

    Parameters
    ----------
    arrays : the trained weights by path, see `core.weights`
    old, new : the two networks, see `check_growth`
    fresh : weights of the new network at random

    Returns
    -------
    dict
        With the paths and shapes of `fresh`.

    Raises
    ------
    ValueError
        If the second network is not the first one with more filters, or weights are missing.
    """
    check_growth(old, new)
    apart = {_ENCODER: bool(old.encode), **dict.fromkeys(_FORECAST, bool(old.forecast)), **_optional(old)}
    if old.forecast:
        arrays = {
            **arrays,
            **deepened(arrays, {path: fresh[path] for path in fresh if path.startswith(OUTLOOK)}),
        }
    added = {path for path in fresh for part, kept in apart.items() if path.startswith(part) and not kept}
    left_out = [part for part, is_left in _optional(new).items() if not is_left]
    arrays = {path: array for path, array in arrays.items() if not path.startswith(tuple(left_out))}
    if set(arrays) != set(fresh) - added:
        odd = sorted(set(arrays) ^ (set(fresh) - added))
        raise ValueError(f"weights of {old.name} do not fit it: {len(odd)} names differ, such as {odd[0]!r}")
    grown = {path: np.array(values) for path, values in fresh.items()}
    _take_parts(grown, arrays, old, new, added, tuple(apart))
    places, inputs = _places(old, new), _inputs(old, new)
    for n, (place, (taken, _)) in enumerate(zip(places, inputs, strict=False), 1):
        gates = np.concatenate([place + gate * new.filters[n - 1] for gate in range(GATES)])
        for name, sources in (("kernel", taken), ("recurrent_kernel", place)):
            path = f"convlstm_{n}/{name}"
            _take_over(grown[path], arrays[path], sources, gates)
        grown[f"convlstm_{n}/bias"][gates] = arrays[f"convlstm_{n}/bias"]
        for path in grown:
            if path.startswith((f"convlstm_{n}/peephole_", f"norm_{n}/")):
                grown[path][..., place] = arrays[path]
    features = inputs[-1]
    _take_over(grown["head/kernel"], arrays["head/kernel"], features[0])
    grown["head/bias"] = np.array(arrays["head/bias"])
    if old.motions:
        sources = np.concatenate([features[0], features[1] + np.arange(match_channels(old))])
        _take_over(grown["motion/kernel"], arrays["motion/kernel"], sources)
        grown["motion/bias"] = np.array(arrays["motion/bias"])
    return grown


def _optional(config: ModelConfig) -> dict[str, bool]:
    """Parts that a network can do without, by how their names begin, and whether this one has them."""
    return {_OTHERS: config.others, _FORESIGHT: config.foresees}


def _take_parts(
    grown: dict[str, np.ndarray],
    arrays: Mapping[str, np.ndarray],
    old: ModelConfig,
    new: ModelConfig,
    added: set[str],
    apart: tuple[str, ...],
) -> None:
    """Write what is not of the layers themselves: encoders, forecast, and trust in it.

    added : what the old network has not
    apart : how the names of such parts begin
    """
    for path in grown:
        if path in added:
            # a forecast that is trusted in rollouts is trusted as much in known clips, to begin with
            source = path.replace(_FORESIGHT, _TRUST) if old.forecast else path
            grown[path] = _silent(path, np.array(grown[source]))
        elif path in (f"{encoder}kernel" for encoder in (_ENCODER, _OTHERS)):
            grown[path] = _encoder_kernel(arrays[path], old, new)
        elif path in (f"{_TRUST}kernel", f"{_FORESIGHT}kernel"):
            _take_over(grown[path], arrays[path], _trusted(old, new))
        elif path.startswith(apart):
            grown[path] = np.array(arrays[path])


def check_forecast(source: ModelConfig, target: ModelConfig) -> None:
    """ValueError with one sentence unless `target` can take over the forecast of `source`.

    Both must forecast, and match the same cells within the same reach; filters and layers do not matter.
    """
    if not source.forecast:
        raise ValueError(f"{source.name} has no forecast that {target.name} could begin with")
    made_of = [(one.canvas, [match_size(one, lag) for lag in FORECAST_LAGS]) for one in (source, target)]
    if made_of[0] != made_of[1]:
        raise ValueError(
            f"the forecast of {source.name} does not fit {target.name}: canvas, cells and reach of their "
            "matches must be the same"
        )
    if source.deep and not target.deep:
        raise ValueError(
            f"the forecast of {source.name} is deep and does not fit {target.name}, whose is not"
        )


def deepened(trained: Mapping[str, np.ndarray], fresh: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A forecast with at least as many layers as a trained one, which says what that says.

    Parameters
    ----------
    trained : weights by path, those of a forecast among them, deep or not
    fresh : weights at random of the forecast alone

    Returns
    -------
    dict
        With the paths of `fresh`, or those of them that `trained` has if it does not fit. The second round
        begins with the weights of the first, as it was when they shared them; a third one adds next to
        nothing, until it has learned to; so do further units of a step.
    """
    added = {path for path in fresh if "/round_" in path or path.endswith("further_kernel")}
    vector = len(fresh["outlook_step/kernel"])
    shapes = {path: array.shape for path, array in fresh.items() if path not in added}
    for path in ("outlook_step/kernel", "outlook_step/bias"):
        shapes[path] = (*shapes[path][:-1], vector)
    fits = all(path in trained and trained[path].shape == shape for path, shape in shapes.items())
    if not added or added & set(trained) or not fits:
        # as deep already, or not a forecast, which whoever takes it finds
        return {path: np.array(trained[path]) for path in fresh if path in trained}
    deep = {path: np.array(values) for path, values in fresh.items()}
    for path in deep:
        source = path.replace("round_2_", "")
        if path in ("outlook_step/kernel", "outlook_step/bias"):
            deep[path][..., :vector] = trained[path]
        elif source in trained:
            deep[path] = np.array(trained[source])
    deep["outlook/round_3_heard_kernel"][:] = 0
    deep["outlook/round_3_heard_bias"][:] = _STIRS
    further = deep["outlook_step/further_kernel"]
    further[:] = np.eye(*further.shape)
    return deep


def take_forecast(source: Mapping[str, np.ndarray], own: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights `own` with the forecast of another model, see `check_forecast`.

    A trust that nobody has trained begins with half of each: from one that believes hardly anything it learns
    slowly, since the slope of its sigmoid is nearly 0 there. A trained one is kept. ValueError if the
    forecast does not fit.
    """
    trusts = (_TRUST, _FORESIGHT)
    mine = {path: own[path] for path in own if path.startswith(OUTLOOK)}
    outlook = deepened(source, mine)
    odd = [path for path in mine if path not in outlook or outlook[path].shape != own[path].shape]
    if odd:
        raise ValueError(f"the forecast does not fit: {odd[0]} is missing, or of another shape")
    taken = {path: np.array(outlook[path] if path.startswith(OUTLOOK) else own[path]) for path in own}
    if taken[f"{_TRUST}kernel"].any():
        return taken
    return {path: np.zeros_like(array) if path.startswith(trusts) else array for path, array in taken.items()}


def _silent(path: str, values: np.ndarray) -> np.ndarray:
    """New weights; an encoder's last layer's begin at 0: it proposes nothing yet."""
    return np.zeros_like(values) if "/out_" in path else values


def _take_over(
    kernel: np.ndarray, trained: np.ndarray, sources: np.ndarray, targets: np.ndarray | None = None
) -> None:
    """Write a trained kernel (..., in, out) into a larger one; what it yields does not hear a new input."""
    targets = np.arange(kernel.shape[-1]) if targets is None else targets
    kernel[..., targets] = 0
    kernel[..., sources[:, None], targets[None]] = trained
