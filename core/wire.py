"""How a prediction is asked for and answered over a network: small, versioned, and nothing is ever executed.

A message is a header of fixed length, a text, and pixels; all numbers are little-endian. Its length has to be
exactly what the header says, and every number within its bounds, before a single pixel is looked at.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from core.evaluation import MODES
from core.prediction_request import PredictionRequest, PredictionResult
from core.scenes import CANVAS, MAX_FRAMES, MIN_FRAMES

VERSION = 1
MEDIA_TYPE = "application/x-convlstm-prediction"
_MAGIC = b"CLVP"
_REQUEST, _ANSWER = 1, 2
CHECKSUM_BYTES = 32  # SHA-256 of the weights file
MOST_TEXT = 200  # bytes of a device's name
# magic, version, what it is, mode, frames, side, context, horizon, checksum
_REQUEST_HEADER = struct.Struct(f"<4sBBBHHHH{CHECKSUM_BYTES}s")
# magic, version, what it is, frames, side, seconds, checksum, bytes of the device's name
_ANSWER_HEADER = struct.Struct(f"<4sBBHHd{CHECKSUM_BYTES}sB")
MOST_REQUEST = _REQUEST_HEADER.size + MAX_FRAMES * CANVAS**2  # bytes
MOST_ANSWER = _ANSWER_HEADER.size + MOST_TEXT + 4 * MAX_FRAMES * CANVAS**2


class WireError(ValueError):
    """Bytes that are no such message; one sentence says what arrived and what is accepted."""


@dataclass(frozen=True)
class Request:
    """What is asked for, and of which weights: the SHA-256 of their file, in hexadecimal digits."""

    prediction: PredictionRequest
    weights: str


@dataclass(frozen=True)
class Answer:
    """What was made, and by which weights."""

    result: PredictionResult
    weights: str


def encode_request(request: Request) -> bytes:
    """A request as bytes; of a rollout's clip only the context travels.

    Raises
    ------
    WireError
        If it is larger than what a service accepts.
    """
    asked = request.prediction
    seen = np.ascontiguousarray(asked.seen, np.uint8)
    rollout = asked.mode == "rollout"
    if seen.shape[1:] != (CANVAS, CANVAS) or len(seen) > MAX_FRAMES or asked.horizon > MAX_FRAMES:
        raise WireError(
            f"a service takes up to {MAX_FRAMES} frames of {CANVAS} × {CANVAS} pixels and predicts up to "
            f"{MAX_FRAMES}; got {seen.shape}, horizon {asked.horizon}"
        )
    header = _REQUEST_HEADER.pack(
        _MAGIC,
        VERSION,
        _REQUEST,
        MODES.index(asked.mode),
        len(seen),
        CANVAS,
        asked.context if rollout else 0,
        asked.horizon if rollout else 0,
        bytes.fromhex(request.weights),
    )
    return header + seen.tobytes()


def decode_request(data: bytes) -> Request:
    """A request from bytes that anybody may have sent.

    Raises
    ------
    WireError
        If they are not exactly one request that is within all bounds.
    """
    _, _, _, mode, frames, side, context, horizon, weights = _header(data, _REQUEST_HEADER, _REQUEST)
    if mode >= len(MODES):
        raise WireError(f"the mode must be 0 (next-frame) or 1 (rollout); got {mode}")
    rollout = MODES[mode] == "rollout"
    least = 1 if rollout else MIN_FRAMES
    _within("frames", frames, least, MAX_FRAMES)
    _within("side", side, CANVAS, CANVAS)
    _within("context", context, frames if rollout else 0, frames if rollout else 0)
    _within("horizon", horizon, 1 if rollout else 0, MAX_FRAMES if rollout else 0)
    pixels = _pixels(data, _REQUEST_HEADER.size, np.dtype(np.uint8), (frames, side, side))
    return Request(PredictionRequest(pixels, MODES[mode], context, horizon), weights.hex())  # type: ignore[arg-type]


def encode_answer(answer: Answer) -> bytes:
    """An answer as bytes."""
    made = answer.result
    device = made.device.encode()[:MOST_TEXT]
    frames = np.ascontiguousarray(made.frames, "<f4")
    header = _ANSWER_HEADER.pack(
        _MAGIC,
        VERSION,
        _ANSWER,
        len(frames),
        frames.shape[1],
        made.seconds,
        bytes.fromhex(answer.weights),
        len(device),
    )
    return header + device + frames.tobytes()


def decode_answer(data: bytes) -> Answer:
    """An answer from bytes that a service sent.

    Raises
    ------
    WireError
        If they are not exactly one answer that is within all bounds.
    """
    _, _, _, frames, side, seconds, weights, text = _header(data, _ANSWER_HEADER, _ANSWER)
    _within("frames", frames, 1, MAX_FRAMES)
    _within("side", side, CANVAS, CANVAS)
    if not 0 <= seconds < 86_400:  # NaN fails it
        raise WireError(f"seconds must be 0 to a day; got {seconds}")
    _within("the device's name", text, 0, MOST_TEXT)
    place = _ANSWER_HEADER.size + text
    values = _pixels(data, place, np.dtype("<f4"), (frames, side, side))
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        raise WireError("predicted pixels must be numbers from 0 to 1")
    device = data[_ANSWER_HEADER.size : place].decode(errors="replace")
    shown = "".join(sign if sign.isprintable() else "?" for sign in device)
    return Answer(PredictionResult(values.astype(np.float32), seconds, shown), weights.hex())


def _header(data: bytes, layout: struct.Struct, kind: int) -> tuple:
    if len(data) < layout.size:
        raise WireError(f"a message has {layout.size} bytes or more; got {len(data)}")
    values = layout.unpack_from(data)
    if values[0] != _MAGIC:
        raise WireError(f"a message begins with {_MAGIC!r}; got {values[0]!r}")
    if values[1] != VERSION:
        raise WireError(f"messages of version {VERSION} are understood; got version {values[1]}")
    if values[2] != kind:
        raise WireError(f"a message of kind {kind} was expected; got {values[2]}")
    return values


def _within(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise WireError(f"{name} must be {least} to {most}; got {value}")


def _pixels(data: bytes, place: int, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    wanted = place + int(np.prod(shape)) * dtype.itemsize
    if len(data) != wanted:
        raise WireError(f"a message with {shape[0]} frames has {wanted} bytes; got {len(data)}")
    return np.frombuffer(data, dtype, offset=place).reshape(shape)
