"""Compose a Moving MNIST scene and watch a ConvLSTM predict it. Start with: streamlit run app.py"""

from pathlib import Path

import streamlit as st

from ui import layout

st.set_page_config(
    page_title="Next frame: a ConvLSTM at work",
    page_icon=Path(__file__).parent / "assets" / "icon.png",
    layout="wide",
    initial_sidebar_state=368,
)
page = st.navigation(
    [
        st.Page("pages/generate.py", title="Make a clip", url_path="generate", default=True),
        st.Page("pages/predict.py", title="Predict it", url_path="predict"),
        st.Page("pages/inside.py", title="Look inside", url_path="inside"),
        st.Page("pages/training.py", title="Watch it learn", url_path="training"),
        st.Page("pages/evaluation.py", title="Measure it", url_path="evaluation"),
        st.Page("pages/status.py", title="Status", url_path="status", visibility="hidden"),
    ]
)
layout.run(page)
