"""What executors with threads share: threads that run what waits, one run at a time each."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from tidemill_consumers.background import background
from tidemill_consumers.executors import Host
from tidemill_consumers.outcomes import Outcome
from tidemill_consumers.run import Run


class Runner(Protocol):
    """What one thread of a pool runs its jobs with."""

    def run(self, run: Run) -> Outcome:
        """Whatever the job does; must not raise."""
        ...

    def close(self) -> None:
        """Called by the thread, as the last thing that it does."""
        ...


class Pool:
    """At most `most` threads, started when more runs wait than threads are idle; `make_runner` is called in each."""

    def __init__(self, role: str, most: int, host: Host, make_runner: Callable[[], Runner]) -> None:
        self._role = role
        self._most = most
        self._host = host
        self._make_runner = make_runner
        self._waiting: deque[Run] = deque()
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._closed = False

    def submit(self, run: Run) -> None:
        with self._changed:
            self._waiting.append(run)
            if self._idle >= len(self._waiting):
                self._changed.notify()
            elif len(self._threads) < self._most:
                thread = background(f"{self._role}-{len(self._threads) + 1}", self._serve, self._host.failed)
                self._threads.append(thread)
                thread.start()

    def _serve(self) -> None:
        runner = self._make_runner()
        try:
            while (run := self._next()) is not None:
                self._host.finished(run, runner.run(run))
        finally:
            runner.close()

    def _next(self) -> Run | None:
        with self._changed:
            self._idle += 1
            while not self._waiting and not self._closed:
                self._changed.wait()
            self._idle -= 1
            return None if self._closed else self._waiting.popleft()

    def withdraw(self) -> list[Run]:
        """Gives up what waits, and returns it."""
        with self._changed:
            withdrawn = list(self._waiting)
            self._waiting.clear()
            return withdrawn

    def close(self) -> None:
        """Idle threads end; those that run a job end after it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def join(self, seconds: float) -> None:
        """Waits for the threads, at most for so long each."""
        for thread in self._threads:
            thread.join(seconds)
