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
import time
from collections import defaultdict
from typing import Final

from tidemill import settings
from tidemill.connection import Line, open_line
from tidemill.errors import TidemillError
from tidemill.ids import new_id
from tidemill.target import Target
from tidemill.telemetry import Event, event
from tidemill.wire.keys import Keys

# How long the waiter's thread listens before it looks whether it is still wanted.
_LISTEN_SECONDS: Final = 60.0


class Wakeup:
    """One waiting call. Set once; waited for by a thread or by an event loop."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._future: asyncio.Future[None] | None = None

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
    """The thread that listens, and who waits for what."""

    def __init__(self, target: Target, keys: Keys) -> None:
        self._target = target
        self._keys = keys
        self._lock = threading.Lock()
        self._reset()

    def _reset(self) -> None:
        self.name = new_id()
        self._pid = os.getpid()
        self._waiting: dict[str, set[Wakeup]] = defaultdict(set)
        self._thread: threading.Thread | None = None
        self._line: Line | None = None
        self._listening = threading.Event()
        self._closed = False

    def add(self, job_id: str) -> Wakeup:
        """From now on, the end of this job sets the wakeup. Starts listening; returns when that is in effect."""
        wakeup = Wakeup()
        with self._lock:
            if self._pid != os.getpid():  # a fork has none of its parent's threads
                self._reset()
            self._waiting[job_id].add(wakeup)
            if self._thread is None:
                self._thread = threading.Thread(target=self._listen, name="tidemill-waiter", daemon=True)
                self._thread.start()
        if not self._listening.wait(settings.SERVER_DEADLINE_SECONDS):
            wakeup.set()  # the command that follows will say what is wrong with the server
        return wakeup

    def discard(self, job_id: str, wakeup: Wakeup) -> None:
        with self._lock:
            self._waiting[job_id].discard(wakeup)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    def close(self) -> None:
        with self._lock:
            self._closed = True
            thread, line = self._thread, self._line
        if line is not None:
            line.interrupt()
        if thread is not None:
            thread.join(settings.REPLY_TIMEOUT_SECONDS)
        with self._lock:
            self._reset()

    def _listen(self) -> None:
        pause_seconds = settings.RETRY_BASE_SECONDS
        while not self._closed:
            try:
                self._follow()
            except (TidemillError, OSError):
                pass
            except Exception as error:  # noqa: BLE001 - this thread must not die while somebody waits
                event(
                    Event.SERVER_UNAVAILABLE,
                    server=self._target.masked,
                    error=f"{type(error).__name__}: {error}",
                )
            self._listening.clear()
            if not self._closed:
                time.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, settings.RETRY_CAP_SECONDS)

    def _follow(self) -> None:
        line = open_line(self._target)
        try:
            line.subscribe([self._keys.waiter(self.name)])
            self._line = line
            self._listening.set()
            self._wake_all()  # what ended while nobody listened
            while not self._closed:
                for _, job_id in line.messages(_LISTEN_SECONDS):
                    self._wake(job_id)
        finally:
            line.close()

    def _wake(self, job_id: str) -> None:
        with self._lock:
            for wakeup in self._waiting.get(job_id, ()):
                wakeup.set()

    def _wake_all(self) -> None:
        with self._lock:
            for wakeups in self._waiting.values():
                for wakeup in wakeups:
                    wakeup.set()
