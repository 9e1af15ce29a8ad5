"""A worker and what its jobs need, simulated: jobs arrive, wait, run as many at a time as the limiter allows, and end.

Deterministic: one seed, one history. Time is the simulation's own, so a minute takes less than a second.

Jobs that run share what they need equally (processor sharing). So the order in which they end depends on their work
alone: each has a mark on a scale of work done, which all climb at the same speed, and only the speed changes.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from concurrency.dependency import Dependency
from tidemill_consumers.concurrency.limiter import Limiter, Sample

_FAR = math.inf


@dataclass(slots=True)
class _Job:
    arrived: float
    started: float
    is_over: bool = False


@dataclass(slots=True)
class History:
    """`done`: (when, how long it ran, how long since it arrived) of each job that was not dropped."""

    done: list[tuple[float, float, float]] = field(default_factory=list[tuple[float, float, float]])
    dropped: int = 0
    refused: int = 0
    limits: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])  # (when, limit), as it changed

    def goodput(self, start: float, end: float) -> float:
        """Jobs done a second."""
        return sum(start <= when < end for when, _, _ in self.done) / (end - start)

    def p99_seconds(self, start: float, end: float) -> float:
        """Of how long jobs ran, in this time."""
        times = sorted(ran for when, ran, _ in self.done if start <= when < end)
        return times[int(len(times) * 0.99)] if times else _FAR


class Simulation:
    """`timeout`: after so many seconds a run is dropped, and its work is lost. `room`: so many may wait; others are
    refused, as a queue with a limit does."""

    def __init__(self, dependency: Dependency, limiter: Limiter, seed: int, timeout: float, room: int) -> None:
        self._dependency = dependency
        self._limiter = limiter
        self._random = random.Random(f"work {seed}")
        self._timeout = timeout
        self._room = room
        self._now: float = 0.0
        self._done_work: float = 0.0  # the scale of work
        self._waiting: deque[float] = deque()
        self._marks: list[tuple[float, int, _Job]] = []
        self._by_start: deque[_Job] = deque()
        self._running = 0
        self._ids = itertools.count()
        self.history = History()

    def run(self, arrivals: Iterable[float], until: float) -> History:
        """Everything that happens before `until`."""
        self._note_limit()
        coming = iter(arrivals)
        arrival = next(coming, _FAR)
        phase = self._dependency.phase(0.0)
        while True:
            if self._now >= phase.end:
                phase = self._dependency.phase(self._now)
            slowdown = self._dependency.slowdown(phase, self._running)
            self._forget_over()
            ends = self._now + (self._marks[0][0] - self._done_work) * slowdown if self._marks else _FAR
            times_out = self._by_start[0].started + self._timeout if self._by_start else _FAR
            at = min(arrival, ends, times_out, phase.end, until)
            self._done_work += (at - self._now) / slowdown
            self._now = at
            if at == until:
                return self.history
            if at == arrival:
                self._arrive()
                arrival = next(coming, _FAR)
            elif at == ends:
                self._end(heapq.heappop(self._marks)[2], dropped=False)
            elif at == times_out:
                self._end(self._by_start.popleft(), dropped=True)

    def _forget_over(self) -> None:
        while self._marks and self._marks[0][2].is_over:
            heapq.heappop(self._marks)
        while self._by_start and self._by_start[0].is_over:
            self._by_start.popleft()

    def _arrive(self) -> None:
        if len(self._waiting) >= self._room:
            self.history.refused += 1
            return
        self._waiting.append(self._now)
        self._start()

    def _start(self) -> None:
        while self._waiting and self._running < self._limiter.limit:
            spread = self._dependency.spread
            work: float = self._dependency.seconds * self._random.lognormvariate(-spread * spread / 2, spread)
            job = _Job(self._waiting.popleft(), self._now)
            heapq.heappush(self._marks, (self._done_work + work, next(self._ids), job))
            self._by_start.append(job)
            self._running += 1

    def _end(self, job: _Job, *, dropped: bool) -> None:
        job.is_over = True
        seconds = self._now - job.started
        if dropped:
            self.history.dropped += 1
        else:
            self.history.done.append((self._now, seconds, self._now - job.arrived))
        self._limiter.observe(Sample(self._now, seconds, self._running, failed=dropped, dropped=dropped))
        self._note_limit()
        self._running -= 1
        self._start()

    def _note_limit(self) -> None:
        limits = self.history.limits
        if not limits or limits[-1][1] != self._limiter.limit:
            limits.append((self._now, self._limiter.limit))
