import threading
import time

import numpy as np
import pytest

from core import zoo
from core.moving_mnist import to_frames
from ui.cache import ModelDoor
from ui.link import default_settings


class Repeater:
    """Repeats the last frame, and notices when two ask at a time."""

    device, last_seconds = "CPU", 0.001

    def __init__(self):
        self.busy, self.collisions = False, 0

    def warm_up(self):
        pass

    def next_frames(self, frames):
        self.collisions += self.busy
        self.busy = True
        time.sleep(0.02)
        self.busy = False
        return frames[:, :-1]


def test_visitors_take_turns():
    repeater = Repeater()
    door = ModelDoor("repeater", lambda name: repeater)
    door.start()
    door.start()
    assert door.wait(10)
    assert door.ready
    scene = default_settings().scene()
    made = []
    visitors = [
        threading.Thread(target=lambda: made.append(door.predict(scene, "next-frame", 0, 0)))
        for _ in range(8)
    ]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()

    assert len(made) == 8
    assert repeater.collisions == 0
    assert (made[0].frames == to_frames(made[0].clip)[:-1]).all()
    assert made[0].skill == 0


def test_those_who_wait_share_a_call():
    class Slow(Repeater):
        def __init__(self):
            super().__init__()
            self.sizes = []

        def next_frames(self, frames):
            self.sizes.append(len(frames))
            return super().next_frames(frames)

    slow = Slow()
    door = ModelDoor("slow", lambda name: slow)
    door.start()
    assert door.wait(10)
    clips = np.random.default_rng(0).integers(256, size=(9, 4, 64, 64)).astype(np.uint8)
    made = {}
    visitors = [
        threading.Thread(target=lambda n=n: made.update({n: door.predict_clip(clips[n], "next-frame", 0, 0)}))
        for n in range(9)
    ]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert sum(slow.sizes) == 9
    assert max(slow.sizes) > 1
    for n, clip in enumerate(clips):  # each has its own
        np.testing.assert_array_equal(made[n].frames, to_frames(clip)[:-1])


def damaged(name):
    raise zoo.ModelError(f"{name} is damaged")


def surprising(name):
    raise OSError("some\nlong\nstory")


@pytest.mark.parametrize(("load", "words"), [(damaged, "fast is damaged"), (surprising, "OSError")])
def test_a_model_that_cannot_be_loaded_says_why_in_one_line(load, words):
    door = ModelDoor("fast", load)
    assert not door.settled
    door.start()
    assert door.wait(10)

    assert door.settled
    assert not door.ready
    assert words in door.error
    assert "\n" not in door.error
    with pytest.raises(RuntimeError, match="not loaded"):
        door.predict(default_settings().scene(), "next-frame", 0, 0)


def test_before_loading_is_over_nothing_is_claimed():
    release = threading.Event()
    door = ModelDoor("slow", lambda name: release.wait(10) and Repeater())
    door.start()

    assert not door.ready
    assert not door.settled
    release.set()
    assert door.wait(10)
    assert door.ready
    assert np.isfinite(door.predict(default_settings().scene(), "next-frame", 0, 0).scores["mse"]).all()
