"""What the server writes down."""

import json
import logging

import pytest

from ui import log


@pytest.fixture
def written(monkeypatch, capsys):
    """What our loggers write, from now on."""
    for name in ("ui", "core"):
        logger = logging.getLogger(name)
        monkeypatch.setattr(logger, "handlers", [])
        monkeypatch.setattr(logger, "level", logger.level)
    return capsys


def lines(written):
    return [json.loads(line) for line in written.readouterr().err.splitlines()]


def test_an_event_is_one_line_of_json(written, monkeypatch):
    monkeypatch.setenv(log.VARIABLE, "info")
    log.begin()
    log.begin()  # with every page again
    log.event(logging.getLogger("ui.doors"), "predicted", model="fast", seconds=0.25)
    [line] = lines(written)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info", "logger": "ui.doors", "event": "predicted", "model": "fast", "seconds": 0.25,
    }  # fmt: skip


def test_usually_only_what_is_wrong_is_written(written, monkeypatch):
    monkeypatch.delenv(log.VARIABLE, raising=False)
    log.begin()
    log.event(logging.getLogger("ui.doors"), "predicted")
    try:
        raise ZeroDivisionError("no")
    except ZeroDivisionError:
        logging.getLogger("core.layers").exception("page %s", "Predict it")
    [line] = lines(written)
    assert (line["level"], line["event"]) == ("error", "page Predict it")
    assert line["traceback"].endswith("ZeroDivisionError: no")


def test_a_level_that_is_none_is_answered_in_one_sentence(monkeypatch):
    monkeypatch.setenv(log.VARIABLE, "loud")
    with pytest.raises(ValueError, match="CONVLSTM_LOG must be one of debug, info, .*; got 'loud'"):
        log.begin()


def test_what_a_callback_raises_is_one_line_too(written, monkeypatch):
    logger = logging.getLogger("streamlit.error_util")
    monkeypatch.setattr(logger, "handlers", [logging.StreamHandler()])
    monkeypatch.setattr(logger, "propagate", False)
    log.begin()
    logger.error("Uncaught app execution", exc_info=ValueError("no such digit"))
    [line] = lines(written)
    assert line["event"] == "Uncaught app execution"
    assert "no such digit" in line["traceback"]
