"""Compose a scene, watch it, take it away."""

import numpy as np
import streamlit as st

from core.digits import DIGIT_SIZE
from core.moving_mnist import trajectory
from ui import cache, layout, pictures, state
from ui.player import Panel, clip_player

layout.through_app()
settings = state.settings()
scene = settings.scene()
clip = cache.clip(scene.to_json())

st.title("Make a clip", anchor=False)
st.markdown(
    "Handwritten digits fly straight ahead and bounce off the walls. "
    "Change anything in the side bar: the clip follows at once."
)

# the path that the picture follows: whole pixels, the middle of the digit
middles = np.floor(trajectory(scene)) + DIGIT_SIZE / 2
colors = pictures.DIGIT_COLORS[: settings.count]
paths = [(color, middles[:, digit]) for digit, color in enumerate(colors)]
clip_player([Panel("truth", "Your clip", frames=clip, paths=paths)], key="clip", strip=True)

st.subheader("Take it with you", anchor=False)
with st.container(horizontal=True):
    st.download_button(
        "Film (GIF)",
        lambda: pictures.gif(clip),
        file_name="moving-digits.gif",
        mime="image/gif",
        on_click="ignore",
        help="A moving picture for slides and web pages: four times as large, 10 frames a second.",
    )
    st.download_button(
        "Numbers (NPY)",
        lambda: pictures.npy(clip),
        file_name="moving-digits.npy",
        mime="application/octet-stream",
        on_click="ignore",
        help=f"The pixels for NumPy: {len(clip)} frames of 64 by 64, from 0 (black) to 255 (white).",
    )
st.caption(
    "The address of this page holds the whole scene: copy it to share the clip. "
    "Next, in the menu: **Predict it**."
)
