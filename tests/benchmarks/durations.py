"""The producer of jobs of mixed durations: python -m benchmarks.durations JOBS; prints JSON."""

from __future__ import annotations

import json
import sys
from random import Random
from typing import Final

# Durations in ms, and how many of each there are for every 10 jobs.
KINDS: Final = ((1, 6), (100, 3), (2_000, 1))


def durations_ms(jobs: int) -> list[int]:
    """How long job 0, 1, 2 … takes: in an order without a pattern, the same each time."""
    kinds = [duration for duration, share in KINDS for _ in range(share)]
    found = [kinds[number % len(kinds)] for number in range(jobs)]
    Random(1).shuffle(found)
    return found


def main(jobs: int) -> None:
    from benchmarks.systems.application import busy
    from tidemill import Call

    busy.enqueue_many([Call((number, duration), {}) for number, duration in enumerate(durations_ms(jobs))])
    print(json.dumps({"jobs": jobs}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
