"""What is done to a layer, or to what it sees, and what that teaches. No Keras, no Streamlit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.inspection import blanked, frozen, noisy
from core.moving_mnist import to_frames

NOISE_SEED = 0


@dataclass(frozen=True)
class Kind:
    """One thing that can be done.

    Attributes
    ----------
    title : for people
    teaches : what to look for, in one sentence
    """

    title: str
    teaches: str


KINDS = {
    "gate": Kind(
        "A gate sticks",
        "With *f* at 1 nothing is ever forgotten, at 0 the cell keeps nothing, and only the hidden state "
        "still remembers; with *i* at 0 nothing new gets in; with *o* at 0 nobody hears the layer.",
    ),
    "mute": Kind(
        "A channel is mute",
        "If the prediction hardly changes, others know the same, or it had nothing to say; if it breaks, "
        "this channel knew it alone.",
    ),
    "peep": Kind(
        "No peepholes",
        "The gates no longer see the memory that they guard: what that costs is what they used it for.",
    ),
    "wipe": Kind(
        "Memory is wiped",
        "If the error jumps, this memory mattered; it reached back as many frames as the error takes to "
        "recover.",
    ),
    "stop": Kind(
        "The cell stops",
        "From then on the memory takes in nothing and loses nothing: where the error grows from frame to "
        "frame, what it knew has gone stale.",
    ),
    "black": Kind(
        "Frames go black",
        "While nothing is to be seen the network has to go on from memory: watch whether it can, and for how "
        "long.",
    ),
    "still": Kind(
        "The film stops",
        "The digits stand still before its eyes and fly on in truth: watch which of both it expects.",
    ),
    "noise": Kind(
        "Noise",
        "Nobody taught it noise: see how much it takes to lead it astray.",
    ),
}


@dataclass(frozen=True)
class Seen:
    """What is done to the frames that are seen; nothing, unless it says so.

    Attributes
    ----------
    black : first frame that is black, and the first that is not any more; None: none
    still_from : the frame that stays from then on; None: none does
    noise : standard deviation, black being 0 and white 1
    """

    black: tuple[int, int] | None = None
    still_from: int | None = None
    noise: float = 0.0

    def of(self, clip: np.ndarray) -> np.ndarray:
        """The clip, uint8 (time, height, width), as it is seen then."""
        if self.still_from is not None:
            clip = frozen(clip, self.still_from)
        if self.black is not None:
            clip = blanked(clip, *self.black)
        if self.noise:
            rng = np.random.default_rng(NOISE_SEED)
            clip = np.round(255 * noisy(to_frames(clip), self.noise, rng)).astype(np.uint8)
        return clip


def told(before: np.ndarray, after: np.ndarray) -> str:
    """What it did to the error, in a sentence.

    before, after : mean squared error of each predicted frame
    """
    if np.array_equal(before, after):
        return "Not a single predicted frame has changed."
    worst = int((after - before).argmax())
    if not before.any():
        return "Untouched, it made no error at all."
    times = after.mean() / before.mean()
    change = f"{times:.2f} times what it was" if times < 10 else f"{times:.0f} times what it was"
    return (
        f"On average over the clip the squared error is {change}; it grows most in frame {worst + 2}."
        if after[worst] > before[worst]
        else f"On average over the clip the squared error is {change}: no frame got worse."
    )
