"""A long queue of mixed durations on two workers: whether one idles while the other holds jobs that it can't start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from benchmarks.bench import Bench, measurement
from benchmarks.bench_server import BenchServer, fresh_server
from benchmarks.durations import durations_ms
from benchmarks.figure import Figure, at_most
from benchmarks.processes import new_run
from benchmarks.recorder import Start
from benchmarks.systems import application
from tidemill.wire.envelope import Codec
from tidemill.wire.keys import Keys

CONCURRENCY = 4
WORKERS = 2


@dataclass(frozen=True, slots=True)
class Held:
    """A job in its worker, in ms of unix time: taken, started, ended."""

    worker: str
    taken_ms: float
    started_ms: float
    ended_ms: float


def longest_idle_ms(jobs: Sequence[Held], concurrency: int) -> float:
    """The longest time in which a worker had a free slot while another held a job that it had not started."""
    workers = {job.worker for job in jobs}
    longest = 0.0
    for worker in workers:
        waiting = [(job.taken_ms, job.started_ms) for job in jobs if job.worker != worker]
        for begin, end in _free([job for job in jobs if job.worker == worker], concurrency):
            longest = max([longest, *(min(end, until) - max(begin, since) for since, until in waiting)])
    return longest


def _free(jobs: Sequence[Held], concurrency: int) -> Iterator[tuple[float, float]]:
    """When this worker had a free slot, from its first job on, and after its last one."""
    changes = sorted([(job.started_ms, 1) for job in jobs] + [(job.ended_ms, -1) for job in jobs])
    running, since = 0, changes[0][0]
    for (at, change), (until, _) in pairwise([*changes, (float("inf"), 0)]):
        was_free = running < concurrency
        running += change
        is_free = running < concurrency
        if is_free and not was_free:
            since = at
        if was_free and not is_free and at > since:
            yield since, at
        if is_free and until == float("inf"):
            yield since, until


def held(server: BenchServer, starts: Sequence[Start]) -> list[Held]:
    """From the records, which say who took a job and when; and from the starts."""
    keys, codec, client = Keys(), Codec(), server.client
    started = {start.number: start.at_ns / 1e6 for start in starts}
    times = durations_ms(len(starts))
    jobs: list[Held] = []
    for job_id in client.zrange(keys.done("default"), 0, -1):
        fields: dict[bytes, Any] = client.hgetall(keys.job(job_id.decode()))
        number = codec.decode_result(fields[b"r"])
        assert isinstance(number, int)
        at_ms = started[number]
        jobs.append(Held(fields[b"l"].decode(), float(fields[b"j"]), at_ms, at_ms + times[number]))
    return jobs


@measurement("mixed")
def mixed(bench: Bench) -> Iterator[Figure]:
    jobs = bench.size(400, 20)
    with fresh_server(bench.flavour) as server, new_run(server.url) as run:
        worker = application.worker(f"--concurrency={CONCURRENCY}")
        with run.process(worker), run.process(worker):
            run.registered(server, WORKERS)
            run.program("durations", jobs)
            starts = run.finished(jobs)
            run.settled(server, jobs)
        found = held(server, starts)
    seconds = (max(job.ended_ms for job in found) - min(job.started_ms for job in found)) / 1000
    ideal = sum(durations_ms(jobs)) / 1000 / (WORKERS * CONCURRENCY)
    idle = longest_idle_ms(found, CONCURRENCY)
    note = f"{jobs} jobs of 1 ms, 100 ms and 2 s took {seconds:.1f} s; their sum, on as many slots, is {ideal:.1f} s"
    yield Figure("a worker idles beside waiting jobs", "ms", idle, (at_most(idle, 100),), note=note)
