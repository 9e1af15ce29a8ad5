"""The limits of enqueueing: python -m benchmarks.bare_enqueue one JOBS WARM_UP, many JOBS, or ahead JOBS; prints JSON.

A bare redis-py client that sends the same EVALSHA with the same arguments, each job with an id of its own, one call
after the other; and nothing around it: no checks, no encoding, no retries. `many`: calls of as many jobs as a chunk of
`enqueue_many` has, packed for the wire beforehand. `ahead`: the same, with a second call under way while the first is
answered, which is no limit of ours: see docs/performance.md.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from benchmarks.bare import connect
from benchmarks.system import TEXT
from tidemill import settings
from tidemill.ids import new_ids
from tidemill.wire.command import Argument
from tidemill.wire.envelope import Codec
from tidemill.wire.keys import Keys
from tidemill.wire.scripts import NewJob, NewJobs, Scripts


def words(jobs: int, each: int) -> list[tuple[Argument, ...]]:
    """The commands, made beforehand, each for so many jobs."""
    scripts, shared, body = Scripts(Keys()), NewJobs("default", "bench.noop"), Codec().encode_call((1, TEXT), {})
    ids = new_ids(jobs)
    return [
        scripts.enqueue(shared, [NewJob(job_id, "", body) for job_id in ids[at : at + each]]).words
        for at in range(0, jobs, each)
    ]


def client_with_script() -> Any:
    client = connect()
    script = Scripts(Keys()).enqueue(NewJobs("default", "bench.noop"), []).script
    assert script is not None
    client.script_load(script.text)
    return client


def one(client: Any, jobs: int, warm_up: int) -> float:
    """Seconds."""
    commands = words(warm_up + jobs, 1)
    for command in commands[:warm_up]:
        client.execute_command(*command)
    began = time.perf_counter()
    for command in commands[warm_up:]:
        client.execute_command(*command)
    return time.perf_counter() - began


def many(client: Any, jobs: int, under_way: int = 1) -> float:
    """Seconds."""
    connection = client.connection_pool.get_connection()
    chunks = [connection.pack_command(*command) for command in words(jobs, settings.ENQUEUE_CHUNK_JOBS)]
    began = time.perf_counter()
    for place, packed in enumerate(chunks):
        connection.send_packed_command(packed)
        if place >= under_way - 1:
            connection.read_response()
    for _ in range(min(under_way - 1, len(chunks))):
        connection.read_response()
    return time.perf_counter() - began


def ahead(client: Any, jobs: int) -> float:
    """Seconds."""
    return many(client, jobs, under_way=2)


MODES: Final[dict[str, Callable[..., float]]] = {"one": one, "many": many, "ahead": ahead}


def main(mode: str, jobs: int, *warm_up: int) -> None:
    seconds = MODES[mode](client_with_script(), jobs, *warm_up)
    print(json.dumps({"jobs": jobs, "seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
