"""When a limit must not grow, whatever response times say: memory is short, or the event loop is late."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from tidemill_consumers.concurrency import memory

# Above this share of its memory a worker runs no more jobs at once than it does. Below what the system kills at by
# enough for the jobs that run to need somewhat more.
MEMORY_SHARE: Final = 0.8
# How often memory is looked at: it is read from files.
_LOOK_SECONDS: Final = 1.0
# Async jobs that start so late compete for their loop: more of them would only make each other slower.
LAG_SECONDS: Final = 0.05
# Weight of the newest start in the mean: about the last twenty count.
_LAG_WEIGHT: Final = 0.1


class Growth:
    """Calls come one at a time. `memory_share` says how much of its memory this worker uses; None: nobody knows."""

    def __init__(
        self,
        memory_share: Callable[[], float | None] = memory.share,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._memory_share = memory_share
        self._clock = clock
        self._is_memory_short = False
        self._look_at = 0.0
        self._lag_seconds = 0.0

    def lagged(self, seconds: float) -> None:
        """The loop began a run that it was given so many seconds ago."""
        self._lag_seconds += _LAG_WEIGHT * (seconds - self._lag_seconds)

    def is_allowed(self) -> bool:
        """May more jobs run at once than now?"""
        now = self._clock()
        if now >= self._look_at:
            self._look_at = now + _LOOK_SECONDS
            self._is_memory_short = (self._memory_share() or 0.0) > MEMORY_SHARE
        return not self._is_memory_short and self._lag_seconds <= LAG_SECONDS
