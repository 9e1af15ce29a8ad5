"""Wakes those who wait for jobs: one thread and one connection a process, however many wait.

A process that waits for a job writes its name into the record (watch.lua); the script that ends the job publishes the
id on that process's channel. So nobody polls, a job that nobody waits for costs nothing, and what is published grows
with the waiting, not with the fleet. Pub/sub forgets: whenever the connection was lost, everybody who waits looks at
the record again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tidemill import settings
from tidemill.backoff import Backoff
from tidemill.errors import ServerUnavailable
from tidemill.ids import new_id
from tidemill.target import Target
from tidemill.telemetry import Event, event
from tidemill.wire.keys import Keys

if TYPE_CHECKING:
    from tidemill.connection import Line

# A listener that has heard nothing for so long asks whether its subscription still lives: a dead one is as silent.
_LISTEN_SECONDS: Final = 60.0


class Wakeup:
    """One waiting call: set once, and waited for by a thread or by an event loop."""

    def __init__(self, listener: _Listener) -> None:
        self._listener = listener
        self._event = threading.Event()
        self._future: asyncio.Future[None] | None = None

    @property
    def channel(self) -> str:
        """The name under which the waiting process is told."""
        return self._listener.name

    @property
    def is_heard(self) -> bool:
        """From when this is true, nothing that is published is missed."""
        return self._listener.listening.is_set()

    def until_heard(self, timeout_seconds: float) -> None:
        """Blocks until the listener listens. If it can't, the call is woken, to ask the server itself."""
        if not self._listener.listening.wait(timeout_seconds):
            self.set()

    def set(self) -> None:
        self._event.set()
        future = self._future
        if future is not None:
            with contextlib.suppress(RuntimeError):  # its loop is closed: nobody waits there any more
                future.get_loop().call_soon_threadsafe(_resolve, future)

    def wait(self, timeout: float | None) -> bool:
        return self._event.wait(timeout)

    async def await_(self, timeout: float | None) -> bool:  # noqa: ASYNC109 - the twin of `wait`
        self._future = asyncio.get_running_loop().create_future()
        if self._event.is_set():
            return True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._future, timeout)
        return self._event.is_set()


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Waiter:
    """Who waits for what. Listens from the first who waits until `close`."""

    def __init__(self, target: Target, keys: Keys) -> None:
        self._target = target
        self._keys = keys
        self._start_anew()
        _waiters.add(self)

    def _start_anew(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, set[Wakeup]] = {}
        self._listener: _Listener | None = None

    def register(self, job_id: str) -> Wakeup:
        """The end of this job will set the wakeup. Does not block: see `Wakeup.is_heard`."""
        with self._lock:
            if self._listener is None:
                self._listener = _Listener(self._target, self._keys, self._wake, self._wake_all)
                self._listener.start()
            wakeup = Wakeup(self._listener)
            self._waiting.setdefault(job_id, set()).add(wakeup)
            return wakeup

    def discard(self, job_id: str, wakeup: Wakeup) -> None:
        with self._lock:
            waiting = self._waiting.get(job_id, set())
            waiting.discard(wakeup)
            if not waiting:
                self._waiting.pop(job_id, None)

    def close(self) -> None:
        """Stops listening. Whoever waits is woken, finds that the job is not over, and listens again."""
        with self._lock:
            listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
            self._wake_all()

    def _wake(self, job_id: str) -> None:
        with self._lock:
            for wakeup in self._waiting.get(job_id, ()):
                wakeup.set()

    def _wake_all(self) -> None:
        with self._lock:
            for wakeups in self._waiting.values():
                for wakeup in wakeups:
                    wakeup.set()

    @staticmethod
    def after_fork() -> None:
        """A fork has none of its parent's threads, and perhaps a lock that one of them held."""
        for waiter in list(_waiters):
            waiter._start_anew()


_waiters: weakref.WeakSet[Waiter] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=Waiter.after_fork)


class _Listener:
    """The thread that listens, and its connection."""

    def __init__(self, target: Target, keys: Keys, on_over: Callable[[str], None], on_back: Callable[[], None]) -> None:
        self.name: Final = new_id()
        self.listening: Final = threading.Event()
        self._target = target
        self._channel = keys.waiter(self.name)
        self._on_over = on_over
        self._on_back = on_back
        self._has_listened = False
        self._closed = threading.Event()
        self._line: Line | None = None
        self._thread = threading.Thread(target=self._listen, name="tidemill-waiter", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        line = self._line
        if line is not None:
            line.interrupt()
        self._thread.join(settings.REPLY_TIMEOUT_SECONDS)

    def _listen(self) -> None:
        backoff = Backoff()
        while not self._closed.is_set():
            try:
                self._follow()
            except ServerUnavailable:
                pass
            except Exception as error:  # noqa: BLE001 - this thread must not die while somebody waits
                event(Event.SERVER_UNAVAILABLE, server=self._target.masked, error=f"{type(error).__name__}: {error}")
            if self.listening.is_set():
                self.listening.clear()
                backoff.over()
            self._closed.wait(backoff.next_seconds())

    def _follow(self) -> None:
        from tidemill.connection import open_line  # with redis-py, for which only processes that wait shall pay

        line = open_line(self._target)
        try:
            line.subscribe([self._channel])
            self._line = line
            if self._has_listened:
                self._on_back()  # something may have ended while nobody listened
            self._has_listened = True
            self.listening.set()
            while not self._closed.is_set():
                heard = line.messages(_LISTEN_SECONDS)
                for _, job_id in heard:
                    self._on_over(job_id)
                if not heard:
                    line.subscribe([self._channel])
        finally:
            self._line = None
            line.close()
