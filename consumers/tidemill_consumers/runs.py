"""The runs of a worker whose outcome is open, and the rule for jobs that may be what kills workers.

A job that was running when its worker died has its crash count raised by the reaper; past a limit it is buried. But of
the jobs that ran in a worker when it died, one is to blame at most. So a job with SUSPECT_CRASHES on its count runs
alone, and its next crash is its own. A worker that is busy then takes nothing more, and runs it as soon as nothing else
runs. If that takes too long it puts it off, so that an idle one finds it; when that was in vain too often, it keeps it.
While it waits, its record says so: should a neighbour kill the worker meanwhile, it is not blamed.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Final

from tidemill.wire.scripts import Taken
from tidemill_consumers.intake import Attempt, attempt_of
from tidemill_consumers.run import Run
from tidemill_consumers.settings import SUSPECT_CRASHES, SUSPECT_OFFERS

# The main thread waits here while a worker stops, and Python runs signal handlers in it alone: a second signal, which
# the system may give to any thread, is seen after this time at the latest.
_SIGNAL_SECONDS: Final = 0.5


class Runs:
    """All calls may come from any thread."""

    def __init__(self) -> None:
        self._given: dict[Attempt, Run] = {}
        self._suspects: deque[Run] = deque()
        self._is_alone = False
        self._changed = threading.Condition()

    @property
    def is_isolating(self) -> bool:
        """A suspect runs, or waits to."""
        return self._is_alone or bool(self._suspects)

    def waiting_since(self) -> float | None:
        """When the first of those was taken that wait in an executor, in monotonic seconds; None: none waits."""
        with self._changed:
            return next((run.taken_at for run in self._given.values() if run.is_waiting), None)

    def stuck_executors(self, since: float) -> set[str]:
        """Those that have started nothing since then, though runs wait in them: long ones have all their slots."""
        with self._changed:
            last = dict[str, float]()
            waiting = set[str]()
            for run in self._given.values():
                name = run.definition.executor
                if run.started_at:
                    last[name] = max(run.started_at, last.get(name, 0.0))
                elif run.is_waiting and run.wanted is None and run.taken_at < since:
                    waiting.add(name)
        return {name for name in waiting if 0.0 < last.get(name, 0.0) < since}

    def all(self) -> list[Run]:
        with self._changed:
            return [*self._given.values(), *self._suspects]

    def add(self, runs: Iterable[Run]) -> tuple[list[Run], list[Run]]:
        """Returns those that are to be given to executors now, and those that are to be put off: one suspect waits here
        at a time, another one may find an idle worker."""
        now: list[Run] = []
        put_off: list[Run] = []
        with self._changed:
            suspects: list[Run] = []
            for run in runs:
                if run.taken.crashes >= SUSPECT_CRASHES:
                    suspects.append(run)
                else:
                    self._given[attempt_of(run.taken)] = run
                    now.append(run)
            for run in suspects:
                if (self._is_alone or self._suspects) and not _is_kept(run):
                    put_off.append(run)
                else:
                    self._suspects.append(run)
                    now += self._next()
        return now, put_off

    def find(self, jobs: Iterable[Taken]) -> list[Run]:
        """The runs of these jobs that executors were given."""
        with self._changed:
            return [run for taken in jobs if (run := self._given.get(attempt_of(taken)))]

    def remove(self, *jobs: Taken) -> list[Run]:
        """Their outcomes are known; a suspect's is settled, too. Returns what is to be given to executors now."""
        with self._changed:
            for taken in jobs:
                self._given.pop(attempt_of(taken), None)
            if self._given:
                return []
            self._is_alone = False
            self._changed.notify_all()
            return self._next()

    def _next(self) -> list[Run]:
        if self._given or not self._suspects:
            return []
        run = self._suspects.popleft()
        self._given[attempt_of(run.taken)] = run
        self._is_alone = True
        return [run]

    def withdraw(self) -> list[Run]:
        """Gives up the suspects that wait, and returns them."""
        with self._changed:
            withdrawn = list(self._suspects)
            self._suspects.clear()
            return withdrawn

    def withdraw_late(self, since: float) -> list[Run]:
        """Gives up the suspects that have waited since then, in monotonic seconds, and are not to be kept."""
        with self._changed:
            late = [run for run in self._suspects if run.taken_at < since and not _is_kept(run)]
            for run in late:
                self._suspects.remove(run)
            return late

    def has_impatient(self) -> bool:
        """Suspects wait that are to be given up after a while."""
        with self._changed:
            return any(not _is_kept(run) for run in self._suspects)

    def withdraw_suspect(self, run: Run) -> bool:
        """True: it was waiting, and will not be given to an executor."""
        with self._changed:
            if run not in self._suspects:
                return False
            self._suspects.remove(run)
            return True

    def wait_until_none(self, seconds: float) -> None:
        """Until executors have nothing, at most for so long. What is being settled is out of their hands: should the
        server be away, that takes long."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while any(not run.is_settling for run in self._given.values()):
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                self._changed.wait(min(left, _SIGNAL_SECONDS))


def _is_kept(run: Run) -> bool:
    """A suspect that was put off often enough."""
    return run.taken.uncounted >= SUSPECT_OFFERS
