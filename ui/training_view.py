"""The parts of the training page: the list of runs, and of one run its curves, its time machine, its log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import streamlit as st

from core.runs import RunError
from core.train_config import TrainConfig
from ui import cache, charts, own_weights, state, training_actions, training_form, training_runs
from ui.markdown import plain
from ui.player import Panel, clip_player
from ui.training_access import Access
from ui.training_actions import EPOCH, RUN
from ui.training_runs import Item

COMPARED = "with"  # in the address: the keys of the runs that are drawn over the one in focus
_COMPARED, _WANTED = "training_compare", "_training_compare_wanted"
REFRESH_SECONDS = 2.0
_RESUMABLE = ("stopped", "failed", "interrupted")
_TROUBLED = {
    "failed": "This run failed.",
    "interrupted": "This run was interrupted.",
    "unreadable": "This run cannot be read:",
}
_SMOOTHING_HELP = (
    "Noisy curves are drawn as a debiased exponential moving average: each point is this share of the "
    "average before it and the rest of the new value, divided by the sum of all weights so far. The raw "
    "curve stays faint behind it. At 0 a curve is drawn as it is. Curves of validation are never smoothed."
)


def refresh_seconds(shown: list[Item]) -> float | None:
    """How often a part of the page looks again by itself; None, never, where no run of it is alive."""
    return REFRESH_SECONDS if any(item.entry.alive for item in shown) else None


def live(part: Callable[..., None], shown: list[Item], *arguments: object) -> None:
    """Show a part of the page that follows the runs it shows."""
    st.fragment(part, run_every=refresh_seconds(shown))(*arguments)


def _renew_if_changed(listed: list[Item], seen: object) -> None:
    """Make the whole page anew when a run has come, gone, or changed its state."""
    if training_runs.signature(listed) != seen:
        st.rerun()


# ------------------------------------------------------------------------------------------------ list


def choose(seen: object, focus: str) -> None:
    """The list of runs, in the sidebar: one in focus."""
    listed = training_runs.items()
    _renew_if_changed(listed, seen)
    by_key = {item.key: item for item in listed}
    chosen = st.radio(
        "Runs",
        list(by_key),
        key=training_actions.CHOICE,
        format_func=lambda key: by_key[key].title,
        captions=[training_runs.summary(item) for item in listed],
        label_visibility="collapsed",
        persist_state="session",
        on_change=_take_run,
    )
    if chosen != focus:
        st.rerun()


def _take_run() -> None:
    """Callback: show another run."""
    training_actions.show("run")
    run = state.value(training_actions.CHOICE)
    pinned: tuple[int, int] | None = state.remembered(_pin_key(run), _unpinned)
    if pinned is None:
        state.note(EPOCH, "")
        state.note(RUN, run)
    else:
        state.note_together({RUN: run, EPOCH: str(pinned[0])})


def chosen_run(keys: list[str]) -> str:
    """The run in focus: the one that was chosen, or that a link or a step back leads to; else the newest."""
    if state.arrived_by() == "history":
        state.forget(training_actions.CHOICE)
    noted = state.noted(RUN)
    chosen = state.remembered(training_actions.CHOICE, lambda: noted if noted in keys else keys[0])
    if chosen not in keys:
        chosen = keys[0]
        state.remember(training_actions.CHOICE, chosen)
    if state.arrived_by() == "menu" and chosen != keys[0]:
        state.note(RUN, chosen)
    return chosen


def compare(listed: list[Item], focus: Item) -> list[Item]:
    """Further runs to draw over the one in focus."""
    others = {item.key: item for item in listed if item.entry.config is not None and item.key != focus.key}
    if not others:
        return []
    if state.arrived_by() == "history":
        state.forget(_WANTED)
    wanted = state.remembered(_WANTED, lambda: state.noted(COMPARED).split(","))
    if state.arrived_by() == "menu":
        state.note(COMPARED, ",".join(wanted))
    # one that is in focus for a while is drawn over others again afterwards
    state.remember(_COMPARED, [key for key in wanted if key in others])
    chosen = st.multiselect(
        "Compare with",
        list(others),
        key=_COMPARED,
        on_change=_take_compared,
        format_func=lambda key: others[key].label,
        max_selections=charts.MAX_RUNS - 1,
        placeholder="Choose runs to overlay",
        persist_state="session",
        help="Their curves are drawn over those of the chosen run.",
    )
    return [others[key] for key in chosen]


def _take_compared() -> None:
    """Callback: draw other runs over the one in focus."""
    wanted = state.value(_COMPARED) or []
    state.remember(_WANTED, wanted)
    state.note(COMPARED, ",".join(wanted))


# -------------------------------------------------------------------------------------------- one run


def show(seen: object, keys: list[str], allowed: Access) -> None:
    """One run in focus, and others drawn over its curves."""
    listed = training_runs.items()
    _renew_if_changed(listed, seen)
    by_key = {item.key: item for item in listed}
    focus, *others = [by_key[key] for key in keys]
    # Each part has its place, so that what a person has opened or is dragging stays put while others come.
    head, pictures, curves, log = (st.container() for _ in range(4))
    with head:
        _head(focus, listed, allowed)
    if focus.entry.config is None:
        return
    with pictures:
        _time_machine(focus)
    with curves:
        st.header("Curves", anchor=False)
        drawn = _drawn([focus, *others])
        plots = charts.plots_for(drawn)
        if not plots:
            st.caption("The curves begin with the first steps.")
        else:
            settings = _curve_controls()
            _warn_of_other_tests(focus, others)
            _curves(plots[:2], drawn, settings, height=290)
            _curves(plots[2:], drawn, settings, height=210)
    with log:
        _log(focus)


def _warn_of_other_tests(focus: Item, others: list[Item]) -> None:
    assert focus.entry.config is not None
    apart = [
        item.label
        for item in others
        if item.entry.config and not training_form.tested_alike(focus.entry.config, item.entry.config)
    ]
    if apart:
        st.caption(
            f"{plain(focus.label)} and {plain(', '.join(apart))} were not tested on the same clips in the "
            "same way: their figures of the test cannot be compared, only how they rise. Nor can losses of "
            "different parts."
        )


def _log(item: Item) -> None:
    run = item.entry.run
    if not item.entry.alive and not run.log_path.exists():
        return  # recordings have none
    with st.expander("What it said (log)", key="training_log"):
        text = "\n".join(run.log_tail(40))
        st.code(text or "Nothing yet.", language=None, height=260, wrap_lines=True)


def _head(item: Item, listed: list[Item], allowed: Access) -> None:
    entry = item.entry
    mine = allowed.allowed and not item.recorded
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.header(item.title, anchor=False, width="content")
        if mine and training_actions.doomed() != item.name:
            _actions(item, listed)
    if mine and training_actions.doomed() == item.name:
        _second_question(item)
    elif mine and entry.state in _RESUMABLE and (reason := training_runs.busy(listed)):
        st.caption(plain(reason))
    words = [training_runs.state_words(item)]
    best = training_runs.best_of(item)
    if best is not None:
        words.append(f"best picture quality **{best[1]:.1f} dB**, after epoch {best[0]}")
    if entry.status is not None:
        words += [training_runs.steps_words(entry.status.step), training_runs.ago(entry.status.heartbeat)]
    st.markdown(" · ".join(filter(None, words)))
    if entry.config is not None:
        st.caption(training_form.describe(entry.config), help=training_form.DESCRIPTION_HELP)
    if item.recorded and item.name in cache.model_names():
        st.caption(f"Recorded to be watched: the **{item.name}** that *Measure it* scores is another one.")
    if entry.alive:
        _progress(item)
    elif entry.state in _TROUBLED:
        st.warning(f"**{_TROUBLED[entry.state]}** {plain(entry.reason or 'It did not say why.')}", icon="⚠️")
    elif entry.reason:
        st.caption(plain(entry.reason))


def _progress(item: Item) -> None:
    entry = item.entry
    if entry.status is None:
        return
    if entry.state == "starting":
        st.progress(entry.status.share, text="Starting: loading TensorFlow takes some seconds.")
        return
    status = entry.status
    words = [f"**{status.share:.0%}** done"]
    if status.seconds_left is not None:
        words.append(f"{training_runs.duration(status.seconds_left)} left")
    words.append(f"step {status.step:,}, epoch {status.epoch + 1}")
    if status.steps_per_second is not None:
        words.append(f"{status.steps_per_second:.1f} steps a second")
    waiting = _waiting(item)
    if waiting is not None:
        words.append(f"at most {waiting:.0%} of the time waiting for data")
    machine = ", ".join(filter(None, (status.device, status.precision)))
    words.append(plain(machine))
    st.progress(min(max(status.share, 0.0), 1.0), text=" · ".join(filter(None, words)))
    if item.stopping:
        st.caption("Stopping: it saves after the present step.")


def _waiting(item: Item) -> float | None:
    try:
        history = training_runs.history_of(item.entry.run)
    except RunError:
        return None
    _, waiting = charts.finite(charts.dense(history), "step", "waiting")
    return float(waiting[-1]) if len(waiting) else None


def _actions(item: Item, listed: list[Item]) -> None:
    """What can be done to a run in its state."""
    name, entry = item.name, item.entry
    reason = training_runs.busy(listed) if entry.state in _RESUMABLE else None
    with st.container(
        horizontal=True, horizontal_alignment="right", vertical_alignment="bottom", width="content"
    ):
        # stop and resume last, at the right edge: what comes and goes beside them moves neither
        if not entry.alive and entry.run.is_there:
            st.button(
                "Delete …",
                key="delete",
                on_click=training_actions.ask_to_delete,
                args=(name,),
                help="Asks once more before anything is lost.",
            )
        if entry.config is not None and entry.run.weights_path.exists():
            if st.button(
                "Predict with it",
                key="predict_with_it",
                help="Takes its best network so far to Predict it, as weights of your own.",
            ):
                own_weights.take_run(entry.run, entry.config)
                st.switch_page("pages/predict.py")
            st.download_button(
                "Weights (NPZ)",
                entry.run.weights_path.read_bytes,
                file_name=f"{name}.weights.npz",
                mime="application/octet-stream",
                on_click="ignore",
                key="run_weights",
                help="The best network so far. Predict it reads the file, too, if it is of our networks.",
            )
        if entry.alive:
            st.button(
                "Stop",
                key="stop",
                disabled=item.stopping,
                on_click=training_actions.stop,
                args=(name,),
                help="It saves first, and can go on later.",
            )
        if entry.state in _RESUMABLE:
            rate = _rate_field(name, entry.config) if entry.state == "failed" and entry.config else None
            st.button(
                "Resume",
                key="resume",
                type="primary",
                disabled=reason is not None,
                on_click=training_actions.resume,
                args=(name, rate),
                help="Goes on from its last checkpoint, as if nothing had happened.",
            )


def _rate_field(name: str, config: TrainConfig) -> Callable[[], float]:
    """A field for another highest rate; returns how to read it. The same settings may fail again."""
    key = f"resume_rate_{name}_{config.learning_rate:g}"
    st.number_input(
        "Highest rate",
        value=config.learning_rate,
        step=1e-4,
        format="%g",
        key=key,
        width=150,
        help="Where the loss was not a number any more, go on with a lower rate: a half, or a tenth.",
    )
    return lambda: float(state.value(key))


def _second_question(item: Item) -> None:
    st.warning(
        f"Delete “{plain(item.name)}” with its curves, pictures and weights? This cannot be undone.", icon="⚠️"
    )
    with st.container(horizontal=True):
        st.button(
            f"Delete {plain(item.name)}",
            key="delete_really",
            on_click=training_actions.delete,
            args=(item.name,),
            help="Removes the run's folder.",
        )
        st.button("Keep it", key="keep", on_click=training_actions.keep, help="Changes nothing.")


# --------------------------------------------------------------------------------------------- curves


def _drawn(shown: list[Item]) -> list[charts.Drawn]:
    """The runs with their rows; one that cannot be read is named and left out."""
    drawn = []
    for item, color in zip(shown, charts.COLORS, strict=False):
        try:
            drawn.append(charts.Drawn(item.label, training_runs.history_of(item.entry.run), color))
        except RunError as error:
            st.warning(plain(str(error)), icon="⚠️")
    return drawn


def _curves(
    plots: list[charts.Plot], drawn: list[charts.Drawn], settings: CurveSettings, height: int
) -> None:
    """Charts in two columns."""
    revision = f"{[run.name for run in drawn]} {settings.x} {settings.log}"
    for row in (plots[start : start + 2] for start in range(0, len(plots), 2)):
        for column, plot in zip(st.columns(2, gap="medium"), row, strict=False):
            with column:
                st.markdown(f"**{plot.title}**", help=plot.hint)
                shown = charts.chart(
                    plot,
                    drawn,
                    settings.x,
                    smoothing=settings.smoothing,
                    log=settings.log,
                    height=height,
                    revision=revision,
                )
                charts.show(shown, key=f"chart_{plot.key}")


@dataclass(frozen=True)
class CurveSettings:
    """How a person wants the curves: over what, how smooth, on which axis."""

    x: str
    smoothing: float
    log: bool


def _curve_controls() -> CurveSettings:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        x = st.segmented_control(
            "Over",
            list(charts.X_TITLES),
            required=True,
            default="step",
            key="training_x",
            format_func={"step": "Steps", "minutes": "Minutes"}.__getitem__,
            persist_state="session",
            help="Steps compare what is learned from as many clips, minutes what is learned in as much time.",
        )
        smoothing = st.slider(
            "Smoothing",
            0.0,
            0.99,
            0.6,
            0.01,
            key="training_smoothing",
            persist_state="session",
            width=220,
            help=_SMOOTHING_HELP,
        )
        log = st.toggle(
            "Log axis",
            key="training_log_axis",
            persist_state="session",
            help="For loss and rate: equal distances are equal factors, so that late progress stays visible.",
        )
    return CurveSettings(x, float(smoothing), bool(log))


# --------------------------------------------------------------------------------------- time machine


def _time_machine(item: Item) -> None:
    run = item.entry.run
    epochs = run.snapshot_epochs()
    st.header("Time machine", anchor=False)
    if not epochs:
        waiting = "The first picture comes with the end of the first epoch."
        st.caption(waiting if item.entry.alive else "This run kept no pictures.")
        return
    epoch = _choose_epoch(item, epochs)
    try:
        truth, prediction = training_runs.snapshot(run, "truth"), training_runs.prediction_at(run, epoch)
    except RunError as error:
        st.warning(plain(str(error)), icon="⚠️")
        return
    clip_player(
        [
            Panel("truth", "Truth", "A clip that it never trains on.", truth),
            Panel(
                "prediction",
                "Prediction",
                _how_predicted(item),
                prediction,
                1,
                "Nothing predicted yet: the network has not seen a frame.",
            ),
            Panel("error", "Error", difference=("prediction", "truth"), waiting="No error to show yet."),
        ],
        key="time_machine",
        heading=_heading(item, epoch, epochs[-1]),
    )


def _heading(item: Item, epoch: int, newest: int) -> str:
    psnr = _psnr_after(item, epoch)
    score = "" if psnr is None else f", {psnr:.1f} dB"
    return f"{item.label}: after epoch {epoch} of {newest}{score}"


def _how_predicted(item: Item) -> str:
    config = item.entry.config
    after = config.tested_after if config is not None else None
    if config is None or after is None:
        return "Each frame from the true frames before it."
    if config.forecasts_alone:
        return f"The truth up to frame {after}, and from there its forecast."
    return f"After {after} true frame{'s' if after > 1 else ''}, from its own predictions."


def _unpinned() -> tuple[int, int] | None:
    return None


def _pin_key(run: str) -> str:
    """Under which is kept where a person has put a run's slider: the epoch, and the newest at that time."""
    return f"training_pin_{run}"


