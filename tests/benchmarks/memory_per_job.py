"""Server memory of a queued job, as it is held and with its arguments in one value.

Run it with `.venv/bin/python tests/benchmarks/memory_per_job.py`.

The arguments are an int and a 64-byte string. Each figure is the growth of `used_memory` on a fresh server.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from servers import Server
from tidemill import Tidemill

JOBS = 20_000
TEXT = "x" * 64


def bytes_per_job(fill: Callable[[Server], None]) -> float:
    server = Server("valkey")
    try:
        before = int(server.client.info("memory")["used_memory"])
        fill(server)
        return (int(server.client.info("memory")["used_memory"]) - before) / JOBS
    finally:
        server.close()


def as_held(server: Server) -> None:
    with Tidemill(server.url) as mill:

        @mill.task(name="bench.noop")
        def noop(number: int, text: str) -> None: ...

        noop.enqueue_many(noop.call(number, TEXT) for number in range(JOBS))


def in_one_value(server: Server) -> None:
    """The same records and tickets, but for the split."""
    with Tidemill(server.url) as mill:
        pipeline = server.client.pipeline(transaction=False)
        for number in range(JOBS):
            job_id = f"{number:021d}"
            body = mill.codec.encode_call((number, TEXT), {})
            fields = {"s": "ready", "q": "default", "t": "bench.noop", "c": 1_800_000_000_000 + number, "b": body}
            pipeline.hset(f"tm:{{0}}:job:{job_id}", mapping=fields)
            pipeline.xadd("tm:{0}:ready:default:normal", {"j": job_id})
            if number % 500 == 499:
                pipeline.execute()


if __name__ == "__main__":
    print(f"as held      {bytes_per_job(as_held):4.0f} bytes a queued job")
    print(f"in one value {bytes_per_job(in_one_value):4.0f} bytes a queued job")
