"""From take to executor: what was taken becomes runs, or outcomes at once.

A job that may be what kills workers waits in `runs` until it can run alone; all others are given to their executors.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Mapping
from operator import attrgetter

from tidemill import telemetry
from tidemill.client import Client
from tidemill.connection import Link
from tidemill.errors import TidemillError
from tidemill.task import Definition
from tidemill.wire.scripts import Taken
from tidemill_consumers import pipeline, settings
from tidemill_consumers.confining import confine, is_unconfined
from tidemill_consumers.executors import Executor
from tidemill_consumers.guards import Guards
from tidemill_consumers.intake import Intake
from tidemill_consumers.outcomes import Outcome, Parked, Released
from tidemill_consumers.run import Run
from tidemill_consumers.runs import Runs
from tidemill_consumers.settlement import Settlement
from tidemill_consumers.templates.templates import Templates


class Admission:
    """`accept` is for the reader; the other calls come from any thread. `executors` are filled in before the first."""

    def __init__(
        self,
        client: Client,
        tasks: Mapping[str, Definition],
        executors: Mapping[str, Executor],
        link: Link,
        intake: Intake,
        runs: Runs,
        guards: Guards,
        settlement: Settlement,
        templates: Templates,
    ) -> None:
        self._client = client
        self._tasks = tasks
        self._executors = executors
        self._link = link
        self._intake = intake
        self._runs = runs
        self._guards = guards
        self._settlement = settlement
        self._templates = templates

    def accept(self, jobs: list[Taken]) -> None:
        """These were taken."""
        self._intake.hold(jobs)
        for queue, count in Counter(taken.queue for taken in jobs).items():
            telemetry.received(queue, count)
        runs: list[Run] = []
        # Within a batch the high ones go first: what was reserved for others is taken, and starts a moment later.
        for taken in sorted(jobs, key=attrgetter("lane")):
            found = Released() if self._intake.is_stopping else self._admit(taken)
            if isinstance(found, Run):
                runs.append(found)
            else:
                self._settlement.put(taken, found)
        self._templates.count()
        now, put_off = self._runs.add(self._confined(runs))
        self._put_off(put_off)
        self.submit(now)

    def submit(self, runs: list[Run]) -> None:
        """Gives them to their executors; those whose version is not held wait for it first."""
        for run in runs:
            if run.wanted is not None:
                self._templates.hold(run)
                continue
            if run.is_held:
                self._hold(run, waits=False)
            self._executors[run.definition.executor].submit(run)

    def resolved(self, runs: list[Run]) -> None:
        """These have waited for their version, and have it."""
        self.submit(self._confined(runs))

    def stuck(self) -> set[str] | None:
        """The executors in which runs wait behind long jobs, while they may start at once elsewhere. None: no run waits
        at all."""
        since = self._runs.waiting_since()
        if since is None:
            return None
        late = time.monotonic() - settings.HAND_BACK_MS / 1000
        return self._runs.stuck_executors(late) if since < late else set()

    def put_off_late(self) -> bool:
        """Suspects for which this worker was busy too long. True: such ones wait, so look again soon."""
        self._put_off(self._runs.withdraw_late(time.monotonic() - settings.SUSPECT_WAIT_MS / 1000))
        return self._runs.has_impatient()

    def _put_off(self, suspects: list[Run]) -> None:
        for run in suspects:
            reason = "it may be what killed its workers: it waits for one that is idle"
            self._settlement.put(run.taken, Parked(reason, settings.SUSPECT_OFFER_MS, "no_permit"))

    def _admit(self, taken: Taken) -> Run | Outcome:
        found = pipeline.admit(taken, self._tasks, self._client.signing, self._templates)
        if isinstance(found, Run) and found.definition.breaker is not None:
            return self._guards.admit(found, found.definition.breaker)
        return found

    def _confined(self, runs: list[Run]) -> list[Run]:
        """Without those whose limits are to be named first."""
        unconfined = [run for run in runs if is_unconfined(run)]
        if not unconfined:
            return runs
        for taken, outcome in confine(unconfined, self._client.scripts, self._client.codec, self._link.run_all):
            self._settlement.put(taken, outcome)
        return [run for run in runs if run not in unconfined]

    def _hold(self, run: Run, *, waits: bool) -> None:
        """Without an answer it goes on: a death that is blamed on nobody, or on one too many, loses nothing."""
        with contextlib.suppress(TidemillError):
            self._link.run(self._client.scripts.hold(run.taken, waits=waits))
            run.is_held = waits
