"""Run a model on the scene: truth, prediction and error side by side."""

import streamlit as st

from ui import cache, layout, own_clip, own_weights, state
from ui.prediction_view import (
    add,
    cannot_roll,
    choose,
    compared,
    explain,
    failed,
    no_model,
    refresh_when_settled,
    show_predicted,
    show_stored,
)

layout.through_app()
st.title("Predict the next frame", anchor=False)
models = cache.model_names()
settings = own_weights.shown(state.settings())
own = own_clip.current()
st.markdown(
    "A **ConvLSTM** is a neural network that watches a film frame by frame and remembers what moves. "
    "Here it watches your clip, and guesses each next picture."
    + (
        " **Try it:** choose *Collision* in the side bar (on a phone, » at the top opens it), and step "
        "through the moment in which the digits cross."
        if own is None
        else ""
    )
)
if settings.model not in [*models, *own_weights.options()]:
    no_model(settings)
else:
    # Each part has its place whether or not the model is there: what refreshes by itself must find its own.
    # On a phone what may be added comes below the pictures, see `ui.layout`.
    controls, more = st.container(), st.container(key="more")
    result, status = st.container(key="result"), st.container()
    with controls:
        choose(settings, models, own)
    with more:
        add(settings, models, own)
    door = own_weights.door(settings.model)
    needed = [door]
    with result:
        if settings.mode == "rollout" and not own_weights.is_causal(settings.model):
            cannot_roll(settings, models)
            needed = []
        elif door.ready:
            needed += [cache.model_door(name) for name in compared(settings, models)]
            show_predicted(settings, door, models, own)
        elif door.error:
            failed(settings, door.error, models)
        else:
            show_stored(settings, own)
    with status:
        for unsettled in [one for one in needed if not one.settled][:1]:
            refresh_when_settled(unsettled)
    explain()
