"""What the page about the inside of a cell shows, worked out: maps as bytes, scores of channels, receipts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from core.inspection import GATES, CellWeights, Trace, largest_difference, receipt
from core.model_config import ModelConfig
from ui.pictures import sprite

AGREED = 1e-5  # a difference that only rounding makes
THUMB = 16  # cells along a side of a small map, at most
MOST_TEXT, MOST_PLACES = 32, 4096  # of an address


@dataclass(frozen=True)
class Map:
    """One of the maps of a cell.

    Attributes
    ----------
    title, says : its name and what it is about, for people
    low, high : ends of its scale; None: of the largest value on the clip
    """

    title: str
    says: str
    low: float | None = None
    high: float | None = None


MAPS = {
    "x": Map("Input", "What comes into this layer at this time: the frame, or what the layer below says."),
    "i": Map("Input gate", "How much of what is new is let into the memory.", 0, 1),
    "f": Map("Forget gate", "How much of the memory is kept: 1 keeps all of it, 0 forgets it.", 0, 1),
    "g": Map("Candidate", "What would be written into the memory.", -1, 1),
    "c": Map("Cell", "The memory itself, which goes on from frame to frame."),
    "o": Map("Output gate", "How much of the memory is shown to others.", 0, 1),
    "h": Map(
        "Hidden state",
        "What the layer says: the next layer hears it, and the layer itself a frame later.",
        -1,
        1,
    ),
}


def title_of_gate(name: str) -> str:
    """Its name, and the letter that it has in the diagram and in the equations."""
    return f"{MAPS[name].title} {name}"


@dataclass(frozen=True)
class Look:
    """A look at one layer on one clip, with what costs more than a click should.

    Attributes
    ----------
    trace, weights : what the layer did, and what it did it with
    activity : see `activity`
    apart : see `core.inspection.largest_difference`
    """

    trace: Trace
    weights: CellWeights
    activity: dict[str, list[float]]
    apart: float

    @classmethod
    def at(cls, trace: Trace, weights: CellWeights) -> Look:
        """Of what a layer did."""
        return cls(trace, weights, activity(trace), largest_difference(trace, weights))


def maps_of(trace: Trace, name: str) -> np.ndarray:
    """Float32 (time, rows, columns, channels)."""
    return getattr(trace, name)


def scale_of(maps: np.ndarray, name: str) -> tuple[float, float]:
    """Ends of the scale, the same for all times and channels; around 0 where there are negative values."""
    known = MAPS[name]
    if known.low is not None and known.high is not None:
        return known.low, known.high
    most = float(np.abs(maps).max()) or 1.0
    return (-most if float(maps.min()) < 0 else 0.0), most


def as_bytes(maps: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values from low to high as uint8 0 to 255."""
    return np.round(np.clip((maps - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def pooled(maps: np.ndarray, most: int = THUMB) -> np.ndarray:
    """Maps (time, rows, columns, channels) of at most so many cells along a side, by means."""
    time, rows, columns, channels = maps.shape
    side = -(-rows // most)
    if side == 1:
        return maps
    return maps.reshape(time, rows // side, side, columns // side, side, channels).mean((2, 4))


def channel_scores(maps: np.ndarray, ink: np.ndarray) -> dict[str, np.ndarray]:
    """What channels can be sorted by, each (channels,), larger first.

    Parameters
    ----------
    maps : (time, rows, columns, channels)
    ink : (time, rows, columns), how much of a digit is in each cell

    Returns
    -------
    dict
        activity : standard deviation over time and place: how much there is to see
        follows : correlation with the ink, without its sign: 1 is a picture of the digit
        change : mean absolute difference from one frame to the next
    """
    centred = maps - maps.mean((0, 1, 2))
    spread = np.sqrt((centred**2).mean((0, 1, 2)))
    marks = ink - ink.mean()
    common = (centred * marks[..., None]).mean((0, 1, 2))
    follows = np.abs(common) / np.maximum(spread * marks.std(), 1e-9)
    change = np.abs(np.diff(maps, axis=0)).mean((0, 1, 2)) if len(maps) > 1 else np.zeros(maps.shape[-1])
    return {"activity": spread, "follows": follows, "change": change}


def ink_of(clip: np.ndarray, scale: int) -> np.ndarray:
    """Mean brightness, 0 to 1, of a clip (time, height, width), uint8, in cells of `scale` px."""
    time, height, width = clip.shape
    cells = clip.reshape(time, height // scale, scale, width // scale, scale)
    return cells.mean((2, 4), dtype=np.float64) / 255


def activity(trace: Trace) -> dict[str, list[float]]:
    """For each map its mean absolute value at each time, 0 to 1; of the unbounded ones, of their largest."""
    found = {}
    for name in MAPS:
        maps = np.abs(maps_of(trace, name))
        _, high = scale_of(maps, name)
        found[name] = np.round(maps.mean((1, 2, 3)) / high, 4).tolist()
    return found


def gallery(trace: Trace, name: str, clip: np.ndarray) -> dict[str, Any]:
    """All channels of a map at all times, small: one row of a sprite sheet a channel.

    clip : uint8 (time, height, width), at least as many frames as the trace has
    """
    maps = maps_of(trace, name)
    low, high = scale_of(maps, name)
    small = pooled(maps)
    time, rows, columns, channels = small.shape
    frames = as_bytes(np.moveaxis(small, -1, 0), low, high).reshape(channels * time, rows, columns)
    scores = channel_scores(maps, ink_of(clip[:time], trace.scale))
    return {
        "sprite": sprite(frames),
        "channels": channels,
        "time": time,
        "side": rows,
        "low": round(low, 4),
        "high": round(high, 4),
        "scores": {key: np.round(values, 5).tolist() for key, values in scores.items()},
    }


def one_channel(trace: Trace, name: str, channel: int) -> dict[str, Any]:
    """One channel of a map at all times, whole."""
    maps = maps_of(trace, name)
    values = maps[..., channel]
    return {
        "channel": channel,
        "side": values.shape[1],
        "sprite": sprite(as_bytes(values, *scale_of(maps, name))),
    }


def receipts(trace: Trace, weights: CellWeights, row: int, column: int, channel: int) -> list[dict[str, Any]]:
    """The receipt of one pixel of one channel at every time, for people."""
    found = []
    for t in range(len(trace.h)):
        made = receipt(trace, weights, t, row, column, channel)
        gates = {
            gate: {
                "input": made.sums[gate].input,
                "recurrent": made.sums[gate].recurrent,
                "peephole": made.sums[gate].peephole,
                "bias": made.sums[gate].bias,
                "total": made.sums[gate].total,
                "value": getattr(made, gate),
                "from_input": np.round(made.from_input[gate], 4).tolist(),
                "from_memory": np.round(made.from_memory[gate], 4).tolist(),
            }
            for gate in GATES
        }
        found.append({"gates": gates, "before": made.before, "c": made.c, "h": made.h})
    return found


def reach_px(config: ModelConfig, layer: int) -> int:
    """How far beyond its cell a value of a layer sees in the frame of the same time, px."""
    scales = config.layer_scales[:layer]
    return sum(
        side // 2 * config.patch * scale for side, scale in zip(config.kernels[:layer], scales, strict=True)
    )


@dataclass(frozen=True)
class Choice:
    """What of a layer is looked at.

    Attributes
    ----------
    map : one of `MAPS`
    channel : from 0; None: the one in which most happens
    pixel : row and column of a cell, from 0; None: none
    """

    map: str = "f"
    channel: int | None = None
    pixel: tuple[int, int] | None = None

    def to_text(self) -> str:
        """As the address has it: map, channel from 1, row and column from 1, with dots between."""
        channel = "" if self.channel is None else str(self.channel + 1)
        parts = [self.map, channel, *([place_to_text(self.pixel)] if self.pixel else [])]
        return ".".join(parts).rstrip(".")

    @classmethod
    def from_text(cls, text: str) -> Choice:
        """What an address says; what it says wrongly is as if it had not been said."""
        name, *numbers = text[:MOST_TEXT].split(".")
        if name not in MAPS or len(numbers) not in (0, 1, 3):
            return cls()
        first, *rest = numbers or [""]
        pixel = place_from_text(".".join(rest))
        if (first and not _is_count(first)) or (rest and pixel is None):
            return cls(name)
        return cls(name, int(first) - 1 if first else None, pixel)


def place_to_text(place: tuple[int, int]) -> str:
    """Row and column as the address has them, from 1, with a dot between."""
    return ".".join(str(part + 1) for part in place)


def place_from_text(text: str) -> tuple[int, int] | None:
    """Row and column of an address; None where it says none."""
    parts = text[:MOST_TEXT].split(".")
    if len(parts) != 2 or not all(_is_count(part) for part in parts):
        return None
    return int(parts[0]) - 1, int(parts[1]) - 1


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) <= MOST_PLACES


def read_pixel(value: Any) -> tuple[bool, tuple[int, int] | None]:
    """Whether the browser sent a pixel or closed one, and which."""
    if not isinstance(value, dict):
        return False, None
    if value.get("close") is True:
        return True, None
    at = value.get("at")
    if not isinstance(at, list) or len(at) != 2:
        return False, None
    fits = all(isinstance(part, int) and not isinstance(part, bool) and part >= 0 for part in at)
    return fits, (at[0], at[1]) if fits else None


def agreement(apart: float) -> str:
    """What a person is told of the largest difference between the maps and the equations."""
    if apart < AGREED:
        return (
            "✓ These are the numbers of the network that predicts. Worked out anew from the equations at 16 "
            f"places, they differ by less than {AGREED:.5f}."
        )
    return (
        "⚠ These maps do not agree with the equations: worked out anew at 16 places, they differ by up to "
        f"{apart:.5f}."
    )
