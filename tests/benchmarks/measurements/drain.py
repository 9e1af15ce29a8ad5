"""Drain: how fast one worker process empties a long queue of jobs that do nothing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from statistics import median

from benchmarks.arithmetic import starts_per_second
from benchmarks.bench import Bench, measurement
from benchmarks.bench_server import fresh_server
from benchmarks.figure import Figure, Goal, at_least, share_of_limit, times_best_peer
from benchmarks.processes import new_run
from benchmarks.system import PEERS

# Of the starts, which are not measured: the worker's first ones run while it is still warming up.
WARM_UP = 0.2
# Some start fewer jobs a second than others, by about this factor: fewer suffice for them.
SLOWER = {"process": 4, "rq": 5}


def drained_per_second(bench: Bench, system: str, jobs: int) -> float:
    """Starts a second. Raises DoesNotCount unless each job ran once and, for ours, was settled."""
    with fresh_server(bench.flavour) as server, new_run(server.url) as run:
        run.produce(system, "fill", jobs)
        with run.worker(system):
            starts = run.finished(jobs)
            if system not in PEERS:
                run.settled(server, jobs)
        return starts_per_second(starts, WARM_UP)


def bare_per_second(bench: Bench, jobs: int) -> float:
    with fresh_server(bench.flavour) as server, new_run(server.url) as run:
        run.produce("thread", "fill", jobs)
        answer = run.program("bare_drain", jobs)
        return answer["jobs"] / answer["seconds"]


@measurement("drain")
def drain(bench: Bench) -> Iterator[Figure]:
    jobs, peer_jobs, rounds = bench.size(50_000, 2_000), bench.size(2_500, 200), bench.size(3, 1)
    names = ("thread", "async", "process")
    runs: dict[str, list[float]] = {name: [] for name in (*names, "bare", *bench.peers)}
    for _ in range(rounds):  # interleaved: a machine that slows down slows down all
        for name in names:
            runs[name].append(bench.counted(partial(drained_per_second, bench, name, jobs // SLOWER.get(name, 1))))
        runs["bare"].append(bench.counted(lambda: bare_per_second(bench, jobs)))
        found = bench.of_peers(lambda name: drained_per_second(bench, name, peer_jobs // SLOWER.get(name, 1)))
        for name, rate in found.items():
            runs[name].append(rate)
    peers = {name: median(runs[name]) for name in bench.peers if runs[name]}
    limit = median(runs["bare"])
    for name in names:
        ours = median(runs[name])
        goals: dict[str, list[Goal]] = {
            "thread": [at_least(ours, 60_000), share_of_limit(ours, limit, 0.5), *times_best_peer(ours, peers, 8)],
            "async": [at_least(ours, 50_000), *times_best_peer(ours, peers, 7)],
            "process": [at_least(ours, 15_000)],
        }
        yield Figure(f"drain, {name}", "jobs/s", ours, tuple(goals[name]), limit, peers, tuple(runs[name]))
