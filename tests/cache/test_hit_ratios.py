"""The cache is about as good as the better of recency and frequency, whatever the program does."""

from __future__ import annotations

from random import Random

import pytest

from cache.traces import TRACES
from tidemill_consumers.cache import Cache
from tidemill_consumers.cache.entry import Entry
from tidemill_consumers.cache.frequency import Frequency
from tidemill_consumers.cache.popularity import Popularity
from tidemill_consumers.cache.recency import Recency

LENGTH = 40_000


def of_recency(keys: list[int], size: int) -> float:
    return Recency[int](size).use([Entry(key, None, 0, 1, None) for key in keys]) / len(keys)


def of_frequency(keys: list[int], size: int) -> float:
    popularity = Popularity[int](size)
    expert, hits = Frequency(size, size, popularity), 0
    for key in keys:
        used = [Entry(key, None, 0, 1, None)]
        popularity.count(used)
        hits += expert.use(used)
    return hits / len(keys)


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
    assert of_cache(keys, size) >= max(of_recency(keys, size), of_frequency(keys, size)) - 0.03


def test_each_expert_is_far_better_somewhere() -> None:
    """Else the comparison would say nothing."""
    loop, recent = (TRACES[name](Random(1), LENGTH) for name in ("looping", "recent"))
    assert of_frequency(loop, 500) > of_recency(loop, 500) + 0.3
    assert of_recency(recent, 500) > of_frequency(recent, 500) + 0.1


@pytest.mark.parametrize(("trace", "size"), [("object_mapper", 200), ("loop_and_recent", 500)])
def test_a_program_that_does_both_at_once_is_served_better_than_by_either(trace: str, size: int) -> None:
    keys = TRACES[trace](Random(1), LENGTH)
    assert of_cache(keys, size) > max(of_recency(keys, size), of_frequency(keys, size)) + 0.02


def test_no_more_counters_are_kept_than_ten_for_each_entry() -> None:
    popularity = Popularity[int](20)
    most = 0
    for key in range(10_000):
        popularity.count([Entry(key, None, 0, 1, None)])
        most = max(most, len(popularity.counts))
    assert 100 <= most <= 200


def test_the_lead_changes_with_what_the_program_does() -> None:
    cache: Cache[int, int] = Cache(500)
    for name, leader in (("recent", "recency"), ("looping", "frequency"), ("recent", "recency")):
        for key in TRACES[name](Random(2), LENGTH):
            if cache.get(key) is None:
                cache.put(key, key)
        assert cache.stats().leader == leader
    assert cache.stats().changes >= 2
