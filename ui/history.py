"""Let the browser's back and forward buttons undo and redo.

Streamlit runs the script again when they lead to another page, not when they lead to other parameters of the
same page. A listener without a face asks for that run. On a phone, where the side bar lies over the page, it
also closes that bar when a page or a ready-made scene has been chosen there: Streamlit leaves it open.
"""

from __future__ import annotations

import streamlit as st

from ui import state

NARROW_PX = 768  # up to which Streamlit lays the side bar over the page
_HISTORY = st.components.v2.component(
    "history_listener",
    html="<span hidden></span>\n",
    js="""
export default function (component) {
  const { setTriggerValue } = component;
  const [[page, narrow, presets]] = component.data;
  const chosen = `${page} ${presets}`;
  if (window.sceneChosen !== chosen && window.matchMedia(`(max-width: ${narrow}px)`).matches)
    document
      .querySelector('[data-testid="stSidebar"][data-collapsed="false"]')
      ?.querySelector('[data-testid="stSidebarCollapseButton"] button')
      ?.click();
  window.sceneChosen = chosen;
  const path = window.location.pathname;
  const moved = () => {
    // another page: Streamlit runs that one by itself
    if (window.location.pathname === path) setTriggerValue("moved", window.location.search || "?");
  };
  // This function runs anew with the page, and two listeners would ask for two runs at a time.
  window.removeEventListener("popstate", window.sceneHistoryListener);
  window.sceneHistoryListener = moved;
  window.addEventListener("popstate", moved);
  return () => window.removeEventListener("popstate", moved);
}
""",
)


def listen(page: str) -> None:
    """Run the script again after a step back or forward on a page; `ui.state` reads the address."""
    _HISTORY(
        key=f"history_{page}",
        data=[[page, NARROW_PX, state.presets_used()]],
        height=1,
        on_moved_change=state.step_in_history,
    )
