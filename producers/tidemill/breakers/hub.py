"""All breakers of an application in one process, and their way to the server.

Two threads, started by the first use of a breaker. One sends: what this process has found out, and what it asks for, so
that neither a job's thread nor an event loop waits for the server longer than it wants to. The other listens. Pub/sub
forgets: whenever it has connected, the state of all breakers is read, and told what this process alone has found out.

While the server is away, nobody waits for it: what is asked for is answered at once, by nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

from tidemill import settings, telemetry, validation
from tidemill.breakers.breaker import Breaker, Call
from tidemill.breakers.settings import BreakerOptions, BreakerSettings, settings_of
from tidemill.breakers.standing import Standing
from tidemill.errors import InvalidInput, TidemillError
from tidemill.target import Target
from tidemill.telemetry import Event
from tidemill.wire.breaking import news_in
from tidemill.wire.command import Command
from tidemill.wire.scripts import News, ProbeOutcome, Scripts

if TYPE_CHECKING:
    from tidemill.connection import Line, Link

Answer = tuple[News, bool] | None
"""Of who asks for a permit: what is so, and whether it was given. None: the server does not answer."""

# How long a call waits for the server before it is decided here: as long as a busy server takes at most.
_ANSWER_SECONDS: Final = 1.0
# A listener that has heard nothing for so long asks whether its subscription still lives, and reads all states anew. An
# idle worker sends ten commands a minute without these two.
_LISTEN_SECONDS: Final = 300.0


class Hub:
    """`mill.client.breakers`."""

    def __init__(self, target: Target, scripts: Scripts) -> None:
        self._target = target
        self._scripts = scripts
        self._breakers: dict[str, Breaker] = {}
        self._watchers: list[Callable[[Breaker], None]] = []
        self._start_anew()
        _hubs.add(self)

    def _start_anew(self) -> None:
        self._lock = threading.Lock()
        self._life: _Life | None = None

    # -- declaring ----------------------------------------------------------------------------------------------

    def declare(self, name: str, options: BreakerOptions) -> Breaker:
        """The breaker of this name. Raises InvalidInput for wrong options, or others than it was declared with."""
        with self._lock:
            known = self._breakers.get(name)
            if known is not None and not options:
                return known
            wanted = settings_of(options)
            if known is None:
                known = self._breakers[name] = Breaker(name, wanted, self)
            elif known.settings != wanted:
                raise InvalidInput(
                    f"breaker {name!r} is declared already, with {_difference(known.settings, wanted)}: declare it "
                    f"once, and get it elsewhere by mill.breaker({name!r})"
                )
            life = self._life
        if life is not None:
            life.post(None)
        return known

    def of(self, wanted: Breaker | str) -> Breaker:
        """That of a task's `breaker=`. Raises InvalidInput if it was not declared here."""
        name = wanted.name if isinstance(wanted, Breaker) else validation.breaker_name(wanted)
        with self._lock:
            found = self._breakers.get(name)
            names = ", ".join(sorted(self._breakers)) or "none so far"
        if found is None or (isinstance(wanted, Breaker) and wanted is not found):
            raise InvalidInput(
                f"breaker {name!r} is not declared ({names}): do it before the task, by mill.breaker({name!r}, ...)"
            )
        return found

    def all(self) -> list[Breaker]:
        with self._lock:
            return list(self._breakers.values())

    # -- for breakers -------------------------------------------------------------------------------------------

    def join(self) -> None:
        """From the first call on, states are followed. The first one waits until they are known, a second at most."""
        life = self._life or self._begin()
        if not life.is_settled.is_set():
            life.is_settled.wait(_ANSWER_SECONDS)

    async def ajoin(self) -> None:
        """`join` for async code."""
        life = self._life
        if life is None or not life.is_settled.is_set():
            await asyncio.to_thread(self.join)

    def ask(self, breaker: Breaker, permit: str) -> Future[Answer]:
        """For a permit. Never raises; answered within a second or so."""
        future = Future[Answer]()
        limits = breaker.settings
        lease_ms = limits.reset_timeout_ms
        command = self._scripts.probe_breaker(
            breaker.name, breaker.standing.epoch, permit, lease_ms, limits.half_open_max
        )

        def answered(answer: Answer) -> None:
            if future.set_running_or_notify_cancel():
                future.set_result(answer)
            elif answer is not None and answer[1]:  # who has asked for it is gone
                self.settle(breaker, Call(breaker, answer[0].epoch, permit), "nothing")

        self._post(command, answered)
        return future

    @staticmethod
    def answer(future: Future[Answer]) -> Answer:
        """Waits for it."""
        try:
            return future.result(2 * _ANSWER_SECONDS)
        except TimeoutError:
            future.cancel()
            return None

    def trip(self, breaker: Breaker, standing: Standing) -> None:
        """This process has opened it. If nobody can be told now, it is told when the server is back."""
        command = self._scripts.trip_breaker(breaker.name, standing.epoch, standing.reason, breaker.settings.reopening)
        self._post(command, lambda news: None if news is None else breaker.hear(news, is_answer=True))

    def settle(self, breaker: Breaker, call: Call, outcome: ProbeOutcome) -> None:
        """What came of a probe."""
        limits = breaker.settings
        command = self._scripts.settle_probe(breaker.name, call.permit, outcome, limits.half_open_max, limits.reopening)

        def answered(news: News | None) -> None:
            if news is not None:
                breaker.hear(news)
            elif outcome == "failed" and breaker.standing.epoch == call.epoch:
                breaker.trip_alone("probe")

        self._post(command, answered)

    def changed(self, breaker: Breaker) -> None:
        for watcher in list(self._watchers):
            watcher(breaker)

    def watch(self, watcher: Callable[[Breaker], None]) -> Callable[[], None]:
        """Calls it, from any thread, when the state of a breaker changes here, until the result is called."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    # -- life ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """The next use starts anew, with what was known."""
        with self._lock:
            life, self._life = self._life, None
        if life is not None:
            life.close()

    @staticmethod
    def after_fork() -> None:
        """A fork has none of its parent's threads."""
        for hub in list(_hubs):
            hub._start_anew()
            for breaker in hub._breakers.values():
                breaker.after_fork()

    def _begin(self) -> _Life:
        with self._lock:
            if self._life is None:
                self._life = _Life(self._target, self._scripts, self.all_unlocked)
                self._life.start()
            return self._life

    def all_unlocked(self) -> list[Breaker]:
        """For the listener: a dict is copied in one step."""
        return list(self._breakers.values())

    def _post(self, command: Command[Any], answered: Callable[[Any], None]) -> None:
        (self._life or self._begin()).post((command, answered))


