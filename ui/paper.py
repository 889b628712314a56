"""How a page looks on paper: without what only works on a screen, dark ink on white, nothing cut off."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

_NOTHING = "–"

_STYLE = """<style>
@media print {
  [data-testid="stSidebar"], [data-testid="stHeader"], [data-testid="stTooltipIcon"], .st-key-takeaway,
  [data-testid="stButton"], [data-testid="stDownloadButton"], [data-testid="stPopover"],
  [data-testid="stPageLink"],
  [data-testid="stExpander"]:not(:has(details[open])) { display: none !important; }
  [data-testid="stMainBlockContainer"] { padding-block: 0 !important; }
  /* a heading stays with what it is of, and no chart, picture or box is cut in two */
  [data-testid="stElementContainer"]:has([data-testid="stHeading"]) { break-after: avoid; }
  [data-testid="stElementContainer"], [data-testid="stHorizontalBlock"]:has(> [data-testid="stColumn"]),
  [data-testid="stExpander"] { break-inside: avoid; }
  .st-key-only_on_screen { display: none !important; }
}
.on-paper { border-collapse: collapse; width: 100%; font-size: 0.6rem; line-height: 1.3; }
.on-paper th, .on-paper td { border: 0.5px solid #c8d0d4; padding: 0.15rem 0.25rem; text-align: left; }
@media screen { .on-paper { display: none; } }
</style>"""
# Streamlit prints backgrounds. Its dark theme takes on colours of the light one, pictures apart.
_FROM_DARK = """<style>
@media print {
  html, body, #root, .stApp { background: #fff !important; }
  .stApp * { color: TEXT !important; border-color: BORDER !important; }
  .stApp * { background-color: transparent !important; }
  .stApp [data-testid="stCaptionContainer"] * { color: GRAY !important; }
  .stApp [aria-checked="true"], .stApp [aria-pressed="true"] { border-color: TEXT !important; }
  .stBidiComponent * {
    --st-text-color: TEXT !important; --st-gray-color: GRAY !important; --st-border-color: BORDER !important;
    --st-primary-color: PRIMARY !important; --st-link-color: PRIMARY !important;
    --st-background-color: #fff !important;
  }
  .js-plotly-plot text { fill: TEXT !important; }
  .js-plotly-plot .gridlayer path { stroke: BORDER !important; }
  [data-testid="stDataFrame"] canvas { filter: invert(1) hue-rotate(180deg); }
}
</style>"""
_LIGHT = {"TEXT": "textColor", "BORDER": "borderColor", "GRAY": "grayColor", "PRIMARY": "primaryColor"}
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


def styles() -> None:
    """What holds for every page; call once in each."""
    st.html(_STYLE)
    if st.context.theme.type == "dark":
        style = _FROM_DARK
        for name, option in _LIGHT.items():
            style = style.replace(name, st.get_option(f"theme.light.{option}"))
        st.html(style)


def wide_table(columns: Mapping[str, Sequence[object]], **settings: Any) -> None:
    """A table to scroll and sort on the screen, and one with all of its columns on paper.

    Parameters
    ----------
    columns : values by the key of their column; None is an empty field
    settings : of `st.dataframe`; with `column_config`, and `column_order` of all columns
    """
    with st.container(key="only_on_screen"):
        st.dataframe(columns, placeholder=_NOTHING, **settings)
    order, config = settings["column_order"], settings["column_config"]
    heads = [config[key] if isinstance(config[key], str) else config[key]["label"] for key in order]
    rows = zip(*(columns[key] for key in order), strict=True)
    lines = [_row("th", heads)]
    lines += [
        _row("td", [_words(value, config[key]) for key, value in zip(order, row, strict=True)])
        for row in rows
    ]
    st.html(f'<table class="on-paper">{"".join(lines)}</table>')


def _row(tag: str, texts: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(text)}</{tag}>' for text in texts)}</tr>"


def _words(value: object, column: Any) -> str:
    if value is None:
        return _NOTHING
    form = None if isinstance(column, str) else column["type_config"].get("format")
    return form % value if form else str(value)


def fit_charts() -> None:
    """Print the Plotly charts of this page as wide as the paper is; call once on a page that has some.

    A browser that prints makes the page as narrow as the paper; a Plotly chart keeps the width that it had on
    the screen, and what is right of the paper's edge is lost. A listener without a face makes it smaller
    meanwhile.
    """
    _PAPER(key="paper", height=1)
