"""RQ: SimpleWorker (no fork for each job), results not kept. Its bulk call is one pipeline."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from redis import Redis
from rq import Queue

from benchmarks.recorder import note
from benchmarks.system import TEXT, server_url


def noop(number: int, text: str) -> None:
    note(number)


queue = Queue("bench", connection=Redis.from_url(server_url()))


def enqueue(number: int) -> object:
    return queue.enqueue(noop, number, TEXT, result_ttl=0)


def enqueue_many(numbers: Sequence[int]) -> object:
    return queue.enqueue_many([Queue.prepare_data(noop, (number, TEXT), result_ttl=0) for number in numbers])


def worker() -> list[str]:
    program = "from rq.cli import main; main()"
    return [sys.executable, "-c", program, "worker", "-q", "-w", "rq.SimpleWorker", "-u", server_url(), "bench"]
