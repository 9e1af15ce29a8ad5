"""Server memory per queued and per delayed small job: an int and a string of 64 bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.bench import Bench, measurement
from benchmarks.bench_server import fresh_server
from benchmarks.figure import Figure, at_most, no_peer_below
from benchmarks.processes import Run, new_run

# When the delayed jobs of this measurement are due: not while it lasts.
FAR_SECONDS = 3_600


def bytes_per_job(bench: Bench, jobs: int, fill: Callable[[Run, int], object]) -> float:
    """The growth of the server's data, without its connections. A first job makes what is there once."""
    with fresh_server(bench.flavour) as server, new_run(server.url) as run:
        fill(run, 1)
        before = server.used_memory()
        fill(run, jobs)
        return (server.used_memory() - before) / jobs


def queued(system: str, run: Run, jobs: int) -> object:
    return run.produce(system, "fill", jobs)


def delayed(run: Run, jobs: int) -> object:
    return run.program("delay", "steady", jobs, 60, FAR_SECONDS)


@measurement("memory")
def memory(bench: Bench) -> Iterator[Figure]:
    jobs = bench.size(20_000, 2_000)
    ours = bytes_per_job(bench, jobs, partial(queued, "thread"))
    peers = bench.of_peers(lambda name: bytes_per_job(bench, jobs // 5, partial(queued, name)))
    goals = (at_most(ours, 200), *no_peer_below(ours, peers))
    yield Figure("memory per queued job", "bytes", ours, goals, None, peers)
    ours = bytes_per_job(bench, jobs, delayed)
    yield Figure("memory per delayed job", "bytes", ours, (at_most(ours, 230),))
