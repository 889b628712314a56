"""Compose a Moving MNIST scene and watch a ConvLSTM predict it. Start with: streamlit run app.py"""

import streamlit as st

from ui import layout

st.set_page_config(
    page_title="Next frame: a ConvLSTM at work", page_icon="➡️", layout="wide", initial_sidebar_state=368
)
page = st.navigation(
    [
        st.Page(
            "app_pages/generate.py",
            title="Make a clip",
            icon="✏️",
            url_path="generate",
            default=True,
            help="Choose digits, where they start, how fast and which way. The clip plays at once.",
        ),
        st.Page(
            "app_pages/predict.py",
            title="Predict it",
            icon="➡️",
            url_path="predict",
            help="A trained network predicts your clip; truth, prediction and error play side by side.",
        ),
    ]
)
layout.run(page)
