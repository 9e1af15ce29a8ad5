"""huey: RedisHuey with its blocking pop, one thread (four drained more slowly), no results."""

from __future__ import annotations

import logging
import sys

from huey import RedisHuey

from benchmarks.recorder import note
from benchmarks.system import TEXT, server_url

# The consumer logs two lines for each job, at INFO.
logging.getLogger("huey").setLevel(logging.WARNING)
huey = RedisHuey("bench", url=server_url(), results=False)


@huey.task()
def noop(number: int, text: str) -> None:
    note(number)


def enqueue(number: int) -> object:
    return noop(number, TEXT)


enqueue_many = None


def worker() -> list[str]:
    program = "from huey.bin.huey_consumer import consumer_main; consumer_main()"
    return [sys.executable, "-c", program, f"{__name__}.huey", "-w", "1", "-k", "thread", "-n", "-q"]
