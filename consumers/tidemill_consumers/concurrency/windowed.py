"""The windowed rule: response times of the last 64 jobs, and four rules of thumb.

    mean within 5–200 ms      limit = max(4, floor(1000 / mean in ms))
    mean above 150 ms         2 more     } at most once a second
    mean below 30 ms          1 fewer    }
    always                    queue bound = min(1024, floor(p95 / 50 ms * 128))

As operators know them, they overlap. How they combine here:

- The first rule sets a *base*, at each job that ends. Outside of 5–200 ms the base stays what it was; before the window
  is full for the first time, it is where the limit begins.
- The second and third change a *correction*, by a step a second at most, and the limit is base + correction. Between 30
  and 150 ms, both included, no correction is wanted: it is 0 at once, and the limit is the first rule's.
- So above 150 ms the limit grows from the base by two a second (jobs wait for something; more of them can wait), and
  below 30 ms it shrinks by one a second (fewer suffice). The correction never goes further than the limit can.
- 4 is the least limit, with the correction too; the upper bound is the configured concurrency, and it wins: with a
  concurrency of 2 the limit is 2.
- The queue bound is how many jobs are held beyond the limit. It bounds what the pace (pace.py) would hold, and never
  raises it. It is computed anew once a second, as its quantile costs more than the rest.

The rule does not ask whether more jobs at a time are done in less time: where a saturated dependency makes jobs slow,
it adds more. docs/concurrency.md shows what comes of it; `gradient` is the better choice unless jobs wait for something
that never saturates.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from tidemill_consumers.concurrency import quantiles
from tidemill_consumers.concurrency.limiter import INITIAL_LIMIT, Sample

WINDOW: Final = 64
LEAST: Final = 4
_BASE_FROM_MS: Final = 5.0
_BASE_TO_MS: Final = 200.0
_SLOW_MS: Final = 150.0
_FAST_MS: Final = 30.0
_GROW: Final = 2
_SHRINK: Final = 1
_STEP_SECONDS: Final = 1.0
_QUEUE_P95_MS: Final = 50.0
_QUEUE_JOBS: Final = 128
_MOST_QUEUED: Final = 1_024


def base_limit(mean_ms: float) -> int | None:
    """What the first rule says; None: it does not apply."""
    return max(LEAST, int(1000 / mean_ms)) if _BASE_FROM_MS <= mean_ms <= _BASE_TO_MS else None


def correction_step(mean_ms: float) -> int:
    """What the second and third rule say."""
    if mean_ms > _SLOW_MS:
        return _GROW
    return -_SHRINK if mean_ms < _FAST_MS else 0


def queue_bound(p95_ms: float) -> int:
    """How many jobs may wait in the worker."""
    return int(min(_MOST_QUEUED, p95_ms / _QUEUE_P95_MS * _QUEUE_JOBS))


class WindowedLimit:
    """See the module. `most` is the upper bound. Raises InvalidInput when the library for quantiles is missing."""

    def __init__(self, most: int) -> None:
        quantiles.require()
        self._most = most
        self._least = min(LEAST, most)
        self._times_ms: deque[float] = deque()
        self._sum_ms = 0.0
        self._base = min(INITIAL_LIMIT, most)
        self._correction = 0
        self._stepped_at: float | None = None
        self._queue_bound: int | None = None
        self._limit = self._base

    @property
    def limit(self) -> int:
        """Base and correction, within the bounds."""
        return self._limit

    @property
    def queue_bound(self) -> int | None:
        """None until the window is full for the first time."""
        return self._queue_bound

    def observe(self, sample: Sample) -> None:
        """Each response time moves the window."""
        if not sample.is_response:
            return
        self._times_ms.append(sample.seconds * 1000)
        self._sum_ms += sample.seconds * 1000
        if len(self._times_ms) <= WINDOW:
            if len(self._times_ms) < WINDOW:
                return
        else:
            self._sum_ms -= self._times_ms.popleft()
        self._decide(max(self._sum_ms, 0.0) / WINDOW, sample)

    def _decide(self, mean_ms: float, sample: Sample) -> None:
        base = base_limit(mean_ms)
        if base is not None:
            self._base = base
        step = correction_step(mean_ms)
        if step == 0:
            self._correction = 0
        if self._stepped_at is None or sample.now - self._stepped_at >= _STEP_SECONDS:
            self._stepped_at = sample.now
            self._sum_ms = sum(self._times_ms)  # without what rounding has added up to
            self._queue_bound = queue_bound(quantiles.quantile(self._times_ms, 0.95))
            if step < 0 or sample.may_grow:
                self._correction += step
        limit = min(max(self._base + self._correction, self._least), self._most)
        self._correction = limit - self._base if step else 0
        if limit < self._limit or sample.may_grow:
            self._limit = limit
