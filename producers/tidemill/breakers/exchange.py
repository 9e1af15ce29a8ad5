"""The threads that speak with the server for all breakers of an application, and their connections.

One sends: what this process has found out, and what it asks for, so that neither a job's thread nor an event loop waits
for the server longer than it wants to. The other listens. Pub/sub forgets: whenever it has connected, the state of all
breakers is read, and told what this process alone has found out.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tidemill import settings, telemetry
from tidemill.backoff import Backoff
from tidemill.breakers.breaker import Breaker
from tidemill.errors import TidemillError
from tidemill.target import Target
from tidemill.telemetry import Event
from tidemill.wire.breaking import news_in
from tidemill.wire.command import Command
from tidemill.wire.scripts import Scripts

if TYPE_CHECKING:
    from tidemill.connection import Line, Link

# How long a call waits for the server before it is decided here: as long as a busy server takes at most.
ANSWER_SECONDS: Final = 1.0
# A listener that has heard nothing for so long asks whether its subscription still lives, and reads all states anew. An
# idle worker sends ten commands a minute without these two.
LISTEN_SECONDS: Final = 300.0

Posted = tuple[Command[Any], Callable[[Any], None]] | None


class Exchange:
    """From a start to a close."""

    def __init__(self, target: Target, scripts: Scripts, breakers: Callable[[], list[Breaker]]) -> None:
        from tidemill.connection import Link  # with redis-py, for which only processes with breakers shall pay

        self._target = target
        self._scripts = scripts
        self._breakers = breakers
        self._link: Link = Link(target, ANSWER_SECONDS)
        self._queue: queue.SimpleQueue[Posted] = queue.SimpleQueue()  # None: read all states; or, at the end, the end
        self._closed = threading.Event()
        self._line: Line | None = None
        self._is_away = False
        self.is_settled = threading.Event()  # the states are known, or the server does not answer
        self._stop_measuring = telemetry.breaker_source(lambda: [(one.name, one.state) for one in breakers()])
        self._threads = [
            threading.Thread(target=serve, name=f"tidemill-breakers-{role}", daemon=True)
            for role, serve in (("send", self._send), ("listen", self._listen))
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def post(self, item: Posted) -> None:
        self._queue.put(item)

    def close(self) -> None:
        self._closed.set()
        self._queue.put(None)
        line = self._line
        if line is not None:
            line.interrupt()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(settings.REPLY_TIMEOUT_SECONDS)
        self._link.close()
        self._stop_measuring()

    def _send(self) -> None:
        while not self._closed.is_set():
            item = self._queue.get()
            if item is None:
                if not self._closed.is_set():
                    self._attempt(self._read_all)
                continue
            command, answered = item
            answered(None if self._is_away else self._attempt(partial(self._link.run, command)))
        self._give_up_the_rest()

    def _give_up_the_rest(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                item = self._queue.get_nowait()
                if item is not None:
                    item[1](None)

    def _attempt(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except TidemillError as error:
            self._lost(error)
            return None

    def _lost(self, error: TidemillError) -> None:
        if not self._is_away and not self._closed.is_set():
            telemetry.event(Event.SERVER_UNAVAILABLE, server=self._target.masked, error=str(error))
        self._is_away = True
        line = self._line
        if line is not None:
            line.interrupt()  # it connects anew, and finds out whether the server is back

    def _listen(self) -> None:
        backoff = Backoff()
        while not self._closed.is_set():
            try:
                self._follow()
            except TidemillError as error:
                if not self._is_away:
                    backoff.over()
                self._lost(error)
            self.is_settled.set()
            self._closed.wait(backoff.next_seconds())

    def _follow(self) -> None:
        from tidemill.connection import open_line

        line = open_line(self._target)
        try:
            line.subscribe([self._scripts.keys.breakers])
            self._line = line
            self._read_all()
            self._is_away = False
            self.is_settled.set()
            while not self._closed.is_set():
                heard = line.messages(LISTEN_SECONDS)
                for _, message in heard:
                    self._hear(message)
                if not heard:
                    line.subscribe([self._scripts.keys.breakers])
                    self._read_all()
        finally:
            self._line = None
            line.close()

    def _hear(self, message: str) -> None:
        found = news_in(message)
        if found is None:
            return
        name, news = found
        for breaker in self._breakers():
            if breaker.name == name:
                breaker.hear(news)

    def _read_all(self) -> None:
        """What this process has found out alone is told first: it may be newer than what the server knows."""
        breakers = self._breakers()
        for one in breakers:
            standing = one.standing
            if standing.is_local and standing.state == "open" and one.retry_after > 0:
                command = self._scripts.trip_breaker(one.name, standing.epoch, standing.reason, one.settings.reopening)
                one.hear(self._link.run(command), is_answer=True)
        if breakers:
            names = [one.name for one in breakers]
            found = self._link.run(self._scripts.look_breakers(names))
            for one, figures in zip(breakers, found, strict=True):
                one.hear(figures.news, is_answer=True)
