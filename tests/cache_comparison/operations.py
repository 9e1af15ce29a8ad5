"""What an operation costs, and what an entry takes beside its key and value: ours, cachetools' LRU and a plain dict."""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

from tidemill_consumers.cache import Cache

ENTRIES: Final = 1_000
OPERATIONS: Final = 20_000
# The fastest of them counts: what the machine does besides only adds.
REPEATS: Final = 15
MEMORY_ENTRIES: Final = 20_000


def cachetools_lru(entries: int) -> Any:
    """From the extra `bench`; by name, since type checkers are to pass without it."""
    return importlib.import_module("cachetools").LRUCache(entries)


class Timings:
    """Each program does 20,000 operations; by turns, so that all of them see the same machine."""

    def __init__(self) -> None:
        random = Random(1)
        self._hits = [random.randrange(ENTRIES) for _ in range(OPERATIONS)]
        self._fresh = ENTRIES
        self._cache: Cache[int, int] = Cache(ENTRIES)
        self._peer = cachetools_lru(ENTRIES)
        for key in range(ENTRIES):
            self._cache.put(key, key)
            self._peer[key] = key

    def take(self) -> dict[tuple[str, str], float]:
        """Microseconds of CPU for an operation, by operation and cache."""
        programs: dict[tuple[str, str], Callable[[], None]] = {
            ("get, a hit", "Tidemill"): self._get,
            ("get, a hit", "cachetools"): self._get_of_peer,
            ("put, which evicts", "Tidemill"): self._put,
            ("put, which evicts", "cachetools"): self._put_of_peer,
        }
        found: dict[tuple[str, str], float] = {}
        # Those of hits come first, while all keys are there.
        for operation in ("get, a hit", "put, which evicts"):
            ours = {name: program for name, program in programs.items() if name[0] == operation}
            for _ in range(REPEATS):
                for name, program in ours.items():
                    began = time.process_time_ns()
                    program()
                    taken = (time.process_time_ns() - began) / 1000 / OPERATIONS
                    found[name] = min(found.get(name, taken), taken)
        return found

    def _get(self) -> None:
        get = self._cache.get
        for key in self._hits:
            get(key)

    def _get_of_peer(self) -> None:
        get = self._peer.get
        for key in self._hits:
            get(key)

    def _fresh_keys(self) -> range:
        self._fresh += OPERATIONS
        return range(self._fresh - OPERATIONS, self._fresh)

    def _put(self) -> None:
        put = self._cache.put
        for key in self._fresh_keys():
            put(key, key)

    def _put_of_peer(self) -> None:
        peer = self._peer
        for key in self._fresh_keys():
            peer[key] = key


def bytes_per_entry(kind: str) -> str:
    """In the end, and at most; in a process of its own, so that what others have left in its memory does not count."""
    ran = subprocess.run(
        [sys.executable, "-m", "cache_comparison.operations", kind], capture_output=True, text=True, check=True
    )
    return ran.stdout.strip()


def _filled(kind: str, keys: list[int]) -> object:
    """More keys than there is room for, each asked for: so everything is there that a full cache keeps."""
    if kind == "dict":
        return dict.fromkeys(keys[:MEMORY_ENTRIES])
    if kind == "cachetools":
        peer = cachetools_lru(MEMORY_ENTRIES)
        for key in keys:
            peer[key] = None
        return peer
    cache: Cache[int, None] = Cache(MEMORY_ENTRIES)
    for key in keys:
        cache.put(key, None)
        cache.get(key)
    return cache


def _measure(kind: str) -> tuple[float, float]:
    keys = list(range(12 * MEMORY_ENTRIES))  # made before: the keys themselves are nobody's overhead
    _filled(kind, keys[:100])  # imports, and what is made once
    tracemalloc.start()
    kept = _filled(kind, keys)
    now, most = tracemalloc.get_traced_memory()
    del kept
    return now / MEMORY_ENTRIES, most / MEMORY_ENTRIES


def table() -> Iterator[str]:
    """Of a page."""
    timings = Timings().take()
    yield "| | Tidemill | cachetools' LRU | a dict |"
    yield "| --- | ---: | ---: | ---: |"
    for operation in ("get, a hit", "put, which evicts"):
        ours, peer = timings[operation, "Tidemill"], timings[operation, "cachetools"]
        yield f"| {operation} | {ours:.2f} µs | {peer:.2f} µs | |"
    sizes = [bytes_per_entry(kind) for kind in ("tidemill", "cachetools", "dict")]
    yield f"| bytes for an entry, in the end and at most | {' | '.join(sizes)} |"


if __name__ == "__main__":
    print("{:.0f}, {:.0f}".format(*_measure(sys.argv[1])))
