"""Curves of a training as they are drawn: smoothed, thinned, and the best point of one. No Keras."""

from __future__ import annotations

import math

import numpy as np

from core.history import History

_BLOCK = 64
_NEGLIGIBLE = 1e-17  # beside 1, in float64


def smooth(values: np.ndarray, weight: float) -> np.ndarray:
    """Debiased exponential moving average, as Adam debiases its moments (Kingma and Ba 2015, section 3).

        s[t] = weight * s[t-1] + (1 - weight) * x[t],   s[0] = 0,   smoothed[t] = s[t] / (1 - weight ** t)

    so that the first value is x itself, and a constant stays what it is.

    Parameters
    ----------
    values : finite, (n,)
    weight : of what was before, 0 (the values themselves) to below 1

    Returns
    -------
    float64 (n,)
    """
    if not 0 <= weight < 1:
        raise ValueError(f"weight must be 0 or more and below 1; got {weight!r}")
    values = np.asarray(values, np.float64)
    if weight == 0 or len(values) == 0:
        return values.copy()
    # The sums within blocks are one matrix product; only the carry from block to block goes step by step.
    blocks = -(-len(values) // _BLOCK)
    padded = np.zeros(blocks * _BLOCK)
    padded[: len(values)] = values
    age = np.arange(_BLOCK)[:, None] - np.arange(_BLOCK)[None, :]
    kernel = np.where(age >= 0, weight ** np.maximum(age, 0).astype(np.float64), 0.0) * (1 - weight)
    within = padded.reshape(blocks, _BLOCK) @ kernel.T
    carries, fading = [0.0], weight**_BLOCK
    for end in within[:-1, -1].tolist():
        carries.append(end + fading * carries[-1])
    within += np.outer(carries, weight ** np.arange(1, _BLOCK + 1))
    smoothed = within.ravel()[: len(values)]
    biased = min(len(values), math.ceil(math.log(_NEGLIGIBLE) / math.log(weight)))
    smoothed[:biased] /= 1 - weight ** np.arange(1, biased + 1)
    return smoothed


def thin(values: np.ndarray, count: int) -> np.ndarray:
    """Which points of a curve to draw so that it looks the same: the lowest and highest of each bucket.

    A spike of a single point is the highest or lowest of its bucket, so it survives; a mean or every n-th
    point would lose it.

    Parameters
    ----------
    values : finite, (n,)
    count : most points wanted, 4 or more

    Returns
    -------
    rising indices into `values`, at most `count`: the first, the last, and two of each bucket between; all of
    them where there are no more than `count`
    """
    if count < 4:
        raise ValueError(f"count must be 4 or more; got {count!r}")
    values = np.asarray(values)
    if len(values) <= count:
        return np.arange(len(values))
    inner = values[1:-1]
    buckets = (count - 2) // 2
    size = -(-len(inner) // buckets)
    # the last buckets are filled up with the last value, which changes neither their lowest nor their highest
    rows = np.concatenate([inner, np.full(buckets * size - len(inner), inner[-1])]).reshape(buckets, size)
    starts = np.arange(buckets) * size
    kept = np.concatenate([starts + rows.argmin(axis=1), starts + rows.argmax(axis=1)])
    return np.unique(np.concatenate([[0, len(values) - 1], np.minimum(kept, len(inner) - 1) + 1]))


def best_row(history: History) -> int | None:
    """Which of the epochs' rows has the best finite validation PSNR; None before there is one."""
    psnr = history.epochs.get("val_psnr", np.empty(0))
    if not np.isfinite(psnr).any():
        return None
    return int(np.nanargmax(np.where(np.isfinite(psnr), psnr, np.nan)))


def best_epoch(history: History) -> tuple[int, float] | None:
    """Number and validation PSNR (dB) of the best epoch; None before there is one."""
    row = best_row(history)
    if row is None:
        return None
    return int(history.epochs["epoch"][row]), float(history.epochs["val_psnr"][row])
