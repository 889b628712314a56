"""How the server is doing, for whoever runs it; no menu leads here."""

import streamlit as st

from ui import layout, status_view

layout.through_app()
st.title("How the server is doing", anchor=False)
st.markdown("All visitors together; nothing here is about any one of them.")
status_view.show()
