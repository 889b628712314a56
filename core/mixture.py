"""Forecasts of several frames as one, the surer ones with the larger share."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from core.model_config import FORECAST_AHEAD

OLDER = 2 / 3  # how much a forecast counts beside an equally sure one that is made a frame later
LEAST_SHARE = 0.2  # of a mixture: less is a faint ghost of a picture, which costs more than it tells


def shares(sureness: Any, pieces: Any, since: Any, frames: int) -> Any:
    """How much of the ink of each frame's pieces a mixture of their forecasts has.

    Pieces add up to a picture, and shares of their ink to a mean of pictures. What was read of other frames
    errs elsewhere, so that a mean errs less than each; the more so, the more the surer one counts. One that
    is quite sure is left as it is, a mixture with anything is not exact; nor has any a share of less than a
    fifth.

    Parameters
    ----------
    sureness : the probability of each piece's likeliest displacement, those of the last frame first, then of
        each one before: (batch, frames x pieces)
    pieces : (batch, frames x pieces, side, side)
    since : for how many frames they have been followed, (batch, 1), 1 at first
    frames : how many

    Returns
    -------
    float32 (batch, frames x pieces, 1, 1), the same for all pieces of a frame; of a clip's frames they sum up
    to 1. A frame before the last one has none unless both have ink, nor further ahead than a forecast is
    taught to lead.
    """
    counts = ops.sum(ops.square(pieces), axis=(2, 3))  # as in learning: what an error of the place costs
    counts, sure = (ops.reshape(one, (-1, frames, one.shape[1] // frames)) for one in (counts, sureness))
    ink = ops.sum(counts, axis=-1)
    doubt = 1 - ops.sum(counts * sure, axis=-1) / ops.maximum(ink, 1e-6)
    back = np.arange(frames, dtype="float32")
    taught = ops.logical_and(ink * ink[:, :1] > 0, since + back <= FORECAST_AHEAD)
    weight = ops.cast(ops.logical_or(taught, back == 0), "float32") * OLDER**back / (doubt**4 + 1e-4)
    share = weight / ops.sum(weight, axis=-1, keepdims=True)
    least = ops.minimum(ops.max(share, axis=-1, keepdims=True), LEAST_SHARE)
    share = ops.where(share < least, 0.0, share)
    share = share / ops.sum(share, axis=-1, keepdims=True)
    return ops.reshape(ops.repeat(share, counts.shape[-1], axis=-1), (-1, pieces.shape[1], 1, 1))
