"""A model that computes elsewhere: asks a prediction service, see `core.serving`. No Keras, no Ray."""

from __future__ import annotations

import http.client
import time
from urllib.parse import urlsplit

from core.damage import read_json
from core.prediction_request import PredictionRequest, PredictionResult
from core.wire import MEDIA_TYPE, MOST_ANSWER, Answer, Request, WireError, decode_answer, encode_request

VARIABLE = "PREDICT_URL"
TIMEOUT_SECONDS = 10.0  # of a try
TRIES = 2
PAUSE_SECONDS = 0.2  # before the second try
_AGAIN = (500, 502, 503, 504)  # answers after which another replica may well do better
_MOST_TEXT = 2000  # bytes of a service's sentence


class RemoteError(RuntimeError):
    """The service did not predict; the message says why, without an end of a sentence."""


def check_address(url: str) -> None:
    """Raise ValueError, with a sentence, if a service cannot be at such an address."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        (parts.hostname or "").encode("idna")
    except ValueError:  # a port that is no number, or a name with an empty part or one of over 63 signs
        good = False
    if not good or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(f"{VARIABLE} must look like http://host:8000; got {url!r}")


class RemoteModel:
    """A model behind a prediction service.

    Parameters
    ----------
    url : of the service, http:// or https://
    model : its name there
    weights : SHA-256 of the weights file that is wanted, in hexadecimal digits
    timeout_seconds : of each of at most two tries

    Raises
    ------
    ValueError
        If the address is none.
    """

    def __init__(self, url: str, model: str, weights: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        check_address(url)
        parts = urlsplit(url)
        self.model, self.weights, self._timeout = model, weights, timeout_seconds
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        # left to itself, http.client takes the end of an IPv6 address for a port
        self._host, self._port = str(parts.hostname), parts.port or self._kind.default_port
        self._path = f"{parts.path.rstrip('/')}/{model}"

    def about(self) -> str:
        """The device that it computes on.

        Raises
        ------
        RemoteError
            If the service does not answer, or has other weights.
        """
        try:
            about = read_json(self._twice("GET"))
            device, weights = str(about["device"]), str(about["weights"])
        except (ValueError, KeyError, TypeError) as error:
            raise RemoteError("the prediction service answered something else") from error
        self._same(weights)
        return device

    def ask(self, asked: PredictionRequest) -> PredictionResult:
        """The prediction.

        Raises
        ------
        RemoteError
            If the service does not answer in time, twice, or answers something else.
        """
        try:
            answer: Answer = decode_answer(
                self._twice("POST", encode_request(Request(asked, self.weights))),
            )
        except WireError as error:
            raise RemoteError(f"the prediction service cannot be used for this ({error})") from error
        self._same(answer.weights)
        expected = len(asked.clip) - 1 if asked.mode == "next-frame" else asked.horizon
        if len(answer.result.frames) != expected:
            raise RemoteError(
                f"the prediction service answered {len(answer.result.frames)} frames instead of {expected}"
            )
        return answer.result

    def _same(self, weights: str) -> None:
        if weights != self.weights:
            raise RemoteError(f"the prediction service has other weights of {self.model}")

    def _twice(self, method: str, body: bytes | None = None) -> bytes:
        for further in reversed(range(TRIES)):
            try:
                status, data = self._once(method, body)
            except (OSError, http.client.HTTPException, UnicodeError) as error:  # Unicode: of the address
                why, again = f"the prediction service did not answer ({_short(error)})", True
            else:
                if status == 200:
                    return data
                text = data[:_MOST_TEXT].decode(errors="replace").strip().splitlines()
                said = "".join(sign for sign in text[0] if sign.isprintable()) if text else ""
                why = f"the prediction service refused with status {status}" + (f": {said}" if said else "")
                again = status in _AGAIN
            if not (again and further):
                break
            time.sleep(PAUSE_SECONDS)
        raise RemoteError(why)

    def _once(self, method: str, body: bytes | None) -> tuple[int, bytes]:
        connection = self._kind(self._host, self._port, timeout=self._timeout)
        try:
            headers = {} if body is None else {"Content-Type": MEDIA_TYPE}
            connection.request(method, self._path, body, headers)
            answer = connection.getresponse()
            data = answer.read(MOST_ANSWER + 1)
        finally:
            connection.close()
        if len(data) > MOST_ANSWER:
            raise http.client.HTTPException(f"more than {MOST_ANSWER} bytes")
        return answer.status, data


def _short(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