_hubs: weakref.WeakSet[Hub] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=Hub.after_fork)

_Posted = tuple[Command[Any], Callable[[Any], None]] | None


class _Life:
    """The threads of a hub, and their connections, from a start to a close."""

    def __init__(self, target: Target, scripts: Scripts, breakers: Callable[[], list[Breaker]]) -> None:
        from tidemill.connection import Link  # with redis-py, for which only processes with breakers shall pay

        self._target = target
        self._scripts = scripts
        self._breakers = breakers
        self._link: Link = Link(target, _ANSWER_SECONDS)
        self._queue: queue.SimpleQueue[_Posted] = queue.SimpleQueue()  # None: read all states; or, at the end, the end
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

    def post(self, item: _Posted) -> None:
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
            answered(None if self._is_away else self._attempt(lambda command=command: self._link.run(command)))  # type: ignore[misc]
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
        pause_seconds = settings.RETRY_BASE_SECONDS
        while not self._closed.is_set():
            try:
                self._follow()
            except TidemillError as error:
                was_away = self._is_away
                self._lost(error)
                pause_seconds = settings.RETRY_BASE_SECONDS if not was_away else pause_seconds
            self.is_settled.set()
            self._closed.wait(pause_seconds)
            pause_seconds = min(2 * pause_seconds, settings.RETRY_CAP_SECONDS)

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
                heard = line.messages(_LISTEN_SECONDS)
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


def _difference(known: BreakerSettings, wanted: BreakerSettings) -> str:
    names = [name for name in BreakerSettings.__slots__ if getattr(known, name) != getattr(wanted, name)]
    return ", ".join(f"{name} {getattr(known, name)!r} and not {getattr(wanted, name)!r}" for name in names)
