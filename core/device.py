"""What a network runs on: which device, compiled for it, and what it means when that fails."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
from keras import ops

from core.precision import gpus


class DeviceError(RuntimeError):
    """A GPU that failed, or has no memory left; the message says which, without an end of a sentence."""


def device_name() -> str:
    """ "CPU", or "GPU" with its name where the backend sees one."""
    devices = gpus()
    if not devices:
        return "CPU"
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
        return f"GPU: {details.get('device_name', devices[0])}"
    if keras.backend.backend() == "jax":
        import jax

        return f"GPU: {jax.devices()[0].device_kind}"
    return f"GPU: {devices[0]}"


def failures() -> tuple[type[Exception], ...]:
    """What the backend raises when a device does not compute."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return (tf.errors.OpError,)
    if keras.backend.backend() == "jax":
        import jax

        return (jax.errors.JaxRuntimeError,)
    return (RuntimeError,)


def placed(on_cpu: bool) -> AbstractContextManager[Any]:
    return keras.device("cpu:0") if on_cpu else nullcontext()


def allow_memory_growth() -> None:
    """Let TensorFlow take GPU memory as it needs it instead of all at once."""
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    for device in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(device, True)
        except RuntimeError:
            return  # TensorFlow has already started on that device, and then its choice stands


def hand_back_memory() -> None:
    """Give memory that is free back to the system, where the C library does so when asked (glibc).

    To compile networks takes a hundred megabytes that it would keep for later.
    """
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)


def compiled(
    function: Callable[[list[Any]], Any],
    signature: list[keras.KerasTensor],
    variables: list[Any],
    constant: bool = False,
) -> Callable[[list[Any]], Any]:
    """A compiled function of a list of tensors, for any batch size.

    signature : shapes and types of the tensors
    variables : all that the function reads
    constant : TensorFlow takes the variables as they are now for constants. It then casts and joins kernels
        once, and keeps them as its convolutions want them laid out, for each step: a fifth of the time of a
        small network, for many times the memory of its weights. See docs/performance.md
    """

    def forward(values: list[Any], inputs: list[Any]) -> Any:
        with keras.StatelessScope(state_mapping=zip(variables, values, strict=True)):
            return function(inputs)

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        values = [ops.convert_to_numpy(variable) for variable in variables] if constant else []

        def call(inputs: list[Any]) -> Any:
            return forward(values, inputs) if constant else function(inputs)

        # without AutoGraph, see `core.layers.fused`
        specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in signature]
        return tf.function(call, autograph=False).get_concrete_function(specs)
    if keras.backend.backend() == "jax":
        import jax

        jitted = jax.jit(forward)
        return lambda inputs: jitted([variable.value for variable in variables], inputs)
    return function
