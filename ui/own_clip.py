"""A clip in the place of the scene, brought along or one of the test set: as the model sees it, predicted."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from threading import Lock

import numpy as np
import streamlit as st

from core import films, uploads
from core.moving_mnist import BENCHMARK_SEQUENCES, benchmark_clips
from core.outputs import png_bytes
from core.scenes import CANVAS, MAX_FRAMES, MIN_FRAMES
from core.uploads import Upload, UploadError
from ui import state
from ui.markdown import plain

_CLIP, _TROUBLE, _UPLOAD = "_own_clip", "_own_clip_trouble", "own_upload"
ADDRESS = "clip"  # in the address, the number of one of the standard set
_TURNED, _EVERY, _FROM = "own_turned", "own_every", "own_from"
_CONTEXT, _HORIZON = "own_context", "own_horizon"
MOST_AHEAD = 40
MAX_NAME = 60
_SHOWN = 10  # frames in the preview, at most
_TURN = Lock()  # one file at a time: a small one may unpack to a hundred megabytes


@dataclass(frozen=True)
class OwnClip:
    """A clip in the place of the scene.

    Attributes
    ----------
    name : of its file, or which of the standard set
    frames : uint8 (n, 64, 64), those that are used, as the model sees them
    number : in the standard set, of which the true motion is known; None: it was brought along
    """

    name: str
    frames: np.ndarray
    number: int | None = None

    @property
    def digest(self) -> str:
        """Tells clips apart by their pixels."""
        return hashlib.sha256(self.frames.tobytes()).hexdigest()


@dataclass(frozen=True)
class _Brought:
    name: str
    upload: Upload
    number: int | None = None  # in the standard set


def current() -> OwnClip | None:
    """The clip that is used in the place of the scene, if there is one."""
    brought: _Brought | None = state.remembered(_CLIP, lambda: None)
    if brought is None:
        return None
    upload = brought.upload
    turned = state.remembered(_TURNED, lambda: upload.has_bright_background)
    clip = upload.inverted if turned else upload.clip
    start, every = _choice(len(clip))
    return OwnClip(brought.name, clip[start - 1 :: every][:MAX_FRAMES], brought.number)


def follow_address() -> None:
    """A clip of the standard set is in the address: a link leads to it, and a step back away from it. To be
    called before the page, and not again in its run.
    """
    brought: _Brought | None = state.remembered(_CLIP, lambda: None)
    number = None if brought is None else brought.number
    shown, noted = "" if number is None else str(number), state.noted(ADDRESS)
    if noted == shown:
        return
    if state.arrived_by() == "menu" and not noted:  # the menu drops what the address said
        state.note(ADDRESS, shown)
    elif re.fullmatch(r"[0-9]{1,5}", noted) and int(noted) < BENCHMARK_SEQUENCES:
        clip = benchmark_clips(int(noted), int(noted) + 1)[0]
        _use(_Brought(f"Clip {int(noted)}", Upload(clip, CANVAS, CANVAS), int(noted)))
    elif noted:
        state.note(ADDRESS, shown)
        there_are = f"the standard set has 0 to {BENCHMARK_SEQUENCES - 1:,}"
        state.remember(_TROUBLE, f"The link asks for clip {plain(noted[:MAX_NAME])}, and {there_are}")
    else:
        put_away()


def _choice(total: int) -> tuple[int, int]:
    """Which of so many frames are used: from which on (counted from 1), and every how manieth."""
    every, start = state.remembered(_EVERY, lambda: 1), state.remembered(_FROM, lambda: 1)
    return min(start, _latest_start(total, every)), every


def _latest_start(total: int, every: int) -> int:
    """The last frame to begin with that leaves enough of them."""
    return max(1, total - every * (MIN_FRAMES - 1))


def offer() -> None:
    """A place to put a file."""
    with st.popover("Bring a clip", key=state.key("own_place")):  # a new one is closed again
        file = st.file_uploader(
            "A film or a row of pictures",
            type=["gif", "mp4", "png", "npy", "npz"],
            max_upload_size=uploads.MOST_BYTES // 10**6,
            key=state.key(_UPLOAD),
            help="A GIF or an MP4; a PNG with square frames side by side; or an array of (frames, height, "
            "width). Any size: it is turned to grey and fitted to 64 by 64 pixels. It stays on the computer "
            "that runs this app, and nothing in it is executed.",
        )
        if file is not None:  # no callback: what a newer run cuts short there is never done
            with st.spinner(f"Reading {plain(file.name[:MAX_NAME])} …"):
                _take(file.name, file.getvalue())
            st.rerun()


def complain() -> None:
    """Say what was wrong with the last file, if anything was."""
    trouble: str | None = state.remembered(_TROUBLE, lambda: None)
    if trouble:
        kept = "scene" if current() is None else "clip"
        st.error(f"{trouble}. Your {kept} is as it was.", icon="⚠️")
        st.button("Dismiss", key="own_trouble_seen", on_click=state.forget, args=(_TROUBLE,))


def _take(name: str, data: bytes) -> None:
    try:
        with _TURN:
            upload = uploads.read(data)
    except UploadError as error:
        state.remember(_TROUBLE, f"{plain(name[:MAX_NAME])} cannot be used: {plain(str(error))}")
        state.renew_widgets()
        return
    _use(_Brought(name[:MAX_NAME], upload))


def _use(brought: _Brought) -> None:
    for choice in (_TURNED, _EVERY, _FROM, _CONTEXT, _HORIZON, _TROUBLE):
        state.forget(choice)
    state.remember(_CLIP, brought)
    state.note(ADDRESS, "" if brought.number is None else str(brought.number))
    state.renew_widgets()


def put_away() -> None:
    """Callback: back to the scene."""
    state.remember(_CLIP, None)
    state.note(ADDRESS, "")
    state.forget(_TROUBLE)
    state.renew_widgets()


def stands_instead() -> None:
    """Say that the scene is not what is predicted, where a clip stands in its place; and offer a way out."""
    used = current()
    if used is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="own_instead"):
        st.caption(f"Predict it shows {plain(used.name)} in the place of this clip.")
        told = "Then this clip is predicted."
        st.button("Put that away", key="own_put_away", on_click=put_away, help=told)


def preview() -> None:
    """What the model will see of the clip, how it was changed, how long it is kept, and the way back."""
    brought: _Brought | None = state.remembered(_CLIP, lambda: None)
    used = current()
    if brought is None or used is None:
        return
    if brought.number is not None:
        with st.container(horizontal=True, vertical_alignment="center", key="own_preview"):
            st.markdown(f"**{brought.name}** of the standard set stands in the place of your scene.")
            st.button("Back to the scene", key="own_away", on_click=put_away, help="Puts this clip away.")
        return
    frames, total = used.frames, len(brought.upload.clip)
    shown = frames[np.linspace(0, len(frames) - 1, min(_SHOWN, len(frames))).round().astype(int)]
    start, every = _choice(total)
    turned: bool = state.remembered(_TURNED, lambda: False)
    with st.container(border=True, key="own_preview"):
        st.markdown(f"**{plain(brought.name)}**, as the model sees it")
        with st.container(horizontal=True, gap="xsmall"):  # two halves: one below the other on a phone
            for half in (shown[: _SHOWN // 2], shown[_SHOWN // 2 :]):
                if len(half):
                    strip = films.film_strip(half, scale=1)
                    st.image(png_bytes(strip), alt="Frames that the model sees", width=strip.shape[1])
        fewer = f"Shown here: {len(shown)} of its {len(frames)} frames"
        st.caption(fewer if len(shown) < len(frames) else "All frames")
        st.markdown(_sentence(changes(brought.upload, turned=turned, start=start, every=every)))
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(
                "Kept for this visit only: reload the page, and your scene is back. To swap light and dark, "
                "or to use fewer frames, see the sidebar."
            )
            st.button("Back to the scene", key="own_away", on_click=put_away, help="Puts your clip away.")


def changes(upload: Upload, *, turned: bool, start: int, every: int) -> list[str]:
    """What was done to a clip until a model can see it, in plain words.

    turned : whether light and dark are swapped
    start, every : the first frame that is used, counted from 1, and every how manieth from there on
    """
    total, canvas = len(upload.clip), upload.clip.shape[-1]
    rows, columns = uploads.place_of(upload.width, upload.height, canvas)
    width, height = columns.stop - columns.start, rows.stop - rows.start
    done = []
    if (width, height) != (upload.width, upload.height):
        size = "made smaller" if max(upload.width, upload.height) > canvas else "made larger"
        done.append(f"{size}, from {upload.width} × {upload.height} to {width} × {height} pixels")
    if width != height:
        done.append(f"set in black {'above and below' if height < width else 'left and right'}")
    if upload.coloured:
        done.append("turned from colours to grey")
    if turned:
        done.append("light and dark swapped, since the models know light ink on black")
    if start > 1:
        done.append(f"begun with frame {start}")
    if every > 1:
        rate = upload.frames_a_second
        left = f", {rate / every:.3g} instead of {rate:.3g} a second" if rate else ""
        done.append(f"thinned out to every {_ORDINALS.get(every, f'{every}th')} frame{left}")
    if len(range(start - 1, total, every)) > MAX_FRAMES:
        done.append(f"cut off after {MAX_FRAMES} frames, the most that are used")
    return done


_ORDINALS = {2: "second", 3: "third"}


def _sentence(done: list[str]) -> str:
    if not done:
        return "Nothing was changed: size, greys and frames are as they came."
    return f"What was done to it: {'; '.join(done)}."


def controls() -> None:
    """How the clip is used: in the sidebar, in the place of the scene."""
    brought: _Brought | None = state.remembered(_CLIP, lambda: None)
    used = current()
    if brought is None or used is None:
        return
    if brought.number is not None:
        st.header(brought.name, anchor=False)
        st.caption("Of the standard set, on which networks are measured: none of ours has seen its digits.")
        return
    st.header("The clip you brought", anchor=False)
    total = len(brought.upload.clip)
    st.caption(f"{plain(brought.name)}: {total} frames, {len(used.frames)} of them used.")
    st.toggle(
        "Swap light and dark",
        value=state.remembered(_TURNED, lambda: False),
        key=(key := state.key("own_turn")),
        on_change=_keep,
        args=(_TURNED, key),
        help="The models know white ink on black. Turns dark ink on white paper over.",
    )
    if total > MIN_FRAMES:
        _slider(
            "Take every …",
            _EVERY,
            1,
            max(total // MIN_FRAMES, 2),
            "Which frames are used: every one, every second …",
        )
        latest = _latest_start(total, _choice(total)[1])
        if latest > 1:
            _slider("Begin with frame", _FROM, 1, latest, "The frames before are left away.")


def steps() -> tuple[int, int]:
    """Frames given and to predict, in a rollout of a clip that was brought, whose end is no limit."""
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
