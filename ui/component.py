"""Our own elements in the page: a style sheet and a script of one name, after what all of them share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

_HERE = Path(__file__).parent
_SHARED = "shared"


def script(name: str) -> str:
    """The JavaScript module of the files `name`."""
    return _joined(name, "js")


def element(component: str, name: str, html: str) -> Any:
    """A component of Streamlit.

    Parameters
    ----------
    component : what Streamlit knows it by
    name : of its files, `name.css` and `name.js`
    html : its outermost element, which the script fills
    """
    return st.components.v2.component(component, html=f"{html}\n", css=_joined(name, "css"), js=script(name))


def _joined(name: str, suffix: str) -> str:
    return "\n".join((_HERE / f"{part}.{suffix}").read_text(encoding="utf-8") for part in (_SHARED, name))
