"""When jobs arrive: seconds, in order."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

Rate = Callable[[float], float]  # jobs a second at a time


def poisson(rate: Rate, most: float, until: float, randomness: random.Random) -> Iterator[float]:
    """A Poisson process whose rate changes, by thinning one of the rate `most`, which `rate` never exceeds.

    Source: Lewis and Shedler, "Simulation of nonhomogeneous Poisson processes by thinning", 1979.
    """
    now = 0.0
    while (now := now + randomness.expovariate(most)) < until:
        if randomness.random() * most < rate(now):
            yield now


def constant(jobs_per_second: float) -> Rate:
    """Always the same rate."""
    return lambda _: jobs_per_second


def bursts(high: float, low: float, high_seconds: float, low_seconds: float) -> Rate:
    """High, low, high, low."""
    return lambda now: high if now % (high_seconds + low_seconds) < high_seconds else low


def step(before: float, during: float, start: float, end: float) -> Rate:
    """Another rate from `start` to `end`."""
    return lambda now: during if start <= now < end else before
