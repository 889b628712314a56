"""What happens around Keras' training loop: rate, clock, scores, snapshots, history, progress."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from core.batches import Prefetch
from core.device import device_name
from core.event_log import EventLog
from core.run_status import Status
from core.runs import snapshot_name
from core.scorer import Scorer
from core.train_config import learning_rate_at, rollout_share_at
from core.weights import save_arrays, variable_arrays

if TYPE_CHECKING:
    from core.training import Trainer

STEPS_A_ROW = 10  # of the history
RATE_STEP = 0.005  # the rate is set anew when it has to change by this share of itself
HEARTBEAT_SECONDS = 2.0


class TrainingError(RuntimeError):
    """A training that cannot go on; the message says when and why, and what is kept."""


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes
    ----------
    share : of the plan, 0 to 1
    step, minutes : of the whole run, calls before this one included
    loss : mean over the epoch so far
    seconds_left : of the plan, estimated; None at first
    row : the history's row when an epoch has just ended, else None
    """

    share: float
    step: int
    minutes: float
    loss: float
    seconds_left: float | None = None
    row: dict[str, float] | None = None


class Means:
    """Means over steps, that can be stored half way."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: dict[str, float] = {}

    def add(self, sums: dict[str, float], count: int) -> None:
        self.count += count
        for name, value in sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def take(self) -> dict[str, float]:
        """The means; begins again. Empty where nothing was added."""
        means = {name: value / self.count for name, value in self.sums.items() if self.count}
        self.count, self.sums = 0, {}
        return means


class Follow(keras.callbacks.Callback):
    """Sets the learning rate, watches clock and loss, scores and saves after each epoch, reports."""

    def __init__(self, trainer: Trainer, report: Callable[[Progress], None] | None = None) -> None:
        super().__init__()
        self.trainer, self.report = trainer, report
        self.steps_per_epoch = 0
        self.prefetch: Prefetch
        self.saved: dict[str, np.ndarray] = {}
        self.finished = ""  # why the run is over before the end of its plan
        # a resumed run goes on with the very rate that it had
        self._rate = float(trainer.model.optimizer.learning_rate) if trainer.step else math.nan
        self._minutes_before = trainer.minutes
        self._call_began = time.monotonic()
        self._began: float | None = None  # training: after the first step, which waits for the graph
        self._heartbeat = -math.inf
        self._speed: tuple[float, float] | None = None
        self._scorer = Scorer(trainer)
        self._events = EventLog(trainer)

    # -------------------------------------------------------------------------------------- Keras' calls

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._totals: dict[str, float] = {}
        self._counted = 0
        self._row_began = self._epoch_began = self._now(), self.prefetch.waited_seconds

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        trainer = self.trainer
        progress = trainer.config.progress(trainer.step, trainer.minutes)
        rate = learning_rate_at(trainer.config, trainer.step, progress)
        if not abs(rate - self._rate) <= RATE_STEP * self._rate:
            self._synchronise()
            self.model.optimizer.learning_rate = self._rate = rate

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        trainer = self.trainer
        trainer.step += 1
        trainer.epoch_step += 1
        if self._began is None:
            self._began = time.monotonic()
        trainer.minutes = self._minutes_before + (time.monotonic() - self._began) / 60
        means = {name: float(value) for name, value in logs.items()}
        if not all(math.isfinite(value) for value in means.values()):
            raise TrainingError(self._not_finite(means))
        # Keras gives the mean over the epoch so far: what the last steps were is the difference of two sums
        totals = {name: value * (batch + 1) for name, value in means.items()}
        if trainer.step % STEPS_A_ROW == 0:
            self._count(totals, batch + 1)
            self._write_row()
        self._latest = totals, batch + 1, means["loss"]
        self._say(means["loss"])
        self._beat()
        if self._all_stop():
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        trainer = self.trainer
        totals, count, loss = self._latest
        if not all(np.isfinite(np.asarray(variable)).all() for variable in self.model.variables):
            raise TrainingError(self._not_finite({"loss": loss}, what="a weight"))
        self._count(totals, count)
        if count < self.steps_per_epoch and not trainer.plan_done:
            # stopped half way: the rest of the epoch is trained, and its row written, when the run goes on
            self._save_halfway()
            return
        row = self._epoch_row(epoch + 1)
        with trainer.saving():
            with self._scored_weights():
                weights = variable_arrays(trainer.network.variables)
                row |= self._scorer.scores(weights)
                snapshot = self._scorer.snapshot() if trainer.workers.first else None
            trainer.run.append_history("epoch", row)
            if snapshot is not None:  # after its row: what a crash leaves behind is found by rows
                trainer.run.write_snapshot(snapshot_name(epoch + 1), snapshot)
            self._events.write("epoch", row)
            trainer.epochs_since_best += 1
            if row["val_psnr"] > trainer.best_psnr:
                trainer.best_psnr, trainer.epochs_since_best = row["val_psnr"], 0
                save_arrays(trainer.run.weights_path, weights)
            epoch_step = trainer.epoch_step
            trainer.epoch, trainer.epoch_step = epoch + 1, 0
            try:
                self.saved = trainer.checkpoint()
                save_arrays(trainer.run.checkpoint_path, self.saved)
            except OSError:  # then this epoch is not over
                trainer.epoch, trainer.epoch_step = epoch, epoch_step
                raise
        self._beat(now=True)
        self._say(loss, row)
        patience = trainer.config.patience
        if patience is not None and trainer.epochs_since_best >= patience:
            self.finished = f"No better validation PSNR in the last {patience} epochs."
            self.model.stop_training = True

    # --------------------------------------------------------------------------------------------- parts

    def _now(self) -> float:
        return time.perf_counter()

    def _synchronise(self) -> None:
        """JAX keeps variables elsewhere while it trains; what a callback sets has to reach them."""
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()

    @contextmanager
    def _scored_weights(self) -> Iterator[None]:
        """The weights that are scored and kept: the moving average, where there is one."""
        averages = self.model.optimizer.averages
        pairs = list(zip(self.model.trainable_variables, averages, strict=True)) if averages else []
        learning = [ops.convert_to_numpy(variable).copy() for variable, _ in pairs]
        for variable, average in pairs:
            # through NumPy: on JAX both would share one buffer, which the scoring gives away
            variable.assign(ops.convert_to_numpy(average))
        try:
            yield
        finally:
            for (variable, _), value in zip(pairs, learning, strict=True):
                variable.assign(value)

    def _count(self, totals: dict[str, float], counted: int) -> None:
        new = {name: value - self._totals.get(name, 0.0) for name, value in totals.items()}
        for means in (self.trainer.epoch_means, self.trainer.row_means):
            means.add(new, counted - self._counted)
        self._totals, self._counted = totals, counted

    def _common(self, began: tuple[float, float]) -> dict[str, float]:
        trainer = self.trainer
        seconds = max(self._now() - began[0], 1e-9)
        return {
            "step": trainer.step,
            "minutes": trainer.minutes,
            "learning_rate": self._rate,
            "rollout": rollout_share_at(
                trainer.config, trainer.config.progress(trainer.step, trainer.minutes)
            ),
            "waiting": min((self.prefetch.waited_seconds - began[1]) / seconds, 1.0),
        }

    def _write_row(self) -> None:
        trainer = self.trainer
        row = {
            "epoch": trainer.epoch + 1,
            **self._common(self._row_began),
            **trainer.row_means.take(),
        }
        with trainer.saving():
            trainer.run.append_history("step", row)
            self._events.write("step", row)
        self._row_began = self._now(), self.prefetch.waited_seconds

    def _epoch_row(self, epoch: int) -> dict[str, float]:
        seconds = max(self._now() - self._epoch_began[0], 1e-9)
        steps_per_second = self._counted / seconds
        config = self.trainer.config
        self._speed = steps_per_second, steps_per_second * config.batch_size * config.frames
        self.trainer.row_means.take()  # a row begins with an epoch, so that a resumed run has the same rows
        return {"epoch": epoch, **self._common(self._epoch_began), **self.trainer.epoch_means.take()}

    def _save_halfway(self) -> None:
        trainer = self.trainer
        self.saved = trainer.checkpoint()
        trainer.save_checkpoint()
        if not trainer.run.weights_path.exists():  # not scored, but something to look at
            with trainer.saving(), self._scored_weights():
                save_arrays(trainer.run.weights_path, variable_arrays(trainer.network.variables))

    def _all_stop(self) -> bool:
        """Whether training stops here, because of any of the processes; the clock is the first one's."""
        trainer = self.trainer
        stop = self._must_stop()
        if trainer.workers.count == 1:
            return stop
        told = trainer.workers.gather(np.array([trainer.minutes, stop], np.float32))
        if not trainer.workers.first:
            trainer.minutes = float(told[0, 0])
        if told[:, 1].any() and not trainer.plan_done:
            trainer.stop(f"Process {int(told[:, 1].argmax())} stopped.")
        return bool(told[:, 1].any())

    def goes_on(self) -> bool:
        """Asked before the first step, while something else is done: whether there is to be one."""
        self._beat()
        return not self._all_stop()

    def _must_stop(self) -> bool:
        trainer = self.trainer
        if trainer.run.stop_requested:
            trainer.stop("Stopped by request.")
        limit = trainer.max_minutes
        if limit is not None and (time.monotonic() - self._call_began) / 60 >= limit:
            trainer.stop(f"The {limit:g} minutes of this call are over.")
        return bool(trainer.stop_reason) or trainer.plan_done

    def _not_finite(self, means: dict[str, float], what: str = "the loss") -> str:
        trainer = self.trainer
        config = trainer.config
        values = ", ".join(f"{name} {value:g}" for name, value in means.items())
        kept = (
            f"the weights after epoch {trainer.epoch} are kept"
            if trainer.epoch
            else "no epoch was whole, so there are no weights to keep"
        )
        return (
            f"{what} is not finite at step {trainer.step} (epoch {trainer.epoch + 1}: {values}), with "
            f"learning rate {self._rate:.3g}, clip norm {config.clip_norm:g}, batch size "
            f"{config.batch_size}, {trainer.precision}; {kept}. "
            "A lower learning rate may go on from there (--resume --learning-rate)"
        )

    # ------------------------------------------------------------------------------------------- telling

    def status(self, state: str, reason: str = "") -> Status:
        """Where the run stands now."""
        trainer = self.trainer
        steps_per_second, frames_per_second = self._speed or (None, None)
        return Status(
            state,
            reason,
            step=trainer.step,
            epoch=trainer.epoch,
            minutes=trainer.minutes,
            share=trainer.config.progress(trainer.step, trainer.minutes),
            seconds_left=self._seconds_left() if state == "running" else None,
            steps_per_second=steps_per_second,
            frames_per_second=frames_per_second,
            device=device_name(),
            precision=trainer.precision,
        )

    def _seconds_left(self) -> float | None:
        """At the pace of this call, scoring and saving included."""
        trainer = self.trainer
        done = trainer.config.progress(trainer.step, trainer.minutes)
        before = trainer.config.progress(trainer.first_step, self._minutes_before)
        passed = 60 * (trainer.minutes - self._minutes_before)
        if done <= before or trainer.step < trainer.first_step + 5:
            return None
        left = passed * (1 - done) / (done - before)
        limit = trainer.max_minutes
        if limit is None:
            return left
        return min(left, max(60 * limit - (time.monotonic() - self._call_began), 0.0))

    def _beat(self, now: bool = False) -> None:
        if now or self._now() - self._heartbeat >= HEARTBEAT_SECONDS:
            self._heartbeat = self._now()
            with self.trainer.saving():
                self.trainer.run.write_status(self.status("running"))

    def last_words(self, reason: str) -> None:
        """Say in the run's folder why it failed, if the folder still takes a word."""
        try:
            self.trainer.run.write_status(self.status("failed", reason))
        except OSError as error:
            print(f"status.json could not be written either ({error.strerror})")  # noqa: T201

    def _say(self, loss: float, row: dict[str, float] | None = None) -> None:
        if self.report is not None:
            trainer = self.trainer
            share = trainer.config.progress(trainer.step, trainer.minutes)
            self.report(Progress(share, trainer.step, trainer.minutes, loss, self._seconds_left(), row))

    def close(self) -> None:
        """Let go of the event file."""
        self._events.close()
