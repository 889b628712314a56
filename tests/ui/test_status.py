"""Figures about the server."""

from ui import status
from ui.cache import Tally
from ui.status import Visits


def test_visitors_are_counted_once_and_for_five_minutes():
    visits = Visits()
    for session, now in (("a", 0.0), ("b", 10.0), ("a", 200.0)):
        visits.note(session, now)
    assert [visits.recent(now) for now in (200.0, 309.0, 310.0, 499.0, 500.0)] == [2, 2, 1, 1, 0]


def test_what_was_there_already_is_what_was_not_made():
    tally = Tally()
    for _ in range(5):
        tally.asked()
    tally.made()
    assert tally.read() == (5, 4)


def test_the_memory_is_that_of_this_process():
    found = status._memory_mb()
    assert found is None or 50 < found < 64_000
