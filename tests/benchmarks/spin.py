"""A process that only spins: python -m benchmarks.spin CPU SECONDS; prints JSON.

It runs on one CPU and reads the clock over and over. Where two readings lie more than a millisecond apart, the CPU was
taken away from it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

from benchmarks.arithmetic import NS_PER_MS, NS_PER_SECOND

# Two readings are less than a microsecond apart, and what an interrupt takes of a CPU is far below this.
SHORTEST_PAUSE_NS: Final = NS_PER_MS


def clock_ns(seconds: float) -> Iterator[int]:
    """Readings of the clock, for so long."""
    now = time.perf_counter_ns()
    end = now + int(seconds * NS_PER_SECOND)
    while now < end:
        yield now
        now = time.perf_counter_ns()
    yield now


def pauses_ms(readings: Iterable[int]) -> list[float]:
    """The gaps between readings in ns that are longer than the shortest pause."""
    return [(after - before) / NS_PER_MS for before, after in pairwise(readings) if after - before > SHORTEST_PAUSE_NS]


def main(cpu: int, seconds: float) -> None:
    os.sched_setaffinity(0, {cpu})
    found = pauses_ms(clock_ns(seconds))
    print(json.dumps({"pauses": len(found), "longest_ms": max(found, default=0.0), "lost_ms": sum(found)}))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
