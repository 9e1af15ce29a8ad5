"""Tidemill's side: the application whose tasks are measured. Everything is at its default, but for what stands here."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from benchmarks.recorder import note
from benchmarks.system import TEXT
from tidemill import Call, Task, Tidemill

mill = Tidemill()


@mill.task(name="bench.noop")
def noop(number: int, text: str) -> None:
    note(number)


@mill.task(name="bench.anoop")
async def anoop(number: int, text: str) -> None:
    note(number)


@mill.task(name="bench.pnoop", executor="process")
def pnoop(number: int, text: str) -> None:
    note(number)


@mill.task(name="bench.busy")
def busy(number: int, milliseconds: int) -> int:
    """A job that waits for another service, for so long. Its record is found by the number that it returns."""
    note(number)
    time.sleep(milliseconds / 1000)
    return number


AnyTask = Task[[int, str], object]


def enqueuer(task: AnyTask) -> Callable[[int], object]:
    return lambda number: task.enqueue(number, TEXT)


def bulk_enqueuer(task: AnyTask) -> Callable[[Sequence[int]], object]:
    return lambda numbers: task.enqueue_many([Call((number, TEXT), {}) for number in numbers])


def worker(*options: str) -> list[str]:
    return [sys.executable, "-m", "tidemill", "worker", "benchmarks.systems.application:mill", *options]
