"""Watch networks learn: curves, pictures over time, and runs of one's own."""

import streamlit as st

from core.runs import RunError
from ui import layout, training_actions, training_form, training_runs, training_view
from ui.markdown import plain
from ui.training_access import current_access

layout.through_app()
allowed = current_access()
try:
    listed = training_runs.items()
except RunError as error:
    st.error(plain(str(error)), icon="⚠️")
    st.stop()
keys = [item.key for item in listed]
new = not listed or (training_actions.view() == "new" and allowed.allowed)
machine = False
if listed:
    chosen = training_view.chosen_run(keys)
    focus = listed[keys.index(chosen)]
    machine = not new and bool(focus.entry.run.snapshot_epochs())

with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    st.title("Watch it learn", anchor=False, width="content")
    if allowed.allowed and not new:
        st.button(
            "New run …",
            key="new",
            on_click=training_actions.show,
            args=("new",),
            help="Choose a network and train it on this machine.",
        )
st.markdown(
    "Training shows a network clip after clip. After each handful, a **step**, it changes its **weights**, "
    "the numbers that it computes with, a little for the better. After many steps, an **epoch**, it is "
    "tested."
    + (" **Try it:** pull the time machine's slider to the left, and see how it began." if machine else "")
)
with st.container():  # which is there in any case: what stands below it stays as it is
    if training_actions.trouble():
        st.error(plain(training_actions.trouble()), icon="⚠️")
if not allowed.allowed:
    st.caption(plain(allowed.reason))

if listed:
    seen = training_runs.signature(listed)
    with st.sidebar:
        st.header("Runs", anchor=False)
        training_view.live(training_view.choose, listed, seen, chosen)
        others = training_view.compare(listed, focus)
if new:
    if not listed:
        st.info(
            "There is no run yet."
            + (" Start the first one: it takes three minutes." if allowed.allowed else "")
        )
    if allowed.allowed:
        training_form.show(listed, allowed)
else:
    shown = [focus, *others]
    training_view.live(training_view.show, shown, seen, [item.key for item in shown], allowed)
