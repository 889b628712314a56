"""Further sections of the page about the inside of a cell: directions, the leak, weights."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.inspection import GATES, PEEPING, CellWeights, Gate
from core.leak import changed_clip, compared
from core.outputs import png_bytes
from core.tuning import LEAST_ANSWER, answers_at_all, selectivity
from ui import cache, inside, kernels, results
from ui.directions import polar_plots, way
from ui.doors import YOURS, ModelDoor
from ui.looking_back import brightest
from ui.player import Panel, clip_player
from ui.prediction_view import refresh_when_settled, sentence_of, title_of

_FIRST = 24  # plots that are shown unasked
_CLEAR = 0.2  # selectivity from which on a channel is said to prefer a direction


# ------------------------------------------------------------------------------------------ directions


def show_directions(door: ModelDoor, clip: np.ndarray, layer: int) -> None:
    """Which channels answer to which direction."""
    st.markdown(
        "One digit flies through the middle of the picture, in eight directions and at four speeds. How "
        "strongly does each channel answer? A channel that answers to one direction **codes** it: the line "
        "reaches far out on that side. **Try it:** compare the first layer with the last."
    )
    found = results.tuning(door.name, layer)
    if door.name == YOURS:
        st.info("This is measured for the shipped networks only: choose one of them above.")
        return
    if found is None:
        st.info(
            f"Not measured yet for {title_of(door.name)}. This command does it: "
            f"`{results.COMMAND} tuning --models {door.name}`"
        )
        return
    data, answers = found
    at_best, prefers = selectivity(answers.max(axis=1))
    answering = answers_at_all(answers)
    order = np.lexsort((-at_best, ~answering))  # those that do not answer come last
    clear = answering & (at_best >= _CLEAR)
    sentence = f"**{clear.sum()} of {len(order)} channels** of this layer clearly prefer a direction"
    if clear.any():
        sentence += f"; the clearest, channel {order[0] + 1}, {way(prefers[order[0]])}"
    st.markdown(f"{sentence}.")
    every = st.toggle(
        "Show all channels",
        key="all_directions",
        bind="query-params",
        help=f"Not only the {_FIRST} that prefer a direction most.",
    )
    shown = order if every else order[:_FIRST]
    polar_plots(
        [
            {
                "title": f"Channel {n + 1}: {f'{at_best[n]:.2f}' if answering[n] else 'silent'}",
                "answers": np.round(answers[n] / (answers[n].max() or 1), 3).tolist(),
                "prefers": round(float(prefers[n])) if clear[n] else None,
            }
            for n in shown
        ],
        data["directions_deg"],
        key="polar_plots",
    )
    speeds = ", ".join(f"{speed:g}" for speed in data["speeds_px"])
    st.caption(
        f"Lines: speeds of {speeds} px a frame, the strongest line the fastest. The figure is the "
        "selectivity: 0 answers to all directions alike, 1 to a single one; from "
        f"{_CLEAR:g} on an arrow shows which. Both are worked out from the strongest answer to each "
        f"direction, whatever the speed. A channel whose answer is less than {LEAST_ANSWER:.0%} of the "
        "strongest channel's counts as silent. Each plot has a scale of its own. Means over ten digits, "
        "one of each class, less what the channel does while nothing is to be seen: your scene changes "
        f"nothing here. Made by {data['made_by']}."
    )


# ------------------------------------------------------------------------------------------------ leak


def show_leak(door: ModelDoor, clip: np.ndarray, layer: int) -> None:
    """Change a frame, and see whose predictions of the past move."""
    st.markdown(
        "Change one pixel of one frame. A prediction that was made **before** that frame cannot move, if the "
        "network is honest. The leaky one reads the frame that it pretends to foresee. **Try it:** move the "
        "slider, and watch the bars left of the line."
    )
    if len(clip) < 3:
        st.info("This takes a clip of three frames or more.")
        return
    from ui import evaluation_charts as charts  # Plotly, which the other sections do without

    honest = door if door.config().head == "causal" else cache.inside_door("reference")
    leaky = cache.inside_door("leaky") if honest is door else door
    both = (honest, leaky) if honest is door else (leaky, honest)
    for one in both:
        if one.error:
            st.error(f"{sentence_of(one.name)} cannot be used: {one.error}", icon="⚠️")
            return
        if not one.ready:
            one.start()
            refresh_when_settled(one)
            return
    st.markdown(f"**{' beside '.join(title_of(one.name).partition(':')[0] for one in both)}**")
    last = len(clip) - 2
    frame = int(
        st.slider(
            "Frame that is changed", 2, last + 1, last // 2 + 2, key=f"leak_frame_{last}",
            bind="query-params", width=420,
            help="Its brightest pixel is turned over: white to black, dark to white.",
        )
        - 1
        if last > 1
        else 1
    )  # fmt: skip
    row, column = brightest(clip[frame])
    changed = changed_clip(clip, frame, (row, column))
    probes = {
        one.name: compared(cache.next_frames(clip, one), cache.next_frames(changed, one), frame)
        for one in both
    }
    bars = [
        {"name": name, "causal": probe.causal, "max_change": probe.max_change.tolist()}
        for name, probe in probes.items()
    ]
    said = charts.moved_before(bars, frame)
    charts.style_words()
    charts.plot(charts.leak_bars(bars, frame), f"Largest change in each prediction. {said}.", "live_leak")
    st.markdown(
        f"Row {row + 1}, column {column + 1} of frame {frame + 1} is changed. {said[:1].upper()}{said[1:]}."
    )
    panels = []
    for name, probe in probes.items():
        first, after, title = f"before_{name}", f"after_{name}", title_of(name).partition(":")[0]
        nothing = "Nothing yet."
        panels += [
            Panel(first, title, "What it predicts.", probe.before, 1, nothing),
            Panel(after, f"{title}, changed", "The same, after the change.", probe.after, 1, nothing),
            Panel(f"moved_{name}", f"{title}, moved", difference=(after, first), waiting=nothing),
        ]
    clip_player(panels, key="leak_player", narrow_columns=3)  # a row for each network


# --------------------------------------------------------------------------------------------- weights


def show_weights(door: ModelDoor, clip: np.ndarray, layer: int) -> None:
    """Kernels and peepholes as pictures."""
    st.markdown(
        "What the layer has learned, once and for all clips: the **kernels** with which it looks at what "
        "comes in and at its own hidden state, and the **peepholes** through which gates see the memory. "
        "**Try it:** compare the forget gate with the candidate."
    )
    weights, config = door.cell_weights(layer), door.config()
    gate: Gate = st.segmented_control(
        "Gate", GATES, default="g", required=True, key="weights_gate", bind="query-params",
        format_func=inside.title_of_gate, wrap=True, help="Each gate has kernels of its own.",
    )  # fmt: skip
    kernel = kernels.gate_kernel(weights.kernel, gate)
    with st.container(horizontal=True, gap="large"):
        if layer == 1:
            around = "cell" if config.patch > 1 else "pixel"
            beside = kernel.shape[2] - config.patch**2
            _sheet(
                "On the frame",
                kernels.on_pixels(kernel, config.patch),
                f"What each channel looks for around a {around}: orange wants ink there, blue wants none."
                + (
                    f" The other {beside} channels, matches with earlier frames, are not shown."
                    if beside
                    else ""
                ),
            )
        else:
            _sheet(
                "On what comes in",
                kernels.strength(kernel),
                f"How much each place around a cell weighs, over the {kernel.shape[2]} channels that "
                "come in.",
            )
        _sheet(
            "On its own hidden state",
            kernels.strength(kernels.gate_kernel(weights.recurrent_kernel, gate)),
            "How much each place around a cell weighs, over all channels. What lies off the middle lets "
            "memory spread from cell to cell.",
        )
        maps = kernels.peephole_maps(weights, gate) if gate in PEEPING else None
        if maps is not None:
            _sheet(
                "Peepholes",
                maps,
                "One weight for each place and channel: orange opens the gate where the memory is positive.",
            )
    st.caption(
        "A tile is a channel, 8 in a row, from channel 1 at the top left. Each sheet has a scale of its own. "
        "Weights are the same for every clip: your scene changes nothing here."
    )
    if gate in PEEPING and maps is None:
        _channel_peepholes(weights, gate)
    elif gate == "g":
        st.caption("The candidate has no peephole: it does not look at the memory.")


def _sheet(title: str, tiles: np.ndarray, says: str) -> None:
    sheet, limit = kernels.sheet(tiles)
    with st.container(width=sheet.shape[1]):
        st.markdown(f"**{title}**")
        st.image(png_bytes(sheet), alt=f"{title}: weights of {len(tiles)} channels.", width="stretch")
        full = f"Orange is +{limit:.2f}, blue −{limit:.2f}" if tiles.min() < 0 else f"White is {limit:.2f}"
        st.caption(f"{says} {full}, black 0.")


def _channel_peepholes(weights: CellWeights, gate: Gate) -> None:
    values = weights.peepholes.get(gate)
    if values is None:
        st.caption("This layer has no peepholes.")
        return
    from ui import evaluation_charts as charts

    st.markdown("**Peepholes**")
    charts.plot(
        charts.bars(values.tolist(), "Channel", "Weight"),
        f"Peephole weight of {len(values)} channels, from {values.min():.2f} to {values.max():.2f}.",
        "peephole_bars",
    )
    st.caption(
        "One weight for each channel, the same everywhere: above 0 the gate opens where the memory is "
        "positive."
    )
