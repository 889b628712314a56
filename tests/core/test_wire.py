import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.prediction_request import PredictionRequest, PredictionResult
from core.wire import (
    MOST_ANSWER,
    MOST_REQUEST,
    Answer,
    Request,
    WireError,
    decode_answer,
    decode_request,
    encode_answer,
    encode_request,
)

WEIGHTS = "0123456789abcdef" * 4


def clip(frames: int) -> np.ndarray:
    return np.random.default_rng(frames).integers(256, size=(frames, 64, 64)).astype(np.uint8)


def answer(frames: int = 2, device: str = "CPU") -> Answer:
    values = np.random.default_rng(0).random((frames, 64, 64), np.float32)
    return Answer(PredictionResult(values, 0.25, device), WEIGHTS)


@pytest.mark.parametrize("frames", [2, 20, 200])
def test_a_request_arrives_as_it_was_sent(frames):
    data = encode_request(Request(PredictionRequest(clip(frames), "next-frame", 0, 0), WEIGHTS))
    there = decode_request(data)
    np.testing.assert_array_equal(there.prediction.clip, clip(frames))
    assert (there.prediction.mode, there.weights) == ("next-frame", WEIGHTS)
    assert len(data) <= MOST_REQUEST
    assert frames < 200 or len(data) == MOST_REQUEST


def test_of_a_rollout_only_what_the_model_sees_travels():
    there = decode_request(encode_request(Request(PredictionRequest(clip(20), "rollout", 7, 13), WEIGHTS)))
    assert there.prediction.kind == ("rollout", 7, 13)
    np.testing.assert_array_equal(there.prediction.clip, clip(20)[:7])


def test_an_answer_arrives_as_it_was_sent():
    there = decode_answer(encode_answer(answer(19, "GPU: H")))
    np.testing.assert_array_equal(there.result.frames, answer(19).result.frames)
    assert (there.result.seconds, there.result.device, there.weights) == (0.25, "GPU: H", WEIGHTS)
    assert len(encode_answer(answer(200, "é" * 300))) == MOST_ANSWER


def test_a_device_cannot_say_what_a_screen_would_obey():
    assert decode_answer(encode_answer(answer(1, "CPU\x1b[2J\n"))).result.device == "CPU?[2J?"


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (0, b"X", "begins with"),
        (4, b"\2", "version 1 are understood; got version 2"),
        (5, b"\2", "kind 1 was expected; got 2"),
        (6, b"\7", "mode must be 0 .* got 7"),
        (7, struct.pack("<H", 1), "frames must be 2 to 200; got 1"),
        (7, struct.pack("<H", 201), "frames must be 2 to 200; got 201"),
        (7, struct.pack("<H", 5), "5 frames has 20527 bytes; got 16431"),
        (9, struct.pack("<H", 65535), "side must be 64 to 64; got 65535"),
        (11, struct.pack("<H", 1), "context must be 0 to 0; got 1"),
        (13, struct.pack("<H", 9), "horizon must be 0 to 0; got 9"),
    ],
)
def test_a_number_out_of_bounds_is_named(place, value, words):
    data = bytearray(encode_request(Request(PredictionRequest(clip(4), "next-frame", 0, 0), WEIGHTS)))
    data[place : place + len(value)] = value
    with pytest.raises(WireError, match=words):
        decode_request(bytes(data))


@pytest.mark.parametrize("values", [np.nan, np.inf, -0.1, 1.1])
def test_an_answer_with_other_pixels_is_refused(values):
    made = answer().result
    made.frames[1, 2, 3] = values
    with pytest.raises(WireError, match="from 0 to 1"):
        decode_answer(encode_answer(Answer(made, WEIGHTS)))


@pytest.mark.parametrize(
    "asked", [PredictionRequest(clip(201), "next-frame", 0, 0), PredictionRequest(clip(9), "rollout", 9, 201)]
)
def test_what_no_service_takes_is_not_sent(asked):
    with pytest.raises(WireError, match="up to 200"):
        encode_request(Request(asked, WEIGHTS))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_one_sentence(data):
    whole = encode_request(Request(PredictionRequest(clip(2), "next-frame", 0, 0), WEIGHTS))
    for message in (data, whole[:4] + data, whole[:-1] + data):
        for decode in (decode_request, decode_answer):
            try:
                decode(message)
            except WireError as error:
                said = str(error)
            else:
                said = ""
            assert "\n" not in said
