"""What a network computes in: float32, or bfloat16 where the hardware multiplies it."""

from __future__ import annotations

from pathlib import Path

import keras

PRECISIONS = ("auto", "float32", "mixed_bfloat16")


def cpu_has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware (Linux; elsewhere the answer is no)."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in text or "amx_bf16" in text


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
    on_gpu = bool(keras.distribution.list_devices("gpu"))
    return "mixed_bfloat16" if on_gpu or cpu_has_bfloat16() else "float32"
