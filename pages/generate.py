"""Compose a scene, watch it, take it away."""

import numpy as np
import streamlit as st

from core.digits import DIGIT_SIZE
from core.moving_mnist import trajectory
from ui import cache, layout, own_clip, pictures, state
from ui.bulk_view import many_clips
from ui.player import Panel, clip_player
from ui.takeaway import take_clip

layout.through_app()
settings = state.settings()
scene = settings.scene()
clip = cache.clip(scene.to_json())

st.title("Make a clip", anchor=False)
st.markdown(
    "Can a computer foresee the next picture of a film? Make the film first: handwritten digits fly straight "
    "ahead and bounce off the walls. **Try it:** drag a digit, or its arrow, in the small picture of the "
    "side bar (on a phone, » at the top opens it). The clip follows at once."
)

# the path that the picture follows: whole pixels, the middle of the digit
middles = np.floor(trajectory(scene)) + DIGIT_SIZE / 2
colors = pictures.DIGIT_COLORS[: settings.count]
paths = [(color, middles[:, digit]) for digit, color in enumerate(colors)]
clip_player([Panel("truth", "Your clip", frames=clip, paths=paths)], key="clip", strip=True)

with st.container(key="takeaway"):
    take_clip(settings, clip)
many_clips()
own_clip.stands_instead()
st.page_link("pages/predict.py", label="Next: let a network predict this clip", icon="➡️")
