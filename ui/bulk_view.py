"""Many clips in one file, from the page: settings, size, progress, cancel, and the file."""

from __future__ import annotations

import logging
import tempfile
import threading
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

from core.bulk import FORMATS, MOST_CLIPS, BulkPlan, write_clips
from core.digits import SPLITS
from core.outputs import OutputError
from core.scenes import MAX_DIGITS, MAX_FRAMES, MAX_SPEED_PX, MIN_FRAMES
from ui import state
from ui.training_access import current_access

_JOB = "_bulk_job"
_log = logging.getLogger(__name__)
# clips, and bytes of their pixels, which pass through memory when they are saved
MOST_FOR_OWNER = MOST_CLIPS, 1_000_000_000
MOST_FOR_VISITORS = 500, 50_000_000  # where others can reach the server
_SPLIT_NAMES = {"train": "Training", "validation": "Validation", "test": "Test"}


@dataclass
class Job:
    """Clips being written in a thread; both the work and the folder end when nobody knows the job."""

    plan: BulkPlan
    kind: str
    done: int = 0
    trouble: str = ""
    finished: bool = False
    _enough: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="clips-")
        self.path = Path(folder.name) / f"moving-digits-{self.plan.clips}.{self.kind}"
        self.discard = weakref.finalize(self, folder.cleanup)  # at the latest when nobody knows the job
        work = self.plan, self.path, self._enough, weakref.ref(self)
        self._thread = threading.Thread(target=_write, args=work, name="bulk", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def cancel(self) -> None:
        """End as soon as possible, and leave nothing."""
        self._enough.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the work is over; False on time out."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def working(self) -> bool:
        """Whether clips are being made."""
        return self._thread.is_alive()


def _write(plan: BulkPlan, path: Path, enough: threading.Event, job: weakref.ref[Job]) -> None:
    """Write the clips, as long as somebody waits for them."""

    def report(done: int) -> bool:
        known = job()
        if known is not None:
            known.done = done
        return known is not None and not enough.is_set()

    finished, trouble = False, ""
    try:
        finished = write_clips(plan, path, report)
    except OutputError as error:
        trouble = str(error)
    except Exception as error:  # in a thread nobody else would hear of it
        _log.exception("many clips")
        trouble = f"{type(error).__name__}: {error}"
    known = job()
    if known is not None:
        known.finished, known.trouble = finished, trouble


def many_clips() -> None:
    """Everything about many clips at once."""
    with st.expander("Many clips at once, for an experiment of your own"):
        job: Job | None = state.remembered(_JOB, lambda: None)
        working = job is not None and job.working
        # drawn meanwhile, too, or the browser would forget what was chosen
        plan, kind = _settings(disabled=working)
        if job is not None and working:
            _progress(job)
            return
        if plan is not None:
            size = f"{plan.size_bytes / 1e6:,.0f} MB"
            st.caption(f"The pixels take {size}{'.' if kind == 'npy' else ' before they are compressed.'}")
        st.button(
            "Make them",
            key="bulk_make",
            on_click=_begin,
            args=(plan, kind),
            disabled=plan is None,
            help="Makes the clips one after the other; you can stop at any time.",
        )
        if job is not None:
            _result(job)
            if job.finished and (job.plan, job.kind) != (plan, kind):
                st.caption("Made with the settings before. *Make them* makes those above in its place.")


def _settings(disabled: bool) -> tuple[BulkPlan | None, str]:
    most, most_bytes = MOST_FOR_OWNER if current_access().allowed else MOST_FOR_VISITORS
    left, right = st.columns(2)
    with left:
        clips = st.number_input(
            "Clips", 1, most, min(1000, most), key="bulk_clips", disabled=disabled, help=f"At most {most:,}."
        )
        digits = st.slider(
            "Digits in a clip, from fewest to most",
            1,
            MAX_DIGITS,
            (2, 2),
            key="bulk_digits",
            disabled=disabled,
            help="Two handles lie on one another: pull them apart, and clips differ.",
        )
        speed = st.slider(
            "Speed, from slowest to fastest",
            0.0,
            MAX_SPEED_PX,
            (3.6, 3.6),
            0.1,
            format="%.1f px a frame",
            key="bulk_speed",
            disabled=disabled,
            help="Two handles, as above. The usual speed of this test is 3.6.",
        )
        frames = st.number_input(
            "Frames of a clip",
            MIN_FRAMES,
            MAX_FRAMES,
            20,
            key="bulk_frames",
            disabled=disabled,
            help="The usual test has 20.",
        )
    with right:
        classes = st.pills(
            "Which digits",
            list(range(10)),
            selection_mode="multi",
            default=list(range(10)),
            key="bulk_classes",
            disabled=disabled,
            help="The classes that digits are drawn from.",
        )
        split = st.segmented_control(
            "Handwriting",
            list(SPLITS),
            default="train",
            required=True,
            key="bulk_split",
            disabled=disabled,
            format_func=_SPLIT_NAMES.__getitem__,
            help="Learn from training digits, choose between models on validation digits, measure on test "
            "digits.",
        )
        seed = st.number_input(
            "Seed",
            0,
            2**31 - 1,
            0,
            key="bulk_seed",
            disabled=disabled,
            help="The same seed makes the same clips.",
        )
        kind = st.segmented_control(
            "File",
            list(FORMATS),
            default="npy",
            required=True,
            key="bulk_kind",
            disabled=disabled,
            format_func=str.upper,
            help="NPY is in the layout of the public test set, (frames, clips, 64, 64), as evaluate.py reads "
            "it. NPZ is compressed and also holds labels and places.",
        )
    settings: dict[str, Any] = {
        "digits": digits,
        "speed_px": speed,
        "classes": tuple(sorted(classes)),
        "frames": int(frames),
        "split": split,
        "seed": int(seed),
    }
    try:
        plan = BulkPlan(int(clips), **settings)
    except ValueError as error:
        st.error(f"This cannot be made: {error}.", icon="⚠️")
        return None, kind
    if plan.size_bytes > most_bytes:
        st.error(
            f"These clips take {plan.size_bytes / 1e6:,.0f} MB; at most {most_bytes / 1e6:,.0f} MB are made "
            "here at once. Take fewer clips, or shorter ones.",
            icon="⚠️",
        )
        return None, kind
    return plan, kind


def _begin(plan: BulkPlan, kind: str) -> None:
    earlier: Job | None = state.remembered(_JOB, lambda: None)
    if earlier is not None:
        earlier.cancel()
        earlier.discard()
    job = Job(plan, kind)
    state.remember(_JOB, job)
    job.start()


@st.fragment(run_every=0.5)
def _progress(job: Job) -> None:
    st.progress(job.done / job.plan.clips, f"{job.done:,} of {job.plan.clips:,} clips")
    st.button("Stop", key="bulk_stop", on_click=job.cancel, help="Ends the work; nothing is kept.")
    if not job.working:
        st.rerun()


def _result(job: Job) -> None:
    if job.trouble:
        st.error(f"The clips could not be written: {job.trouble}", icon="⚠️")
    elif job.finished:
        size = job.path.stat().st_size
        words = f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.0f} kB"
        st.download_button(
            f"Save {job.plan.clips:,} clips ({words})",
            job.path.read_bytes,
            file_name=job.path.name,
            mime="application/octet-stream",
            key="bulk_save",
            on_click="ignore",
            help="The file is kept here until you make others or leave.",
        )
    else:
        st.caption("Stopped. Nothing was kept.")
