"""The cache is about as good as the better of recency and frequency, whatever the program does."""

from __future__ import annotations

from random import Random

import pytest

from cache.traces import TRACES
from tidemill_consumers.cache import Cache
from tidemill_consumers.cache.entry import Entry
from tidemill_consumers.cache.frequency import Frequency
from tidemill_consumers.cache.recency import Recency

LENGTH = 40_000


def of_expert(expert: Recency[int] | Frequency[int], keys: list[int]) -> float:
    return expert.use([Entry(key, None, 0, 1, None) for key in keys]) / len(keys)


def of_cache(keys: list[int], size: int) -> float:
    cache: Cache[int, int] = Cache(size)
    for key in keys:
        if cache.get(key) is None:
            cache.put(key, key)
    return cache.stats().hit_ratio


@pytest.mark.parametrize("size", [50, 500])
@pytest.mark.parametrize("trace", TRACES)
def test_it_is_within_three_points_of_the_better_expert(trace: str, size: int) -> None:
    keys = TRACES[trace](Random(1), LENGTH)
    recency, frequency = of_expert(Recency(size), keys), of_expert(Frequency(size, size), keys)
    assert of_cache(keys, size) >= max(recency, frequency) - 0.03


def test_each_expert_is_far_better_somewhere() -> None:
    """Else the comparison would say nothing."""
    loop, recent = (TRACES[name](Random(1), LENGTH) for name in ("looping", "recent"))
    assert of_expert(Frequency(500, 500), loop) > of_expert(Recency(500), loop) + 0.3
    assert of_expert(Recency(500), recent) > of_expert(Frequency(500, 500), recent) + 0.1


def test_the_lead_changes_with_what_the_program_does() -> None:
    cache: Cache[int, int] = Cache(500)
    for name, leader in (("recent", "recency"), ("looping", "frequency"), ("recent", "recency")):
        for key in TRACES[name](Random(2), LENGTH):
            if cache.get(key) is None:
                cache.put(key, key)
        assert cache.stats().leader == leader
    assert cache.stats().changes >= 2
