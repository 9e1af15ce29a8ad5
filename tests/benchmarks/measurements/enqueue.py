"""Enqueue: jobs a second of one producer over TCP, one by one and in bulk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from statistics import median

from benchmarks.bench import Bench, measurement
from benchmarks.bench_server import fresh_server
from benchmarks.figure import Figure, at_least, share_of_limit
from benchmarks.processes import Run, new_run
from benchmarks.verification import DoesNotCount

# The peers that have a call for it.
WITH_BULK = ("rq",)


def per_second(bench: Bench, produce: Callable[[Run], dict[str, float]]) -> float:
    with fresh_server(bench.flavour) as server, new_run(server.url) as run:
        answer = produce(run)
        held = server.client.dbsize()
        if not held:
            raise DoesNotCount("nothing is on the server")
        return answer["jobs"] / answer["seconds"]


def one_by_one(system: str, jobs: int, run: Run) -> dict[str, float]:
    return run.produce(system, "one", jobs, jobs // 5)


def in_bulk(system: str, jobs: int, run: Run) -> dict[str, float]:
    return run.produce(system, "fill", jobs)


def bare_one_by_one(jobs: int, run: Run) -> dict[str, float]:
    return run.program("bare_enqueue", "one", jobs, jobs // 5)


def bare_in_bulk(jobs: int, run: Run) -> dict[str, float]:
    return run.program("bare_enqueue", "many", jobs)


@measurement("enqueue")
def enqueue(bench: Bench) -> Iterator[Figure]:
    jobs, rounds = bench.size(8_000, 1_000), bench.size(3, 1)
    runs: dict[str, list[float]] = {"thread": [], "bare": []}
    for _ in range(rounds):
        runs["thread"].append(per_second(bench, partial(one_by_one, "thread", jobs)))
        runs["bare"].append(per_second(bench, partial(bare_one_by_one, jobs)))
    # Once: no goal is a ratio to them.
    peers = bench.of_peers(lambda name: per_second(bench, partial(one_by_one, name, jobs // 4)))
    ours, limit = median(runs["thread"]), median(runs["bare"])
    goals = (share_of_limit(ours, limit, 0.8),)
    yield Figure("enqueue, one by one", "jobs/s", ours, goals, limit, peers, tuple(runs["thread"]))


@measurement("enqueue_many")
def enqueue_many(bench: Bench) -> Iterator[Figure]:
    jobs, rounds = bench.size(100_000, 10_000), bench.size(3, 1)
    runs: dict[str, list[float]] = {"ours": [], "bare": []}
    for _ in range(rounds):
        runs["ours"].append(per_second(bench, partial(in_bulk, "thread", jobs)))
        runs["bare"].append(per_second(bench, partial(bare_in_bulk, jobs)))
    peers = bench.of_peers(
        lambda name: per_second(bench, partial(in_bulk, name, jobs // 10)),
        [name for name in WITH_BULK if name in bench.peers],
    )
    ours, limit = median(runs["ours"]), median(runs["bare"])
    yield Figure("enqueue_many", "jobs/s", ours, (at_least(ours, 150_000),), limit, peers, tuple(runs["ours"]))
