"""The limit of a drain: takes and settles with our own scripts, as a bare redis-py loop, and runs nothing.

python -m benchmarks.bare_drain JOBS: one round trip settles a batch and takes the next.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any, cast

from benchmarks.bare import connect
from tidemill.wire.command import Command
from tidemill.wire.keys import Keys
from tidemill.wire.scripts import Scripts

BATCH_JOBS = 200
QUEUE, NAME, LEASE_MS = "default", "bare", 600_000


def drain(client: Any, scripts: Scripts, jobs: int) -> float:
    """Seconds from the first batch on."""
    take = scripts.take(NAME, (QUEUE,), BATCH_JOBS)
    settled, batch = 0, rows(run(client, take))
    began = time.perf_counter()
    while settled < jobs:
        assert batch, f"{settled} of {jobs} jobs were there"
        # A row: index of the stream, entry, id, attempt, and more.
        ended = [(row[2], row[1], row[3], b"") for row in batch]
        complete = scripts.complete(NAME, QUEUE, "normal", cast("list[tuple[str, str, int, bytes]]", ended))
        pipeline = client.pipeline(transaction=False)
        pipeline.execute_command(*complete.words)
        pipeline.execute_command(*take.words)
        codes, taken = pipeline.execute()
        settled += codes.count(1)
        batch = rows(taken)
    return time.perf_counter() - began


def rows(reply: Any) -> list[Any]:
    return list(reply[3])


def run(client: Any, command: Command[Any]) -> Any:
    if command.script:
        client.script_load(command.script.text)
    return client.execute_command(*command.words)


def main(jobs: int) -> None:
    client = connect()
    scripts = Scripts(Keys())
    run(client, scripts.register(NAME, LEASE_MS, (QUEUE,), {}, {"host": "bare"}))
    run(client, scripts.complete(NAME, QUEUE, "normal", []))
    print(json.dumps({"jobs": jobs, "seconds": drain(client, scripts, jobs)}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
