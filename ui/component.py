"""Our own elements in the page: a style sheet and a script of one name, after what all of them share.

Streamlit sends both again when an element's data changes; without comments and spaces, a quarter less.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import rcssmin
import rjsmin
import streamlit as st

_HERE = Path(__file__).parent
_SHARED = "shared"


def script(name: str) -> str:
    """The JavaScript module of the files `name`."""
    return _joined(name, "js", rjsmin.jsmin)


def element(component: str, name: str, html: str) -> Any:
    """A component of Streamlit.

    Parameters
    ----------
    component : what Streamlit knows it by
    name : of its files, `name.css` and `name.js`
    html : its outermost element, which the script fills
    """
    style = _joined(name, "css", rcssmin.cssmin)
    return st.components.v2.component(component, html=f"{html}\n", css=style, js=script(name))


def _joined(name: str, suffix: str, less: Callable[[str], str]) -> str:
    """What all share and what is its own, in two lines: Streamlit takes a single one for a file's name."""
    return "\n".join(less((_HERE / f"{part}.{suffix}").read_text("utf-8")) for part in (_SHARED, name))
