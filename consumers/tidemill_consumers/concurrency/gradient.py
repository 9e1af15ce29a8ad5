"""A gradient against a baseline that is measured: how slow jobs are now, and how slow they are when few run.

    gradient = clamp(1.25 * baseline / median, 0.5, 2)
    limit    = gradient * limit + sqrt(gradient * limit)

once a window; the baseline is the median response time while a quarter of the limit runs. Where jobs do not slow each
other down, the limit grows to its upper bound; where they do, it stays a little above the point from which on more jobs
at a time only wait for each other.

Source: Envoy's adaptive concurrency filter, the gradient controller (envoyproxy.io, "Adaptive Concurrency"), which is
Netflix's first Gradient (github.com/Netflix/concurrency-limits) with the baseline measured. Why it and not Gradient2:
a queue's worker with a backlog is always at its limit. It has no quiet hours, in which a mean of what is seen anyway
would be a baseline. See docs/concurrency.md for both, simulated.

Different from Envoy, since jobs take longer than requests and their work changes:

- A baseline that the times contradict is measured anew at once. Twice as slow as in the last window though no
  more run: something else has happened to what the jobs need. Faster than the baseline: it was too high.
- A quarter of the limit runs meanwhile, and not 3: jobs of a second would stand still for half a minute otherwise.
  Where a quarter is too many still, the limit falls, and the next measurement is made with fewer.
- Nothing is measured while half of the slots are empty: the limit does not matter then.
- After a measurement the limit is what it was before, as in Envoy; and measurements take 5 % of the time at most,
  however long jobs are.
"""

from __future__ import annotations

import math
from typing import Final

from tidemill_consumers.concurrency.limiter import INITIAL_LIMIT, Sample
from tidemill_consumers.concurrency.window import Summary, Window

# Long enough for a median, short enough to follow a step within a second.
_WINDOW_SECONDS: Final = 0.25
_WINDOW_SAMPLES: Final = 20
# So much above the baseline counts as the noise of measuring.
_BUFFER: Final = 0.25
# The least limit: one alone would be slow to measure, and says no more.
LEAST: Final = 3
# How much of the limit runs while the baseline is measured.
_QUIET: Final = 0.25
# The baseline is the median of so many, or of fewer if they take too long.
_BASELINE_SAMPLES: Final = 50
_FEWEST_SAMPLES: Final = 10
_BASELINE_SECONDS: Final = 3.0
# And it takes so many response times: the first that end of those that began together are the short ones.
_RESPONSES: Final = 3
# Between two measurements: so long, and so many times what the last one took.
_INTERVAL_SECONDS: Final = 60.0
_INTERVAL_FACTOR: Final = 20
# A median that is so many times the last one, or so small a part of the baseline, is no noise.
_SLOWER: Final = 2.0
_FASTER: Final = 0.8


class GradientLimit:
    """See the module. `most` is the upper bound; below 3 the limit does not go, unless `most` is lower."""

    def __init__(self, most: int) -> None:
        self.queue_bound: Final[int | None] = None
        self._most = most
        self._least = min(LEAST, most)
        self._estimate = float(min(INITIAL_LIMIT, most))
        self._window = Window(_WINDOW_SECONDS, _WINDOW_SAMPLES)
        self._baseline = _Baseline(self._quiet_limit)
        self._before: Summary | None = None  # the last window, if no baseline was measured since

    @property
    def limit(self) -> int:
        """The estimate, rounded down; less while the baseline is measured."""
        return self._baseline.most_running if self._baseline.is_measuring else int(self._estimate)

    @property
    def _quiet_limit(self) -> int:
        return max(int(self._estimate * _QUIET), self._least)

    def observe(self, sample: Sample) -> None:
        """Changes the limit when the sample ends a window or a measurement."""
        if self._baseline.is_measuring:
            if self._baseline.observe(sample):
                self._window.clear()
                self._before = None
            return
        summary = self._window.add(sample)
        if summary is not None:
            self._summarised(summary, sample.now)

    def _summarised(self, summary: Summary, now: float) -> None:
        before, self._before = self._before, summary
        # With half of the slots empty, response times say nothing about the limit.
        if summary.running < self._estimate / 2:
            return
        is_faster = summary.median_seconds < _FASTER * self._baseline.seconds
        if is_faster or _was_slowed(before, summary) or self._baseline.is_old(now):
            self._baseline.measure(now, self._quiet_limit)
            return
        gradient = max(0.5, min(2.0, (1 + _BUFFER) * self._baseline.seconds / max(summary.median_seconds, 1e-9)))
        wanted = gradient * self._estimate
        wanted += math.sqrt(wanted)
        if summary.may_grow or wanted < self._estimate:
            self._estimate = min(max(wanted, self._least), self._most)


def _was_slowed(before: Summary | None, now: Summary) -> bool:
    """By something else than by more that run."""
    if before is None:
        return False
    grown = max(1.0, now.running / max(before.running, 1))
    return now.median_seconds > _SLOWER * grown * before.median_seconds


class _Baseline:
    """The median response time while few run. Measuring begins at once, as nothing is known."""

    def __init__(self, most_running: int) -> None:
        self.most_running = most_running
        self.seconds = 0.0
        self.is_measuring = True
        self._asked_at: float | None = None
        # Since when no more run than are to.
        self._quiet_since: float | None = None
        self._times: list[float] = []
        self._next_at = 0.0

    def is_old(self, now: float) -> bool:
        return now >= self._next_at

    def measure(self, now: float, most_running: int) -> None:
        self.most_running = most_running
        self.is_measuring = True
        self._asked_at = now
        self._quiet_since = None
        self._times.clear()

    def observe(self, sample: Sample) -> bool:
        """True: this sample ends the measurement. What began among many does not count."""
        if self._asked_at is None:
            # The first time. Nothing ran before, so what ends first has begun in quiet.
            self._asked_at = self._quiet_since = sample.now - sample.seconds
        if sample.running > self.most_running:
            return False
        if self._quiet_since is None:
            self._quiet_since = sample.now
        if sample.is_response and sample.now - sample.seconds >= self._quiet_since:
            self._times.append(sample.seconds)
        count, asked_seconds = len(self._times), sample.now - self._asked_at
        if count < (_FEWEST_SAMPLES if asked_seconds >= _BASELINE_SECONDS else _BASELINE_SAMPLES):
            return False
        if sample.now - self._quiet_since < _RESPONSES * sum(self._times) / count:
            return False
        self.seconds = sorted(self._times)[count // 2]
        self.is_measuring = False
        self._next_at = sample.now + max(_INTERVAL_SECONDS, _INTERVAL_FACTOR * asked_seconds)
        return True
