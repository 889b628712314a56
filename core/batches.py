"""Training data, made ahead of the training."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from core.moving_mnist import to_frames, training_batch
from core.train_config import TrainConfig

AHEAD = 8
POLL_SECONDS = 0.2
_FREE_STREAM = 1  # beside the stream of the clips, which has none


def batch(config: TrainConfig, step: int, rollout_share: float) -> tuple[Any, np.ndarray]:
    """Inputs and targets of a training step.

    Parameters
    ----------
    rollout_share : share of the clips that run on the network's own predictions, 0 to 1

    Returns
    -------
    inputs : frames 1 to n-1, float32 (batch, frames - 1, 64, 64, 1); for a run with rollouts a pair of them
        and `free`, float32 (batch, 1), 1 for the clips that run freely; for one of a forecast alone a pair
        of them and `unseen`, float32 (batch, 1): how many frames it does not see, none of every other clip
    targets : frames 2 to n
    """
    clips = training_batch(
        config.seed,
        step,
        batch_size=config.batch_size,
        frames=config.frames,
        digits=config.digits,
        standard_share=config.standard_share,
    )
    frames = to_frames(clips)[..., None]
    inputs, targets = frames[:, :-1], frames[:, 1:]
    rng = np.random.default_rng([config.seed, step, _FREE_STREAM])
    if config.forecasts_alone:
        unseen = rng.integers(config.context_frames, size=(config.batch_size, 1))
        unseen[step % 2 :: 2] = 0
        return (inputs, unseen.astype(np.float32)), targets
    if config.rollout == 0:
        return inputs, targets
    free = rng.uniform(size=(config.batch_size, 1)) < rollout_share
    return (inputs, free.astype(np.float32)), targets


class Prefetch:
    """Makes batches of the steps to come in a thread, in order, at most `AHEAD` of them.

    Keras' own prefetching does not tell how long it waited for data; this counts it.

    Parameters
    ----------
    make : batch of a step
    first_step : where to begin

    Attributes
    ----------
    waited_seconds : how long `batches` had to wait so far. TensorFlow asks ahead of the training, so this is
        an upper bound of how long training waited: 0 says that it never did
    """

    def __init__(self, make: Callable[[int], Any], first_step: int) -> None:
        self._make, self._step = make, first_step
        self._ready: queue.Queue[Any] = queue.Queue(AHEAD)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)
        self.waited_seconds = 0.0
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                item = self._make(self._step)
            except Exception as error:  # raised again where the batch is used
                item = error
            self._step += 1
            while not self._closed.is_set():
                try:
                    self._ready.put(item, timeout=POLL_SECONDS)
                    break
                except queue.Full:
                    continue
            if isinstance(item, Exception):
                return

    def batches(self) -> Iterator[Any]:
        """Batches for one consumer, until the thread has ended."""
        while True:
            began = time.perf_counter()
            item = self._next()
            self.waited_seconds += time.perf_counter() - began
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            yield item

    def _next(self) -> Any:
        """The next batch or exception; None when there will be none."""
        while True:
            try:
                return self._ready.get(timeout=POLL_SECONDS)
            except queue.Empty:
                # Keras may ask in a thread of its own; one that waited for ever would never end
                if not self._thread.is_alive() and self._ready.empty():
                    return None

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._thread.join(timeout=10)
