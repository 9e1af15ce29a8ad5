"""taskiq: ListQueueBroker of taskiq-redis, one worker process, async tasks, no result backend."""

from __future__ import annotations

import asyncio
import sys

from taskiq_redis import ListQueueBroker

from benchmarks.recorder import note
from benchmarks.system import TEXT, server_url

broker = ListQueueBroker(server_url())
loop = asyncio.new_event_loop()


@broker.task(task_name="bench")
async def noop(number: int, text: str) -> None:
    note(number)


def enqueue(number: int) -> object:
    return loop.run_until_complete(noop.kiq(number, TEXT))


enqueue_many = None


def worker() -> list[str]:
    program = "from taskiq.__main__ import main; main()"
    options = ["--workers", "1", "--max-async-tasks", "100", "--log-level", "ERROR"]
    return [sys.executable, "-c", program, "worker", *options, f"{__name__}:broker"]
