"""Training: fresh clips for ever, Keras' own loop, a run folder that can be resumed."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import keras
import numpy as np

from core import metrics
from core.model import CONFIGS, ModelConfig, Network
from core.moving_mnist import to_frames, training_batch
from core.precision import PRECISIONS, resolve_precision
from core.runs import Run
from core.weights import assign, load_arrays, save_arrays, variable_arrays

LOSSES = ("bce",)
VALIDATION_SEED = 0
FINAL_RATE = 0.01  # of the peak: where the cosine ends


@dataclass(frozen=True)
class TrainConfig:
    """What a run does; saved as `config.json` in its folder.

    Attributes
    ----------
    model : the network
    epochs : how many epochs of `steps_per_epoch` steps the run is planned for; None: as many as fit into
        the minutes of the call
    batch_size, frames : clips a step and frames a clip; the network predicts frames 2 to `frames`
    learning_rate : the peak, reached after `warmup_steps`; from there a cosine down to 1% of it
    clip_norm : gradients are scaled down to this global norm
    loss : weight of each part
    precision : "float32", "mixed_bfloat16" or "auto"
    validation_clips : clips of 20 frames, of digits that training never sees, scored after each epoch
    seed : of weights and data
    """

    model: ModelConfig
    epochs: int | None = None
    steps_per_epoch: int = 250
    batch_size: int = 4
    frames: int = 10
    learning_rate: float = 1e-3
    warmup_steps: int = 50
    clip_norm: float = 1.0
    loss: dict[str, float] = field(default_factory=lambda: {"bce": 1.0})
    precision: str = "auto"
    validation_clips: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low in (
            ("steps_per_epoch", 1),
            ("batch_size", 1),
            ("frames", 2),
            ("validation_clips", 1),
            ("seed", 0),
        ):
            if getattr(self, name) < low:
                raise ValueError(f"{name.replace('_', ' ')} must be {low} or more; got {getattr(self, name)}")
        if self.epochs is not None and self.epochs < 1:
            raise ValueError(f"epochs must be 1 or more; got {self.epochs}")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"learning rate must be above 0; got {self.learning_rate}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}; got {self.precision!r}")
        unknown = sorted(set(self.loss) - set(LOSSES))
        if unknown or not self.loss:
            raise ValueError(
                f"loss must be made of {', '.join(LOSSES)}; got {', '.join(unknown) or 'nothing'}"
            )
        if any(not math.isfinite(weight) or weight <= 0 for weight in self.loss.values()):
            raise ValueError(f"loss weights must be above 0; got {self.loss}")

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> TrainConfig:
        """Read a configuration; ValueError with one sentence when it is not one."""
        data = json.loads(text)
        names = {item.name for item in fields(cls)}
        if not isinstance(data, dict) or "model" not in data or not set(data) <= names:
            raise ValueError(f"a training configuration is a JSON object with {', '.join(sorted(names))}")
        return cls(**{**data, "model": ModelConfig.from_json(json.dumps(data["model"]))})


def default_config(model: str, **changes: Any) -> TrainConfig:
    """The configuration a shipped model is trained with, with changes.

    Raises
    ------
    ValueError
        If there is no such model.
    """
    if model not in CONFIGS:
        raise ValueError(f"model must be one of {', '.join(CONFIGS)}; got {model!r}")
    if model == "reference":  # full resolution: each clip costs eight times as much
        changes = {"batch_size": 2, "validation_clips": 8, **changes}
    return TrainConfig(CONFIGS[model], **changes)


def learning_rate_at(config: TrainConfig, step: int, progress: float) -> float:
    """The rate of a step: linear warm-up, then a cosine over the progress of the plan (0 to 1)."""
    warmup = min(1.0, (step + 1) / max(config.warmup_steps, 1))
    cosine = 0.5 * (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0)))
    return config.learning_rate * warmup * (FINAL_RATE + (1 - FINAL_RATE) * cosine)


class Clips(keras.utils.PyDataset):
    """Training batches without end: inputs are frames 1 to n-1, targets frames 2 to n."""

    def __init__(self, config: TrainConfig, first_step: int) -> None:
        super().__init__(workers=1, max_queue_size=8)
        self.config, self.first_step = config, first_step

    @property
    def num_batches(self) -> None:
        return None

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        config = self.config
        clips = training_batch(
            config.seed, self.first_step + index, batch_size=config.batch_size, frames=config.frames
        )
        frames = to_frames(clips)[..., None]
        return frames[:, :-1], frames[:, 1:]


class Trainer:
    """One call of a training: builds or restores the network, fits, and keeps the run folder true.

    Parameters
    ----------
    config : the run's configuration
    run : its folder, already created
    max_minutes : end cleanly after this long, everything saved; None: no limit
    resume : go on from the run's checkpoint
    """

    def __init__(
        self, config: TrainConfig, run: Run, *, max_minutes: float | None = None, resume: bool = False
    ) -> None:
        if config.epochs is None and max_minutes is None:
            raise ValueError("say how long to train: epochs or max minutes")
        if max_minutes is not None and not max_minutes > 0:
            raise ValueError(f"max minutes must be above 0; got {max_minutes}")
        self.config, self.run, self.max_minutes = config, run, max_minutes
        keras.utils.set_random_seed(config.seed)  # initial weights; the data has streams of its own
        self.network = Network(config.model, resolve_precision(config.precision))
        self.model = self.network.training_model(config.frames - 1)
        self.model.compile(
            optimizer=keras.optimizers.Adam(config.learning_rate, global_clipnorm=config.clip_norm),
            loss=keras.losses.BinaryCrossentropy(),
            loss_weights=config.loss["bce"],
        )
        self.model.optimizer.build(self.model.trainable_variables)
        self.rows: list[dict[str, float]] = []
        if resume:
            self._restore()
        self.first_step = int(self.model.optimizer.iterations)
        self.minutes_before = self.rows[-1]["minutes"] if self.rows else 0.0
        self.best_psnr = max((row["val_psnr"] for row in self.rows), default=-math.inf)

    def _variables(self) -> dict[str, Any]:
        """Every variable that a resumed training needs, under a name of its own."""
        network = {f"network/{variable.path}": variable for variable in self.model.variables}
        optimizer = {f"optimizer/{n}": variable for n, variable in enumerate(self.model.optimizer.variables)}
        return {**network, **optimizer}

    def _restore(self) -> None:
        arrays = load_arrays(self.run.checkpoint_path)
        variables = self._variables()
        if set(arrays) != set(variables):
            raise ValueError(f"{self.run.checkpoint_path} is of another network or optimizer")
        for name, variable in variables.items():
            variable.assign(arrays[name])
        step = int(self.model.optimizer.iterations)
        self.rows = [row for row in self.run.read_history() if row["step"] <= step]

    def save_checkpoint(self) -> None:
        """Write everything that a resumed training needs, atomically."""
        arrays = {name: np.asarray(variable) for name, variable in self._variables().items()}
        save_arrays(self.run.checkpoint_path, arrays)

    def progress(self, step: int, minutes: float) -> float:
        """How much of the plan is done, 0 to 1: by steps where epochs are planned, else by minutes."""
        if self.config.epochs is not None:
            return step / (self.config.epochs * self.config.steps_per_epoch)
        return minutes / (self.max_minutes or math.inf)

    def fit(self, report: Callable[[Progress], None] | None = None) -> list[dict[str, float]]:
        """Train to the end of the plan or of the minutes.

        Parameters
        ----------
        report : called after each step and each epoch with how far the training is

        Returns
        -------
        list of dict
            The history, one row an epoch, as in `history.csv`.
        """
        config = self.config
        done_epochs = len(self.rows)
        if config.epochs is None:
            remaining = 10**9
        else:
            remaining = math.ceil(
                (config.epochs * config.steps_per_epoch - self.first_step) / config.steps_per_epoch
            )
        if remaining > 0:
            self.run.write_status("running", step=self.first_step)
            self.model.fit(
                Clips(config, self.first_step),
                steps_per_epoch=config.steps_per_epoch,
                initial_epoch=done_epochs,
                epochs=done_epochs + remaining,
                callbacks=[Follow(self, report)],
                shuffle=False,  # every batch is fresh anyway
                verbose=0,
            )
        step = int(self.model.optimizer.iterations)
        cut_short = config.epochs is not None and step < config.epochs * config.steps_per_epoch
        self.run.write_status("stopped" if cut_short else "finished", step=step)
        return self.rows


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes
    ----------
    share : of the plan, 0 to 1
    step, minutes : of the whole run, calls before this one included
    loss : mean over the epoch so far
    row : the history's row when an epoch has just ended, else None
    """

    share: float
    step: int
    minutes: float
    loss: float
    row: dict[str, float] | None = None


