"""The child processes of a worker: how many there are to be, and which of them is given how much."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from tidemill_consumers.executors.child_process import ChildProcess
from tidemill_consumers.settings import WorkerSettings

# Jobs that a child is given at a time, the one that runs included. With the shortest jobs they last for the few
# milliseconds that the worker's thread may wait for the interpreter; with longer ones they come back when a child is
# free.
MOST_GIVEN: Final = 64


class Children:
    """The oldest first. Those beyond the wanted number are successors, which wait until an older one leaves."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._most = settings.child_processes or max(2, os.cpu_count() or 1)
        self._max_jobs = settings.child_max_jobs
        self._all: list[ChildProcess] = []

    def __iter__(self) -> Iterator[ChildProcess]:
        """Over a copy: children may come and go meanwhile."""
        return iter(self._all[:])

    def __contains__(self, one: object) -> bool:
        return one in self._all

    def add(self, one: ChildProcess) -> None:
        self._all.append(one)

    def remove(self, one: ChildProcess) -> None:
        self._all.remove(one)

    def is_quiet(self) -> bool:
        """Nothing is expected of any of them."""
        return all(one.is_up and not one.runs and not one.is_leaving for one in self._all)

    def is_any_staying(self) -> bool:
        """One is there, or starts, that can be given jobs."""
        return any(not one.is_leaving for one in self._all)

    def ready(self) -> list[ChildProcess]:
        """Those that may be given jobs now."""
        return [one for one in self._all if one.is_up and not one.is_leaving][: self._most]

    def missing(self, waiting: int) -> int:
        """How many are to be started for so many jobs that wait; those that wait behind others in a child count too."""
        staying = [one for one in self._all if not one.is_leaving]
        jobs = waiting + sum(len(one.runs) for one in staying)
        return min(jobs, self._most) - len(staying)

    def without_successor(self) -> Iterator[ChildProcess]:
        """Those that leave, or will about as soon as a successor could be there. Each once."""
        for one in self:
            if not one.has_successor and (one.is_leaving or one.will_leave_soon(self._max_jobs)):
                one.has_successor = True
                yield one

    def shares(self, ready: list[ChildProcess], waiting: int) -> Iterator[tuple[ChildProcess, int]]:
        """How many of the waiting jobs each is given: they are to have equally many."""
        held = sum(len(one.runs) for one in ready)
        each = min(MOST_GIVEN, -(-(waiting + held) // len(ready)))
        for one in ready:
            # Many at once, rather than often one.
            if len(one.runs) <= MOST_GIVEN // 2:
                yield one, min(each - len(one.runs), self._max_jobs - one.used)

    def given(self, one: ChildProcess) -> None:
        """It has been given jobs; perhaps its last."""
        one.is_leaving = one.used >= self._max_jobs

    def busiest(self) -> ChildProcess | None:
        """The one with the most jobs that wait behind another, if any do."""
        found = max(self._all, key=lambda one: len(one.runs), default=None)
        return found if found is not None and len(found.runs) > 1 else None
