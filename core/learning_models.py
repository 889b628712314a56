"""Keras models of a `Network` that learn one part of it, or from its own predictions.

`Network.training_model` is the plain one: a known clip in, the prediction of each next frame out.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from core.model import Network
from core.model_config import FORECAST_AHEAD


def own_model(network: Network, time: int) -> keras.Model:
    """As `Network.training_model`, of a network that foresees, without its forecast's say: what a foresight
    mixes with that forecast.
    """
    frames = network.frames_input(time)
    _, own, _ = network.apart(frames)
    return keras.Model(frames, own, name=network.config.name)


def rollout_inputs(network: Network, time: int, context: int) -> tuple[list[Any], Any]:
    """Inputs and predictions of a model that learns from its own predictions, as a rollout makes them.

    Scheduled sampling (Bengio et al. 2015) by whole clips: a clip with `free` 1 is seen for `context`
    frames; each frame after them is what the network itself predicted. The gradient goes back through the
    predictions that were fed in, so that a prediction also answers for what is made of it later. While it
    learns, the normalisation takes the means of the clips of a batch, after the context of one frame each;
    where that is frozen, as at inference, its running means.

    Returns
    -------
    inputs : frames (batch, time, canvas, canvas, 1) and `free` (batch, 1), 1 for clips that run freely
    predictions : as those of `Network.training_model`
    """
    if network.config.head != "causal":
        raise ValueError("the leaky head needs the future, so it cannot learn from its own predictions")
    _check_context(time, context)
    frames = network.frames_input(time)
    free = keras.Input((1,), name="free")
    own = ops.reshape(free, (-1, 1, 1, 1, 1))
    predictions, states = network.begin_rollout(frames[:, :context], where=free)
    outputs = [predictions]
    for t in range(context, time):
        mixed = own * outputs[-1][:, -1:] + (1 - own) * frames[:, t : t + 1]
        # a forecast leads no further: then what was predicted is taken for seen
        go_on = network.step_rollout if (t - context + 1) % FORECAST_AHEAD else network.begin_rollout
        prediction, states = go_on(mixed, states, where=free)
        outputs.append(prediction)
    return [frames, free], ops.concatenate(outputs, axis=1)


def forecast_inputs(network: Network, time: int, context: int) -> tuple[list[Any], Any]:
    """Inputs and predictions of a model that forecasts from what it sees of a clip, and no more.

    Parameters
    ----------
    time, context : as in `rollout_inputs`

    Returns
    -------
    inputs : frames (batch, time, canvas, canvas, 1) and `unseen` (batch, 1), how many frames at the beginning
        of a clip are as if they had not been; so it also learns from few frames
    predictions : as those of `Network.training_model`; the first `context` - 1 are the true frames, since
        what is forecast begins after the context
    """
    _check_context(time, context)
    frames = network.frames_input(time)
    unseen = keras.Input((1,), name="unseen")
    followed = network.follow(_known(network, frames[:, :context], unseen), 1)
    predictions = [network.forecast(*followed)]
    for _ in range(context, time):
        followed = network.carried_on(followed)
        predictions.append(network.forecast(*followed))
    return [frames, unseen], ops.concatenate([frames[:, 1:context], *predictions], axis=1)


def foresight_inputs(network: Network, time: int) -> tuple[list[Any], Any]:
    """What a foresight reads of so many frames, see `Network.apart`, and its predictions."""
    side, canvas = network.config.canvas // network.config.patch, network.config.canvas
    _ = network.variables  # or it would not know how many features there are
    channels = network.foresight.kernel.shape[2] - 2 * network.config.patch**2
    shapes = [(time, side, side, channels), *[(time, canvas, canvas, 1)] * 2]
    inputs = [
        keras.Input(shape, name=name)
        for name, shape in zip(("features", "own", "foreseen"), shapes, strict=True)
    ]
    return inputs, network.foresight(*inputs)


def apart_model(network: Network, time: int) -> keras.Model:
    """Frames (batch, time, canvas, canvas, 1) in [0, 1] to what a foresight reads, all float32."""
    frames = network.frames_input(time)
    return keras.Model(frames, [ops.cast(part, "float32") for part in network.apart(frames)])


def pieces_model(network: Network, context: int) -> keras.Model:
    """[frames, unseen], as `forecast_inputs` takes them, to the pieces that a forecast reads: those of the
    last frame, see `core.forecast.Pieces`; of each earlier frame the sums of its pieces and what is known of
    them.
    """
    frames = network.frames_input(context)
    unseen = keras.Input((1,), name="unseen")
    known = _known(network, frames, unseen)
    assert network.finder is not None  # or nothing would be known
    return keras.Model([frames, unseen], network.finder(known, 1))


def _check_context(time: int, context: int) -> None:
    if not 1 <= context < time:
        raise ValueError(f"context must be 1 to {time - 1}, below time; got {context}")


def _known(network: Network, frames: Any, unseen: Any) -> Any:
    """Frames with as many before them as matches look back; those that are `unseen` are black."""
    if network.finder is None:
        raise ValueError("a network without a forecast has none to learn; forecast must be 1 or more")
    number = np.arange(frames.shape[1], dtype="float32").reshape(1, -1, 1, 1, 1)
    seen = frames * ops.cast(ops.greater_equal(number, ops.reshape(unseen, (-1, 1, 1, 1, 1))), "float32")
    before = ops.repeat(ops.zeros_like(frames[:, :1]), network.furthest, axis=1)
    return ops.concatenate([before, seen], axis=1)
