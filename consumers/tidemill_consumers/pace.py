"""How much a worker takes: what it can start soon, measured in time.

The free slots, and beyond them what the process would finish within PREFETCH_MS at the pace of its recent jobs. With
jobs of a second that is nothing, and no worker holds what another could start; with jobs of a microsecond it is enough
that the process never waits for a round trip.
"""

from __future__ import annotations

import math
from typing import Final

from tidemill_consumers import settings

# Weight of the newest observation in the running mean: about the last fifty jobs count.
_WEIGHT: Final = 0.02


class Pace:
    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._mean_ms = math.inf

    def observe(self, duration_ms: float) -> None:
        """A job took this long. Slow jobs count at once and in full: the backlog they make is other workers' loss."""
        if math.isinf(self._mean_ms) or duration_ms > self._mean_ms:
            self._mean_ms = duration_ms
        else:
            self._mean_ms += _WEIGHT * (duration_ms - self._mean_ms)

    def prefetch(self) -> int:
        """How many jobs to hold beyond the free slots."""
        if math.isinf(self._mean_ms):
            return 0
        jobs = self._concurrency * settings.PREFETCH_MS / max(self._mean_ms, 0.001)
        return int(min(jobs, settings.MAX_PREFETCH)) if jobs >= self._concurrency else 0
