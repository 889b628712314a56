"""Inside a ConvLSTM cell: what its gates do on a clip, what would happen if they did something else, and why.

A `Trace` holds the maps of one layer, taken from the network while it predicts. An `Intervention` takes hold
of that layer meanwhile. A `Receipt` is one pixel of one channel worked out by hand, term by term. An
`Attribution` says which pixels of which frames made a predicted pixel, see `core.attribution`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Gate = Literal["i", "f", "g", "o"]
GATES: tuple[Gate, ...] = (
    "i",
    "f",
    "g",
    "o",
)  # in the order in which they share a kernel; g is the candidate
PEEPING: tuple[Gate, ...] = ("i", "f", "o")
RANGES: dict[str, tuple[float, float]] = {"i": (0, 1), "f": (0, 1), "g": (-1, 1), "o": (0, 1), "h": (-1, 1)}


@dataclass(frozen=True)
class Trace:
    """What one layer did on one clip. Index t is of the frame t that was just seen.

    Attributes
    ----------
    layer : its number, from 1
    scale : side in pixels of one of its cells
    x : float32 (time, rows, columns, channels), what came in
    i, f, g, o : float32 (time, rows, columns, filters), the gates, in (0, 1), and the candidate, in (-1, 1)
    c, h : of the same shape, the cell and the hidden state after frame t
    predictions : float32 (time, canvas, canvas), what the network predicts for frame t + 1
    """

    layer: int
    scale: int
    x: np.ndarray
    i: np.ndarray
    f: np.ndarray
    g: np.ndarray
    o: np.ndarray
    c: np.ndarray
    h: np.ndarray
    predictions: np.ndarray


@dataclass(frozen=True)
class Intervention:
    """What is done to a layer while it runs; nothing, unless it says so.

    Attributes
    ----------
    clamp : gates and the value that each of them has, whatever the layer computes
    channels : of which channels, from 0, the gates are clamped; empty: of all
    silence : channels whose hidden state is 0: nobody hears them
    peepholes : False cuts them: no gate sees the cell
    reset_hidden, reset_cell : frames before which H or C is forgotten
    freeze_from : from this frame on the cell stays as it was; None: never
    """

    clamp: dict[Gate, float] = field(default_factory=dict)
    channels: tuple[int, ...] = ()
    silence: tuple[int, ...] = ()
    peepholes: bool = True
    reset_hidden: tuple[int, ...] = ()
    reset_cell: tuple[int, ...] = ()
    freeze_from: int | None = None

    def controls(self, time: int, filters: int) -> list[np.ndarray]:
        """What `PeepholeConvLSTM2D.steps` is controlled with: flow, gates, alive; see `neutral_controls`.

        Raises
        ------
        ValueError
            If a frame, channel, gate or value is none that the layer has.
        """
        flow, gates, alive = neutral_controls(time, filters)
        channels = self._within("channels", self.channels, filters) or list(range(filters))
        for gate, value in self.clamp.items():
            low, high = RANGES[gate] if gate in GATES else (0.0, 0.0)
            if gate not in GATES or not low <= value <= high:
                raise ValueError(
                    f"i, f and o can be clamped to 0 to 1 and g to -1 to 1; got {gate} = {value:g}"
                )
            columns = GATES.index(gate) * filters + np.array(channels)
            gates[:, 0, columns], gates[:, 1, columns] = 0, value
        alive[:, self._within("silence", self.silence, filters)] = 0
        flow[:, self._within("reset_hidden", self.reset_hidden, time), 0] = 0
        flow[:, self._within("reset_cell", self.reset_cell, time), 1] = 0
        flow[:, :, 2] = self.peepholes
        if self.freeze_from is not None:
            flow[:, self._within("freeze_from", (self.freeze_from,), time)[0] :, 3] = 0
        return [flow, gates, alive]

    @staticmethod
    def _within(name: str, numbers: tuple[int, ...], count: int) -> list[int]:
        wrong = [number for number in numbers if not 0 <= number < count]
        if wrong:
            raise ValueError(f"{name} must be 0 to {count - 1}; got {wrong[0]}")
        return list(numbers)


def neutral_controls(time: int, filters: int) -> list[np.ndarray]:
    """Controls that change nothing, for one clip.

    Returns
    -------
    flow : float32 (1, time, 4): by what H and C are multiplied before frame t, by what the peepholes are, and
        1 where the cell moves on, 0 where it stays
    gates : float32 (1, 2, 4 x filters): by what each gate is multiplied, and what is added then
    alive : float32 (1, filters): by what H[t] is multiplied
    """
    gates = np.zeros((1, 2, 4 * filters), np.float32)
    gates[:, 0] = 1
    return [np.ones((1, time, 4), np.float32), gates, np.ones((1, filters), np.float32)]


# --------------------------------------------------------------------------------------------- receipts


@dataclass(frozen=True)
class Sum:
    """What a gate adds up at one pixel, before its sigmoid or tanh.

    Attributes
    ----------
    input, recurrent, peephole, bias : the terms of Shi et al. 2015, equation 3
    """

    input: float
    recurrent: float
    peephole: float
    bias: float

    @property
    def total(self) -> float:
        """The sum of the terms."""
        return self.input + self.recurrent + self.peephole + self.bias


@dataclass(frozen=True)
class Receipt:
    """One pixel of one channel at one time, worked out by hand in float64.

    Attributes
    ----------
    sums : what each gate adds up
    i, f, g, o : the values of the gates
    before : C[t-1] there
    c, h : cell and hidden state
    seen, remembered : float32 (kernel, kernel, channels), the parts of X[t] and H[t-1] that the convolutions
        saw; 0 beyond the edge
    from_input, from_memory : for each gate float64 (kernel, kernel), what each place of those parts adds to
        the terms `input` and `recurrent`
    """

    sums: dict[Gate, Sum]
    i: float
    f: float
    g: float
    o: float
    before: float
    c: float
    h: float
    seen: np.ndarray
    remembered: np.ndarray
    from_input: dict[Gate, np.ndarray]
    from_memory: dict[Gate, np.ndarray]


@dataclass(frozen=True)
class CellWeights:
    """Weights of a layer, float32, as `core.layers.PeepholeConvLSTM2D` keeps them.

    Attributes
    ----------
    kernel : (side, side, channels, 4 x filters)
    recurrent_kernel : (side, side, filters, 4 x filters)
    bias : (4 x filters,)
    peepholes : by gate (i, f, o), (rows, columns, filters) or (filters,); empty where there are none
    """

    kernel: np.ndarray
    recurrent_kernel: np.ndarray
    bias: np.ndarray
    peepholes: dict[Gate, np.ndarray]


def receipt(trace: Trace, weights: CellWeights, t: int, row: int, column: int, channel: int) -> Receipt:
    """Work out one value of a trace from what the layer saw and remembered.

    Parameters
    ----------
    trace : of a network that nobody interfered with
    weights : of the same layer
    t, row, column, channel : of which value, from 0

    Raises
    ------
    ValueError
        If there is no such place.
    """
    time, rows, columns, filters = trace.h.shape
    for name, value, count in (
        ("t", t, time), ("row", row, rows), ("column", column, columns), ("channel", channel, filters),
    ):  # fmt: skip
        if not 0 <= value < count:
            raise ValueError(f"{name} must be 0 to {count - 1}; got {value}")
    side = weights.kernel.shape[0]
    seen = _patch(trace.x[t], row, column, side)
    remembered = _patch(trace.h[t - 1] if t else np.zeros_like(trace.h[0]), row, column, side)
    before = float(trace.c[t - 1, row, column, channel]) if t else 0.0

    columns = [GATES.index(gate) * filters + channel for gate in GATES]
    from_input, from_memory = (
        dict(
            zip(
                GATES,
                np.moveaxis(np.einsum("rsk,rskg->rsg", part, kernel[..., columns], dtype=np.float64), -1, 0),
                strict=True,
            )
        )
        for part, kernel in ((seen, weights.kernel), (remembered, weights.recurrent_kernel))
    )

    def add_up(gate: Gate, cell: float) -> Sum:
        n = GATES.index(gate) * filters + channel
        peephole = weights.peepholes.get(gate)
        if peephole is not None and peephole.ndim == 3:
            peephole = peephole[row, column]
        return Sum(
            input=float(from_input[gate].sum()),
            recurrent=float(from_memory[gate].sum()),
            peephole=0.0 if peephole is None else float(peephole[channel]) * cell,
            bias=float(weights.bias[n]),
        )

    sums: dict[Gate, Sum] = {gate: add_up(gate, before) for gate in ("i", "f")}
    sums["g"] = add_up("g", 0.0)
    i, f, g = _sigmoid(sums["i"].total), _sigmoid(sums["f"].total), float(np.tanh(sums["g"].total))
    c = f * before + i * g
    sums["o"] = add_up("o", c)
    o = _sigmoid(sums["o"].total)
    h = o * float(np.tanh(c))
    return Receipt(sums, i, f, g, o, before, c, h, seen, remembered, from_input, from_memory)


def _patch(maps: np.ndarray, row: int, column: int, side: int) -> np.ndarray:
    """The surroundings of a pixel, (side, side, channels), 0 beyond the edge."""
    margin = side // 2
    padded = np.pad(maps, ((margin, margin), (margin, margin), (0, 0)))
    return padded[row : row + side, column : column + side]


def _sigmoid(value: float) -> float:
    return float(1 / (1 + np.exp(-np.float64(value))))


def largest_difference(trace: Trace, weights: CellWeights, places: int = 16, seed: int = 0) -> float:
    """Largest difference between a trace and its receipts, over all its maps at places drawn at random."""
    rng = np.random.default_rng(seed)
    apart = 0.0
    for _ in range(places):
        t, row, column, channel = (int(rng.integers(count)) for count in trace.h.shape)
        worked_out = receipt(trace, weights, t, row, column, channel)
        for name in (*GATES, "c", "h"):
            value = float(getattr(trace, name)[t, row, column, channel])
            apart = max(apart, abs(value - getattr(worked_out, name)))
    return apart


# ------------------------------------------------------------------------------------------ looking back


@dataclass(frozen=True)
class Target:
    """One pixel of one prediction.

    Attributes
    ----------
    prediction : k, of frame k + 1; it has seen frames 0 to k
    row, column : px
    """

    prediction: int
    row: int
    column: int


@dataclass(frozen=True)
class Attribution:
    """What each pixel of the frames contributed to a predicted pixel.

    Attributes
    ----------
    maps : float32 (k + 1, height, width), one for each frame that was seen; they add up over time and space
    value : the predicted pixel, 0 to 1
    baseline : the same pixel predicted of a black clip; NaN where the method does not compare with one
    """

    maps: np.ndarray
    value: float
    baseline: float

    @property
    def gap(self) -> float:
        """How much of `value` minus `baseline` the maps leave unexplained; NaN without a baseline."""
        return self.value - self.baseline - float(self.maps.sum(dtype=np.float64))


# ------------------------------------------------------------------------------------------- input frames


def blanked(frames: np.ndarray, first: int, last: int) -> np.ndarray:
    """Frames (time, height, width) of which `first` to `last` (exclusive) are black."""
    changed = frames.copy()
    changed[first:last] = 0
    return changed


def frozen(frames: np.ndarray, first: int) -> np.ndarray:
    """Frames (time, height, width) that stand still from frame `first` on."""
    changed = frames.copy()
    changed[first:] = frames[first]
    return changed


def noisy(frames: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Frames in [0, 1] with normal noise of so much standard deviation, clipped to [0, 1]; float32."""
    return np.clip(frames + rng.normal(scale=strength, size=frames.shape), 0, 1).astype(np.float32)
