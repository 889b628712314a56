import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from core.prediction_request import PredictionRequest, PredictionResult
from core.remote import RemoteError, RemoteModel, check_address
from core.wire import MOST_ANSWER, Answer, decode_request, encode_answer

WEIGHTS, OTHER = "ab" * 32, "cd" * 32
ASKED = PredictionRequest(np.zeros((4, 64, 64), np.uint8), "next-frame", 0, 0)
GOOD = encode_answer(Answer(PredictionResult(np.full((3, 64, 64), 0.5, np.float32), 0.1, "CPU"), WEIGHTS))


class Service:
    """Answers as it is told to, one (status, bytes) after the other; the last one for ever."""

    def __init__(self, *answers):
        self.answers, self.requests = list(answers), []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                service.requests.append((self.command, self.path, body))
                status, data = service.answers[0]
                if len(service.answers) > 1:
                    service.answers.pop(0)
                if status is None:  # hangs, then hangs up
                    time.sleep(data)
                    return
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = _answer  # noqa: N815

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def test_what_is_asked_arrives_and_the_answer_comes_back():
    with Service((200, GOOD)) as service:
        made = RemoteModel(f"{service.url}/base/", "fast", WEIGHTS).ask(ASKED)
    assert made.frames.shape == (3, 64, 64)
    assert (made.frames == 0.5).all()
    ((method, path, body),) = service.requests
    assert (method, path) == ("POST", "/base/fast")
    assert decode_request(body).weights == WEIGHTS


@pytest.mark.parametrize("first", [(503, b"too many"), (500, b"died"), (None, 0)])
def test_a_second_try_may_do_better(first):
    with Service(first, (200, GOOD)) as service:
        assert len(RemoteModel(service.url, "fast", WEIGHTS).ask(ASKED).frames) == 3
    assert len(service.requests) == 2


@pytest.mark.parametrize(
    ("answer", "tries", "words"),
    [
        ((400, b"frames must be 2 to 200\nand more"), 1, "status 400: frames must be 2 to 200$"),
        ((302, b""), 1, "status 302"),
        ((503, b""), 2, "status 503$"),
        ((200, b"hello"), 1, "cannot be used for this"),
        ((200, bytes(MOST_ANSWER + 1)), 2, "more than"),
        (
            (200, encode_answer(Answer(PredictionResult(np.zeros((2, 64, 64)), 0, ""), WEIGHTS))),
            1,
            "2 frames instead of 3",
        ),
        (
            (200, encode_answer(Answer(PredictionResult(np.zeros((3, 64, 64)), 0, ""), OTHER))),
            1,
            "other weights of fast",
        ),
        ((None, 0.6), 2, "timed out"),
    ],
)
def test_whatever_else_it_answers_is_one_sentence(answer, tries, words):
    with (
        Service(answer) as service,
        pytest.raises(RemoteError, match=words) as raised,
    ):
        RemoteModel(service.url, "fast", WEIGHTS, timeout_seconds=0.3).ask(ASKED)
    assert len(service.requests) == tries
    assert "\n" not in str(raised.value)


def test_nobody_there_is_said():
    with Service((200, b"")) as service:
        pass
    with pytest.raises(RemoteError, match="did not answer"):
        RemoteModel(service.url, "fast", WEIGHTS).about()


def test_it_tells_what_it_computes_on():
    with Service((200, json.dumps({"device": "GPU: H", "weights": WEIGHTS}).encode())) as service:
        assert RemoteModel(service.url, "fast", WEIGHTS).about() == "GPU: H"
        with pytest.raises(RemoteError, match="other weights"):
            RemoteModel(service.url, "fast", OTHER).about()


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"device": 1}', b"\xff"])
def test_what_tells_nothing_is_no_service(data):
    with Service((200, data)) as service, pytest.raises(RemoteError, match="something else"):
        RemoteModel(service.url, "fast", WEIGHTS).about()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host",
        "ftp://host",
        "http://",
        "http://host:port",
        "http://me:secret@host",
        "http://h/?a=b",
        "http://a..b",
        f"http://{64 * 'x'}:8000",
    ],
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ValueError, match="must look like http://host:8000"):
        check_address(url)


def test_addresses():
    check_address("http://127.0.0.1:8000")
    check_address("https://host/predict")
    check_address(f"http://{63 * 'x'}.host.:8000")
    check_address("http://[::1]:8000")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://[::1]", ("::1", 80)),
        ("https://[::1]/base", ("::1", 443)),
        ("http://[::1]:8000", ("::1", 8000)),
        ("http://host", ("host", 80)),
    ],
)
def test_it_is_asked_at_its_address(monkeypatch, url, place):
    tried = []

    def refuse(address, *_, **__):
        tried.append(address)
        raise ConnectionRefusedError("nobody there")

    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(RemoteError, match="nobody there"):
        RemoteModel(url, "fast", WEIGHTS).about()
    assert set(tried) == {place}


def test_an_address_that_cannot_be_written_is_one_sentence():
    with Service((200, GOOD)) as service, pytest.raises(RemoteError, match="did not answer .*ascii"):
        RemoteModel(f"{service.url}/über", "fast", WEIGHTS).ask(ASKED)
