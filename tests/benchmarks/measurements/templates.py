"""Templates: what a job of one costs, beside the same job sent whole, compressed, and beside a small plain one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
    "small": "small and plain",
    "whole": "sent whole",
    "zstd": "whole, zstd",
    "zstd_dictionary": "whole, zstd with a dictionary",
}


@dataclass(frozen=True, slots=True)
class Sent:
    """What a job of one way costs: bytes in the server's memory and over the network to it, µs of the producer's and of
    the worker's CPU, and jobs a second of one worker that drains them."""

    memory_bytes: float
    network_bytes: float
    producer_us: float
    worker_us: float
    per_second: float


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
    jobs, rounds = bench.size(100_000, 1_000), bench.size(3, 1)
    runs: dict[str, list[Sent]] = {way: [] for way in WAYS}
    for _ in range(rounds):  # interleaved: a machine that slows down slows down all
        for way, found in runs.items():
            found.append(bench.counted(lambda way=way: sent(bench, way, jobs)))  # type: ignore[misc]
    yield from _compared(runs)
    for way, name in WAYS.items():
        yield from _each(name, runs[way])
    yield from _steps(bench)


def _compared(runs: dict[str, list[Sent]]) -> Iterator[Figure]:
    memory = {way: median(one.memory_bytes for one in found) for way, found in runs.items()}
    ratio = memory["template"] / memory["whole"]
    note = ", ".join(f"{WAYS[way]} {size:,.0f} bytes" for way, size in memory.items())
    yield Figure("memory of a template's job", "of the same sent whole", ratio, (at_most(ratio, 0.15),), note=note)
    ratios = tuple(
        ours.per_second / small.per_second for ours, small in zip(runs["template"], runs["small"], strict=True)
    )
    ratio = median(ratios)
    yield Figure("drain of a template's jobs", "of small plain ones", ratio, (at_least(ratio, 0.9),), runs=ratios)


def _each(name: str, runs: list[Sent]) -> Iterator[Figure]:
    columns = {
        ("network to the server for a job", "bytes"): [one.network_bytes for one in runs],
        ("producer's CPU for a job", "µs"): [one.producer_us for one in runs],
        ("worker's CPU for a job", "µs"): [one.worker_us for one in runs],
        ("drain", "jobs/s"): [one.per_second for one in runs],
    }
    for (what, unit), values in columns.items():
        yield Figure(f"{what}, {name}", unit, median(values), runs=tuple(values))


def _steps(bench: Bench) -> Iterator[Figure]:
    with new_run("redis://127.0.0.1:1/0") as run:  # it asks no server
        for name, us in run.program("template_costs").items():
            yield Figure(f"arguments: {name}", "µs", us)
