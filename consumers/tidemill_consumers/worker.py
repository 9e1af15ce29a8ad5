"""A worker process: it decides; reader, executors, settlement and heartbeat do.

    reader ──take──▶ executors ──outcome──▶ settlement
                        ▲
    heartbeat ──cancel──┘

Life: start → run → drain → stop. `intake` bounds what is taken; `runs` are those whose outcome is open.
"""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import Final

from tidemill import telemetry
from tidemill.app import Tidemill
from tidemill.connection import Link
from tidemill.errors import TidemillError
from tidemill.names import type_name
from tidemill.telemetry import Event
from tidemill.wire import record
from tidemill.wire.scripts import Renewal, Taken
from tidemill_consumers import settings
from tidemill_consumers.admission import Admission
from tidemill_consumers.beats import Beat, BeatSender
from tidemill_consumers.concurrency import make_limiter, slots
from tidemill_consumers.contact import Contact
from tidemill_consumers.deadlines import Deadlines
from tidemill_consumers.executors import Executor
from tidemill_consumers.guards import Guards
from tidemill_consumers.heartbeat import Heartbeat
from tidemill_consumers.intake import Intake
from tidemill_consumers.interruptions import Interruptions
from tidemill_consumers.membership import Membership
from tidemill_consumers.outcomes import Outcome, Released
from tidemill_consumers.pace import Pace
from tidemill_consumers.reader import Reader
from tidemill_consumers.run import Run
from tidemill_consumers.runs import Runs
from tidemill_consumers.settings import WorkerSettings
from tidemill_consumers.settlement import Settlement
from tidemill_consumers.templates.templates import Templates

# How long a worker that stops waits for the server's answer to its last settlements.
_LAST_WORDS_SECONDS: Final = 5.0


