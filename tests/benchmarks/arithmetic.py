"""The arithmetic of the benchmarks: percentiles, and arrival times that are fixed before a run."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import TypeVar

from benchmarks.recorder import Start

T = TypeVar("T")

NS_PER_SECOND = 1_000_000_000
NS_PER_MS = 1_000_000


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of all values do not exceed (nearest rank): a value that was measured."""
    if not values:
        raise ValueError("a percentile of nothing")
    ordered = sorted(values)
    rank = math.ceil(len(ordered) * percent / 100)
    return ordered[max(rank, 1) - 1]


def middle(runs: Sequence[T], key: Callable[[T], float]) -> T:
    """The run whose key is the median (the lower of two): all its figures belong together."""
    ordered = sorted(runs, key=key)
    return ordered[(len(ordered) - 1) // 2]


def arrivals_ns(rate: float, seconds: float) -> list[int]:
    """When job 0, 1, 2 … of an open loop is to arrive, in ns from the start: evenly, whatever the system does."""
    return [round(number * NS_PER_SECOND / rate) for number in range(round(rate * seconds))]


def starts_per_second(starts: Sequence[Start], warm_up: float) -> float:
    """The rate of starts, without the first `warm_up` (a share) of them."""
    times = sorted(start.at_ns for start in starts)
    first = int(len(times) * warm_up)
    span_ns = times[-1] - times[first]
    return (len(times) - 1 - first) * NS_PER_SECOND / span_ns


def latencies_ms(starts: Sequence[Start], intended_ns: Sequence[int], warm_up: float = 0.0) -> list[float]:
    """From the time at which each job was to arrive (not: was sent) to its start, without the first of them."""
    first = int(len(intended_ns) * warm_up)
    return [(start.at_ns - intended_ns[start.number]) / NS_PER_MS for start in starts if start.number >= first]


def rate_with(per_second: float, added_per_second: float) -> float:
    """The rate of what happens so often a second, if each time something is added that alone happens so often."""
    return 1 / (1 / per_second + 1 / added_per_second)


def cost_percent(without: float, with_it: float) -> float:
    """What something takes of a rate, in percent of the rate without it."""
    return 100 * (1 - with_it / without)


median = statistics.median
