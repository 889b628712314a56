"""Run a model on the scene: truth, prediction and error side by side."""

import streamlit as st

from ui import cache, state
from ui.prediction_view import choose, explain, no_model, show, waiting

st.title("Predict the next frame", anchor=False)
st.markdown(
    "A **ConvLSTM** is a neural network that watches a film frame by frame and remembers what moves. "
    "Here it watches your clip."
)

models = cache.model_names()
settings = state.settings()
if settings.model not in models:
    no_model(settings)
else:
    choose(settings, models)
    door = cache.model_door(settings.model)
    if door.ready:
        show(settings, cache.prediction(settings, door))
    else:
        waiting(settings, door, models)
    explain()
