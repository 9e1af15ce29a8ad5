"""How much a worker takes: what it can start soon, measured in time.

The free slots, and beyond them what the process would finish within PREFETCH_MS at the pace of its recent jobs. With
jobs of a second that is nothing, and no worker holds what another could start; with jobs of a microsecond it is enough
that the process never waits for a round trip. Executors have paces of their own, and the slowest that was busy lately
counts: which one the next jobs are for is only known when they are taken.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

from tidemill_consumers import settings
from tidemill_consumers.concurrency.limiter import Limiter

# Weight of the newest observation in the running mean: about the last fifty jobs count.
_WEIGHT: Final = 0.02
# An executor that had no job for so long does not count any more.
_LATELY_SECONDS: Final = 10.0


class Pace:
    def __init__(self, limiter: Limiter, clock: Callable[[], float] = time.monotonic) -> None:
        self._limiter = limiter
        self._clock = clock
        self._by_executor: dict[str, tuple[float, float]] = {}  # mean ms, when it was last observed

    def observe(self, executor: str, *durations_ms: float) -> None:
        """Jobs took this long. Slow ones count at once and in full: the backlog they make is other workers' loss."""
        mean_ms, _ = self._by_executor.get(executor, (0.0, 0.0))
        for duration_ms in durations_ms:
            if duration_ms > mean_ms:
                mean_ms = duration_ms
            else:
                mean_ms += _WEIGHT * (duration_ms - mean_ms)
        self._by_executor[executor] = mean_ms, self._clock()

    def prefetch(self) -> int:
        """How many jobs to hold beyond the free slots."""
        since = self._clock() - _LATELY_SECONDS
        slowest_ms = max((mean for mean, seen in list(self._by_executor.values()) if seen >= since), default=math.inf)
        limit, bound = self._limiter.limit, self._limiter.queue_bound
        jobs = limit * settings.PREFETCH_MS / max(slowest_ms, 0.001)
        most = settings.MAX_PREFETCH if bound is None else min(bound, settings.MAX_PREFETCH)
        return int(min(jobs, most)) if jobs >= limit else 0
