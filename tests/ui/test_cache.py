import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core import zoo
from core.batching import BusyError
from core.model_config import CONFIGS
from tests.ui.test_doors import Elsewhere, Repeater, opened
from ui import cache
from ui.doors import YOURS, NoRoom
from ui.link import default_settings

SOON = 10.0  # seconds in which anything here has happened
CLASSROOM = CONFIGS["classroom"]


@pytest.fixture(autouse=True)
def fresh_caches():
    st.cache_data.clear()
    st.cache_resource.clear()


def cached(door, **changes):
    """What a page gets of a scene, as soon as the door is not busy."""
    deadline = time.monotonic() + SOON
    while True:
        try:
            return cache.prediction(replace(default_settings(), **changes), door)
        except BusyError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_service_that_is_back_is_not_said_to_fail(monkeypatch):
    elsewhere = Elsewhere()
    door = opened(lambda name: Repeater(), elsewhere)
    assert cached(door, frames=8).note == ""
    elsewhere.up = False
    for _ in range(2):  # made, then from the cache
        shown = cached(door)
        assert shown.device == "CPU"
        assert shown.note.startswith("Computed on this machine: the prediction service did not answer")
    assert (cached(door, frames=8).device, cached(door, frames=8).note) == ("GPU: H, elsewhere", "")

    elsewhere.up = True
    monkeypatch.setattr("ui.doors.SULK_SECONDS", 0.0)
    shown = cached(door)
    assert (shown.device, shown.note) == ("CPU", "")


@pytest.fixture
def many(tmp_path, monkeypatch):
    """More shipped models than there ever were, without weights."""
    monkeypatch.setattr(zoo, "FOLDER", tmp_path)
    names = [f"model{n}" for n in range(12)]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.json").write_text("{}")
    return names


@pytest.mark.parametrize("of", [cache.model_door, cache.inside_door])
def test_each_shipped_model_keeps_its_door(many, of):
    doors = [of(name) for name in many]
    assert [door.name for door in doors] == many
    assert all(door is of(name) for door, name in zip(doors, many, strict=True))


def test_a_shipped_model_that_was_replaced_has_another_door(many, tmp_path):
    before, other = cache.model_door("model0"), cache.model_door("model1")
    (tmp_path / "model0" / "weights.npz").write_bytes(b"new")
    after = cache.model_door("model0")
    assert after is not before
    assert after.version != before.version
    assert cache.model_door("model0") is after
    assert cache.model_door("model1") is other


class Loads:
    """Weights of visitors, that take a moment to load, one after the other."""

    def __init__(self):
        self.begun, self.gate, self._turn = 0, threading.Event(), threading.Lock()
        self.gate.set()

    def __call__(self, load):
        with self._turn:
            self.begun += 1
            assert self.gate.wait(SOON)
            time.sleep(0.02)
            return Repeater()


@pytest.fixture
def loads(monkeypatch):
    loads = Loads()
    monkeypatch.setattr(cache, "stays_whole", loads)
    yield loads
    loads.gate.set()


def own_door(number):
    return cache.own_door(str(number), CLASSROOM, {})


def loaded(number):
    door = own_door(number)
    door.start()
    assert door.wait(SOON)
    return door


def visit(number, served):
    """What a page does until it shows a prediction of somebody's own weights."""
    deadline = time.monotonic() + SOON
    while time.monotonic() < deadline:
        door = own_door(number)
        if door.ready:
            door.predict(default_settings().scene(), "next-frame", 0, 0)
            served.append(number)
            return
        door.start()
        door.wait(1)
        time.sleep(0.01)


def test_with_more_visitors_than_room_everybody_is_served(loads, monkeypatch):
    monkeypatch.setattr("ui.doors.KEPT_SECONDS", 1.0)
    served, everybody = [], range(cache.MOST_OWN + 2)
    visitors = [threading.Thread(target=visit, args=(number, served)) for number in everybody]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert sorted(served) == list(everybody)
    assert loads.begun == len(everybody)  # none in vain


def test_while_all_are_loading_nobody_else_loads(loads, monkeypatch):
    monkeypatch.setattr("ui.doors.KEPT_SECONDS", 0.0)
    loads.gate.clear()
    doors = [own_door(number) for number in range(cache.MOST_OWN)]
    for door in doors:
        door.start()

    late = own_door("late")
    late.start()
    assert isinstance(late, NoRoom)
    assert not late.ready
    assert late.error is None
    assert not late.has_room()
    assert own_door(0) is doors[0]
    loads.gate.set()
    assert all(door.wait(SOON) for door in doors)
    assert late.has_room()
    assert own_door("late").name == YOURS
    assert not isinstance(own_door("late"), NoRoom)


def test_what_has_been_loaded_waits_a_while_for_who_wanted_it(loads):
    doors = [loaded(number) for number in range(cache.MOST_OWN)]
    assert isinstance(own_door("late"), NoRoom)
    assert [own_door(number) for number in range(cache.MOST_OWN)] == doors
    assert all(door.ready for door in doors)


def test_predicting_and_inside_share_the_room_and_who_waits_longest_unused_goes(loads, monkeypatch):
    doors = [loaded(number) for number in range(cache.MOST_OWN)]
    monkeypatch.setattr("ui.doors.KEPT_SECONDS", 0.0)
    assert own_door(0) is doors[0]
    inside = cache.own_inside_door("0", CLASSROOM, {})
    assert inside is not doors[0]
    assert [door.ready for door in doors] == [True, False, True, True]  # a model that goes leaves the memory
    assert own_door(0) is doors[0]
    assert own_door(1) is not doors[1]
    assert not doors[2].ready


def test_what_is_at_work_does_not_go(loads, monkeypatch):
    monkeypatch.setattr("ui.doors.KEPT_SECONDS", 0.0)
    doors = [loaded(number) for number in range(cache.MOST_OWN)]
    working, end = threading.Event(), threading.Event()

    def inspect(*_):
        working.set()
        assert end.wait(SOON)

    monkeypatch.setattr(Repeater, "inspect", inspect, raising=False)
    at_work = threading.Thread(target=doors[0].inspect, args=(np.zeros((3, 64, 64), np.uint8), 1))
    at_work.start()
    assert working.wait(SOON)
    own_door("late")
    end.set()
    at_work.join()
    assert [door.ready for door in doors] == [True, False, True, True]


def test_who_comes_to_a_model_that_went_is_told(loads, monkeypatch):
    doors = [loaded(number) for number in range(cache.MOST_OWN)]
    monkeypatch.setattr("ui.doors.KEPT_SECONDS", 0.0)
    own_door("late")
    with pytest.raises(BusyError, match="other visitors"):  # a page asks again by itself
        doors[0].predict(default_settings().scene(), "next-frame", 0, 0)
    with pytest.raises(RuntimeError, match="not loaded"):
        doors[0].config()


def part_of_a_page():
    import streamlit as st

    st.write(st.session_state["doors"].pop(0).config())


def test_a_part_of_a_page_whose_model_went_shows_the_page_anew(loads, monkeypatch):
    monkeypatch.setattr(Repeater, "config", "its network", raising=False)
    monkeypatch.setattr("ui.doors.KEPT_SECONDS", 0.0)
    went, there = loaded(0), loaded(1)
    assert went.close()
    page = AppTest.from_function(part_of_a_page, default_timeout=60)
    page.session_state["doors"] = [went, there]
    page.run()
    assert not page.exception
    assert [text.value for text in page.markdown] == ["its network"]
