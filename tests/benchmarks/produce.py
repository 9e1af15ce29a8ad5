"""The producer of a run, for any system: python -m benchmarks.produce SYSTEM ACTION NUMBERS…; prints JSON.

| action | numbers | what |
| --- | --- | --- |
| fill | jobs | enqueues them as fast as it can, in bulk where the system has a call for that |
| probe | | one job with the number -1: when it has run, the worker is up |
| one | jobs, warm-up jobs | enqueues them one by one, each answered before the next |
| open_loop | rate, seconds, batch ms | job n arrives n / rate seconds after the start, whatever the system does; with a
    batch, those of so many ms go in one call |
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.arithmetic import NS_PER_MS, NS_PER_SECOND, arrivals_ns
from benchmarks.system import System, load

# Enough calls of `enqueue_many` that none is a large one.
FILL_CHUNK = 10_000
# Between the producer's start and the first arrival.
LEAD_NS = 50_000_000


def _enqueue_all(system: System, numbers: Sequence[int]) -> None:
    if system.enqueue_many:
        system.enqueue_many(numbers)
    else:
        for number in numbers:
            system.enqueue(number)


def fill(system: System, jobs: int) -> dict[str, float]:
    began, used = time.perf_counter(), time.process_time()
    for start in range(0, jobs, FILL_CHUNK):
        _enqueue_all(system, range(start, min(start + FILL_CHUNK, jobs)))
    return {"jobs": jobs, "seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - used}


def one(system: System, jobs: int, warm_up: int = 0) -> dict[str, float]:
    for number in range(warm_up):
        system.enqueue(number)
    began = time.perf_counter()
    for number in range(warm_up, warm_up + jobs):
        system.enqueue(number)
    return {"jobs": jobs, "seconds": time.perf_counter() - began}


def open_loop(system: System, rate: float, seconds: float, batch_ms: float = 0) -> dict[str, float]:
    arrivals = arrivals_ns(rate, seconds)
    start_ns = time.time_ns() + LEAD_NS
    sent = 0
    while sent < len(arrivals):
        now_ns = time.time_ns() - start_ns
        come = sent
        while come < len(arrivals) and arrivals[come] <= now_ns:
            come += 1
        if come == sent:
            # A batch is collected: its first job waits for the others.
            wait_ns = arrivals[sent] - now_ns + (batch_ms * NS_PER_MS if rate * batch_ms >= 1000 else 0)
            time.sleep(wait_ns / NS_PER_SECOND)
        elif batch_ms:
            _enqueue_all(system, range(sent, come))
        else:
            system.enqueue(sent)
            come = sent + 1
        sent = max(sent, come)
    return {"jobs": sent, "start_ns": start_ns}


def probe(system: System) -> dict[str, float]:
    system.enqueue(-1)
    return {"jobs": 1}


ACTIONS: Final[dict[str, Callable[..., dict[str, float]]]] = {
    "fill": fill,
    "one": one,
    "open_loop": open_loop,
    "probe": probe,
}


def main(name: str, action: str, *numbers: str) -> None:
    system = load(name)
    values = [float(number) if "." in number else int(number) for number in numbers]
    print(json.dumps(ACTIONS[action](system, *values)))


if __name__ == "__main__":
    main(*sys.argv[1:])
