"""Accesses of programs, made by rule: what a cache must be good at."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final


def skewed(random: Random, length: int) -> list[int]:
    """A few keys are asked for all the time, most hardly ever: Zipf's law."""
    keys = range(5_000)
    return random.choices(keys, weights=[1 / (key + 1) for key in keys], k=length)


def shifting(random: Random, length: int) -> list[int]:
    """As `skewed`, and what is popular changes five times."""
    return [key + 10_000 * (place * 5 // length) for place, key in enumerate(skewed(random, length))]


def scanned(random: Random, length: int) -> list[int]:
    """As `skewed`, and a pass through keys that nobody asks for again comes in between, now and then."""
    found: list[int] = []
    for place, key in enumerate(skewed(random, length)):
        found.append(key)
        if place % 1_000 == 999:
            found += range(100_000 + place, 101_000 + place)
    return found[:length]


def looping(random: Random, length: int) -> list[int]:
    """Round and round through more keys than there is room for."""
    return [place % 1_000 for place in range(length)]


def recent(random: Random, length: int) -> list[int]:
    """What was asked for a little while ago is asked for again, then never more."""
    found: list[int] = []
    for place in range(length):
        back = random.randrange(1, 400)
        found.append(found[-back] if len(found) > back and random.random() < 0.7 else place + 1_000_000)
    return found


TRACES: Final[dict[str, Callable[[Random, int], list[int]]]] = {
    trace.__name__: trace for trace in (skewed, shifting, scanned, looping, recent)
}
