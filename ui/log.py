"""What the server writes down: one line of JSON an event, and nothing of who asked or for what.

Warnings and errors always; with CONVLSTM_LOG=info also what is done, each call of a model among it.
"""

from __future__ import annotations

import json
import logging
import os
import time

VARIABLE, USUAL = "CONVLSTM_LOG", "warning"
LEVELS = ("debug", "info", "warning", "error")
_OURS = "ui", "core"
_STREAMLITS = "streamlit.error_util"  # what callbacks and fragments raise is written by Streamlit itself


class JsonLines(logging.Formatter):
    """A record as a line: time (UTC), level, logger, event, and what belongs to it."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def begin() -> None:
    """Write to standard error; a second call changes nothing.

    Raises
    ------
    ValueError
        If CONVLSTM_LOG names no level.
    """
    wanted = os.environ.get(VARIABLE, USUAL).lower()
    if wanted not in LEVELS:
        raise ValueError(f"{VARIABLE} must be one of {', '.join(LEVELS)}; got {wanted!r}")
    for name in _OURS:
        logger = logging.getLogger(name)
        if any(isinstance(handler.formatter, JsonLines) for handler in logger.handlers):
            continue
        handler = logging.StreamHandler()
        handler.setFormatter(JsonLines())
        logger.addHandler(handler)
        logger.setLevel(wanted.upper())
    for theirs in logging.getLogger(_STREAMLITS).handlers:
        theirs.setFormatter(JsonLines())


def event(logger: logging.Logger, name: str, **facts: object) -> None:
    """Write down that something was done, in a word, with figures."""
    logger.info(name, extra={"facts": facts})
