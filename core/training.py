"""Training: fresh clips for ever, Keras' own loop, a run folder that survives whatever ends it."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from core.batches import Prefetch, batch
from core.callbacks import Follow, Means, Progress, TrainingError
from core.damage import read_json
from core.distributed import Workers
from core.foresight import KnownClips
from core.growth import check_forecast, grow, take_forecast
from core.learning_models import forecast_inputs, foresight_inputs, own_model, rollout_inputs
from core.losses import CompositeLoss
from core.model import ModelConfig, Network
from core.optimizers import OPTIMIZERS
from core.precision import resolve_precision
from core.runs import Run, RunError
from core.train_config import TrainConfig, rollout_share_at
from core.weights import assign, load_arrays, rounded, save_arrays, variable_arrays


class LearningModel(keras.Model):
    """A Keras model whose loss is a weighted sum, with each part as a metric of its own."""

    composite: CompositeLoss

    def learn(self, composite: CompositeLoss, optimizer: keras.optimizers.Optimizer) -> None:
        """Compile for a composite loss."""
        self.composite = composite
        self.part_means = [keras.metrics.Mean(name) for name in composite.weights]
        self.compile(optimizer=optimizer)
        optimizer.build(self.trainable_variables)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The weighted sum; its parts are computed once, for the sum and for the metrics."""
        parts = self.composite.parts(y, y_pred)
        for mean in self.part_means:
            mean.update_state(parts[mean.name])
        return self.composite.weighted_sum(parts)


