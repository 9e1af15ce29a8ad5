"""What executors with threads share: threads that run what waits, one run at a time each.

Jobs may be shorter than the wake-up of a thread. So whoever takes a run wakes one more thread at most: a backlog of
short jobs is worked off by the few that are awake, while jobs that wait for something bring up the whole pool at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
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
    """At most `most` threads, started when all others are busy; `make_runner` is called in each."""

    def __init__(self, role: str, most: int, host: Host, make_runner: Callable[[], Runner]) -> None:
        self._role = role
        self._most = most
        self._host = host
        self._make_runner = make_runner
        # As many threads wake as there are runs, one by one: a thread that got a run lets the next one look.
        self._waiting: SimpleQueue[Run | None] = SimpleQueue()  # None: a thread is to end
        self._counting = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._closed = False

    def submit(self, run: Run) -> None:
        self._waiting.put(run)
        if self._idle <= 0:
            self._start_one()

    def _start_one(self) -> None:
        if len(self._threads) >= self._most:
            return
        with self._counting:
            if self._closed or len(self._threads) >= self._most:
                return
            thread = background(f"{self._role}-{len(self._threads) + 1}", self._serve, self._host.failed)
            self._threads.append(thread)
            self._idle += 1
            thread.start()

    def _serve(self) -> None:
        runner = self._make_runner()
        try:
            run = self._wait()
            # What waits when the pool is closed was handed back: it runs elsewhere.
            while run is not None and not self._closed:
                if self._idle <= 0 and not self._waiting.empty():
                    self._start_one()
                self._host.finished(run, runner.run(run))
                run = self._next()
        finally:
            runner.close()

    def _next(self) -> Run | None:
        """While there are more runs, no lock is taken: threads that share one at each job wait for each other."""
        try:
            return self._waiting.get_nowait()
        except Empty:
            with self._counting:
                self._idle += 1
            return self._wait()

    def _wait(self) -> Run | None:
        """Of a thread that counts as idle."""
        run = self._waiting.get()
        with self._counting:
            self._idle -= 1
        return run

    def withdraw(self) -> list[Run]:
        """Gives up what waits, and returns it."""
        withdrawn: list[Run] = []
        with suppress(Empty):
            while (run := self._waiting.get_nowait()) is not None:
                withdrawn.append(run)
        return withdrawn

    def close(self) -> None:
        """Idle threads end; those that run a job end after it."""
        with self._counting:
            self._closed = True
        for _ in self._threads:
            self._waiting.put(None)

    def join(self, seconds: float) -> None:
        """Waits for the threads, at most for so long each."""
        for thread in self._threads:
            thread.join(seconds)
