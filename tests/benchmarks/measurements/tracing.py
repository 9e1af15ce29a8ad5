"""What tracing costs with a real SDK: the drain with it, beside the drain without, and beside what its spans cost."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from statistics import median

from benchmarks.arithmetic import cost_percent, rate_with
from benchmarks.bench import Bench, measurement
from benchmarks.figure import Figure, at_most
from benchmarks.measurements.drain import drained_per_second
from benchmarks.processes import new_run


def spans_per_second(spans: int) -> float:
    """Of the bare program, which talks to no server."""
    with new_run("redis://127.0.0.1:1/0") as run:
        answer = run.program("bare_spans", spans)
        return answer["spans"] / answer["seconds"]


@measurement("tracing")
def tracing(bench: Bench) -> Iterator[Figure]:
    jobs = bench.size(20_000, 1_500)
    runs: dict[str, list[float]] = {"thread": [], "tracing": [], "spans": []}
    for _ in range(bench.size(3, 1)):
        for name in ("thread", "tracing"):
            runs[name].append(bench.counted(partial(drained_per_second, bench, name, jobs)))
        runs["spans"].append(bench.counted(partial(spans_per_second, jobs)))
    without, traced, spans = (median(runs[name]) for name in ("thread", "tracing", "spans"))
    cost, limit = cost_percent(without, traced), cost_percent(without, rate_with(without, spans))
    note = (
        f"{traced:,.0f} jobs/s with the SDK, {without:,.0f} without it; limit: the cost if each job took just one span "
        f"longer, of which the bare program makes {spans:,.0f} a second in one thread"
    )
    yield Figure("cost of tracing", "%", cost, (at_most(cost, 25),), limit, note=note)