class Trainer:
    """One call of a training: builds or restores the network, fits, and keeps the run folder true.

    Parameters
    ----------
    config : the run's configuration, with a plan in epochs or minutes
    run : its folder, already created
    max_minutes : end this call cleanly after this long, everything saved; None: at the end of the plan
    resume : go on from the run's checkpoint, if it has one
    workers : the processes that train it together, see `core.distributed`; only the first one's `run` counts

    Attributes
    ----------
    step, epoch, epoch_step, minutes : done so far: steps of the run, whole epochs, steps of the next one,
        minutes
    best_psnr : of validation, dB; -inf before the first epoch
    """

    def __init__(
        self,
        config: TrainConfig,
        run: Run,
        *,
        max_minutes: float | None = None,
        resume: bool = False,
        workers: Workers | None = None,
    ) -> None:
        if config.epochs is None and config.minutes is None:
            raise ValueError("say how long to train: epochs or max minutes")
        if max_minutes is not None and not max_minutes > 0:
            raise ValueError(f"max minutes must be above 0; got {max_minutes}")
        self.config, self.run, self.max_minutes = config, run, max_minutes
        self.workers = workers or Workers()
        self._rows = self.workers.rows(config.batch_size)
        # Initial weights, whose seeds Keras draws from here; the data has streams of its own. Its own
        # `set_random_seed` would import TensorFlow, whatever computes.
        random.seed(config.seed)
        self.precision = resolve_precision(config.precision)
        self.network = Network(config.model, self.precision)
        self.model = self._build()
        self.step = self.epoch = self.epoch_step = 0
        self.minutes, self.best_psnr, self.epochs_since_best = 0.0, -math.inf, 0
        self.epoch_means, self.row_means = Means(), Means()
        self.stop_reason = ""
        self._known: KnownClips | None = None
        checkpoint = None
        if resume and run.checkpoint_path.exists():
            self._check_validation(run.read_config())
            checkpoint = self._read_checkpoint()
        elif resume and run.read_status().epoch > 0:
            raise RunError(
                f"last.npz of {run.name} is missing, so it cannot go on; its curve and weights are left alone"
            )
        else:
            if config.init_from is not None:
                self._start_from(config.init_from, config.average_with)
            if config.forecast_from is not None:
                self._forecast_like(config.forecast_from)
            run.rewind(0)
        if self.workers.count > 1:
            self._begin_together(checkpoint or self.checkpoint())
        elif checkpoint is not None:
            self.restore(checkpoint)
        self.first_step = self.step

    def _build(self) -> LearningModel:
        config = self.config
        time_steps = config.frames - 1
        if config.learn not in ("all", "network"):
            self.network.freeze_all_but(config.learn)
        if config.learn == "foresight":
            inputs, outputs = foresight_inputs(self.network, time_steps)
        elif config.forecasts_alone:
            inputs, outputs = forecast_inputs(self.network, time_steps, config.context_frames)
        elif config.rollout > 0:
            inputs, outputs = rollout_inputs(self.network, time_steps, config.context_frames)
        else:
            plain = (
                own_model(self.network, time_steps)
                if config.learn == "network"
                else self.network.training_model(time_steps)
            )
            inputs, outputs = plain.inputs[0], plain.outputs[0]
        model = LearningModel(inputs, outputs, name=config.model.name)
        optimizer = OPTIMIZERS[config.optimizer](
            config.learning_rate,
            global_clipnorm=config.clip_norm,
            use_ema=config.ema > 0,
            ema_momentum=config.ema,
        )
        # VGG16's convolutions run in what the network computes in; its distances are float32
        composite = CompositeLoss(
            config.loss,
            alpha=config.gdl_alpha,
            layer=config.perceptual_layer,
            perceptual_dtype=self.network.compute_dtype,
        )
        model.learn(composite, optimizer)
        return model

    # ---------------------------------------------------------------------------------------- checkpoint

    def _variables(self) -> dict[str, Any]:
        """Every variable that a resumed training needs, under a name of its own."""
        network = {f"network/{variable.path}": variable for variable in self.network.variables}
        optimizer = {f"optimizer/{n}": variable for n, variable in enumerate(self.model.optimizer.variables)}
        return {**network, **optimizer}

    def checkpoint(self) -> dict[str, np.ndarray]:
        """Everything that a resumed training needs, as arrays."""
        arrays = {name: np.asarray(variable) for name, variable in self._variables().items()}
        means = {"epoch_means": self.epoch_means, "row_means": self.row_means}
        state = {
            "step": self.step,
            "epoch": self.epoch,
            "epoch_step": self.epoch_step,
            "minutes": self.minutes,
            "seed": self.config.seed,
            **{name: {"count": mean.count, "sums": mean.sums} for name, mean in means.items()},
        }
        # JSON keeps whole numbers whole and floats exact
        return {**arrays, "state": np.frombuffer(json.dumps(state).encode(), np.uint8)}

    def save_checkpoint(self) -> None:
        """Write it, atomically; TrainingError where that is not possible, with the old one intact."""
        with self.saving():
            save_arrays(self.run.checkpoint_path, self.checkpoint())

    @contextmanager
    def saving(self) -> Iterator[None]:
        """TrainingError in the place of an OSError, with what it means for the run."""
        try:
            yield
        except OSError as error:
            raise TrainingError(
                f"after step {self.step} the run could not be saved ({error.strerror or error}); "
                "what was saved before is intact, --resume goes on from there"
            ) from error

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Take over a checkpoint.

        Raises
        ------
        ValueError
            If it is of another network, optimizer or seed.
        """
        values = self._state_of(arrays)
        for name, variable in self._variables().items():
            variable.assign(arrays[name])
        self.step, self.epoch, self.epoch_step = values["step"], values["epoch"], values["epoch_step"]
        self.minutes = values["minutes"]
        for name in ("epoch_means", "row_means"):
            means = Means()
            means.add(values[name]["sums"], values[name]["count"])
            setattr(self, name, means)

    def _state_of(self, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
        """What a checkpoint says of where it stands; ValueError if it is not one of this training."""
        arrays = dict(arrays)
        state = arrays.pop("state", None)
        variables = self._variables()
        if state is None or set(arrays) != set(variables):
            raise ValueError(f"{self.run.checkpoint_path} is of another network or optimizer")
        for name, variable in variables.items():
            if tuple(variable.shape) != arrays[name].shape:
                raise ValueError(f"{self.run.checkpoint_path} is of another network: {name} differs in shape")
        values: dict[str, Any] = read_json(state.tobytes())
        if values["seed"] != self.config.seed:
            raise ValueError(
                f"the run was begun with seed {values['seed']}, and goes on with it; got {self.config.seed}"
            )
        if values["epoch_step"] > 0 and self.config.steps_per_epoch <= values["epoch_step"]:
            raise ValueError(
                f"steps per epoch must be above {values['epoch_step']}, where the run stands in its epoch; "
                f"got {self.config.steps_per_epoch}"
            )
        return values

    def _check_validation(self, before: TrainConfig) -> None:
        """ValueError if the best epoch would be looked for among scores of different kinds."""
        for name, was in before.judged_by.items():
            now = self.config.judged_by[name]
            if now != was:
                raise ValueError(
                    f"{name} must stay {was}, as {self.run.name}'s best epoch is chosen by it; got {now}: "
                    f"a new run begins from here with --init-from {self.run.folder}"
                )

    def _read_checkpoint(self) -> dict[str, np.ndarray]:
        """The run's checkpoint, which fits, with the curve cut off where it stands. Nothing is assigned yet:
        on several hosts all have to do that at a time.
        """
        arrays = load_arrays(self.run.checkpoint_path)
        self.run.rewind(self._state_of(arrays)["step"])
        psnr = self.run.read_history().epochs["val_psnr"]
        if len(psnr):
            self.best_psnr = float(psnr.max())
            self.epochs_since_best = len(psnr) - 1 - int(psnr.argmax())
        return arrays

    def _begin_together(self, checkpoint: dict[str, np.ndarray]) -> None:
        """Take over where the first process stands; each gives where it stands itself."""
        arrays = dict(checkpoint)
        state = self.workers.agree_on_text(bytes(arrays.pop("state")).decode())
        arrays = {name: np.asarray(array) for name, array in self.workers.agree(arrays).items()}
        self.restore({**arrays, "state": np.frombuffer(state.encode(), np.uint8)})
        psnr, epochs = self.workers.agree(np.array([self.best_psnr, self.epochs_since_best]))
        self.best_psnr, self.epochs_since_best = float(psnr), int(epochs)

    def _start_from(self, model: str, other: str | None) -> None:
        from core import zoo

        path, config = zoo.weights_path(model), zoo.config_of(model)
        arrays = load_arrays(path)
        if replace(config, name=self.config.model.name) != self.config.model:
            arrays = grow(arrays, config, variable_arrays(self.network.variables), self.config.model)
        if other is not None:
            others = load_arrays(zoo.weights_path(other))
            assign(self.network.variables, others, str(zoo.weights_path(other)))  # or they do not fit
            arrays = {path: (array + others[path]) / 2 for path, array in arrays.items()}
        assign(self.network.variables, arrays, str(path))

    def _forecast_like(self, model: str) -> None:
        from core import zoo

        path = zoo.weights_path(model)
        check_forecast(zoo.config_of(model), self.config.model)
        own = variable_arrays(self.network.variables)
        assign(self.network.variables, take_forecast(load_arrays(path), own), str(path))

    # ---------------------------------------------------------------------------------------------- fit

    def _phases(self) -> list[tuple[int, int]]:
        """(steps an epoch, epochs) of the calls of Keras' fit: a begun epoch first, then whole ones."""
        length = self.config.steps_per_epoch
        total = self.config.total_steps
        left = 10**9 * length if total is None else max(total - self.step, 0)
        first = min(length - self.epoch_step, left) if self.epoch_step else 0
        whole, rest = divmod(left - first, length)
        return [phase for phase in ((first, 1), (length, whole), (rest, 1)) if min(phase) > 0]

    @property
    def plan_done(self) -> bool:
        """Whether nothing is left of the plan."""
        return self.config.progress(self.step, self.minutes) >= 1

    def stop(self, reason: str) -> None:
        """Save and end after the present step. May be called from a signal handler."""
        self.stop_reason = self.stop_reason or reason

    def fit(self, report: Callable[[Progress], None] | None = None) -> None:
        """Train to the end of the plan, of the minutes, or until told to stop.

        Parameters
        ----------
        report : called after each step and each epoch with how far the training is

        Raises
        ------
        TrainingError
            If the loss is not finite any more, or a checkpoint cannot be written; the run's status says so.
        """
        follow = Follow(self, report)
        try:
            if self.config.learn == "foresight":
                self._known = KnownClips(self.network, self.config, follow.goes_on)
            for steps, epochs in self._phases():
                if self.plan_done or self.stop_reason or follow.finished:
                    break
                begun = self.checkpoint()
                follow.saved = begun
                self._fit(follow, steps, epochs)
                # Keras ends a fit with the averaged weights in the network: back to the ones that learn
                self.restore(follow.saved)
            if follow.finished or self.plan_done:
                state, reason = "finished", follow.finished
            else:
                state, reason = "stopped", self.stop_reason
            with self.saving():
                self.run.write_status(follow.status(state, reason))
        except TrainingError as error:
            follow.last_words(str(error))
            raise
        except (RuntimeError, ValueError) as error:
            if not self.workers.lost(error):
                raise
            lost = TrainingError(self._lost(str(error)))
            follow.last_words(str(lost))
            raise lost from error
        finally:
            follow.close()

    def _lost(self, error: str) -> str:
        goes_on = f"goes on after epoch {self.epoch}" if self.epoch else "begins anew"
        return (
            f"after step {self.step} another process was lost ({' '.join(error.split())[:200]}); --resume "
            f"{goes_on}, with any number of processes that the batch can be shared among"
        )

    def _fit(self, follow: Follow, steps: int, epochs: int) -> None:
        follow.steps_per_epoch = steps
        follow.prefetch = Prefetch(self._batch, self.step)
        try:
            self.model.fit(
                _as_keras_takes_it(follow.prefetch, self._batch(self.step)),
                steps_per_epoch=steps,
                initial_epoch=self.epoch,
                epochs=self.epoch + epochs,
                callbacks=[follow],
                shuffle=False,  # every batch is fresh anyway
                verbose=0,
            )
        finally:
            follow.prefetch.close()

    def _batch(self, step: int) -> tuple[Any, np.ndarray]:
        progress = self.config.progress(step, self.minutes)
        inputs: Any
        if self._known is not None:
            inputs, targets = self._known.batch(step)
        else:
            inputs, targets = batch(self.config, step, rollout_share_at(self.config, progress))
        if not self.workers.together:
            return inputs, targets
        if isinstance(inputs, tuple):
            return tuple(part[self._rows] for part in inputs), targets[self._rows]
        return inputs[self._rows], targets[self._rows]


