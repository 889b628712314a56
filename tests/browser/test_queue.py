"""Whoever moves on while waiting is not answered: Streamlit ends the old run, and the queue hears of it."""

import subprocess
import sys
import time
from contextlib import ExitStack

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

from benchmarks.app import free_port
from tests.browser.conftest import ROOT, answers

PAGE = """
import sys, time
from pathlib import Path
import streamlit as st
sys.path.insert(0, {root!r})
from core.batching import MicroBatcher
from ui.doors import _give_way, _visitor

def run(requests):
    with Path({calls!r}).open("a") as file:
        file.write(f"{{requests[0]}}\\n")
    time.sleep(1.5)
    return requests

@st.cache_resource
def queue():
    return MicroBatcher(run, most=1, collect_seconds=0)

@st.cache_data
def answer(number, _queue):
    return _queue.ask(_visitor(), number, _give_way)

number = st.slider("number", 0, 100, 0, key="number")
if number:
    st.write("answer", answer(number, queue()))
"""


class Visitor:
    """Somebody who moves the slider, in Streamlit's own protocol."""

    def __init__(self, port, stack):
        self.socket = stack.enter_context(
            connect(f"ws://127.0.0.1:{port}/_stcore/stream", subprotocols=["streamlit"], max_size=None)
        )
        self.slider = ""
        self.send()
        self.read()

    def send(self, number=None):
        message = BackMsg()
        message.rerun_script.query_string = ""
        if number is not None:
            message.rerun_script.widget_states.widgets.add(id=self.slider).double_array_value.data.append(
                number
            )
        self.socket.send(message.SerializeToString())

    def read(self):
        """All that is written until a run ends well."""
        written = []
        while True:
            message = ForwardMsg()
            message.ParseFromString(self.socket.recv(timeout=60))
            kind = message.WhichOneof("type")
            if kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                element = message.delta.new_element
                if element.WhichOneof("type") == "slider":
                    self.slider = element.slider.id
                elif element.WhichOneof("type") == "markdown":
                    written.append(element.markdown.body)
                assert element.WhichOneof("type") != "exception", element
            elif kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                return written


def test_a_request_whose_visitor_moved_on_is_not_answered(tmp_path):
    calls, page, port = tmp_path / "calls.txt", tmp_path / "page.py", free_port()
    page.write_text(PAGE.format(root=str(ROOT), calls=str(calls)))
    command = [sys.executable, "-m", "streamlit", "run", str(page), "--server.headless=true"]
    process = subprocess.Popen(
        [*command, f"--server.port={port}", "--server.address=127.0.0.1"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    stack = ExitStack()
    try:
        deadline = time.monotonic() + 60
        while not answers(f"http://127.0.0.1:{port}/_stcore/health"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        one, other = Visitor(port, stack), Visitor(port, stack)
        one.send(1)
        while not calls.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        for number in (11, 12, 13):  # while the first one's call runs
            other.send(number)
            time.sleep(0.2)
        assert one.read() == ["answer `1`"]
        assert other.read() == ["answer `13`"]
        assert calls.read_text().split() == ["1", "13"]
    finally:
        stack.close()
        process.terminate()
        process.wait(20)
