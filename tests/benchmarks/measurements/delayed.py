"""Lateness of delayed jobs: from the time at which each is due to its start."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.arithmetic import percentile
from benchmarks.bench import Bench, measurement
from benchmarks.bench_server import fresh_server
from benchmarks.delay import dues_ms
from benchmarks.figure import Figure, Goal, at_most
from benchmarks.processes import new_run, tidemill


@dataclass(frozen=True, slots=True)
class Lateness:
    p50_ms: float
    p99_ms: float
    early: int


def lateness(bench: Bench, pattern: str, jobs: int, seconds: float) -> Lateness:
    """With one worker process and one scheduler. Raises DoesNotCount unless each job ran, once."""
    with (
        fresh_server(bench.flavour) as server,
        new_run(server.url) as run,
        run.worker("thread"),
        run.process(tidemill("scheduler")),
    ):
        run.produce("thread", "probe")
        run.noted(1)
        answer = run.delay(pattern, jobs, seconds)
        starts = run.finished(jobs, extra=1)
        run.settled(server, jobs + 1)
    dues = dues_ms(pattern, jobs, seconds)
    late = [start.at_ns / 1e6 - answer["first_ms"] - dues[start.number] for start in starts]
    return Lateness(percentile(late, 50), percentile(late, 99), sum(ms < 0 for ms in late))


@measurement("delayed")
def delayed(bench: Bench) -> Iterator[Figure]:
    rate, seconds = 23_000, bench.size(20.0, 0.2)
    found = bench.counted(lambda: lateness(bench, "steady", round(rate * seconds), seconds))
    name = f"{rate:,} due/s for {seconds:g} s"
    yield Figure(f"{name}, lateness p50", "ms", found.p50_ms, (at_most(found.p50_ms, 1),))
    yield Figure(f"{name}, lateness p99", "ms", found.p99_ms, (at_most(found.p99_ms, 5),))
    yield Figure(f"{name}, early", "jobs", found.early, (Goal("none", not found.early),))
    jobs, seconds = bench.size((5_000, 10), (200, 1))
    # Once, for the sake of the whole run's length: a single pause of the machine is 1 % of these jobs.
    found = bench.counted(lambda: lateness(bench, "random", jobs, seconds))
    name = f"{jobs:,} at random times in {seconds} s"
    yield Figure(f"{name}, lateness p50", "ms", found.p50_ms)
    yield Figure(f"{name}, lateness p99", "ms", found.p99_ms, (at_most(found.p99_ms, 2),))
    yield Figure(f"{name}, early", "jobs", found.early, (Goal("none", not found.early),))
