"""Gradient2, as Netflix publishes it.

Once a window, with the mean response time of that window (short) and an exponential mean over many windows (long):

    gradient = max(0.5, min(1, tolerance * long / short))        tolerance 1
    limit    = (1 - smoothing) * limit + smoothing * (gradient * limit + queue)

and no change while fewer than half of the limit ran. When `long` is more than twice `short`, it decays by a tenth.
The constants are the original's, except for the least limit: a service that answers users should not go below 20, a
worker that shares a database with others should be able to.

Source: https://github.com/Netflix/concurrency-limits, Gradient2Limit, ExpAvgMeasurement and WindowedLimit.

Its baseline is a mean of what was measured under load. A worker with a backlog is always at its limit, so the baseline
follows what the limit has caused: in the long run the limit creeps upwards; and after a dependency has become slower,
it stays low until the mean has followed. `gradient.py` measures its baseline instead.
"""

from __future__ import annotations

from typing import Final

from tidemill_consumers.concurrency.limiter import INITIAL_LIMIT, Sample
from tidemill_consumers.concurrency.window import Window

_WINDOW_SECONDS: Final = 1.0
_WINDOW_SAMPLES: Final = 10
# How many windows the long mean covers, and how many of the first ones are averaged plainly.
_LONG_WINDOWS: Final = 600
_WARM_UP_WINDOWS: Final = 10
# How much of a new estimate counts.
_SMOOTHING: Final = 0.2
# By how much the limit may grow in a window: so many jobs may queue where they go to.
_QUEUE: Final = 4
_LEAST: Final = 1


class Gradient2Limit:
    """See the module. `most` is the upper bound."""

    def __init__(self, most: int) -> None:
        self.queue_bound: Final[int | None] = None
        self._most = most
        self._estimate = float(min(INITIAL_LIMIT, most))
        self._window = Window(_WINDOW_SECONDS, _WINDOW_SAMPLES)
        self._long = 0.0
        self._windows = 0

    @property
    def limit(self) -> int:
        """The estimate, rounded down."""
        return int(self._estimate)

    def observe(self, sample: Sample) -> None:
        """Changes the limit when the sample ends a window."""
        summary = self._window.add(sample)
        if summary is None:
            return
        short = summary.mean_seconds
        long = self._smooth(short)
        if long > 2 * short:
            self._long *= 0.9
        if summary.running < self._estimate / 2:
            return
        gradient = max(0.5, min(1.0, long / max(short, 1e-9)))
        wanted = (1 - _SMOOTHING) * self._estimate + _SMOOTHING * (gradient * self._estimate + _QUEUE)
        if summary.may_grow or wanted < self._estimate:
            self._estimate = min(max(wanted, _LEAST), self._most)

    def _smooth(self, seconds: float) -> float:
        self._windows += 1
        if self._windows <= _WARM_UP_WINDOWS:
            self._long += (seconds - self._long) / self._windows
        else:
            self._long += (seconds - self._long) * 2 / (_LONG_WINDOWS + 1)
        return self._long