class Follow(keras.callbacks.Callback):
    """Sets the learning rate, watches the clock, scores and saves after each epoch, reports."""

    def __init__(self, trainer: Trainer, report: Callable[[Progress], None] | None = None) -> None:
        super().__init__()
        self.trainer, self.report = trainer, report
        clips = training_batch(
            VALIDATION_SEED, 0, batch_size=trainer.config.validation_clips, frames=20, split="validation"
        )
        self.truth = to_frames(clips)
        self.scorer = trainer.network.training_model(19)
        self.started = time.monotonic()
        self.step = trainer.first_step

    def _minutes(self) -> float:
        return (time.monotonic() - self.started) / 60

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        progress = self.trainer.progress(self.step, self._minutes())
        self.model.optimizer.learning_rate = learning_rate_at(self.trainer.config, self.step, progress)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.step += 1
        self._report(logs)
        limit = self.trainer.max_minutes
        if limit is not None and self._minutes() >= limit:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        scores = self._validate()
        trainer = self.trainer
        row = {
            "epoch": epoch + 1,
            "step": self.step,
            "minutes": trainer.minutes_before + self._minutes(),
            "learning_rate": float(self.model.optimizer.learning_rate),
            "loss": float((logs or {})["loss"]),
            **scores,
        }
        trainer.rows.append(row)
        if row["val_psnr"] > trainer.best_psnr:
            trainer.best_psnr = row["val_psnr"]
            save_arrays(trainer.run.weights_path, variable_arrays(self.model.variables))
        trainer.save_checkpoint()
        trainer.run.write_history(trainer.rows)
        trainer.run.write_status("running", step=self.step, minutes=row["minutes"])
        self._report(logs, row)

    def _report(self, logs: dict[str, Any] | None, row: dict[str, float] | None = None) -> None:
        if self.report is not None:
            share = min(self.trainer.progress(self.step, self._minutes()), 1.0)
            minutes = self.trainer.minutes_before + self._minutes()
            self.report(Progress(share, self.step, minutes, float((logs or {})["loss"]), row))

    def _validate(self) -> dict[str, float]:
        predictions = self.scorer.predict(self.truth[:, :-1, ..., None], batch_size=4, verbose=0)[..., 0]
        truth = metrics.align(self.truth, predictions)
        scores = metrics.summary(metrics.per_frame(truth, predictions))
        clipped = np.clip(predictions.astype(np.float64), 1e-7, 1 - 1e-7)
        bce = -(truth * np.log(clipped) + (1 - truth) * np.log1p(-clipped)).mean()
        loss = self.trainer.config.loss["bce"] * float(bce)
        return {"val_loss": loss, "val_psnr": scores["psnr"], "val_ssim": scores["ssim"]}


def export(run: Run, folder: Path, dtype: str = "float16") -> None:
    """Write the best weights of a run as a model folder, rounded to `dtype`."""
    network = Network(ModelConfig.from_json((run.folder / "model.json").read_text()))
    model = network.training_model(1)
    assign(model.variables, load_arrays(run.weights_path), str(run.weights_path))
    folder.mkdir(parents=True, exist_ok=True)
    save_arrays(folder / "weights.npz", variable_arrays(model.variables, dtype))
    Run(folder).write_text("model.json", network.config.to_json())
