"""How well a network predicts that is being trained: scores on validation clips, and a snapshot of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from core import metrics
from core.learning_models import forecast_inputs, own_model, rollout_inputs
from core.model import Network
from core.moving_mnist import STANDARD_SHARE, to_frames, training_batch
from core.train_config import VALIDATION_FRAMES
from core.weights import assign

if TYPE_CHECKING:
    from core.training import Trainer

VALIDATION_SEED = 0
# A clip of digits that are easy to make out (one or two 2s), and that turn at a wall.
SNAPSHOT_STEP, SNAPSHOT_DIGITS = 2, 2
SCORED_AT_ONCE = 4  # validation clips


class Scorer:
    """Scores the network on validation clips, and predicts the run's fixed clip.

    Each frame from the true frames before it; in a run that learns from its own predictions as a rollout
    after its `context_frames`, and in one that learns a forecast as that, of which only the frames after
    those are scored; where the network learns without its forecast, without it: a network is judged, and
    the best one kept, by what it is trained for.
    """

    def __init__(self, trainer: Trainer) -> None:
        config = trainer.config
        self._truth = to_frames(self._clips(0, config.validation_clips, config.digits, config.standard_share))
        clip = self._clips(SNAPSHOT_STEP, 1, config.digits or SNAPSHOT_DIGITS)
        self._snapshot_truth = to_frames(clip)
        self._composite, self._workers = trainer.model.composite, trainer.workers
        time_steps = VALIDATION_FRAMES - 1
        forecast = config.forecasts_alone
        alone = forecast or config.rollout > 0
        self._first_target = config.tested_after or 1
        # of variables that are spread over processes one process alone can compute nothing
        self._copy: Network | None = None
        with self._workers.apart():
            if self._workers.together:
                self._copy = Network(config.model, trainer.precision)
            network = self._copy or trainer.network
            if alone:
                make = forecast_inputs if forecast else rollout_inputs
                self._model = keras.Model(*make(network, time_steps, self._first_target))
            elif config.learn == "network":
                self._model = own_model(network, time_steps)
            else:
                self._model = network.training_model(time_steps)
        # beside the frames: all clips run freely, or nothing of them is unseen
        self._beside = float(not forecast) if alone else None
        trainer.run.write_snapshot("truth", clip[0])

    def _clips(
        self, step: int, count: int, digits: int | None, standard_share: float = STANDARD_SHARE
    ) -> np.ndarray:
        return training_batch(
            VALIDATION_SEED,
            step,
            batch_size=count,
            frames=VALIDATION_FRAMES,
            split="validation",
            digits=digits,
            standard_share=standard_share,
        )

    def scores(self, weights: dict[str, np.ndarray]) -> dict[str, float]:
        """`val_loss`, `val_psnr` (dB) and `val_ssim`: means over clips and frames.

        weights : of the network, as they are now. The first process computes, for all of them
        """
        names = "val_loss", "val_psnr", "val_ssim"
        found = dict.fromkeys(names, 0.0)
        if self._workers.first:
            with self._workers.apart():
                found = self._found(weights)
        agreed = self._workers.agree(np.array([found[name] for name in names]))
        return {name: float(value) for name, value in zip(names, agreed, strict=True)}

    def _found(self, weights: dict[str, np.ndarray]) -> dict[str, float]:
        if self._copy is not None:
            assign(self._copy.variables, weights, "the network that is trained")
        predictions = self._predict(self._truth)[:, self._first_target - 1 :]
        truth = metrics.align(self._truth, predictions, self._first_target)
        scores = metrics.summary(metrics.per_frame(truth, predictions))
        return {
            "val_loss": self._loss(truth, predictions),
            "val_psnr": scores["psnr"],
            "val_ssim": scores["ssim"],
        }

    def snapshot(self) -> np.ndarray:
        """The fixed clip's predictions: uint8 (frames - 1, height, width)."""
        with self._workers.apart():
            return np.rint(255 * self._predict(self._snapshot_truth)[0]).astype(np.uint8)

    def _predict(self, frames: np.ndarray) -> np.ndarray:
        # whole batches: Keras traces the network again for every other number of clips
        missing = -len(frames) % SCORED_AT_ONCE
        inputs: Any = np.pad(frames[:, :-1, ..., None], [(0, missing)] + 4 * [(0, 0)], mode="edge")
        if self._beside is not None:
            inputs = [inputs, np.full((len(inputs), 1), self._beside, np.float32)]
        predicted = self._model.predict(inputs, batch_size=SCORED_AT_ONCE, verbose=0)
        return predicted[: len(frames), ..., 0]

    def _loss(self, truth: np.ndarray, predictions: np.ndarray) -> float:
        losses = []
        for first in range(0, len(truth), SCORED_AT_ONCE):
            pair = (part[first : first + SCORED_AT_ONCE, ..., None] for part in (truth, predictions))
            losses += [float(self._composite(*pair))] * len(truth[first : first + SCORED_AT_ONCE])
        return float(np.mean(losses))
