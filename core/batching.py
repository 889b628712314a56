"""Many visitors, one model: what they ask for within a few milliseconds becomes one call.

A call for eight clips takes far less than eight calls, so a class of thirty is answered in few calls. What is
waiting is bounded: who comes when the room is full is told so at once, instead of waiting for ever; and who
asks again while still waiting wants the newer answer, and keeps the place in the queue.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Request = TypeVar("Request")
Result = TypeVar("Result")

MOST_AT_ONCE = 8  # requests of one call
COLLECT_SECONDS = 0.004  # that the first one waits for others, far less than a prediction takes
ROOM = 64  # visitors that may wait
REMEMBERED = 512  # calls for the figures
LISTEN_SECONDS = 0.05  # from one look whether somebody who waits still wants the answer to the next


class BusyError(RuntimeError):
    """So many wait already that no more are let in; the message is a sentence for people."""


class ReplacedError(RuntimeError):
    """The same visitor has asked for something newer meanwhile."""


@dataclass
class _Asked(Generic[Request, Result]):
    request: Request
    key: Hashable
    began: float
    done: bool = False
    left: bool = False  # whoever asked waits no more
    results: list[Result] = field(default_factory=list)  # one, once it is there
    error: BaseException | None = None


@dataclass(frozen=True)
class QueueFigures:
    """How a queue is doing.

    Attributes
    ----------
    waiting : visitors that wait now
    answered, refused : requests since the start
    calls : calls of the model since the start
    p50_seconds, p95_seconds : from asking to the answer, of the last requests; None before the first
    """

    waiting: int
    answered: int
    refused: int
    calls: int
    p50_seconds: float | None
    p95_seconds: float | None


class MicroBatcher(Generic[Request, Result]):
    """A bounded queue in front of something that answers several requests in one call.

    There is no thread of its own: of those who wait one runs the call for all. Each visitor waits for one
    thing at a time, and the oldest request is always in the next call, so nobody is passed over.

    Parameters
    ----------
    run : answers requests of the same key, 1 to `most`, in their order
    key : requests of different keys never share a call; None: all may
    most : requests of one call
    collect_seconds : how long the first request waits for others
    room : visitors that may wait, those whose call is running not counted
    """

    def __init__(
        self,
        run: Callable[[list[Request]], Sequence[Result]],
        key: Callable[[Request], Hashable] | None = None,
        *,
        most: int = MOST_AT_ONCE,
        collect_seconds: float = COLLECT_SECONDS,
        room: int = ROOM,
    ) -> None:
        if min(most, room) < 1 or collect_seconds < 0:
            raise ValueError(
                f"most and room must be 1 or more, collect_seconds 0 or more; got {most}, {room} and "
                f"{collect_seconds}"
            )
        self._run, self._key = run, key or (lambda request: None)
        self._most, self._collect_seconds, self._room = most, collect_seconds, room
        self._changed = threading.Condition()
        self._waiting: dict[Hashable, _Asked[Request, Result]] = {}  # by visitor, the oldest first
        self._running = False
        self._answered = self._refused = self._calls = 0
        self._seconds: deque[float] = deque(maxlen=REMEMBERED)

    def ask(self, visitor: Hashable, request: Request, listen: Callable[[], object] | None = None) -> Result:
        """The answer to a request; waits for it.

        Parameters
        ----------
        listen : called again and again by whoever waits; what it raises ends the wait. The request is then
            not answered, but its place is kept for a newer one of the same visitor that comes in time

        Raises
        ------
        BusyError
            If the room is full.
        ReplacedError
            If the same visitor asked again before this request was taken up.
        Exception
            What `run` raised; all requests of that call get it.
        """
        asked: _Asked[Request, Result] = _Asked(request, self._key(request), time.monotonic())
        with self._changed:
            older = self._waiting.get(visitor)
            if older is not None:
                older.error, older.done = ReplacedError("a newer request of the same visitor"), True
                self._changed.notify_all()
            elif (waiting := self._count()) >= self._room:
                self._refused += 1
                raise BusyError(f"{waiting} visitors are waiting for it already")
            self._waiting[visitor] = asked
        while not asked.done:
            if listen is not None:
                try:
                    listen()
                except BaseException:
                    asked.left = True
                    raise
            if self._take_the_lead(asked, None if listen is None else LISTEN_SECONDS):
                try:
                    self._lead()
                finally:
                    with self._changed:
                        self._running = False
                        self._changed.notify_all()
        if asked.error is not None:
            raise asked.error
        return asked.results[0]

    def figures(self) -> QueueFigures:
        """How it is doing."""
        with self._changed:
            seconds = sorted(self._seconds)
            counts = self._count(), self._answered, self._refused, self._calls
        if not seconds:
            return QueueFigures(*counts, None, None)
        late = seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))]
        return QueueFigures(*counts, statistics.median(seconds), late)

    def _count(self) -> int:
        return sum(not asked.left for asked in self._waiting.values())

    def _take_the_lead(self, asked: _Asked[Request, Result], timeout: float | None) -> bool:
        """Wait until this request is answered or for so long, False, or nobody runs a call, True: then this
        thread does.
        """
        with self._changed:
            self._changed.wait_for(lambda: asked.done or not self._running, timeout)
            if asked.done or self._running:
                return False
            self._running = True
            return True

    def _lead(self) -> None:
        """One call, for the oldest request and those that can share it; none if nobody waits any more."""
        time.sleep(self._collect_seconds)
        with self._changed:
            self._waiting = {visitor: asked for visitor, asked in self._waiting.items() if not asked.left}
            if not self._waiting:  # a newer request took the place of this thread's own, and was left
                return
            key = next(iter(self._waiting.values())).key
            visitors = [visitor for visitor, asked in self._waiting.items() if asked.key == key][: self._most]
            batch = [self._waiting.pop(visitor) for visitor in visitors]
        try:
            results = self._run([asked.request for asked in batch])
            if len(results) != len(batch):
                raise RuntimeError(f"{len(batch)} requests got {len(results)} answers")
            for asked, result in zip(batch, results, strict=True):
                asked.results.append(result)
        except BaseException as error:
            for asked in batch:
                asked.error = error
            if not isinstance(error, Exception):
                raise
        finally:
            now = time.monotonic()
            with self._changed:
                self._calls += 1
                self._answered += len(batch)
                self._seconds.extend(now - asked.began for asked in batch)
                for asked in batch:
                    asked.done = True
