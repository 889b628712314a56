"""What if: take hold of a layer, or of what it sees, and compare with the prediction that nobody touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import streamlit as st

from core import metrics
from core.inspection import GATES, RANGES, Gate, Intervention
from ui import cache, inside, state
from ui.doors import ModelDoor
from ui.player import Chart, Line, Panel, clip_player
from ui.what_if import KINDS, Seen, told

_KINDS = "whatif"
_MEMORIES = {"both": "Memory and hidden state", "c": "Only the memory C", "h": "Only the hidden state H"}


def show(door: ModelDoor, clip: np.ndarray, layer: int) -> None:
    """The section."""
    st.markdown(
        "Take hold of this layer while the network predicts, or spoil what it sees; the untouched prediction "
        "stays beside it. **Try it:** wipe the memory, of *Fast* first and then of *Reference*: which one "
        "lives by it?"
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kinds = st.pills(
            "What if …",
            list(KINDS),
            selection_mode="multi",
            key=_KINDS,
            bind="query-params",
            format_func=lambda kind: KINDS[kind].title,
            wrap=True,
            help="Choose one or several; each has its own settings.",
        )
        st.button(
            "Reset all",
            on_click=state.remember,
            args=(_KINDS, []),
            disabled=not kinds,
            key="whatif_reset",
            help="Leave everything alone again.",
        )
    doing, seen = Intervention(), Seen()
    filters = door.config().filters[layer - 1]
    for kind in KINDS:
        if kind in kinds:
            with st.container(border=True):
                st.markdown(f"**{KINDS[kind].title}.** {KINDS[kind].teaches}")
                with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
                    doing, seen = _SETTINGS[kind](doing, seen, len(clip), filters)
    spoilt = seen.of(clip)
    before = cache.held(clip, layer, Intervention(), door)
    after = cache.held(spoilt, layer, doing, door)
    _compare(clip, spoilt if seen != Seen() else None, before, after, bool(kinds))


def _compare(
    clip: np.ndarray, spoilt: np.ndarray | None, before: np.ndarray, after: np.ndarray, touched: bool
) -> None:
    scores = {name: metrics.per_frame(clip[1:], made) for name, made in (("b", before), ("a", after))}
    waiting = "Nothing has been seen yet."
    panels = [Panel("truth", "Truth", "What really happens.", clip)]
    if spoilt is not None:
        panels.append(Panel("seen", "Seen", "What the network is shown.", spoilt))
    panels.append(Panel("before", "Untouched", "What it predicts left alone.", before, 1, waiting))
    if touched:
        panels += [
            Panel("after", "Now", "What it predicts like this.", after, 1, waiting),
            Panel("change", "What changed", difference=("after", "before"), waiting=waiting),
        ]
    else:
        panels.append(Panel("error", "Error", difference=("before", "truth"), waiting=waiting))
    charts = []
    for key, name, hint, digits, unit in (
        ("mse", "MSE", "Mean squared error of a pixel, black being 0 and white 1: lower is better.", 4, ""),
        ("psnr", "PSNR", "PSNR in decibels (dB): the higher, the closer to the truth.", 1, "dB"),
    ):
        lines = [Line("Untouched", scores["b"][key].tolist(), "limit" if touched else "strong")]
        if touched:
            lines.insert(0, Line("Now", scores["a"][key].tolist(), "strong"))
        charts.append(Chart(key, name, "What does it do to the error?", hint, digits, lines, 1, unit))
    clip_player(panels, key="whatif_player", charts=charts)
    if touched:
        st.markdown(told(scores["b"]["mse"], scores["a"]["mse"]))
    else:
        st.caption("Nothing is touched yet: choose something above.")


# ------------------------------------------------------------------------------------------- settings


def _frame(label: str, key: str, low: int, high: int, value: int, text: str) -> int:
    """A slider over frames as people count them, from 1; returned as programs do."""
    if low >= high:  # there is nothing to choose
        return high - 1
    value = min(max(value, low), high)
    return int(st.slider(label, low, high, value, key=key, bind="query-params", help=text, width=320)) - 1


def _gate(doing: Intervention, seen: Seen, frames: int, filters: int) -> tuple[Intervention, Seen]:
    gate: Gate = st.segmented_control(
        "Gate, or candidate",
        GATES,
        default="f",
        required=True,
        key="whatif_gate",
        bind="query-params",
        format_func=inside.title_of_gate,
        wrap=True,
        help="Which of them.",
    )
    low, high = RANGES[gate]
    value = st.slider(
        "Value", float(low), float(high), 0.0, 0.05, key=f"whatif_value_{gate}", bind="query-params",
        width=220,
        help="What the gate says, everywhere and at all times, whatever the layer works out.",
    )  # fmt: skip
    return replace(doing, clamp={gate: float(value)}), seen


def _mute(doing: Intervention, seen: Seen, frames: int, filters: int) -> tuple[Intervention, Seen]:
    channel = st.number_input(
        "Channel", 1, filters, 1, key=f"whatif_channel_{filters}", bind="query-params", width=160,
        help=f"From 1 to {filters}, as under *Gates*. Nobody hears what it says.",
    )  # fmt: skip
    return replace(doing, silence=(int(channel) - 1,)), seen


def _peep(doing: Intervention, seen: Seen, frames: int, filters: int) -> tuple[Intervention, Seen]:
    return replace(doing, peepholes=False), seen


def _wipe(doing: Intervention, seen: Seen, frames: int, filters: int) -> tuple[Intervention, Seen]:
    which = st.segmented_control(
        "What", list(_MEMORIES), default="both", required=True, key="whatif_memory", bind="query-params",
        format_func=_MEMORIES.__getitem__, wrap=True, help="What is set to 0.",
    )  # fmt: skip
    at = _frame("Before frame", "whatif_wipe", 2, frames - 1, frames // 2 + 1, "When it happens.")
    hidden, cell = ((at,) if which in ("both", name) else () for name in ("h", "c"))
    return replace(doing, reset_hidden=hidden, reset_cell=cell), seen


def _stop(doing: Intervention, seen: Seen, frames: int, filters: int) -> tuple[Intervention, Seen]:
    at = _frame("From frame", "whatif_stop", 1, frames - 1, frames // 2 + 1, "When it stops.")
    return replace(doing, freeze_from=at), seen


def _black(doing: Intervention, seen: Seen, frames: int, filters: int) -> tuple[Intervention, Seen]:
    if frames < 3:  # there is nothing to choose
        return doing, replace(seen, black=(0, 1))
    middle = frames // 2
    chosen = st.slider(
        "Frames", 1, frames - 1, (max(middle, 1), min(middle + 2, frames - 1)), key="whatif_black",
        bind="query-params", width=320, help="Which frames the network sees black.",
    )  # fmt: skip
    first, last = sorted(chosen)  # an address may have them the other way round
    return doing, replace(seen, black=(int(first) - 1, int(last)))


def _still(doing: Intervention, seen: Seen, frames: int, filters: int) -> tuple[Intervention, Seen]:
    at = _frame("From frame", "whatif_still", 1, frames - 1, frames // 2, "The frame that stays.")
    return doing, replace(seen, still_from=at)


def _noise(doing: Intervention, seen: Seen, frames: int, filters: int) -> tuple[Intervention, Seen]:
    strength = st.slider(
        "Strength", 0.05, 0.5, 0.15, 0.05, key="whatif_noise", bind="query-params", width=320,
        help="Standard deviation of what is added to each pixel; black is 0 and white 1.",
    )  # fmt: skip
    return doing, replace(seen, noise=float(strength))


_SETTINGS: dict[str, Callable[[Intervention, Seen, int, int], tuple[Intervention, Seen]]] = {
    "gate": _gate,
    "mute": _mute,
    "peep": _peep,
    "wipe": _wipe,
    "stop": _stop,
    "black": _black,
    "still": _still,
    "noise": _noise,
}
