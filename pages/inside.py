"""Inside the ConvLSTM cell: what its gates do while it predicts a person's own scene."""

import streamlit as st

from ui import inside_view, layout

layout.through_app()
st.title("Inside the cell", anchor=False)
st.markdown(
    "A ConvLSTM keeps a **memory**, the cell, for every spot of the picture. Three **gates** decide, frame "
    "by frame, what is kept, what is added and what is shown."
)
inside_view.show(*inside_view.choose())
