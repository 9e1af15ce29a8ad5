"""Enforces an adaptive limit: no more runs are given to the executors of a worker than it says.

Executors have threads, children or places on a loop for the upper bound; what is beyond the limit waits here instead,
in order. So the limit holds for all executors of the worker together, and lowering it stops nothing that runs. With
a fixed limit none of this exists: the worker gives its runs to the executors themselves.

When a run ends, the limiter is told before the next one starts. `ended` is called from the executor's thread; nothing
of an executor is called with the lock held, since it may call back.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from typing import Final, cast

from tidemill import telemetry
from tidemill.client import Client
from tidemill.errors import JobCancelled
from tidemill_consumers import executors, pipeline
from tidemill_consumers.concurrency.growth import Growth
from tidemill_consumers.concurrency.limiter import FixedLimit, Limiter, Sample
from tidemill_consumers.executors import Executor, Host
from tidemill_consumers.outcomes import Dead, Outcome, Retried, Succeeded
from tidemill_consumers.run import Interrupt, Run
from tidemill_consumers.settings import WorkerSettings

# The executor whose runs start late because of the loop, and not because all its children are busy.
_LOOP_EXECUTOR: Final = "async"


def load(names: Collection[str], host: Host, limiter: Limiter) -> dict[str, Executor]:
    """The executors of these names, as `executors.load`; together they keep to the limit."""
    if isinstance(limiter, FixedLimit):
        return executors.load(names, host)
    slots = Slots(limiter)
    limited = LimitedHost(host, slots)
    found = executors.load(names, limited)
    slots.measure(host.settings.concurrency_limiter)
    # An executor but for how it is made: it is no plug-in.
    return {name: cast(Executor, LimitedExecutor(inner, limited, slots)) for name, inner in found.items()}


class Slots:
    """Who runs, and who waits for a slot. All calls may come from any thread."""

    def __init__(
        self, limiter: Limiter, growth: Growth | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limiter = limiter
        self._growth = growth or Growth()
        self._clock = clock
        self._waiting: deque[tuple[Executor, Run]] = deque()
        self._given: dict[Run, float] = {}  # when, in seconds of the clock
        self._running: set[Run] = set()  # of those
        self._lock = threading.Lock()
        self._stop_measuring: Callable[[], None] | None = None

    def measure(self, algorithm: str) -> None:
        """The limit can be seen, until `close`."""
        self._stop_measuring = telemetry.limit_source(algorithm, lambda: self._limiter.limit)

    def close(self) -> None:
        """It can't be seen any more. Each executor says so."""
        stop, self._stop_measuring = self._stop_measuring, None
        if stop is not None:
            stop()

    def submit(self, executor: Executor, run: Run) -> None:
        """Gives the run to its executor when there is a slot."""
        with self._lock:
            self._waiting.append((executor, run))
        self._give()

    def started(self, run: Run) -> None:
        """Its executor runs it."""
        with self._lock:
            given_at = self._given.get(run)
            if given_at is None:
                return
            self._running.add(run)
            if run.definition.executor == _LOOP_EXECUTOR:
                self._growth.lagged(self._clock() - given_at)

    def ended(self, run: Run, outcome: Outcome) -> None:
        """It is over, and its executor has a place for another one."""
        with self._lock:
            running = len(self._running)
            if not self._remove(run):
                return
            if run.started_at and isinstance(outcome, Succeeded | Retried | Dead):
                self._limiter.observe(
                    Sample(
                        now=self._clock(),
                        seconds=run.seconds,
                        running=running,
                        failed=not isinstance(outcome, Succeeded),
                        dropped=run.interrupt is Interrupt.TIMEOUT,
                        may_grow=self._growth.is_allowed(),
                    )
                )
        self._give()

    def withdraw(self, executor: Executor) -> list[Run]:
        """Gives up what waits for this executor, and returns it."""
        with self._lock:
            withdrawn = [run for one, run in self._waiting if one is executor]
            self._waiting = deque(pair for pair in self._waiting if pair[0] is not executor)
        return withdrawn

    def withdraw_run(self, run: Run) -> bool:
        """True: it was waiting, and will not be given to its executor."""
        with self._lock:
            count = len(self._waiting)
            self._waiting = deque(pair for pair in self._waiting if pair[1] is not run)
            return len(self._waiting) < count

    def given_back(self, runs: Collection[Run]) -> None:
        """Their executor has given them up without running them."""
        with self._lock:
            for run in runs:
                self._remove(run)
        self._give()

    def _remove(self, run: Run) -> bool:
        self._running.discard(run)
        return self._given.pop(run, None) is not None

    def _give(self) -> None:
        with self._lock:
            given: list[tuple[Executor, Run]] = []
            while self._waiting and len(self._given) < self._limiter.limit:
                executor, run = self._waiting.popleft()
                self._given[run] = self._clock()
                given.append((executor, run))
        for executor, run in given:
            executor.submit(run)


class LimitedHost:
    """The worker, as its executors see it when there is an adaptive limit."""

    def __init__(self, host: Host, slots: Slots) -> None:
        self._host = host
        self._slots = slots
        self.settings: WorkerSettings = host.settings
        self.client: Client = host.client

    def started(self, run: Run) -> None:
        self._slots.started(run)
        self._host.started(run)

    def finished(self, run: Run, outcome: Outcome) -> None:
        self._host.finished(run, outcome)
        self._slots.ended(run, outcome)

    def report(self, run: Run, fraction: float, text: str) -> None:
        self._host.report(run, fraction, text)

    def failed(self, role: str, error: BaseException) -> None:
        self._host.failed(role, error)


class LimitedExecutor:
    """An executor, as the worker sees it when there is an adaptive limit."""

    def __init__(self, inner: Executor, host: Host, slots: Slots) -> None:
        self._inner = inner
        self._host = host
        self._slots = slots

    def submit(self, run: Run) -> None:
        self._slots.submit(self._inner, run)

    def withdraw(self) -> list[Run]:
        waiting = self._slots.withdraw(self._inner)
        withdrawn = self._inner.withdraw()
        self._slots.given_back(withdrawn)
        return withdrawn + waiting

    def interrupt(self, run: Run, why: Interrupt) -> None:
        if self._slots.withdraw_run(run):
            self._host.finished(run, pipeline.classify(run, JobCancelled()))
        else:
            self._inner.interrupt(run, why)

    def close(self) -> None:
        self._inner.close()
        self._slots.close()
