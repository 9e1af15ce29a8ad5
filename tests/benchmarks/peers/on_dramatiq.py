"""dramatiq: one process, its default middleware, no results.

Two threads with a prefetch of 1,000 drained three times as fast as eight with the default prefetch.
"""

from __future__ import annotations

import sys

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.recorder import note
from benchmarks.system import TEXT, server_url

dramatiq.set_broker(RedisBroker(url=server_url()))


@dramatiq.actor(queue_name="bench")
def noop(number: int, text: str) -> None:
    note(number)


def enqueue(number: int) -> object:
    return noop.send(number, TEXT)


enqueue_many = None


def worker() -> list[str]:
    return [
        *("env", "dramatiq_queue_prefetch=1000"),  # read when dramatiq is imported, which is before this module
        *(sys.executable, "-m", "dramatiq", __name__, "-p", "1", "-t", "2", "--skip-logging"),
    ]
