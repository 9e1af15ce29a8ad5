"""Tidemill on threads, with a worker that notes when each job's ticket was delivered, when it was taken, and started.

The first two nobody tells outside of the worker, and to tell them would cost each job something. So the calls in which
they happen are replaced here: this is measuring code, which no other run loads.
"""

from __future__ import annotations

import sys
import time
from typing import TypeVar, cast

from benchmarks.recorder import note_at
from benchmarks.stage import NEVER, row
from benchmarks.system import TEXT
from benchmarks.systems import application
from tidemill import current_job
from tidemill.connection import Line
from tidemill.wire.command import Command
from tidemill.wire.scripts import Ticket
from tidemill.wire.working import Takings

T = TypeVar("T")

mill = application.mill
_delivered: dict[str, int] = {}
_taken: dict[str, int] = {}
_run, _run_blocking = Line.run, Line.run_blocking


@mill.task(name="bench.staged")
def staged(number: int, text: str) -> None:
    started_ns, job_id = time.time_ns(), current_job().id
    note_at(row(number, "delivered"), _delivered.pop(job_id, NEVER))
    note_at(row(number, "taken"), _taken.pop(job_id))
    note_at(row(number, "started"), started_ns)


def run(line: Line, command: Command[T]) -> T:
    """As `Line.run`; notes when jobs were taken."""
    found = _run(line, command)
    if isinstance(found, Takings):
        now_ns = time.time_ns()
        _taken.update((job.id, now_ns) for job in found.jobs)
    return found


def run_blocking(line: Line, command: Command[T], block_seconds: float) -> T:
    """As `Line.run_blocking`, which the reader alone calls; notes when tickets were delivered."""
    found = _run_blocking(line, command, block_seconds)
    now_ns = time.time_ns()
    _delivered.update((ticket.job_id, now_ns) for ticket in cast("list[Ticket]", found))
    return found


for name, function in (("run", run), ("run_blocking", run_blocking)):
    setattr(Line, name, function)


def enqueue(number: int) -> object:
    return staged.enqueue(number, TEXT)


enqueue_many = None


def worker() -> list[str]:
    return [sys.executable, "-m", "tidemill", "worker", f"{__name__}:mill"]
