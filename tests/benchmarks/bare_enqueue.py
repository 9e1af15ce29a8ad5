"""The limit of an enqueue: python -m benchmarks.bare_enqueue JOBS WARM_UP.

A bare redis-py client that sends the same EVALSHA with the same arguments one by one, each with an id of its own; and
nothing around it: no checks, no encoding, no retries.
"""

from __future__ import annotations

import json
import sys
import time

from benchmarks.bare import connect
from benchmarks.system import TEXT
from tidemill.ids import new_id
from tidemill.wire.command import Argument
from tidemill.wire.envelope import Codec
from tidemill.wire.keys import Keys
from tidemill.wire.scripts import NewJob, NewJobs, Scripts


def words(jobs: int) -> list[tuple[Argument, ...]]:
    """The commands, made beforehand."""
    scripts, shared, body = Scripts(Keys()), NewJobs("default", "bench.noop"), Codec().encode_call((1, TEXT), {})
    return [scripts.enqueue(shared, [NewJob(new_id(), "", body)]).words for _ in range(jobs)]


def main(jobs: int, warm_up: int) -> None:
    client = connect()
    script = Scripts(Keys()).enqueue(NewJobs("default", "bench.noop"), []).script
    assert script is not None
    client.script_load(script.text)
    commands = words(warm_up + jobs)
    for command in commands[:warm_up]:
        client.execute_command(*command)
    began = time.perf_counter()
    for command in commands[warm_up:]:
        client.execute_command(*command)
    print(json.dumps({"jobs": jobs, "seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
