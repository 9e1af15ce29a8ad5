"""The producer of delayed jobs: python -m benchmarks.delay PATTERN JOBS SECONDS LEAD_SECONDS; prints JSON.

The first may be due LEAD_SECONDS after the producer's start, the last SECONDS later. PATTERN: see `dues_ms`. One call
of enqueue_many for each millisecond at which some are due.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from itertools import groupby
from random import Random

from benchmarks.system import TEXT

# Jobs that a producer enqueues in a second, and calls for a millisecond's jobs that it makes, on a slow day: all are
# there before the first is due.
ENQUEUED_PER_SECOND = 12_000
CALLS_PER_SECOND = 1_500
LEAD_SECONDS = 1.0


def lead_seconds(jobs: int, seconds: float) -> float:
    """How long before the first is due the producer is to begin, of so many jobs that are due within so long."""
    return LEAD_SECONDS + jobs / ENQUEUED_PER_SECOND + min(jobs, seconds * 1000) / CALLS_PER_SECOND


def dues_ms(pattern: str, jobs: int, seconds: float) -> list[int]:
    """When job 0, 1, 2 … is due, in ms from the first that may be: `steady`, or at `random` times of a fixed seed."""
    if pattern == "steady":
        return [int(number * seconds * 1000 / jobs) for number in range(jobs)]
    if pattern == "random":
        random = Random(1)
        return sorted(int(random.uniform(0, seconds * 1000)) for _ in range(jobs))
    raise ValueError(f"no such pattern: {pattern}")


def groups(dues: list[int]) -> Iterator[tuple[int, list[int]]]:
    """Each due time with the numbers of its jobs."""
    for due, numbers in groupby(range(len(dues)), key=dues.__getitem__):
        yield due, list(numbers)


def main(pattern: str, jobs: int, seconds: float, lead_seconds: float) -> None:
    from benchmarks.systems.application import mill, noop
    from tidemill import Call, Task
    from tidemill.enqueueing import at

    first_ms = int((time.time() + lead_seconds) * 1000)
    for due, numbers in groups(dues_ms(pattern, jobs, seconds)):
        task: Task[..., object] = Task(mill.client, noop.definition, at(noop.options, first_ms + due))
        task.enqueue_many([Call((number, TEXT), {}) for number in numbers])
    print(json.dumps({"jobs": jobs, "first_ms": first_ms, "left_ms": first_ms - time.time() * 1000}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
