"""A server and a Chromium for the tests that look at the app as a person does."""

import os
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.app import CHROMIUM_FLAGS, chromium_path, free_port

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 120
PATIENCE_MS = 20_000  # a busy machine takes seconds to hand a browser its next piece of script


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(item.path).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium():
    """Path of the browser. Where tests must not be skipped (CI), its absence is a failure."""
    path = chromium_path()
    if path is None:
        message = "no Chromium found; install it or set CHROMIUM to its path"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


@contextmanager
def _serve(folder):
    """A freshly started app; yields its address."""
    port = free_port()
    log = folder / "log.txt"
    command = [sys.executable, "-m", "streamlit", "run", "app.py"]
    options = [f"--server.port={port}", "--server.address=127.0.0.1", "--server.headless=true"]
    with log.open("w") as out:
        process = subprocess.Popen([*command, *options], cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(f"{url}/_stcore/health"):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the app did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Address of an app started for these tests alone."""
    with _serve(tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture
def fresh_server(tmp_path):
    """Address of an app that nobody has visited yet."""
    with _serve(tmp_path) as url:
        yield url


@pytest.fixture(scope="session")
def browser(chromium):
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@contextmanager
def watched_page(browser, server, height):
    """A fresh visit. Whatever breaks in the page, or asks for anything outside, fails the test."""
    context = browser.new_context(base_url=server, viewport={"width": 1440, "height": height})
    page = context.new_page()
    troubles = []
    page.on("pageerror", lambda error: troubles.append(f"error in the page: {error}"))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((server, "data:", "blob:"))
            else troubles.append(f"asked for {request.url}")
        ),
    )
    yield page
    context.close()
    assert troubles == []


@pytest.fixture
def page(browser, server):
    with watched_page(browser, server, 1100) as page:
        yield page
