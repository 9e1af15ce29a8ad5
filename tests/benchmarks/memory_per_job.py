"""Server memory of a queued and of a delayed job, and what each part of one takes.

Run it with `.venv/bin/python tests/benchmarks/memory_per_job.py [valkey|redis7|redis8]`.

The arguments are an int and a 64-byte string. Each figure is the growth of `used_memory` on a fresh server. The parts
do not add up: which size of block the allocator has for a value depends on all that is in it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from servers import Server
from tidemill import Tidemill
from tidemill.ids import new_ids
from tidemill.wire.envelope import Codec

JOBS: Final = 20_000
BATCH: Final = 500
TEXT: Final = "x" * 64
READY: Final = "tm:{0}:ready:default:normal"
# As create.lua splits a short body.
PART_BYTES: Final = 60
Words = tuple[object, ...]


def bytes_per_job(flavour: str, fill: Callable[[Server], None]) -> float:
    server = Server(flavour)
    try:
        before = int(server.client.info("memory")["used_memory"])
        fill(server)
        return (int(server.client.info("memory")["used_memory"]) - before) / JOBS
    finally:
        server.close()


def enqueued(server: Server, delay: float = 0) -> None:
    with Tidemill(server.url) as mill:

        @mill.task(name="bench.noop")
        def noop(number: int, text: str) -> None: ...

        noop.using(delay=delay).enqueue_many(noop.call(number, TEXT) for number in range(JOBS))


def without_tickets(server: Server) -> None:
    enqueued(server)
    server.client.delete(READY)


def written(commands: Callable[[str, bytes], Iterable[Words]], server: Server) -> None:
    """What `commands` gives for each id and body."""
    codec = Codec()
    for start in range(0, JOBS, BATCH):
        numbers = range(start, start + BATCH)
        pipeline = server.client.pipeline(transaction=False)
        for number, job_id in zip(numbers, new_ids(len(numbers)), strict=True):
            for words in commands(job_id, codec.encode_call((number, TEXT), {})):
                pipeline.execute_command(*words)
        pipeline.execute()


def ticket(job_id: str, body: bytes) -> Iterable[Words]:
    yield "XADD", READY, "*", "j", job_id


def body_alone(job_id: str, body: bytes) -> Iterable[Words]:
    yield "HSET", key(job_id), "b", body[:PART_BYTES], "b1", body[PART_BYTES:]


def with_state(job_id: str, body: bytes) -> Iterable[Words]:
    """What would be left if queue, task and time of creation stood elsewhere."""
    yield "HSET", key(job_id), "s", "ready", "b", body[:PART_BYTES], "b1", body[PART_BYTES:]


def in_letters(job_id: str, body: bytes) -> Iterable[Words]:
    """The same record with one letter for state and task, none for the default queue, and 8 bytes for the time."""
    yield "HSET", key(job_id), "s", "r", "t", "1", "c", "12345678", "b", body[:PART_BYTES], "b1", body[PART_BYTES:]


def one_byte(job_id: str, body: bytes) -> Iterable[Words]:
    yield "HSET", key(job_id), "b", "1"


def in_one_value(job_id: str, body: bytes) -> Iterable[Words]:
    """The same record and ticket, but for the split."""
    fields = ("s", "ready", "q", "default", "t", "bench.noop", "c", 1_800_000_000_000, "b", body)
    yield "HSET", key(job_id), *fields
    yield from ticket(job_id, body)


def key(job_id: str) -> str:
    return f"tm:{{0}}:job:{job_id}"


ROWS: Final[dict[str, Callable[[Server], None]]] = {
    "a queued job": enqueued,
    "a delayed job": partial(enqueued, delay=3600),
    "the record of a queued job alone": without_tickets,
    "its ticket alone": partial(written, ticket),
    "a hash with nothing but its arguments": partial(written, body_alone),
    "a hash with its state and its arguments": partial(written, with_state),
    "the record with letters for state and task": partial(written, in_letters),
    "a hash with one byte": partial(written, one_byte),
    "a queued job with its arguments in one value": partial(written, in_one_value),
}


def main(flavour: str) -> None:
    print(f"{len(Codec().encode_call((JOBS, TEXT), {})):4} bytes are the arguments as they are sent")
    for name, fill in ROWS.items():
        print(f"{bytes_per_job(flavour, fill):4.0f} bytes takes {name}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:2] or ["valkey"])
