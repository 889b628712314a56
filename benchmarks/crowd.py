"""A class at work: many sessions on one server, each of which moves a slider every few seconds.

The visitors speak Streamlit's own protocol over a web socket, as a browser does, without drawing anything:
thirty browsers would need more of the machine than the server.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from benchmarks.app import MODEL_SECONDS, CannotMeasure, Server, app_server
from benchmarks.measure import Figure, percentile
from ui.link import default_settings, encode

THINKING = 2.0, 6.0  # seconds between an answer and the next change
PATIENCE_SECONDS = 60.0
SLIDER = "digit0_speed_px"
SPEEDS = 70  # different ones, tenths of a pixel
BUSY = "**The model is busy:**"
SETTLING = 0.2  # share of the time after which memory is looked at first: until then caches fill


@dataclass
class Answers:
    """What a visitor got.

    Attributes
    ----------
    seconds : from each change to the end of the page's run
    busy : how often the model was, and the last prediction was shown
    faults : sentences
    """

    seconds: list[float] = field(default_factory=list)
    busy: int = 0
    faults: list[str] = field(default_factory=list)


class Visitor:
    """One session on the prediction page. Use it as a context.

    Parameters
    ----------
    server : where the app is
    number : every visitor looks at a clip of their own, so that none is answered from the cache
    """

    def __init__(self, server: Server, number: int) -> None:
        usual = default_settings()
        first, *others = usual.digits
        own = replace(usual, digits=(replace(first, direction_deg=number % 360), *others))
        self._server, self._query = server, urlencode(encode(own, own.model))
        self._slider = ""

    def __enter__(self) -> Visitor:
        from websockets.sync.client import connect

        address = self._server.url.replace("http", "ws", 1) + "/_stcore/stream"
        connection = connect(
            address,
            subprotocols=["streamlit"],  # type: ignore[list-item]
            max_size=None,
            open_timeout=PATIENCE_SECONDS,
        )
        self._stack = ExitStack()
        self._socket = self._stack.enter_context(connection)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def come(self) -> list[Any]:
        """Open the page; the elements that it consists of."""
        return list(self._run())

    def move(self, speed: float) -> list[Any]:
        """Move the first digit's speed, px a frame; the elements that are new then."""
        if not self._slider:
            raise CannotMeasure(f"the prediction page has no slider {SLIDER}")
        return list(self._run(speed))

    def _run(self, speed: float | None = None) -> Iterator[Any]:
        from streamlit.proto.BackMsg_pb2 import BackMsg
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        asked = BackMsg()
        asked.rerun_script.query_string, asked.rerun_script.page_name = self._query, "predict"
        if speed is not None:
            state = asked.rerun_script.widget_states.widgets.add(id=self._slider)
            state.double_array_value.data.append(speed)
        self._socket.send(asked.SerializeToString())
        while True:
            message = ForwardMsg()
            message.ParseFromString(self._socket.recv(timeout=PATIENCE_SECONDS))
            kind = message.WhichOneof("type")
            if kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                element = message.delta.new_element
                if element.WhichOneof("type") == "slider" and SLIDER in element.slider.id:
                    self._slider = element.slider.id
                yield element
            elif kind == "script_finished" and message.script_finished in (
                ForwardMsg.FINISHED_SUCCESSFULLY,
                ForwardMsg.FINISHED_WITH_COMPILE_ERROR,
            ):
                return


def faults_of(elements: list[Any]) -> list[str]:
    """Exceptions and errors that a page shows."""
    from streamlit.proto.Alert_pb2 import Alert

    found = []
    for element in elements:
        kind = element.WhichOneof("type")
        if kind == "exception":
            found.append(f"{element.exception.type}: {element.exception.message}")
        elif kind == "alert" and element.alert.format == Alert.ERROR:
            found.append(element.alert.body)
    return found


def is_busy(elements: list[Any]) -> bool:
    """Whether the page says that the model is busy."""
    return any(
        element.WhichOneof("type") == "markdown" and BUSY in element.markdown.body for element in elements
    )


def _attend(server: Server, number: int, ends: float, answers: Answers) -> None:
    """Be a visitor until the end."""
    chance = random.Random(number)
    try:
        with Visitor(server, number) as visitor:
            answers.faults += faults_of(visitor.come())
            while time.monotonic() < ends:
                time.sleep(chance.uniform(*THINKING))
                began = time.monotonic()
                elements = visitor.move(chance.randrange(SPEEDS) / 10)
                answers.seconds.append(time.monotonic() - began)
                answers.busy += is_busy(elements)
                answers.faults += faults_of(elements)
    except Exception as error:  # whatever it is, this visitor was not served to the end
        answers.faults.append(f"visitor {number} was not answered: {type(error).__name__} {error}")


def _until_loaded(server: Server) -> None:
    """Come again until the model itself answers."""
    ends = time.monotonic() + MODEL_SECONDS
    with Visitor(server, 0) as visitor:
        while time.monotonic() < ends:
            if any(
                element.WhichOneof("type") == "metric" and element.metric.label.startswith("Time on ")
                for element in visitor.come()
            ):
                return
            time.sleep(1)
    raise CannotMeasure("the prediction page made no prediction; is the model `fast` shipped?")


def run(*, visitors: int = 30, seconds: float = 600.0) -> list[Figure]:
    """Answers, their times and the server's memory while so many visitors are there for so long."""
    with app_server() as server:
        _until_loaded(server)
        ends = time.monotonic() + seconds
        all_answers = [Answers() for _ in range(visitors)]
        threads = [
            threading.Thread(target=_attend, args=(server, number, ends, answers), daemon=True)
            for number, answers in enumerate(all_answers, 1)
        ]
        for thread in threads:
            thread.start()
        time.sleep(SETTLING * seconds)
        settled_mb = server.resident_mb
        for thread in threads:
            thread.join()
        grown = server.resident_mb / settled_mb - 1
    times = [one for answers in all_answers for one in answers.seconds]
    faults = [fault for answers in all_answers for fault in answers.faults]
    if not times:
        raise CannotMeasure(f"nobody was answered: {'; '.join(faults[:3]) or 'the time was too short'}")
    if faults:
        print(*sorted(set(faults))[:5], sep="\n")
    what = f"{visitors} visitors for {seconds:g} s"
    return [
        Figure("crowd", f"{what}: changes answered", len(times), ""),
        Figure("crowd", "a change to the page's answer, median", 1e3 * percentile(times, 50), "ms"),
        Figure("crowd", "the same, 95th percentile", 1e3 * percentile(times, 95), "ms", 5000),
        Figure("crowd", "faults", len(faults), "", 0),
        Figure("crowd", "told that the model is busy", sum(answers.busy for answers in all_answers), ""),
        Figure("crowd", "the server's memory: growth after the first fifth", 100 * grown, "%", 5),
    ]
