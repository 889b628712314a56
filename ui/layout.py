"""What every page stands in: the scene in the sidebar, notices above, the model warming up behind."""

from __future__ import annotations

import logging
import runpy
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from core.digits import AssetError
from ui import cache, history, log, own_clip, paper, state, status
from ui.controls import scene_controls

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator
    from streamlit.navigation.page import StreamlitPage

_APP = Path(__file__).resolve().parent.parent / "app.py"
PAINT_SECONDS = 1.5  # in which a browser draws the first page
_WITHOUT_SCENE = (
    "training",
    "evaluation",
    "status",
)  # addresses of pages that the scene in the sidebar does not belong to
_WITH_OWN_CLIP = ("predict", "inside")  # where a clip of one's own takes the place of the scene
_LOG = logging.getLogger(__name__)
# A heading below the page's title is of the second level, and looks as modest as one of the third.
# Ten digits in one row: the buttons' own padding is what does not fit. On a projector's screen the pictures
# come sooner without the wide margins, and on a phone before what may be added to them.
_STYLE = """<style>
[data-testid="stHeading"] h2 { padding-top: 0.75rem; }
[data-testid="stSidebar"] [data-testid="stHeading"] h2 { font-size: 1.125rem; }
[data-testid="stSidebarNavLink"]:focus-visible { outline: 2px solid currentColor; outline-offset: -2px; }
[class*="_digit_class"] button { padding-inline: 0; min-width: 0; }
@media (max-width: 768px) {
  :has(> .st-key-result) { order: 1; }
  :has(> .st-key-more) { order: 2; }
  :has(> .st-key-result) ~ * { order: 3; }
}
@media (min-width: 769px) and (max-width: 1200px) {
  [data-testid="stMainBlockContainer"] { padding-inline: 1.75rem; }
}
@media (min-width: 769px) and (max-height: 820px) {
  [data-testid="stMainBlockContainer"] { padding-top: 2.5rem; }
}
</style>"""


def place_of(what: str, key: str) -> DeltaGenerator:
    """A container in which what it showed of something else is gone at once, not when the new is there.

    key : under which is kept what it showed
    """
    before = state.remembered(key, lambda: what)
    state.remember(key, what)
    return st.container() if before == what else st.empty().container()


def through_app() -> None:
    """Make sure that a page runs inside app.py; call first in every page.

    The first link that a fresh server is asked for Streamlit resolves by the files of the folder `pages`, and
    runs such a file by itself. It learns better from the `st.navigation` in app.py.
    """
    if not state.is_inside_app():
        runpy.run_path(str(_APP), run_name="__main__")
        st.stop()


def run(page: StreamlitPage) -> None:
    """Run a page, with the scene in the sidebar where it belongs to the page."""
    try:
        log.begin()
        cache.check_service()
    except ValueError as error:
        st.error(str(error), icon="⚠️")
        return
    status.note_visit()
    try:
        state.begin(page.url_path, cache.model_names())
    except AssetError as error:
        st.error(f"The handwritten digits cannot be read: {error}", icon="⚠️")
        return
    for notice in state.notices():
        st.warning(notice, icon="⚠️")
    # The pictures are what a person waits for. This small component makes the browser fetch what the player
    # needs while the page is still being made; then comes the page, then its controls.
    st.html(_STYLE)
    paper.styles()
    with st.sidebar:
        history.listen(page.url_path)
    try:
        with state.inside_app():
            if page.url_path in _WITH_OWN_CLIP:
                own_clip.follow_address()
            page.run()
    except Exception as error:  # the scene can still be changed to one that works
        _LOG.exception("page %s", page.title)
        st.exception(error)
    if page.url_path in _WITHOUT_SCENE:
        return
    with st.sidebar:
        if page.url_path in _WITH_OWN_CLIP and own_clip.current() is not None:
            own_clip.controls()
        else:
            scene_controls()
    # Only now: loading the model takes a processor for seconds, and the page should be seen first.
    model = state.settings().model
    if model in cache.model_names():
        cache.model_door(model).start(after_seconds=PAINT_SECONDS)
