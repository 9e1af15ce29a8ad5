"""Many threads at once: nothing is raised, and the books agree afterwards."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from random import Random

from tidemill_consumers.cache import Cache, Reason

# A longer run: TIDEMILL_CACHE_SECONDS=30 pytest -o timeout=120 tests/cache/test_cache_threads.py
SECONDS = float(os.environ.get("TIDEMILL_CACHE_SECONDS", "1"))
THREADS = 8
MOST_ENTRIES = 200
MOST_BYTES = 20_000


class Hammer:
    """One thread's calls of a cache, and how many of them asked for something."""

    def __init__(self, cache: Cache[int, int], seed: int) -> None:
        self._cache = cache
        self._random = Random(seed)
        self.asked = 0

    def strike(self, until: float) -> int:
        while time.monotonic() < until:
            for _ in range(100):
                self._call(int(self._random.paretovariate(0.7)), self._random.random())
        return self.asked

    def _call(self, key: int, chance: float) -> None:
        if chance < 0.9:
            self.asked += 1
            assert self._cache.get(key) in {None, key}
        if chance > 0.8:
            ttl_seconds = 0.01 if chance > 0.98 else None
            self._cache.put(key, key, self._random.randrange(400), ttl_seconds=ttl_seconds)
        elif chance < 0.01:
            self._cache.discard(key)


def test_eight_threads_leave_entries_and_bytes_that_agree() -> None:
    lock = threading.Lock()
    gone: Counter[Reason] = Counter()

    def note(_key: int, _value: int, reason: Reason) -> None:
        with lock:
            gone[reason] += 1

    cache: Cache[int, int] = Cache(MOST_ENTRIES, MOST_BYTES, on_evict=note)
    until = time.monotonic() + SECONDS
    with ThreadPoolExecutor(THREADS) as threads:
        struck = [threads.submit(Hammer(cache, seed).strike, until) for seed in range(THREADS)]
        asked = [each.result() for each in struck]
    stats = cache.stats()
    assert stats.hits + stats.misses == sum(asked)
    assert stats.entries == len(cache) <= MOST_ENTRIES
    assert stats.bytes <= MOST_BYTES
    assert (stats.evicted, stats.expired) == (gone["full"], gone["expired"])
    assert stats.evicted > 0 < stats.expired
    _empty(cache)
    assert (cache.stats().bytes, len(cache)) == (0, 0), f"{stats.bytes} bytes were the sum of what was there"


def _empty(cache: Cache[int, int]) -> None:
    """One by one, so that each entry's bytes are taken off by themselves."""
    for key in range(1_000_000):
        if not len(cache):
            break
        cache.discard(key)
