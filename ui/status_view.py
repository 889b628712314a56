"""The page about the server, as it changes."""

from __future__ import annotations

import streamlit as st

from core.batching import QueueFigures
from ui import status
from ui.prediction_view import title_of

REFRESH_SECONDS = 2.0


@st.fragment(run_every=REFRESH_SECONDS)
def show() -> None:
    """Figures, refreshed by themselves."""
    now = status.read()
    with st.container(horizontal=True, gap="medium"):
        st.metric("Visitors, last 5 minutes", now.visitors, width="content")
        st.metric("Up", _duration(now.up_seconds), width="content")
        memory = "not told" if now.memory_mb is None else f"{now.memory_mb:,.0f} MB"
        st.metric("Memory", memory, help="Resident memory of the server's process.", width="content")
        st.metric(
            "Predictions asked for",
            f"{now.asked:,}",
            help="Since the start, by all visitors; those that were there already cost nothing.",
            width="content",
        )
        share = f"{now.from_cache / now.asked:.0%}" if now.asked else "none yet"
        st.metric("From the cache", share, width="content")
    rows = [
        f"| {title_of(model.name)} | {model.state} | {model.device or ''} | {_queue(model.queue)} |"
        for model in now.models
    ]
    st.markdown(
        "| model | state | device | waiting | answered | turned away | calls | half within | 95 % within |\n"
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n" + "\n".join(rows)
    )
    st.caption(" · ".join(f"{name} {version}" for name, version in now.versions.items()))


def _queue(figures: QueueFigures) -> str:
    counts = figures.waiting, figures.answered, figures.refused, figures.calls
    return " | ".join(
        [*(f"{number:,}" for number in counts), _ms(figures.p50_seconds), _ms(figures.p95_seconds)]
    )


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{1e3 * seconds:,.0f} ms"


def _duration(seconds: float) -> str:
    minutes = int(seconds // 60)
    days, hours = minutes // 1440, minutes // 60 % 24
    return f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min"
