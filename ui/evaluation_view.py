"""The evaluation page: its headline, and its sections, of which it shows one at a time.

Each section says what to see, how it is measured, and offers its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from ui import evaluation_parts as parts
from ui import own_clip, results, state
from ui.evaluation_map_view import generalisation_map
from ui.evaluation_pictures_view import blur, leak, worst
from ui.evaluation_scores_view import by_step, leaderboard, physics

_SECTION = "section"
SECTIONS: dict[str, Callable[[], None]] = {
    "Leaderboard": leaderboard,
    "By step": by_step,
    "Map": generalisation_map,
    "Where and how sharp": physics,
    "Blur": blur,
    "Leak": leak,
    "Worst": worst,
}


def choose_section() -> str:
    """The section to show; its name is in the address, so that a link leads there."""
    first = "Worst" if state.noted(own_clip.ADDRESS) else next(iter(SECTIONS))
    section = st.segmented_control(
        "Section",
        list(SECTIONS),
        default=state.begun_with(_SECTION, first),
        required=True,
        key=_SECTION,
        bind="query-params",
        help="What to look at. Each part has an address of its own.",
        label_visibility="collapsed",
        wrap=True,
    )
    return state.left_with(_SECTION, section)


def show(section: str) -> None:
    """One section; what is wrong with its files is one sentence, and the others still work."""
    try:
        SECTIONS[section]()
    except results.ResultError as error:
        _failed(error)


def _failed(error: results.ResultError) -> None:
    st.error(results.what_to_do(error), icon="⚠️")


def headline() -> None:
    """How good, in one line of figures: the last frame repeated, our best model, the limit."""
    try:
        reports, ideal = results.scores("next-frame"), results.limit("next-frame")
        rollouts = results.scores("rollout")
    except results.ResultError as error:
        _failed(error)
        return
    candidates = {name: report for name, report in reports.items() if name not in results.LEAKING}
    if not candidates:
        parts.empty("next-frame rollout")
        return
    name, best = max(candidates.items(), key=lambda item: item[1]["psnr_of_mean_mse"])
    title = parts.name_of(name)
    with st.container(horizontal=True, gap="large"):
        _three("One frame ahead", title, best, ideal)
        if name in rollouts:
            _three("On its own, 10 frames from 10", title, rollouts[name], results.limit("rollout"))
    gone = 1 - best["mse_sum"] / best["baselines"]["copy_last"]["mse_sum"]
    st.caption(
        f"PSNR from mean error: higher is better. Our best network is the one named **{title}**. On "
        f"{best['sequences']:,} clips that none of them learned from, it makes {gone:.0%} less squared error "
        "than repeating the last frame."
    )


def _three(mode: str, title: str, best: Mapping[str, Any], ideal: Mapping[str, Any] | None) -> None:
    """What one has to beat, our best, and what nobody beats."""
    with st.container(width="content"):
        st.markdown(f"**{mode}**")
        with st.container(horizontal=True):
            _metric(parts.LAST_FRAME, best["baselines"]["copy_last"], "The simplest guess there is.")
            _metric(f"Ours: {title}", best, "PSNR (peak signal-to-noise ratio) of the mean squared error.")
            if ideal is not None:
                _metric(parts.LIMIT, ideal, "For an ideal observer: nobody who only watches predicts better.")


def _metric(label: str, scores: Mapping[str, Any], text: str) -> None:
    # not the mean of PSNR: frames that the limit predicts exactly would lift it without bound
    st.metric(label, f"{scores['psnr_of_mean_mse']:.1f} dB", help=text, width="content")
