"""What each choice in the code gains: the code as it is, beside itself with that one choice undone.

And what was tried and not kept: there the alternative is what is measured, so that a ratio above 1 would have
been a gain. Nothing is kept that a reader would have to decode for under 10 %.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.footprint import in_own_process
from benchmarks.inference import policy, precisions, some_clips
from benchmarks.measure import Figure, figure_of, interleaved_seconds, paired_ratios
from core.model_config import CONFIGS
from core.scenes import STANDARD_FRAMES


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Another value of an attribute, for a while."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


# ------------------------------------------------------------------------------------ the other ways


def input_convolutions_ahead(cell: Any, frames: Any, states: Any = None, controls: Any = None) -> Any:
    """`PeepholeConvLSTM2D.steps` with Wx * X of all frames as one convolution, then Wh * H step by step."""
    from keras import ops

    from core.layers import apply_gates, fused

    assert controls is None
    hidden, memory = empty_states(cell, frames) if states is None else states
    bias, *peepholes = (
        ops.cast(weight, cell.compute_dtype) for weight in (cell.bias, *cell.peephole_weights)
    )
    ahead = ops.conv(ops.reshape(frames, (-1, *frames.shape[2:])), cell.kernel, padding="same") + bias
    ahead = ops.reshape(ahead, (-1, *frames.shape[1:4], 4 * cell.filters))
    kernel, outputs = ops.convert_to_tensor(cell.recurrent_kernel), []
    gates = fused(apply_gates)
    for t, sums in enumerate(ops.unstack(ahead, axis=1)):
        if t > 0 or states is not None:
            sums = sums + ops.conv(hidden, kernel, padding="same")
        hidden, memory = gates(sums, memory, peepholes)
        outputs.append(hidden)
    return ops.stack(outputs, axis=1), hidden, memory


def slices_of_frames(cell: Any, frames: Any, states: Any = None, controls: Any = None) -> Any:
    """`PeepholeConvLSTM2D.steps` that takes each frame with a slice instead of unstacking all."""
    from keras import ops

    from core.layers import apply_gates, fused

    assert controls is None
    hidden, memory = empty_states(cell, frames) if states is None else states
    bias, *peepholes = (
        ops.cast(weight, cell.compute_dtype) for weight in (cell.bias, *cell.peephole_weights)
    )
    kernel = ops.concatenate([cell.kernel, cell.recurrent_kernel], axis=2)
    gates, outputs = fused(apply_gates), []
    for t in range(frames.shape[1]):
        if t == 0 and states is None:
            sums = ops.conv(frames[:, t], cell.kernel, padding="same")
        else:
            sums = ops.conv(ops.concatenate([frames[:, t], hidden], axis=-1), kernel, padding="same")
        hidden, memory = gates(sums + bias, memory, peepholes)
        outputs.append(hidden)
    return ops.stack(outputs, axis=1), hidden, memory


def empty_states(cell: Any, frames: Any) -> tuple[Any, Any]:
    """H and C before the first frame."""
    from keras import ops

    batch, (height, width) = ops.shape(frames)[0], frames.shape[2:4]
    zeros = ops.zeros((batch, height, width, cell.filters), frames.dtype)
    return zeros, zeros


def windows_by_pixel(frames: Any, patch: int, reach: int) -> Any:
    """`core.matching.cell_windows` by picking pixels and then moving axes."""
    from keras import ops

    _, height, width = frames.shape
    rows, columns, side = height // patch, width // patch, patch + 2 * reach
    padded = ops.pad(frames, [[0, 0], [reach, reach], [reach, reach]])
    for axis, cells in ((1, rows), (2, columns)):
        places = (np.arange(cells)[:, None] * patch + np.arange(side)).ravel().astype("int32")
        padded = ops.take(padded, places, axis=axis)
    return ops.transpose(ops.reshape(padded, (-1, rows, side, columns, side)), (2, 4, 0, 1, 3))


def rounding_each(gates: Callable[..., Any]) -> Callable[..., Any]:
    """`core.layers.fused` in the precision of what comes in."""
    import tensorflow as tf

    return tf.function(gates, jit_compile=True, autograph=False)


def from_zeros(next_frames: Callable[..., Any]) -> Callable[..., Any]:
    """`Network.next_frames` that begins with states of zeros, and convolves and matches them like any."""
    from keras import ops

    def predict(network: Any, frames: Any, states: Any = None, cells: Any = None) -> Any:
        if states is None:
            shapes = zip(network.state_shapes(), network.state_dtypes(), strict=True)
            states = [ops.zeros((ops.shape(frames)[0], *shape), dtype) for shape, dtype in shapes]
        return next_frames(network, frames, states, cells)

    return predict


def nothing(x: Any, **_: Any) -> Any:
    """A layer that does nothing."""
    return x


# --------------------------------------------------------------------------------------- measuring


@dataclass(frozen=True)
class Choice:
    """A choice, and the calls that it is between.

    Attributes
    ----------
    what, predicted : in words; what was expected before it was measured
    ours, other : build the calls; the ratio is the other's time by ours, where the choice is kept, and
        ours by the other's where it is not
    kept : whether the code has it
    """

    what: str
    predicted: str
    ours: Callable[[], Callable[[], Any]]
    other: Callable[[], Callable[[], Any]]
    kept: bool = True

    def figure(self, rounds: int) -> Figure:
        seconds = interleaved_seconds({"ours": self.ours(), "other": self.other()}, rounds)
        pair = ("other", "ours") if self.kept else ("ours", "other")
        ratios = paired_ratios(*(seconds[name] for name in pair))
        return figure_of(
            "choices",
            f"{'' if self.kept else 'not kept: '}{self.what}",
            ratios,
            "×",
            predicted=self.predicted,
        )


def predicting(
    name: str, frames: int, precision: str | None = None, undone: tuple[Any, str, Any] | None = None
) -> Callable[[], Any]:
    """Next-frame prediction of one clip, warm; with one attribute replaced while the network is built."""
    from core.inference import Predictor
    from core.model import Network

    clip = some_clips(1, frames, CONFIGS[name].canvas)
    predictor = Predictor(Network(CONFIGS[name], policy(precision or precisions()[-1])))
    if undone is None:
        predictor.next_frames(clip)
    else:
        with replaced(*undone):
            predictor.next_frames(clip)
    return partial(predictor.next_frames, clip)


def without_normalisation(name: str, frames: int) -> Callable[[], Any]:
    """The same of a network without batch normalisation and ReLU: the most that folding them could gain."""
    from core.inference import Predictor
    from core.model import Network

    clip = some_clips(1, frames, CONFIGS[name].canvas)
    predictor = Predictor(Network(CONFIGS[name], policy(precisions()[-1])))
    for layers in (predictor.network.norms, predictor.network.relus):
        layers[:] = [nothing] * len(layers)
    return partial(predictor.next_frames, clip)


def training(name: str, frames: int, undone: tuple[Any, str, Any] | None = None) -> Callable[[], Any]:
    """A training step of one clip, warm; with one attribute replaced while the network is built."""
    from benchmarks.training import ONLY_BCE, training_step
    from core.losses import CompositeLoss
    from core.model import Network

    def step() -> Callable[[], Any]:
        model = Network(CONFIGS[name], policy(precisions()[-1])).training_model(frames - 1)
        return training_step(model, 1, frames, CompositeLoss(ONLY_BCE))

    if undone is None:
        return step()
    with replaced(*undone):
        call = step()
        call()  # the graph is made at the first call
    return call


def choices(fast: str, reference: str, frames: int) -> list[Choice]:
    """All of them, those that are kept first."""
    from core import inference, layers, matching, model

    def variables(function: Any, signature: Any, read: Any, constant: bool = False) -> Any:
        return compiled(function, signature, read)

    compiled, cell = inference.compiled, layers.PeepholeConvLSTM2D
    best = precisions()[-1]
    one_by_one = (layers, "fused", lambda gates: gates)
    zeros = (model.Network, "next_frames", from_zeros(model.Network.next_frames))
    made = []
    for name, predicted_rounding, predicted_empty in (
        (reference, "1.15 ×, half of the gates' share of a profile", "1.04 ×, their share of the operations"),
        (fast, "a little: its gates are a twentieth of it", "1.1 ×, their share of a profile"),
    ):
        ours = partial(predicting, name, frames)
        if best != "float32":
            made.append(
                Choice(
                    f"{name}: bfloat16 instead of float32",
                    "2 ×, the ratio of the matrix products",
                    ours,
                    partial(ours, "float32"),
                )
            )
            made.append(
                Choice(
                    f"{name}: the gates compute in float32, and round once",
                    predicted_rounding,
                    ours,
                    partial(ours, undone=(layers, "fused", rounding_each)),
                )
            )
        made += [
            Choice(
                f"{name}: the gates as one compiled kernel, not operation by operation",
                "faster: twenty passes over memory become one",
                ours,
                partial(ours, undone=one_by_one),
            ),
            Choice(
                f"{name}: weights are constants of the graph",
                "faster, a small network most: kernels are cast, joined and laid out once, not at each call",
                ours,
                partial(ours, undone=(inference, "compiled", variables)),
            ),
            Choice(
                f"{name}: no convolution of the empty memory, no match with what was before the first frame",
                predicted_empty,
                ours,
                partial(ours, undone=zeros),
            ),
        ]
    made += [
        Choice(
            f"{fast}: match copies windows by cells, in the layout of the convolution",
            "1.1 ×, the share of picking and transposing in a profile",
            partial(predicting, fast, frames),
            partial(predicting, fast, frames, undone=(matching, "cell_windows", windows_by_pixel)),
        ),
        Choice(
            f"{reference}, training step: frames are unstacked, not sliced",
            "faster: the gradient of each slice is a whole tensor of zeros",
            partial(training, reference, frames),
            partial(training, reference, frames, (cell, "steps", slices_of_frames)),
        ),
    ]
    ahead = (cell, "steps", input_convolutions_ahead)
    for name in (reference, fast):
        made += [
            Choice(
                f"{name}: input convolutions of all frames ahead, as one",
                "faster: one large convolution is nearer to the limit than many small ones",
                partial(predicting, name, frames),
                partial(predicting, name, frames, undone=ahead),
                kept=False,
            ),
            Choice(
                f"{name}: no batch normalisation and no ReLU at all, the most that folding them could gain",
                "1.06 ×, their share of a profile",
                partial(predicting, name, frames),
                partial(without_normalisation, name, frames),
                kept=False,
            ),
        ]
    return made


_SETTING = """
import os
os.environ.update({environment})
import tensorflow as tf
intra, inter = {threads}
tf.config.threading.set_intra_op_parallelism_threads(intra)
tf.config.threading.set_inter_op_parallelism_threads(inter)
from benchmarks.choices import predicting
from benchmarks.measure import interleaved_seconds
print(*interleaved_seconds({{"": predicting({name!r}, {frames})}}, {rounds})[""])
"""
# what, predicted, environment, threads within an operation and for operations at once; 0 is TensorFlow's own
SETTINGS: tuple[tuple[str, str, dict[str, str], tuple[int, int]], ...] = (
    (
        "one thread within an operation, operations at once",
        "slower: convolutions follow each other",
        {},
        (1, 0),
    ),
    ("operations one after the other", "no change: a layer's steps wait for each other anyhow", {}, (0, 1)),
    ("without oneDNN", "slower: Eigen has no fast bfloat16", {"TF_ENABLE_ONEDNN_OPTS": "0"}, (0, 0)),
)


def settings(name: str, frames: int, rounds: int) -> list[Figure]:
    """TensorFlow's settings, which hold for a whole process: a process each, in turns."""

    def seconds(environment: Mapping[str, str], threads: tuple[int, int]) -> float:
        code = _SETTING.format(
            environment=dict(environment), threads=threads, name=name, frames=frames, rounds=3 * rounds
        )
        return statistics.median(in_own_process(code))

    ours: list[float] = []
    others: list[list[float]] = [[] for _ in SETTINGS]
    for _ in range(rounds):
        ours.append(seconds({}, (0, 0)))
        for found, (_, _, environment, threads) in zip(others, SETTINGS, strict=True):
            found.append(seconds(environment, threads))
    return [
        figure_of(
            "choices", f"not kept: {name}: {what}", paired_ratios(ours, found), "×", predicted=predicted
        )
        for found, (what, predicted, _, _) in zip(others, SETTINGS, strict=True)
    ]


def run(
    *, rounds: int = 9, frames: int = STANDARD_FRAMES, fast: str = "fast", reference: str = "reference"
) -> list[Figure]:
    """How many times faster each makes a prediction or a training step."""
    figures = [choice.figure(rounds) for choice in choices(fast, reference, frames)]
    return figures + settings(fast, frames, max(1, rounds // 3))
