"""Parts of the composite loss and their weights. No Keras here: a command line checks its options with it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from core.damage import shortened

VGG16_LAYERS = ("conv1_1", "conv1_2", "conv2_1", "conv2_2")  # whose features the perceptual part can compare
PARTS = ("bce", "mse", "log_mse", "perceptual", "gdl")
DEFAULT_WEIGHTS: Mapping[str, float] = {"bce": 10.0, "perceptual": 0.1, "gdl": 0.1}


def checked_weights(weights: Mapping[str, float]) -> dict[str, float]:
    """Weights of the parts that count, in the order of `PARTS`; parts of weight 0 are left out.

    Raises
    ------
    ValueError
        If a name is unknown, a weight is not a finite number of 0 or more, or none is above 0.
    """
    odd = shortened(", ".join(str(name) for name in weights if name not in PARTS))
    if odd or not weights:
        raise ValueError(f"loss must be made of {', '.join(PARTS)}; got {odd or 'nothing'}")
    given = ", ".join(f"{name}={weight}" for name, weight in weights.items())
    values: list[Any] = list(weights.values())  # of a hand-written file: not surely numbers
    if not all(_is_weight(value) for value in values):
        raise ValueError(f"loss weights must be finite numbers of 0 or more; got {shortened(given)}")
    kept = {name: float(weights[name]) for name in PARTS if weights.get(name, 0) > 0}
    if not kept:
        raise ValueError(f"one loss weight or more must be above 0; got {shortened(given)}")
    return kept


def _is_weight(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value <= sys.float_info.max
