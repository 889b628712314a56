"""What the sections of the evaluation page have in common."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from ui import cache, link, results
from ui.prediction_view import title_of

LAST_FRAME, LIMIT = "Repeating the last frame", "The limit"
_NAMES = {
    "copy_last": LAST_FRAME,
    "constant_velocity": "Constant velocity",
    "bounce_oracle": "Bounce oracle",
    "ideal_observer": LIMIT,
}


def name_of(name: str) -> str:
    """What a person reads for a model, a baseline or the limit, by the name that result files give it."""
    name = name.partition(" (")[0]  # "leaky (sees the future)"
    return _NAMES.get(name.replace("-", "_").replace(" ", "_")) or title_of(name)


def short_name_of(name: str) -> str:
    """The same within a sentence: without what is said of a model."""
    return name_of(name).partition(":")[0]


def begin(title: str, what: str) -> None:
    """The head of a section: its title, and what there is to see."""
    st.header(title, anchor=False)
    st.markdown(what)


def end(how: str, rows: Sequence[Mapping[str, Any]], name: str) -> None:
    """The foot of a section: how it is measured, and its numbers to take away."""
    with st.expander("How it is measured"):
        st.markdown(how)
    st.download_button(
        "Numbers (CSV)",
        lambda: as_csv(rows),
        file_name=f"{name}.csv",
        mime="text/csv",
        on_click="ignore",
        key=f"csv_{name}",
        help="What this section shows, as a table for a spreadsheet.",
    )


def empty(what: str) -> None:
    """In place of a section without results: the command that makes them."""
    st.info(f"Not measured yet. This command does it: `{results.COMMAND} {what}`")


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV, with the columns of all of them; what a row lacks stays empty."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def choose_model(models: list[str], key: str) -> str:
    """Which of the measured models to show."""
    return st.segmented_control(
        "Model",
        models,
        default=models[0],
        required=True,
        key=key,
        bind="query-params",
        format_func=name_of,
        help="Which of our networks, as on the page Predict it.",
    )


def predict_parameters(settings: link.Settings, model: str) -> dict[str, str]:
    """Parameters of a link that opens a scene in Predict, next-frame, with the model if that is shipped."""
    models = cache.model_names() or [settings.model]
    shown = replace(settings, mode="next-frame", model=model if model in models else settings.model)
    # the scene even where it is the default: an empty address would bring back the visitor's own
    return {**link.encode(shown, models[0]), "scene": link.encode_scene(shown)}
