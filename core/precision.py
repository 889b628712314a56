"""What a network computes in: float32, or bfloat16 where the hardware multiplies it."""

from __future__ import annotations

from pathlib import Path

import keras

from core.train_config import PRECISIONS


def cpu_has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware (Linux; elsewhere the answer is no)."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in text or "amx_bf16" in text


def gpus() -> list[str]:
    """Names of the GPUs that the backend sees."""
    # asked for GPUs by name, JAX raises an error where there are none
    return [name for name in keras.distribution.list_devices() if name.lower().startswith(("gpu", "cuda"))]


def resolve_precision(precision: str) -> str:
    """Keras' dtype policy for a precision: "auto" becomes mixed_bfloat16 where the hardware has it.

    Raises
    ------
    ValueError
        If it is none of `PRECISIONS`.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}; got {precision!r}")
    if precision != "auto":
        return precision
    return "mixed_bfloat16" if gpus() or cpu_has_bfloat16() else "float32"
