"""Pauses of the machine: for how long a process that only spins loses its CPU while nothing else is measured.

No latency of a run can be better than these: whatever is due while the machine stands still is late.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import repeat

from benchmarks.bench import Bench, measurement
from benchmarks.figure import Figure
from benchmarks.processes import new_run


def spun(seconds: float) -> list[dict[str, float]]:
    """What one spinning process for each CPU found, all at the same time: see `spin.py`."""
    cpus = sorted(os.sched_getaffinity(0))
    # The programs talk to no server.
    with new_run("") as run, ThreadPoolExecutor(len(cpus)) as threads:
        return list(threads.map(partial(run.program, "spin"), cpus, repeat(seconds)))


@measurement("machine")
def machine(bench: Bench) -> Iterator[Figure]:
    seconds = bench.size(10.0, 0.5)
    found = spun(seconds)
    pauses, longest_ms = sum(one["pauses"] for one in found), max(one["longest_ms"] for one in found)
    note = f"{pauses:,.0f} pauses of more than 1 ms in {seconds:g} s on {len(found)} CPUs"
    yield Figure("machine: longest pause of a CPU", "ms", longest_ms, note=note)
    lost_ms = sum(one["lost_ms"] for one in found) / len(found) / seconds
    yield Figure("machine: taken from a CPU in a second", "ms", lost_ms)
