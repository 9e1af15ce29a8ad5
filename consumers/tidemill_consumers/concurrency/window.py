"""Response times over a short while: what an algorithm compares."""

from __future__ import annotations

from typing import Final, NamedTuple

from tidemill_consumers.concurrency.limiter import Sample

# A window that has so many response times ends before its time: more would not make it more exact.
_MOST_SAMPLES: Final = 1_000
# A window lasts for at least so many of its own mean response times: a new limit shows in the times of those that
# started under it.
_RESPONSES: Final = 2


class Summary(NamedTuple):
    """`running`: the most that ran at once. `may_grow`: nothing forbade it."""

    median_seconds: float
    mean_seconds: float
    running: int
    may_grow: bool


class Window:
    """Of at least `seconds` and `samples` response times."""

    def __init__(self, seconds: float, samples: int) -> None:
        self._least_seconds = seconds
        self._least_samples = samples
        self._began: float | None = None
        self._times: list[float] = []
        self._sum = 0.0
        self._running = 0
        self._may_grow = True

    def add(self, sample: Sample) -> Summary | None:
        """Returns the summary when this sample ends the window; the next one begins then."""
        if self._began is None:
            self._began = sample.now
        self._running = max(self._running, sample.running)
        self._may_grow = self._may_grow and sample.may_grow
        if sample.is_response:
            self._times.append(sample.seconds)
            self._sum += sample.seconds
        if not self._is_full(sample.now - self._began):
            return None
        count = len(self._times)
        summary = Summary(sorted(self._times)[count // 2], self._sum / count, self._running, self._may_grow)
        self.clear()
        return summary

    def clear(self) -> None:
        """What it had does not count; the next sample begins a new one."""
        self._began = None
        self._times.clear()
        self._sum, self._running, self._may_grow = 0.0, 0, True

    def _is_full(self, age_seconds: float) -> bool:
        count = len(self._times)
        if count < self._least_samples:
            return False
        return count >= _MOST_SAMPLES or age_seconds >= max(self._least_seconds, _RESPONSES * self._sum / count)