class Worker:
    """Runs the jobs of an application. `start`, then `stop`; both may be called from any thread, once.

    `on_failure` is called, from any thread, when a part of the worker has died: it must be stopped then, since jobs
    would be held that nobody runs or settles. `beats` go to its supervisor, if it has one.
    """

    def __init__(
        self,
        mill: Tidemill,
        worker_settings: WorkerSettings,
        on_failure: Callable[[], None] = lambda: None,
        beats: BeatSender | None = None,
    ) -> None:
        self.settings = worker_settings
        self.client = mill.client
        self._mill = mill
        self._tasks = dict(mill.tasks)
        self._on_failure = on_failure
        self._beats = beats
        self._url = ""
        self.queues = worker_settings.queues or tuple(sorted({task.queue for task in self._tasks.values()}))
        target, scripts = mill.client.target, mill.client.scripts
        self._link = Link(target)
        self._membership = Membership(mill, worker_settings, self.queues, self._link)
        self.runs = Runs()
        self._guards = Guards(self._tasks, mill.client.breakers, self._link, scripts, self.failed)
        self._began = time.monotonic()
        self._done = 0
        self._limiter = make_limiter(worker_settings.concurrency_limiter, worker_settings.concurrency)
        self._pace = Pace(self._limiter)
        self._executors: dict[str, Executor] = {}
        self.intake = Intake(self.queues, self._limiter, self._pace, lambda: self.runs.is_isolating)
        contact = Contact(worker_settings.server_deadline_seconds, self._is_busy, self.failed)
        self._templates = Templates(mill.client, self._link, self._tasks, worker_settings, self, contact)
        self._interruptions = Interruptions(self.runs, self._executors, self._templates, self.finished)
        self._deadlines = Deadlines(self._interruptions.time_out, self.failed)
        self._settlement = Settlement(self._link, scripts, self, contact)
        self._reader = Reader(target, scripts, self.intake, self, contact)
        self._heartbeat = Heartbeat(target, scripts, worker_settings.lease_ms, self, contact)
        self._admission = Admission(
            mill.client,
            self._tasks,
            self._executors,
            self._link,
            self.intake,
            self.runs,
            self._guards,
            self._settlement,
            self._templates,
        )

    @property
    def incarnation(self) -> str:
        """Its name on the server now: a new one after each lost lease."""
        return self._membership.incarnation

    def _is_busy(self) -> bool:
        """Runs that wait for the server are no reason to wait for it for ever."""
        return len(self.runs.all()) > self._templates.waiting_count()

    # -- life ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Registers, publishes recurring jobs, adopts parked ones, and begins to take.

        Raises ServerUnavailable, and InvalidInput when an executor is not installed; nothing runs then.
        """
        try:
            self.register()
            self._url = self._mill.url
            self.beat()  # before the first job, which may kill this process
            self._membership.adopt()
            self._executors.update(slots.load({task.executor for task in self._tasks.values()}, self, self._limiter))
        except BaseException:
            self._link.close()
            raise
        parts = (self._guards, self._deadlines, self._settlement, self._heartbeat, self._templates, self._reader)
        for part in parts:
            part.start()
        telemetry.event(
            Event.WORKER_STARTED,
            worker=self.incarnation,
            queues=",".join(self.queues),
            concurrency=self.settings.concurrency,
            server=self._link.target.masked,
        )

    def stop(self, grace_seconds: float | None = None) -> None:
        """Takes nothing more, lets running jobs go on for `grace_seconds`, hands back the rest, and leaves."""
        grace = self.settings.grace_seconds if grace_seconds is None else grace_seconds
        telemetry.event(Event.WORKER_STOPPING, worker=self.incarnation, running=len(self.runs.all()), grace_s=grace)
        self.intake.stop()
        self._reader.close()
        returned = self._interruptions.hand_back_all_waiting()
        self.runs.wait_until_none(grace)
        returned += self._interruptions.hand_back_running()
        settled = self._settlement.close(_LAST_WORDS_SECONDS)
        self._heartbeat.close()
        self._deadlines.close()
        self._guards.close()
        self._templates.close()
        for executor in self._executors.values():
            executor.close()
        if settled:
            with contextlib.suppress(TidemillError):  # the reaper does it when the lease is over
                for name in self._reader.names | {self.incarnation}:
                    self.hand_on(name)
        self._link.close()
        telemetry.event(
            Event.WORKER_STOPPED,
            worker=self.incarnation,
            done=self._done,
            returned=returned,
            elapsed_s=round(time.monotonic() - self._began, 1),
        )

    def failed(self, role: str, error: BaseException) -> None:
        """A part of this worker has died."""
        telemetry.event(
            Event.WORKER_FAILED, exc=error, worker=self.incarnation, role=role, error=type_name(type(error))
        )
        self._on_failure()

    # -- for the reader -----------------------------------------------------------------------------------------

    def register(self) -> None:
        self._membership.register()

    def accept(self, jobs: list[Taken]) -> None:
        self._admission.accept(jobs)

    def hand_back_late(self) -> bool:
        """Jobs that have waited here for too long may start at once elsewhere. True: some wait, so look again soon."""
        self._interruptions.hand_back_unresolved()
        has_suspects = self._admission.put_off_late()
        stuck = self._admission.stuck()
        if stuck is None:
            return has_suspects
        count = self._interruptions.hand_back_waiting(stuck)
        if count:
            self.intake.handed_back(count)
        return True

    def hand_on(self, incarnation: str) -> None:
        self._membership.hand_on(incarnation)

    # -- for the heartbeat --------------------------------------------------------------------------------------

    def running_ids(self) -> Collection[str]:
        return {run.taken.id for run in self.runs.all()}

    def held_count(self) -> int:
        return len(self.intake.held_entries(self.incarnation))

    def renewed(self, renewal: Renewal, held: int) -> None:
        """`held`: how many jobs it held before it asked."""
        if self.intake.set_paused(renewal.paused):
            self._reader.interrupt()
        self._reader.compare(renewal, held)
        self._membership.renewed(is_described=renewal.described)
        if renewal.cancelled:
            self._interruptions.cancel(set(renewal.cancelled))

    def lease_lost(self, incarnation: str) -> None:
        """This incarnation was taken for dead, and its jobs were given to others: what runs here is void.

        It goes on as a new incarnation. What still runs keeps the old fence, so the server refuses its outcome.
        """
        is_gone = self._interruptions.void
        if not self.intake.is_stopping and self._membership.succeed(incarnation, is_gone):
            self._reader.interrupt()

    def beat(self) -> None:
        """The lease thread has had its turn: the interpreter is not held."""
        if self._beats is not None:
            self._beats.send(
                Beat(
                    url=self._url,
                    prefix=self._mill.prefix,
                    incarnation=self.incarnation,
                    lease_ms=self.settings.lease_ms,
                    deadline_seconds=self._deadlines.first(),
                )
            )

    def template_changed(self, name: str) -> None:
        self._templates.changed(name)

    def connected(self) -> None:
        """From now on changes of templates are heard."""
        self._templates.connected()

    # -- for the executors --------------------------------------------------------------------------------------

    def started(self, run: Run) -> None:
        if run.timeout_ms is not None and self._deadlines.add(run):
            self.beat()  # the job may hold the interpreter from its beginning: nobody could say until when then
        taken = run.taken
        if telemetry.is_measured():
            now_ms = time.time() * 1000
            ready_ms = max(taken.created_ms, taken.due_ms)
            lateness_s = (now_ms - taken.due_ms) / 1000 if taken.due_ms else None
            telemetry.job_started(taken.queue, (now_ms - ready_ms) / 1000, lateness_s)
        if Event.JOB_STARTED.is_on:
            telemetry.event(Event.JOB_STARTED, job_id=taken.id, task=taken.task, queue=taken.queue, attempt=taken.tries)

    def finished(self, run: Run, outcome: Outcome) -> None:
        if run.finish():
            if run.guard is not None:
                outcome = run.guard.ended(run, outcome, is_void=run.taken.incarnation != self.incarnation)
            self._settlement.put(run.taken, outcome)
            run.is_settling = True

    def resolved(self, runs: list[Run]) -> None:
        self._admission.resolved(runs)

    def report(self, run: Run, fraction: float, text: str) -> None:
        self._settlement.report(run.taken, record.write_progress(fraction, text))

    # -- for the settlement -------------------------------------------------------------------------------------

    def decided(self, batch: Sequence[tuple[Taken, Outcome]]) -> None:
        """These are about to be settled."""
        jobs = [taken for taken, _ in batch]
        handed_back = [taken for taken, outcome in batch if isinstance(outcome, Released)]
        self.intake.forget(handed_back)
        self.intake.settling(len(jobs) - len(handed_back))
        durations_ms = defaultdict[str, list[float]](list)
        for run in self.runs.find(jobs):
            if run.started_at:
                durations_ms[run.definition.executor].append(run.seconds * 1000)
        for executor, durations in durations_ms.items():
            self._pace.observe(executor, *durations)
            self.intake.ran(durations)
        # A suspect stays alone until it is settled: what ran next could kill this worker, and it would be blamed.
        self._ended([taken for taken in jobs if taken.crashes < settings.SUSPECT_CRASHES])

    def settled(self, jobs: Sequence[Taken]) -> None:
        """The server knows their outcomes."""
        self._done += len(jobs)
        self.intake.settled(jobs)
        self._ended([taken for taken in jobs if taken.crashes >= settings.SUSPECT_CRASHES])

    def _ended(self, jobs: Sequence[Taken]) -> None:
        was_isolating = self.runs.is_isolating
        self._admission.submit(self.runs.remove(*jobs))
        if was_isolating:
            self.intake.look_again()
