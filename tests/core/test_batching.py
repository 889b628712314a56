"""A queue in front of a model: few calls, nobody passed over, never more than there is room for."""

import threading
import time

import pytest

from core.batching import BusyError, MicroBatcher, ReplacedError

SOON = 10.0  # seconds in which anything here has happened


class Model:
    """Doubles numbers, when it is let; remembers its calls."""

    def __init__(self, open_=True):
        self.calls = []
        self.entered, self.gate = threading.Semaphore(0), threading.Event()
        if open_:
            self.gate.set()

    def __call__(self, requests):
        self.calls.append(list(requests))
        self.entered.release()
        assert self.gate.wait(SOON)
        return [2 * request for request in requests]


class Visitor(threading.Thread):
    """Asks once, and keeps what came back."""

    def __init__(self, queue, name, request, listen=None):
        super().__init__(daemon=True)
        self.queue, self.visitor, self.request, self.listen = queue, name, request, listen
        self.result = self.error = None
        self.start()

    def run(self):
        try:
            self.result = self.queue.ask(self.visitor, self.request, self.listen)
        except Exception as error:
            self.error = error


def until(condition):
    end = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def waiting(queue, n):
    until(lambda: queue.figures().waiting == n)


def line_up(queue, requests):
    """Visitors who come one after the other while the model is at work."""
    visitors = []
    for n, request in enumerate(requests):
        visitors.append(Visitor(queue, n, request))
        waiting(queue, n + 1)
    return visitors


def at_work(model, queue):
    """Somebody whose call is running, and holds the others up."""
    busy = Visitor(queue, "busy", 100)
    assert model.entered.acquire(timeout=SOON)
    return busy


def join(*visitors):
    for visitor in visitors:
        visitor.join(SOON)
        assert not visitor.is_alive()


def test_one_visitor_is_answered():
    queue = MicroBatcher(Model())
    assert [queue.ask("a", n) for n in range(3)] == [0, 2, 4]
    found = queue.figures()
    assert (found.waiting, found.answered, found.refused, found.calls) == (0, 3, 0, 3)
    assert 0 < found.p50_seconds <= found.p95_seconds < SOON


def test_nothing_is_known_before_the_first():
    found = MicroBatcher(Model()).figures()
    assert found.p50_seconds is found.p95_seconds is None


def test_those_who_wait_share_the_next_call_in_their_order():
    model = Model(open_=False)
    queue = MicroBatcher(model, most=3)
    busy = at_work(model, queue)
    visitors = line_up(queue, [1, 2, 3, 4])
    model.gate.set()
    join(busy, *visitors)
    assert model.calls == [[100], [1, 2, 3], [4]]
    assert [visitor.result for visitor in visitors] == [2, 4, 6, 8]


def test_a_call_waits_a_moment_for_others():
    model = Model()
    queue = MicroBatcher(model, collect_seconds=0.5)
    visitors = [Visitor(queue, n, n) for n in range(4)]
    join(*visitors)
    assert sorted(model.calls[0]) == [0, 1, 2, 3]


def test_different_kinds_do_not_mix_and_the_oldest_is_next():
    model = Model(open_=False)
    queue = MicroBatcher(model, key=lambda request: request % 2)
    busy = at_work(model, queue)
    visitors = line_up(queue, [1, 2, 3, 4])
    model.gate.set()
    join(busy, *visitors)
    assert model.calls == [[100], [1, 3], [2, 4]]


def test_the_newer_request_of_a_visitor_takes_the_place_of_the_older():
    model = Model(open_=False)
    queue = MicroBatcher(model, most=1)
    busy = at_work(model, queue)
    older, other = line_up(queue, [1, 2])
    newer = Visitor(queue, 0, 7)
    join(older)
    assert isinstance(older.error, ReplacedError)
    assert queue.figures().waiting == 2
    model.gate.set()
    join(busy, newer, other)
    assert model.calls == [[100], [7], [2]]
    assert newer.result == 14


class Impatient:
    """Called by who waits, and ends the wait once it is told to."""

    def __init__(self):
        self.heard = threading.Event()

    def __call__(self):
        if self.heard.is_set():
            raise InterruptedError("moved on")


def moved_on(queue, name, request):
    """One who waited, and then did not any more."""
    impatient = Impatient()
    gone = Visitor(queue, name, request, impatient)
    waiting(queue, 1)
    impatient.heard.set()
    join(gone)
    assert isinstance(gone.error, InterruptedError)
    assert queue.figures().waiting == 0


def test_who_waits_no_more_is_not_answered():
    model = Model(open_=False)
    queue = MicroBatcher(model, room=1)
    busy = at_work(model, queue)
    moved_on(queue, 0, 1)
    other = Visitor(queue, 1, 2, Impatient())  # there is room again
    waiting(queue, 1)
    model.gate.set()
    join(busy, other)
    assert model.calls == [[100], [2]]
    assert other.result == 4


def test_who_moved_on_and_asks_anew_in_time_keeps_the_place():
    model = Model(open_=False)
    queue = MicroBatcher(model, most=1)
    busy = at_work(model, queue)
    moved_on(queue, 0, 1)
    other = Visitor(queue, 1, 2)
    waiting(queue, 1)
    newer = Visitor(queue, 0, 7)
    waiting(queue, 2)
    model.gate.set()
    join(busy, newer, other)
    assert model.calls == [[100], [7], [2]]


def test_a_call_that_nobody_wants_any_more_is_not_made():
    model = Model()
    queue = MicroBatcher(model, collect_seconds=0.5)
    older = Visitor(queue, 0, 1)
    until(lambda: queue._running)  # it waits for others; meanwhile its visitor asks anew, and leaves
    moved_on(queue, 0, 7)
    join(older)
    assert isinstance(older.error, ReplacedError)
    assert model.calls == []
    assert queue.ask(0, 2) == 4


def test_a_full_room_lets_nobody_in_and_says_so_at_once():
    model = Model(open_=False)
    queue = MicroBatcher(model, room=2)
    busy = at_work(model, queue)
    visitors = line_up(queue, [1, 2])
    with pytest.raises(BusyError, match="2 visitors are waiting for it already"):
        queue.ask("late", 3)
    newer = Visitor(queue, 1, 5)  # one who is in the room already may ask anew
    join(visitors[1])
    model.gate.set()
    join(busy, visitors[0], newer)
    assert newer.result == 10
    assert queue.figures().refused == 1
    assert queue.ask("late", 3) == 6


def test_an_error_reaches_those_of_its_call_and_the_next_ones_are_answered():
    def run(requests):
        if 13 in requests:
            raise ValueError("no luck")
        return requests

    queue = MicroBatcher(run)
    with pytest.raises(ValueError, match="no luck"):
        queue.ask("a", 13)
    assert queue.ask("a", 1) == 1


def test_answers_that_are_missing_are_an_error():
    with pytest.raises(RuntimeError, match="1 requests got 0 answers"):
        MicroBatcher(lambda requests: []).ask("a", 1)


def test_a_hundred_visitors_in_a_hurry_all_get_their_own_answer():
    queue = MicroBatcher(Model(), key=lambda request: request % 3, room=100, collect_seconds=0)
    visitors = [Visitor(queue, n, n) for n in range(100)]
    join(*visitors)
    assert [visitor.result for visitor in visitors] == [2 * n for n in range(100)]
    assert queue.figures().waiting == 0


@pytest.mark.parametrize("options", [{"most": 0}, {"room": 0}, {"collect_seconds": -1}])
def test_sizes_are_checked(options):
    with pytest.raises(ValueError, match="most and room must be 1 or more"):
        MicroBatcher(Model(), **options)