def _pinned(run: str, epochs: list[int]) -> tuple[int, int] | None:
    def of_address() -> tuple[int, int] | None:
        if state.noted(RUN) not in ("", run):
            return None
        noted = state.noted(EPOCH)
        return next(((epoch, epochs[-1]) for epoch in epochs[:-1] if str(epoch) == noted), None)

    if state.arrived_by() == "history":
        state.forget(_pin_key(run))
    pinned = state.remembered(_pin_key(run), of_address)
    if pinned is not None and state.arrived_by() == "menu":
        state.note_together({RUN: run, EPOCH: str(pinned[0])})
    return pinned


def _choose_epoch(item: Item, epochs: list[int]) -> int:
    """The slider. It follows the newest epoch until a person moves it; then it holds still."""
    pinned = _pinned(item.key, epochs)
    newest = epochs[-1]
    shown = [epoch for epoch in epochs if pinned is None or epoch <= pinned[1]] or epochs
    epoch = newest if pinned is None or pinned[0] not in shown else pinned[0]
    key = f"epoch_{item.key}_{shown[-1]}"
    if state.arrived_by() == "history":
        state.forget(key)

    def pin() -> None:
        epoch = state.value(key)
        # at the newest one it follows, whoever put it there
        held = epoch != shown[-1]
        state.remember(_pin_key(item.key), (epoch, shown[-1]) if held else None)
        if held:
            state.note_together({RUN: item.key, EPOCH: str(epoch)})
        else:
            state.note(EPOCH, "")

    def follow() -> None:
        state.remember(_pin_key(item.key), None)
        state.note(EPOCH, "")

    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        if len(shown) > 1:
            # its value by the key: a default that changes would not move what a person has moved
            state.remembered(key, lambda: epoch)
            st.select_slider(
                "The same clip, predicted by the network as it was after epoch",
                shown,
                key=key,
                on_change=pin,
                width=460,
                help="Move it to see what the network made of the clip back then.",
            )
        psnr = _psnr_after(item, epoch)
        if psnr is not None:
            st.metric(
                f"After epoch {epoch}",
                f"{psnr:.1f} dB",
                help="Picture quality (PSNR) on clips that it never trains on, after this epoch.",
                width=140,
            )
        if pinned is not None and newest > shown[-1]:
            st.button(
                f"Follow the newest (epoch {newest})", key="follow", on_click=follow, help="Goes on with it."
            )
    return epoch


def _psnr_after(item: Item, epoch: int) -> float | None:
    try:
        rows = training_runs.history_of(item.entry.run).epochs
    except RunError:
        return None
    found = np.flatnonzero(rows.get("epoch", np.empty(0)) == epoch)
    if not len(found) or not np.isfinite(rows["val_psnr"][found[-1]]):
        return None
    return float(rows["val_psnr"][found[-1]])
