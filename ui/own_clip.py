"""A clip of one's own in the place of the scene: brought along, shown as the model sees it, predicted."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import streamlit as st

from core import uploads
from core.scenes import MAX_FRAMES, MIN_FRAMES
from core.uploads import UploadError
from ui import state

_CLIP, _TROUBLE, _UPLOAD = "_own_clip", "_own_clip_trouble", "own_upload"
_TURNED, _EVERY, _FROM = "own_turned", "own_every", "own_from"
_CONTEXT, _HORIZON = "own_context", "own_horizon"
MOST_AHEAD = 40
MAX_NAME = 60


@dataclass(frozen=True)
class OwnClip:
    """A clip that somebody brought along.

    Attributes
    ----------
    name : of its file
    frames : uint8 (n, 64, 64), those that are used, as the model sees them
    """

    name: str
    frames: np.ndarray

    @property
    def digest(self) -> str:
        """Tells clips apart by their pixels."""
        return hashlib.sha256(self.frames.tobytes()).hexdigest()


@dataclass(frozen=True)
class _Brought:
    name: str
    frames: np.ndarray  # all of them


def current() -> OwnClip | None:
    """The clip that is used in the place of the scene, if there is one."""
    brought: _Brought | None = state.remembered(_CLIP, lambda: None)
    if brought is None:
        return None
    turned = state.remembered(_TURNED, lambda: uploads.has_bright_background(brought.frames))
    every, start = state.remembered(_EVERY, lambda: 1), state.remembered(_FROM, lambda: 1)
    frames = brought.frames[start - 1 :: every][:MAX_FRAMES]
    if len(frames) < MIN_FRAMES:  # the two together left too few
        frames = brought.frames[:MAX_FRAMES]
    return OwnClip(brought.name, 255 - frames if turned else frames)


def offer() -> None:
    """A place to put a file."""
    with st.popover("Use a clip of your own", key=state.key("own_place")):  # a new one is closed again
        st.file_uploader(
            "A film or a row of pictures",
            type=["gif", "mp4", "png", "npy", "npz"],
            max_upload_size=uploads.MOST_BYTES // 10**6,
            key=(key := state.key(_UPLOAD)),
            on_change=_take,
            args=(key,),
            help="A GIF or an MP4; a PNG with square frames side by side; or an array of (frames, height, "
            "width). Any size: it is turned to grey and fitted to 64 by 64 pixels. It stays on the computer "
            "that runs this app, and nothing in it is executed.",
        )


def complain() -> None:
    """Say what was wrong with the last file, if anything was."""
    trouble: str | None = state.remembered(_TROUBLE, lambda: None)
    if trouble:
        st.error(f"This file cannot be used: {trouble}. Your scene is as it was.", icon="⚠️")


def _take(key: str) -> None:
    file = state.value(key)
    if file is None:
        return
    state.remember(_TROUBLE, None)
    try:
        frames = uploads.read_clip(file.getvalue())
    except UploadError as error:
        state.remember(_TROUBLE, str(error))
        state.renew_widgets()
        return
    for name in (_TURNED, _EVERY, _FROM, _CONTEXT, _HORIZON):
        state.forget(name)
    state.remember(_CLIP, _Brought(file.name[:MAX_NAME], frames))
    state.renew_widgets()


def _away() -> None:
    state.remember(_CLIP, None)
    state.renew_widgets()


def controls() -> None:
    """How the clip is used: in the sidebar, in the place of the scene."""
    brought: _Brought | None = state.remembered(_CLIP, lambda: None)
    used = current()
    if brought is None or used is None:
        return
    st.subheader("Your clip", anchor=False)
    st.caption(f"{brought.name}: {len(brought.frames)} frames, {len(used.frames)} of them used.")
    st.button(
        "Back to the scene", key="own_away", on_click=_away, width="stretch", help="Puts your clip away."
    )
    st.toggle(
        "Swap light and dark",
        value=state.remembered(_TURNED, lambda: False),
        key=(key := state.key("own_turn")),
        on_change=_keep,
        args=(_TURNED, key),
        help="The models know white ink on black. Turns dark ink on white paper over.",
    )
    total = len(brought.frames)
    if total > MIN_FRAMES:
        _slider(
            "Take every …",
            _EVERY,
            1,
            max(total // MIN_FRAMES, 2),
            "Which frames are used: every one, every second …",
        )
        _slider("Begin with frame", _FROM, 1, total - MIN_FRAMES + 1, "The frames before are left away.")


def steps() -> tuple[int, int]:
    """Frames given and frames to predict of a rollout; the end of the clip is no limit."""
    used = current()
    most = len(used.frames) if used is not None else 1
    context = min(state.remembered(_CONTEXT, lambda: most), most)
    return context, state.remembered(_HORIZON, lambda: 10)


def choose_steps() -> None:
    """The sliders of a rollout."""
    used = current()
    most = len(used.frames) if used is not None else 1
    context, horizon = steps()
    _slider("Frames given", _CONTEXT, 1, max(most, 2), "How many frames the model watches first.", context)
    _slider(
        "Frames to predict",
        _HORIZON,
        1,
        MOST_AHEAD,
        "How many it then makes on its own, beyond the end of your clip, too: what comes next?",
        horizon,
    )


def _slider(label: str, name: str, low: int, high: int, text: str, value: int | None = None) -> None:
    shown = state.remembered(name, lambda: 1) if value is None else value
    st.slider(
        label,
        low,
        high,
        min(shown, high),
        key=(key := state.key(f"{name}_of_{high}")),
        on_change=_keep,
        args=(name, key),
        width=200 if value is not None else "stretch",
        help=text,
    )


def _keep(name: str, key: str) -> None:
    chosen = state.value(key)
    if chosen is not None:
        state.remember(name, chosen)