def _as_keras_takes_it(prefetch: Prefetch, example: Any) -> Any:
    """The batches; on TensorFlow as a data set that does not tune itself.

    Keras would make one that does: ever more seldom, once a minute in the end, and whoever is done with it
    waits for the next time.
    """
    if keras.backend.backend() != "tensorflow":
        return prefetch.batches()
    import tensorflow as tf

    signature = keras.tree.map_structure(
        lambda array: tf.TensorSpec((None, *array.shape[1:]), array.dtype), example
    )
    options = tf.data.Options()
    options.autotune.enabled = False
    made = tf.data.Dataset.from_generator(prefetch.batches, output_signature=signature)
    return made.prefetch(2).with_options(options)


def export(run: Run, folder: Path, dtype: str = "float16", bits: int | None = None) -> None:
    """Write the best weights of a run as a model folder, as `dtype`, rounded to so many significant bits."""
    network = Network(ModelConfig.from_json((run.folder / "model.json").read_text()))
    variables = network.variables
    assign(variables, load_arrays(run.weights_path), str(run.weights_path))
    folder.mkdir(parents=True, exist_ok=True)
    arrays = variable_arrays(variables, dtype)
    if bits is not None:
        arrays = {path: rounded(array, bits) for path, array in arrays.items()}
    save_arrays(folder / "weights.npz", arrays, compressed=True)
    Run(folder).write_text("model.json", network.config.to_json())
