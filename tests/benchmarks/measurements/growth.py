"""Growth: what a delayed job costs beside ten million others, against ten thousand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final, cast

from benchmarks.bench import Bench, measurement
from benchmarks.bench_server import fresh_server
from benchmarks.figure import Figure, Plot, at_most
from benchmarks.processes import new_run

# The largest backlog of a full run.
JOBS_VARIABLE: Final = "JOBS"
JOBS: Final = 10_000_000
SMALL: Final = 10_000


@measurement("growth")
def growth(bench: Bench) -> Iterator[Figure | Plot]:
    most = bench.size(int(os.environ.get(JOBS_VARIABLE, JOBS)), 30_000)
    sizes = [size for size in (SMALL, 100_000, 1_000_000) if size < most] + [most]
    # No append-only file: filling would wait for the disk, and its cost does not depend on the backlog.
    with fresh_server(bench.flavour, "--appendonly", "no") as server, new_run(server.url) as run:
        found = cast("dict[str, dict[str, float]]", run.program("backlog", *sizes))
    for action in ("enqueue", "cancel", "promote"):
        small, large = found[str(SMALL)][action], found[str(most)][action]
        note = f"{large:.1f} µs of the server's CPU for a job, {small:.1f} µs beside {SMALL:,}"
        name = f"{action} beside {most:,} delayed"
        yield Figure(name, "times the cost", large / small, (at_most(large / small, 1.5),), note=note)
    lines = {
        action: [(float(size), found[str(size)][action]) for size in sizes]
        for action in ("enqueue", "cancel", "promote")
    }
    yield Plot("backlog", "Cost of a delayed job against the backlog", "jobs delayed", "µs of CPU a job", lines)
