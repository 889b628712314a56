"""Let wide charts fit on paper.

A browser that prints makes the page as narrow as the paper; a Plotly chart keeps the width that it had on the
screen, and what is right of the paper's edge is lost. A listener without a face makes it smaller meanwhile.
"""

from __future__ import annotations

import streamlit as st

_PAPER = st.components.v2.component(
    "paper_listener",
    html="<span hidden></span>\n",
    js="""
const WIDTH_PX = 680; // of upright A4 between usual margins
const CHARTS = "[data-testid=stElementContainer]:has(.js-plotly-plot)";
const each = (change) => document.querySelectorAll(CHARTS).forEach(change);
const shrink = () => each((chart) => (chart.style.zoom = Math.min(1, WIDTH_PX / chart.clientWidth)));
const restore = () => each((chart) => (chart.style.zoom = ""));

export default function () {
  window.addEventListener("beforeprint", shrink);
  window.addEventListener("afterprint", restore);
  return () => {
    window.removeEventListener("beforeprint", shrink);
    window.removeEventListener("afterprint", restore);
  };
}
""",
)


def fit_charts() -> None:
    """Print the Plotly charts of this page as wide as the paper is; call once on a page that has some."""
    _PAPER(key="paper", height=1)
