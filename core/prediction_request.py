"""What a model is asked for, and what it makes of it: by a page, or over a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.evaluation import Mode
from core.moving_mnist import to_frames

if TYPE_CHECKING:
    from core.inference import Predictor


@dataclass(frozen=True)
class PredictionRequest:
    """What a model is asked for: a clip, uint8 (time, height, width), and what is predicted of it.

    A rollout may go beyond the clip's end.
    """

    clip: np.ndarray
    mode: Mode
    context: int
    horizon: int

    @property
    def kind(self) -> tuple[Mode, int, int]:
        """What is of the same kind can be predicted in one call."""
        if self.mode == "next-frame":
            return self.mode, len(self.clip), 0
        return self.mode, self.context, self.horizon

    @property
    def seen(self) -> np.ndarray:
        """The frames that the model gets: of a rollout only the context."""
        return self.clip if self.mode == "next-frame" else self.clip[: self.context]


@dataclass(frozen=True)
class PredictionResult:
    """Predicted frames, float32 (n, height, width); `seconds` and `device` of the call that made them.

    note : what a person has to know about it, in a sentence; mostly nothing
    """

    frames: np.ndarray
    seconds: float
    device: str
    note: str = ""


def predict_batch(predictor: Predictor, asked: list[PredictionRequest]) -> list[PredictionResult]:
    """Run the model for clips of the same kind: once; and once more for its time where it had to be prepared
    for their length first, which takes far longer.
    """
    first = asked[0]
    seen = to_frames(np.stack([one.seen for one in asked]))[..., None]

    def make() -> np.ndarray:
        return (
            predictor.next_frames(seen)
            if first.mode == "next-frame"
            else predictor.rollout(seen, first.horizon)
        )

    made = make()
    if predictor.prepared:
        made = make()
    return [
        PredictionResult(frames[..., 0], predictor.last_seconds, predictor.device)
        for frames in np.asarray(made)
    ]
