"""What tracing costs with a real SDK: the drain with it, beside the drain without."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from statistics import median

from benchmarks.bench import Bench, measurement
from benchmarks.figure import Figure, at_most
from benchmarks.measurements.drain import drained_per_second


@measurement("tracing")
def tracing(bench: Bench) -> Iterator[Figure]:
    jobs = bench.size(40_000, 3_000)
    runs: dict[str, list[float]] = {"thread": [], "tracing": []}
    for _ in range(bench.size(3, 1)):
        for name, rates in runs.items():
            rates.append(bench.counted(partial(drained_per_second, bench, name, jobs)))
    without, traced = median(runs["thread"]), median(runs["tracing"])
    cost = 100 * (1 - traced / without)
    note = f"{traced:,.0f} jobs/s with the SDK, {without:,.0f} without it"
    yield Figure("cost of tracing", "%", cost, (at_most(cost, 25),), note=note)
