"""Training on several hosts: what their processes have to agree on. Keras' own data parallelism, on JAX.

Every process makes its own rows of each batch; Keras keeps the weights the same everywhere. What depends on a
clock, a signal or a file is decided by the first process, which also is the one that keeps the run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.damage import shortened

# Keras' own names, see keras.distribution.initialize
ADDRESSES, COUNT, NUMBER = (
    "KERAS_DISTRIBUTION_JOB_ADDRESSES",
    "KERAS_DISTRIBUTION_NUM_PROCESSES",
    "KERAS_DISTRIBUTION_PROCESS_ID",
)


@dataclass(frozen=True)
class Workers:
    """The processes of a training, and which of them this one is.

    Attributes
    ----------
    number, count : this process, from 0, of so many
    devices : of all of them together
    """

    number: int = 0
    count: int = 1
    devices: int = 1

    @property
    def first(self) -> bool:
        """Whether it is this process that keeps the run."""
        return self.number == 0

    @property
    def together(self) -> bool:
        """Whether variables are spread over devices."""
        return self.count > 1 or self.devices > 1

    def rows(self, batch_size: int) -> slice:
        """The rows of a batch that this process makes.

        Raises
        ------
        ValueError
            If the devices cannot have the same number of clips each.
        """
        if batch_size % self.devices:
            raise ValueError(
                f"batch size must be a multiple of {self.devices}, the number of devices; got {batch_size}"
            )
        own = batch_size // self.count
        return slice(self.number * own, (self.number + 1) * own)

    def agree(self, values: Any) -> Any:
        """What the first process has, on every process: arrays of the same shapes everywhere, in any nest."""
        if self.count == 1:
            return values
        from jax.experimental import multihost_utils

        return multihost_utils.broadcast_one_to_all(values)

    def gather(self, values: np.ndarray) -> np.ndarray:
        """What each process has: the same, with an axis for the processes before it."""
        if self.count == 1:
            return values[None]
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.process_allgather(values))

    def lost(self, error: BaseException) -> bool:
        """Whether an error says that another process is not there any more.

        JAX tells so by RuntimeError here, by ValueError there, always with a code of XLA: "UNKNOWN: ...".
        One of these codes is about memory, which is this process' own trouble.
        """
        code = re.match(r"([A-Z_]+): ", str(error))
        return self.count > 1 and code is not None and code[1] != "RESOURCE_EXHAUSTED"

    def agree_on_text(self, text: str) -> str:
        """The first process' text."""
        if self.count == 1:
            return text
        data = np.frombuffer(text.encode(), np.uint8)
        length = int(self.agree(np.array(len(data))))
        padded = np.zeros(length, np.uint8)
        padded[: len(data)] = data[:length]
        return bytes(np.asarray(self.agree(padded))).decode()

    @contextmanager
    def apart(self) -> Iterator[None]:
        """What is made and computed meanwhile is this process' own."""
        if not self.together:
            yield
            return
        import keras

        before = keras.distribution.distribution()
        keras.distribution.set_distribution(None)
        try:
            yield
        finally:
            keras.distribution.set_distribution(before)


def number_of(environment: Mapping[str, str]) -> int:
    """The number of this process, from 0.

    Raises
    ------
    ValueError
        If the environment does not say it, or not everything that is needed beside it.
    """
    if environment.get("KERAS_BACKEND") != "jax":
        raise ValueError(
            f"several hosts train with KERAS_BACKEND=jax; got {environment.get('KERAS_BACKEND') or 'nothing'}"
        )
    addresses = [word for word in environment.get(ADDRESSES, "").split(",") if word]
    if not addresses or not all(_is_address(word) for word in addresses):
        raise ValueError(
            f"{ADDRESSES} must be host:port of the first process, or of all, separated by commas; "
            f"got {environment.get(ADDRESSES, '')!r}"
        )
    count, number = (environment.get(name, "") for name in (COUNT, NUMBER))
    if not (count.isdecimal() and int(count) > 0 and len(addresses) in (1, int(count))):
        raise ValueError(f"{COUNT} must be the number of processes, 1 or more; got {count!r}")
    if not (number.isdecimal() and int(number) < int(count)):
        raise ValueError(f"{NUMBER} must be 0 to {int(count) - 1}; got {number!r}")
    return int(number)


def _is_address(word: str) -> bool:
    host, _, port = word.rpartition(":")
    return bool(host) and port.isdecimal() and 0 < int(port) < 65536


def begin() -> Workers:
    """Meet the other processes, as the environment says; from here on Keras spreads what is made.

    Raises
    ------
    ValueError
        See `number_of`; or if they do not come within five minutes.
    """
    number = number_of(os.environ)
    import jax
    import keras

    try:
        keras.distribution.initialize()
    except RuntimeError as error:
        why = shortened(" ".join(str(error).split()))
        raise ValueError(f"the other processes were not met at {os.environ[ADDRESSES]} ({why})") from error
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    return Workers(number, jax.process_count(), jax.device_count())
