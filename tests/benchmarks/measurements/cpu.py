"""Whose CPU time a job takes, and on what the server spends it: what stands in the way of the rates."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from benchmarks.arithmetic import NS_PER_SECOND
from benchmarks.bench import Bench, measurement
from benchmarks.bench_server import fresh_server
from benchmarks.figure import Figure
from benchmarks.processes import Run, descendants, new_run, stat_fields, tidemill
from benchmarks.server_cpu import US_PER_SECOND, Spent
from tidemill import Tidemill

DUE_PER_SECOND: Final = 23_000
TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")


def cpu_seconds(*pids: int) -> float:
    """Of these processes and all that they have started."""
    ticks = 0
    for pid in [one for root in pids for one in (root, *descendants(root))]:
        if fields := stat_fields(pid):
            ticks += int(fields[11]) + int(fields[12])  # utime and stime
    return ticks / TICKS_PER_SECOND


def figure(name: str, jobs: int, wall_seconds: float, clients_seconds: float, server: Spent) -> Figure:
    wall_us, clients_us = (seconds * US_PER_SECOND / jobs for seconds in (wall_seconds, clients_seconds))
    note = (
        f"of {wall_us:.1f} µs of wall time; on the client's side {clients_us:.1f} µs of CPU; "
        f"on the server (wall time): {', '.join(server.most())}"
    )
    return Figure(f"server's CPU for a job, {name}", "µs", server.main_thread_us, note=note)


def enqueued_and_drained(bench: Bench, jobs: int) -> Iterator[Figure]:
    """Of the producer, then of a worker. Raises DoesNotCount unless each job ran once."""
    with fresh_server(bench.flavour) as server, new_run(server.url) as run:
        before = Spent.by(server)
        answer = run.produce("thread", "fill", jobs)
        spent = Spent.by(server).for_each(jobs, before)
        yield figure("enqueue_many", jobs, answer["seconds"], answer["cpu_seconds"], spent)
        # Paused until the worker is up: nothing is to run before it is looked at for the first time.
        mill = Tidemill(server.url)
        mill.inspect.pause("default")
        with mill, run.worker("thread") as pid:
            run.registered(server, 1)
            used, before = cpu_seconds(pid), Spent.by(server)
            mill.inspect.resume("default")
            run.finished(jobs)
            run.settled(server, jobs)
            used, spent = cpu_seconds(pid) - used, Spent.by(server).for_each(jobs, before)
        yield figure("drain", jobs, seconds_between(run), used, spent)


def fallen_due(bench: Bench, seconds: float) -> Figure:
    """Of the scheduler and a worker, once all is enqueued. Raises DoesNotCount unless each job ran once."""
    jobs = round(DUE_PER_SECOND * seconds)
    with (
        fresh_server(bench.flavour) as server,
        new_run(server.url) as run,
        run.worker("thread") as worker,
        run.process(tidemill("scheduler")) as scheduler,
    ):
        run.registered(server, 1)
        run.delay("steady", jobs, seconds)
        used, before = cpu_seconds(worker, scheduler), Spent.by(server)
        run.finished(jobs)
        run.settled(server, jobs)
        used, spent = cpu_seconds(worker, scheduler) - used, Spent.by(server).for_each(jobs, before)
        return figure(f"{DUE_PER_SECOND:,} due/s", jobs, seconds_between(run), used, spent)


def seconds_between(run: Run) -> float:
    """From the first start to the last."""
    times = [start.at_ns for start in run.starts()]
    return (max(times) - min(times)) / NS_PER_SECOND


@measurement("cpu")
def cpu(bench: Bench) -> Iterator[Figure]:
    yield from bench.counted(lambda: list(enqueued_and_drained(bench, bench.size(60_000, 2_000))))
    yield bench.counted(lambda: fallen_due(bench, bench.size(3.0, 0.1)))
