"""Templates: what a job of one costs, beside the same job sent whole, compressed, and beside a small plain one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Final

from benchmarks.arithmetic import starts_per_second
from benchmarks.bench import Bench, measurement
from benchmarks.bench_server import BenchServer, fresh_server
from benchmarks.figure import Figure, at_least, at_most
from benchmarks.measurements.cpu import cpu_seconds
from benchmarks.processes import new_run
from benchmarks.server_cpu import US_PER_SECOND
from tidemill import Tidemill

WARM_UP: Final = 0.2
# How a job is sent, and how the table names it.
WAYS: Final = {
    "template": "of a template",
    "flat_template": "of a template of texts",
    "small": "small and plain",
    "whole": "sent whole",
    "zstd": "whole, zstd",
    "zstd_dictionary": "whole, zstd with a dictionary",
}

COMPARED: Final = {"template": "of nested defaults", "flat_template": "of texts"}


@dataclass(frozen=True, slots=True)
class Sent:
    """What a job of one way costs: bytes in the server's memory and over the network to it, µs of the producer's and of
    the worker's CPU, and jobs a second of one worker that drains them."""

    memory_bytes: float
    network_bytes: float
    producer_us: float
    worker_us: float
    per_second: float


def held_bytes(bench: Bench, way: str, jobs: int) -> float:
    """What a queued job takes in the server's memory."""
    with fresh_server(bench.flavour) as server, new_run(server.url) as run:
        run.produce(f"as_{way}", "probe")
        before = server.used_memory()
        run.produce(f"as_{way}", "fill", jobs)
        return (server.used_memory() - before) / jobs


def sent(bench: Bench, way: str, jobs: int) -> Sent:
    """Enqueued in bulk, then drained by one worker process on threads. Raises DoesNotCount unless each job ran once."""
    system = f"as_{way}"
    with fresh_server(bench.flavour) as server, new_run(server.url) as run:
        run.produce(system, "probe")
        memory, network = server.used_memory(), _received_bytes(server)
        answer = run.produce(system, "fill", jobs)
        memory, network = server.used_memory() - memory, _received_bytes(server) - network
        mill = Tidemill(server.url)
        mill.inspect.pause("default")
        with mill, run.worker(system) as pid:
            run.registered(server, 1)
            used = cpu_seconds(pid)
            mill.inspect.resume("default")
            starts = run.finished(jobs, extra=1)
            run.settled(server, jobs + 1)
            used = cpu_seconds(pid) - used
        return Sent(
            memory / jobs,
            network / jobs,
            answer["cpu_seconds"] * US_PER_SECOND / jobs,
            used * US_PER_SECOND / jobs,
            starts_per_second(starts, WARM_UP),
        )


def _received_bytes(server: BenchServer) -> int:
    return int(server.client.info("stats")["total_net_input_bytes"])


@measurement("templates")
def templates(bench: Bench) -> Iterator[Figure]:
    jobs, drained, compared, rounds = bench.size((100_000, 15_000, 50_000, 2), (1_000, 500, 500, 0))
    yield _memory({way: held_bytes(bench, way, jobs) for way in ("template", "whole")})
    runs = {way: bench.counted(partial(sent, bench, way, drained)) for way in WAYS}
    # In rounds, one beside the other: a machine that slows down slows down all. What runs first is warm by now.
    ways = ("small", *COMPARED)
    found = [{way: bench.counted(partial(sent, bench, way, compared)) for way in ways} for _ in range(rounds)] or [runs]
    for way, what in COMPARED.items():
        yield from _compared(what, [(one[way], one["small"]) for one in found])
    for way, name in WAYS.items():
        yield from _each(name, runs[way])
    yield from _steps(bench)


def _memory(held: dict[str, float]) -> Figure:
    ratio = held["template"] / held["whole"]
    note = ", ".join(f"{WAYS[way]} {size:,.0f} bytes" for way, size in held.items())
    return Figure("memory of a template's job", "of the same sent whole", ratio, (at_most(ratio, 0.15),), note=note)


def _compared(what: str, pairs: list[tuple[Sent, Sent]]) -> Iterator[Figure]:
    rates = tuple(ours.per_second / small.per_second for ours, small in pairs)
    goal = at_least(median(rates), 0.9)
    yield Figure(f"drain of a template's jobs, {what}", "of small plain ones", median(rates), (goal,), runs=rates)
    used = tuple(small.worker_us / ours.worker_us for ours, small in pairs)
    note = "on a machine that others use, this says more than the rate"
    yield Figure(f"the same by the worker's CPU, {what}", "of small plain ones", median(used), runs=used, note=note)


def _each(name: str, found: Sent) -> Iterator[Figure]:
    yield Figure(f"memory of a job, {name}", "bytes", found.memory_bytes)
    yield Figure(f"network to the server for a job, {name}", "bytes", found.network_bytes)
    yield Figure(f"producer's CPU for a job, {name}", "µs", found.producer_us)
    yield Figure(f"worker's CPU for a job, {name}", "µs", found.worker_us)
    yield Figure(f"drain, {name}", "jobs/s", found.per_second)


def _steps(bench: Bench) -> Iterator[Figure]:
    with new_run("redis://127.0.0.1:1/0") as run:  # it asks no server
        for name, us in run.program("template_costs").items():
            yield Figure(f"arguments: {name}", "µs", us)
