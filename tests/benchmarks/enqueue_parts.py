"""What each step of `enqueue_many` takes of the client's CPU: python -m benchmarks.enqueue_parts [SERVER].

In µs for a job, of the best of a few rounds. The last row is the whole call with a server; what the steps above it do
not add up to are the system calls, the driver's parser and the garbage collector.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import Final

from benchmarks.bench_server import fresh_server
from benchmarks.system import TEXT
from tidemill import Tidemill, settings
from tidemill.connection.driver import pack
from tidemill.ids import new_ids
from tidemill.job import Job, JobState
from tidemill.wire.envelope import Codec
from tidemill.wire.keys import Keys
from tidemill.wire.scripts import NewJob, NewJobs, Scripts

JOBS: Final = 10_000
ROUNDS: Final = 7


def us_per_job(step: Callable[[], object]) -> float:
    def seconds() -> float:
        began = time.process_time()
        step()
        return time.process_time() - began

    return min(seconds() for _ in range(ROUNDS)) * 1e6 / JOBS


def handles(mill: Tidemill, ids: Sequence[str]) -> list[Job[None]]:
    return [Job(mill.client, one, JobState.READY) for one in ids]


def steps(mill: Tidemill) -> Iterator[tuple[str, Callable[[], object]]]:
    @mill.task(name="bench.noop")
    def noop(number: int, text: str) -> None: ...

    calls, codec, scripts = [noop.call(number, TEXT) for number in range(JOBS)], Codec(), Scripts(Keys())
    bodies, ids = [codec.encode_call(one.args, one.kwargs) for one in calls], new_ids(JOBS)
    each = settings.ENQUEUE_CHUNK_JOBS
    new = list(map(NewJob, ids, repeat(""), bodies))
    chunks = [scripts.enqueue(NewJobs("default", "bench.noop"), new[at : at + each]) for at in range(0, JOBS, each)]
    reply = [1, *[b"ready", b"", b"ready"] * each]
    yield "encode the arguments", lambda: [codec.encode_call(one.args, one.kwargs) for one in calls]
    yield "ids and rows", lambda: list(map(NewJob, new_ids(JOBS), repeat(""), bodies))
    yield "pack", lambda: [pack([chunk.words]) for chunk in chunks]
    yield "read the answers", lambda: [chunk.parse(reply) for chunk in chunks]
    yield "make the handles", lambda: handles(mill, ids)
    yield "enqueue_many as a whole", lambda: noop.enqueue_many(calls)


def main(flavour: str) -> None:
    with fresh_server(flavour) as server, Tidemill(server.url) as mill:
        for name, step in steps(mill):
            print(f"{us_per_job(step):5.2f} µs  {name}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:2] or ["valkey"])
