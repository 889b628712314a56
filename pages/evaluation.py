"""How good the models are: what commands measured, beside what must be beaten and what nobody can beat."""

import streamlit as st

from ui import evaluation_charts, evaluation_view, layout, paper

layout.through_app()
st.title("Measure it", anchor=False)
st.markdown(
    "How good are these networks? Each stands between the laziest guess, **repeating the last frame**, and "
    "**the limit**, which no honest network passes. Scores are in decibels (dB): 10 dB more is a "
    "tenth of the squared error. **Try it:** choose *Worst*, and see where they fail."
)
section = evaluation_view.choose_section()
if section == next(iter(evaluation_view.SECTIONS)):  # on the others their pictures come first
    evaluation_view.headline()
evaluation_view.show(section)
evaluation_charts.style_words()
paper.fit_charts()
