"""Start latency at an open load, and the highest load that is sustained: from the intended arrival to the start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.arithmetic import NS_PER_MS, NS_PER_SECOND, arrivals_ns, latencies_ms, middle, percentile
from benchmarks.bench import Bench, measurement
from benchmarks.bench_server import fresh_server
from benchmarks.figure import Figure, Goal, Plot, at_most, no_peer_below
from benchmarks.processes import Run, new_run
from benchmarks.system import PEERS
from benchmarks.verification import DoesNotCount

# Of the arrivals, which are not measured.
WARM_UP = 0.2
# Micro-batches of the producer at high loads, as a service has them that collects what comes in a millisecond.
BATCH_MS = 1
# A load is sustained when its last job starts within this time of its arrival: nothing has piled up.
MOST_LAG_MS = 100.0
# From here on one call for each job is the producer's own limit.
BATCH_FROM_RATE = 2_000
# What a peer can't run anyway is not asked of it.
MOST_RATE = {"rq": 300}


@dataclass(frozen=True, slots=True)
class Latency:
    """Of one run: start latency, how late the last job started, and the jobs a second from first arrival to then."""

    p50_ms: float
    p99_ms: float
    lag_ms: float
    per_second: float


def measure(bench: Bench, system: str, rate: float, seconds: float, batch_ms: float = 0) -> Latency:
    """Raises DoesNotCount unless each job ran once (and, for ours, was settled)."""
    with fresh_server(bench.flavour) as server, new_run(server.url) as run, run.worker(system):
        _wait_until_it_works(run, system)
        answer = run.produce(system, "open_loop", rate, seconds, batch_ms)
        jobs = round(rate * seconds)
        starts = run.finished(jobs, extra=1)
        if system not in PEERS:
            run.settled(server, jobs + 1)
        intended = [round(answer["start_ns"]) + arrival for arrival in arrivals_ns(rate, seconds)]
        found = latencies_ms(starts, intended, WARM_UP)
        last_ns = max(start.at_ns for start in starts)
        lag_ms = (last_ns - intended[-1]) / NS_PER_MS
        per_second = jobs * NS_PER_SECOND / (last_ns - intended[0])
        return Latency(percentile(found, 50), percentile(found, 99), lag_ms, per_second)


def _wait_until_it_works(run: Run, system: str) -> None:
    """One job, numbered -1, shows that the worker is up."""
    run.produce(system, "probe")
    run.noted(1)


def _of_peer(bench: Bench, rate: float, seconds: float, peer: str) -> Latency:
    return measure(bench, peer, rate, seconds)


@measurement("latency")
def latency(bench: Bench) -> Iterator[Figure]:
    seconds, rounds = bench.size(4.0, 0.5), bench.size(3, 1)
    for rate in bench.size((200, 1_000), (1_000,)):
        runs: dict[str, list[Latency]] = {"thread": [], "async": []}
        for _ in range(rounds):
            for name, found in runs.items():
                found.append(bench.counted(partial(measure, bench, name, rate, seconds)))
        able = [name for name in bench.size(bench.peers, ()) if rate <= MOST_RATE.get(name, rate)]
        peers = bench.of_peers(partial(_of_peer, bench, rate, seconds), able)
        for name, found in runs.items():
            yield from _figures(f"start latency, {name}, {rate:,}/s", found, peers)


def _figures(name: str, runs: Sequence[Latency], peers: dict[str, Latency]) -> Iterator[Figure]:
    ours = middle(runs, lambda run: run.p99_ms)
    p50 = {peer: found.p50_ms for peer, found in peers.items()}
    p99 = {peer: found.p99_ms for peer, found in peers.items()}
    goals = (at_most(ours.p50_ms, 0.35), *no_peer_below(ours.p50_ms, p50))
    yield Figure(f"{name}, p50", "ms", ours.p50_ms, goals, None, p50, tuple(run.p50_ms for run in runs))
    goals = (at_most(ours.p99_ms, 1), *no_peer_below(ours.p99_ms, p99))
    yield Figure(f"{name}, p99", "ms", ours.p99_ms, goals, None, p99, tuple(run.p99_ms for run in runs))


@measurement("sustained")
def sustained(bench: Bench) -> Iterator[Figure]:
    """23,000 jobs a second through enqueue, stream, run and settlement."""
    rate, seconds = 23_000, bench.size(30.0, 0.5)

    found = bench.counted(partial(measure, bench, "thread", rate, seconds, BATCH_MS))
    goal = Goal(f"{rate:,}, and nothing piles up", found.lag_ms <= MOST_LAG_MS)
    note = f"for {seconds:g} s, in micro-batches of {BATCH_MS} ms; the last job started {found.lag_ms:,.1f} ms late"
    yield Figure(f"offered {rate:,} jobs/s", "jobs/s", found.per_second, (goal,), note=note)
    yield Figure(f"at {rate:,}/s, p50", "ms", found.p50_ms)
    yield Figure(f"at {rate:,}/s, p99", "ms", found.p99_ms, (at_most(found.p99_ms, 12),))


@measurement("load")
def load(bench: Bench) -> Iterator[Plot]:
    """The plot of latency against load, until a load is not sustained."""
    seconds = bench.size(2.0, 0.3)
    rates = bench.size((200, 1_000, 2_000, 5_000, 10_000, 20_000, 40_000), (200, 2_000))
    lines: dict[str, list[tuple[float, float]]] = {"p50": [], "p99": []}
    for rate in rates:
        try:
            found = measure(bench, "thread", rate, seconds, BATCH_MS if rate >= BATCH_FROM_RATE else 0)
        except DoesNotCount as error:
            bench.say(f"at {rate:,}/s: {error}")
            break
        lines["p50"].append((rate, found.p50_ms))
        lines["p99"].append((rate, found.p99_ms))
        if found.lag_ms > MOST_LAG_MS:
            bench.say(f"{rate:,}/s are not sustained: the last job started {found.lag_ms:,.0f} ms after its arrival")
            break
    yield Plot("latency", "Start latency against load", "jobs/s", "ms from intended arrival to start", lines)
