"""Many threads at once: nothing is raised, and the books agree afterwards."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from random import Random

from tidemill_consumers.cache import Cache, Reason

# A longer run: TIDEMILL_CACHE_SECONDS=30 pytest tests/cache/test_cache_threads.py
SECONDS = float(os.environ.get("TIDEMILL_CACHE_SECONDS", "1"))
THREADS = 8


def test_eight_threads_leave_entries_and_bytes_that_agree() -> None:
    lock = threading.Lock()
    gone: Counter[Reason] = Counter()

    def note(key: int, value: int, reason: Reason) -> None:
        with lock:
            gone[reason] += 1

    cache: Cache[int, int] = Cache(200, 20_000, on_evict=note)
    until = time.monotonic() + SECONDS

    def hammer(seed: int) -> tuple[int, int]:
        random, asked, put = Random(seed), 0, 0
        while time.monotonic() < until:
            for _ in range(100):
                key = int(random.paretovariate(0.7))
                chance = random.random()
                if chance < 0.9:
                    asked += 1
                    found = cache.get(key)
                    assert found in (None, key)
                if chance > 0.8:
                    put += cache.put(key, key, random.randrange(400), ttl_seconds=0.01 if chance > 0.98 else None) or 1
                elif chance < 0.01:
                    cache.discard(key)
        return asked, put

    with ThreadPoolExecutor(THREADS) as threads:
        counts = list(threads.map(hammer, range(THREADS)))
    stats = cache.stats()
    assert stats.hits + stats.misses == sum(asked for asked, _ in counts)
    assert stats.entries == len(cache) <= 200
    assert stats.bytes <= 20_000
    assert (stats.evicted, stats.expired) == (gone["full"], gone["expired"])
    assert stats.evicted > 0 < stats.expired
    before = stats.bytes
    for key in range(1_000_000):
        if not len(cache):
            break
        cache.discard(key)
    assert (cache.stats().bytes, len(cache)) == (0, 0), f"{before} bytes were the sum of what was there"
