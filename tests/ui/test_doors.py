import threading
import time

import numpy as np
import pytest

from core import attribution, zoo
from core.batching import BusyError, MicroBatcher, ReplacedError
from core.device import DeviceError
from core.inspection import Attribution, Target
from core.moving_mnist import to_frames
from core.prediction_request import PredictionResult
from core.remote import RemoteError
from ui import doors
from ui.doors import ModelDoor
from ui.link import default_settings


class Repeater:
    """Repeats the last frame, and notices when two ask at a time."""

    device, last_seconds, prepared = "CPU", 0.001, False

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


class Elsewhere:
    """A prediction service that answers while it is `up`."""

    def __init__(self, up=True):
        self.up, self.tries = up, 0

    def about(self):
        return self._answer("GPU: H")

    def ask(self, asked):
        return self._answer(PredictionResult(to_frames(asked.clip)[1:], 0.01, "GPU: H"))

    def _answer(self, answer):
        self.tries += 1
        if not self.up:
            raise RemoteError("the prediction service did not answer (timed out)")
        return answer


def opened(load, elsewhere):
    door = ModelDoor("fast", load, remote=elsewhere)
    door.start()
    assert door.wait(10)
    return door


def predicted(door, seconds=10):
    """What it predicts, as soon as it is not busy."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return door.told(door.predict(default_settings().scene(), "next-frame", 0, 0))
        except BusyError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_what_a_service_has_is_not_loaded_here():
    loaded = []
    door = opened(loaded.append, Elsewhere())
    assert door.ready
    assert door.device == "GPU: H, elsewhere"
    prediction = predicted(door)
    assert prediction.skill == 1
    assert (prediction.device, prediction.note) == ("GPU: H, elsewhere", "")
    assert loaded == []


def test_where_a_service_fails_the_model_is_used_here_and_says_so(monkeypatch):
    elsewhere = Elsewhere()
    door = opened(lambda name: Repeater(), elsewhere)
    elsewhere.up = False
    with pytest.raises(BusyError, match="timed out.*, so it is being loaded on this machine"):
        door.predict(default_settings().scene(), "next-frame", 0, 0)
    prediction = predicted(door)
    assert prediction.skill == 0
    assert prediction.device == "CPU"
    assert "Computed on this machine: the prediction service did not answer (timed out)." in prediction.note

    tries, elsewhere.up = elsewhere.tries, True
    predicted(door)  # it is left alone for a while, then asked again
    assert elsewhere.tries == tries
    monkeypatch.setattr(doors, "SULK_SECONDS", 0.0)
    assert predicted(door).note == ""
    assert elsewhere.tries == tries + 1


def test_a_service_that_is_not_there_from_the_start_is_not_waited_for():
    door = opened(lambda name: Repeater(), Elsewhere(up=False))
    assert door.ready
    assert predicted(door).note.startswith("Computed on this machine")


@pytest.mark.parametrize("error", [UnicodeError("label empty"), TypeError("some\nlong\nstory")])
def test_whatever_a_service_does_loading_ends_and_it_is_said(error):
    class Odd(Elsewhere):
        def about(self):
            raise error

    door = opened(lambda name: Repeater(), Odd())
    assert door.settled
    assert not door.ready
    assert door.error == f"loading it ended with {type(error).__name__}."


def test_neither_there_nor_here_is_said():
    elsewhere = Elsewhere()
    door = opened(damaged, elsewhere)
    elsewhere.up = False
    deadline = time.monotonic() + 10
    while door.error is None and time.monotonic() < deadline:
        with pytest.raises(BusyError):
            door.predict(default_settings().scene(), "next-frame", 0, 0)
        time.sleep(0.02)
    with pytest.raises(BusyError, match="on this machine it cannot be used: fast is damaged"):
        door.predict(default_settings().scene(), "next-frame", 0, 0)


def test_a_run_whose_request_was_replaced_gives_way(monkeypatch):
    def replaced(*_):
        raise ReplacedError("a newer request of the same visitor")

    class MovedOnError(Exception):
        pass

    def end():
        raise MovedOnError("by Streamlit")

    monkeypatch.setattr(MicroBatcher, "ask", replaced)
    door = opened(lambda name: Repeater(), None)
    with pytest.raises(BusyError, match="something newer"):  # which a page knows how to tell
        door.predict(default_settings().scene(), "next-frame", 0, 0)
    monkeypatch.setattr(doors, "_give_way", end)
    with pytest.raises(MovedOnError):
        door.predict(default_settings().scene(), "next-frame", 0, 0)


class Failing(Repeater):
    """A GPU without memory, from the first call on or after the first one."""

    device = "GPU: H"

    def __init__(self, calls=0):
        super().__init__()
        self.calls = calls

    def warm_up(self):
        if self.calls == 0:
            raise DeviceError("the GPU: H failed (ResourceExhaustedError: OOM)")

    def next_frames(self, frames):
        self.warm_up()
        self.calls -= 1
        return super().next_frames(frames)


@pytest.mark.parametrize("calls", [0, 1])
def test_when_a_gpu_fails_the_cpu_goes_on_and_says_so(calls):
    loaded = []
    door = ModelDoor(
        "fast",
        lambda name: Failing(calls),
        on_cpu=lambda name: loaded.append(name) or Repeater(),
    )
    door.start()
    assert door.wait(10)
    scene = default_settings().scene()
    for call in range(3):
        prediction = door.predict(scene, "next-frame", 0, 0)
        assert prediction.device == ("GPU: H" if call < calls else "CPU")
        expected = (
            "" if call < calls else "Computed on the CPU: the GPU: H failed (ResourceExhaustedError: OOM)."
        )
        assert prediction.note == expected
    assert loaded == ["fast"]
    assert door.next_frames(np.zeros((3, 64, 64), np.uint8)).shape == (2, 64, 64)
    assert door.note == prediction.note


def test_a_look_back_goes_over_to_the_cpu_too(monkeypatch):
    asked = []

    class Looking:
        def __init__(self, predictor):
            self.predictor = predictor

        def gradient_times_input(self, frames, target):
            asked.append(self.predictor.device)
            if self.predictor.device != "CPU":
                raise DeviceError("the GPU: H failed (ResourceExhaustedError: OOM)")
            return Attribution(np.ones((2, 64, 64), np.float32), 0.5, float("nan"))

    monkeypatch.setattr(attribution, "Gradients", Looking)
    door = ModelDoor("fast", lambda name: Failing(9), on_cpu=lambda name: Repeater())
    door.start()
    assert door.wait(10)
    assert door.note == ""
    for _ in range(2):
        back = door.look_back(np.zeros((3, 64, 64), np.uint8), Target(1, 2, 3), "gradient")
        assert back.value == 0.5
    assert asked == ["GPU: H", "CPU", "CPU"]
    assert door.note == "Computed on the CPU: the GPU: H failed (ResourceExhaustedError: OOM)."
