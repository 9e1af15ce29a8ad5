"""Growth: what a delayed job costs beside ten million others, against ten thousand."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Final, cast

from benchmarks.bench import Bench, measurement
from benchmarks.bench_server import fresh_server
from benchmarks.figure import Figure, Plot, at_most
from benchmarks.processes import new_run

# The largest backlog of a full run.
JOBS_VARIABLE: Final = "JOBS"
JOBS: Final = 10_000_000
SMALL: Final = 10_000
# Of the commands that grew, so many are named.
MOST_NAMES: Final = 3


@measurement("growth")
def growth(bench: Bench) -> Iterator[Figure | Plot]:
    most = bench.size(int(os.environ.get(JOBS_VARIABLE, JOBS)), 30_000)
    sizes = [size for size in (SMALL, 100_000, 1_000_000) if size < most] + [most]
    # No append-only file: filling would wait for the disk, and its cost does not depend on the backlog.
    with fresh_server(bench.flavour, "--appendonly", "no") as server, new_run(server.url) as run:
        answer: object = run.program("backlog", *sizes)
        found = cast("dict[str, dict[str, dict[str, float]]]", answer)
    for action in ("enqueue", "cancel", "promote"):
        small, large = found[str(SMALL)][action], found[str(most)][action]
        ratio = large["cpu"] / small["cpu"]
        note = (
            f"{large['cpu']:.1f} µs of the server's CPU for a job, {small['cpu']:.1f} µs beside {SMALL:,}; "
            f"what grew most, in µs: {', '.join(grown_most(small, large))}"
        )
        yield Figure(f"{action} beside {most:,} delayed", "times the cost", ratio, (at_most(ratio, 1.5),), note=note)
    lines = {
        action: [(float(size), found[str(size)][action]["cpu"]) for size in sizes]
        for action in ("enqueue", "cancel", "promote")
    }
    yield Plot("backlog", "Cost of a delayed job against the backlog", "jobs delayed", "µs of CPU a job", lines)


def grown_most(small: Mapping[str, float], large: Mapping[str, float]) -> list[str]:
    """The commands (and `lua`) that take more than beside a small backlog, those that grew most first."""
    grown = sorted(((us - small.get(name, 0.0), name) for name, us in large.items() if name != "cpu"), reverse=True)
    return [f"{name} {small.get(name, 0.0):.1f} to {large[name]:.1f}" for _, name in grown[:MOST_NAMES]]
