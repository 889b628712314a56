"""The weights of a cell as pictures. No Streamlit, no Keras."""

from __future__ import annotations

import numpy as np

from core.inspection import GATES, CellWeights, Gate

NEGATIVE, POSITIVE = (86, 180, 233), (230, 159, 0)  # as everywhere in the app
TILE_PX, GAP_PX, COLUMNS = 44, 4, 8
GAP = (125, 138, 146)  # stands out from black tiles, on a light page and on a dark one


def gate_kernel(kernel: np.ndarray, gate: Gate) -> np.ndarray:
    """The part of one gate: (side, side, in, filters) of (side, side, in, 4 x filters)."""
    filters = kernel.shape[-1] // len(GATES)
    first = GATES.index(gate) * filters
    return kernel[..., first : first + filters]


def on_pixels(kernel: np.ndarray, patch: int) -> np.ndarray:
    """A first layer's kernel as it lies on the frame: signed (filters, side x patch, side x patch).

    Parameters
    ----------
    kernel : (side, side, channels, filters), of which the first patch x patch channels are those of the frame
    patch : side of what is folded into channels, px
    """
    side, filters = kernel.shape[0], kernel.shape[-1]
    cells = kernel[:, :, : patch * patch].reshape(side, side, patch, patch, filters)
    return cells.transpose(4, 0, 2, 1, 3).reshape(filters, side * patch, side * patch)


def strength(kernel: np.ndarray) -> np.ndarray:
    """How much each place of a kernel weighs, over all that comes in: (filters, side, side), 0 or more."""
    return np.sqrt((kernel.astype(np.float64) ** 2).sum(2)).transpose(2, 0, 1)


def peephole_maps(weights: CellWeights, gate: Gate) -> np.ndarray | None:
    """Peepholes of a gate that differ from place to place, signed (filters, rows, columns); else None."""
    peephole = weights.peepholes.get(gate)
    return None if peephole is None or peephole.ndim == 1 else peephole.transpose(2, 0, 1)


def sheet(tiles: np.ndarray) -> tuple[np.ndarray, float]:
    """Pictures side by side in rows of `COLUMNS`, and the largest value, which has full colour.

    Parameters
    ----------
    tiles : (n, height, width); where none is negative black is 0 and white the largest

    Returns
    -------
    uint8 (height, width, 4), grey between the pictures, after the last of them nothing
    """
    limit = float(np.abs(tiles).max()) or 1.0
    count, height, _ = tiles.shape
    by = max(1, round(TILE_PX / height))
    values = (tiles / limit).repeat(by, axis=1).repeat(by, axis=2)
    positive = POSITIVE if tiles.min() < 0 else (255, 255, 255)
    share = np.abs(values)[..., None]
    colours = np.where(values[..., None] < 0, NEGATIVE, positive) * share
    side, step = values.shape[1], values.shape[1] + GAP_PX
    rows = -(-count // COLUMNS)
    out = np.zeros((rows * step - GAP_PX, COLUMNS * step - GAP_PX, 4), np.uint8)
    for number in range(count):
        top, left = number // COLUMNS * step, number % COLUMNS * step
        out[top : top + step, left : left + step] = *GAP, 255
        out[top : top + side, left : left + side, :3] = np.round(colours[number])
    return out, limit
