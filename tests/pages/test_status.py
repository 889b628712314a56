"""The page about the server."""

import re
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from ui import cache, log

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _fresh_caches():
    st.cache_data.clear()
    st.cache_resource.clear()


def opened():
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    at.run()
    return at.switch_page("pages/status.py").run()


def row(at, model):
    table = next(text.value for text in at.markdown if text.value.startswith("| model"))
    return [cell.strip() for cell in re.search(rf"^\| {model} .*$", table, re.M)[0].strip("|").split("|")]


def test_it_tells_of_every_model_and_counts_predictions():
    at = opened()
    assert not at.exception
    assert row(at, "Best")[1:] == ["not loaded", "", "0", "0", "0", "0", "", ""]
    assert [metric.label for metric in at.metric][:1] == ["Visitors, last 5 minutes"]
    assert at.metric[0].value == "1"
    before = cache.PREDICTIONS.read()

    at.switch_page("pages/predict.py").run()
    assert cache.model_door("fast").wait(240)
    at.run()
    at.run()  # the same again
    after = cache.PREDICTIONS.read()
    assert after[0] - before[0] >= 2
    assert (after[0] - after[1]) - (before[0] - before[1]) == 1  # one was made
    at.switch_page("pages/status.py").run()
    model, state, device, waiting, answered, refused, calls, *times = row(at, "Fast")
    assert (model, state, waiting, answered, refused, calls) == ("Fast", "ready", "0", "1", "0", "1")
    assert device
    assert all(re.fullmatch(r"[\d,]+ ms", time) for time in times)


def test_a_log_level_that_is_none_is_said(monkeypatch):
    monkeypatch.setenv(log.VARIABLE, "loud")
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    assert not at.exception
    assert "got 'loud'" in at.error[0].value
