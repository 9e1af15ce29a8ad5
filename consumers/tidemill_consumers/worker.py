"""A worker process: it decides; reader, executors, settlement and heartbeat do.

    reader ──take──▶ executors ──outcome──▶ settlement
                        ▲
    heartbeat ──cancel──┘

Life: start → run → drain → stop. `intake` bounds what is taken; `runs` are those whose outcome is open.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from operator import attrgetter
from typing import Final

from tidemill import telemetry
from tidemill.app import Tidemill
from tidemill.connection import Link
from tidemill.errors import JobCancelled, QueueFull, TidemillError
from tidemill.ids import new_id
from tidemill.names import type_name
from tidemill.telemetry import Event
from tidemill.wire import record
from tidemill.wire.scripts import Renewal, Scripts, Taken
from tidemill_consumers import pipeline, settings
from tidemill_consumers.beats import Beat, BeatSender
from tidemill_consumers.concurrency import make_limiter, slots
from tidemill_consumers.confining import confine, is_unconfined
from tidemill_consumers.contact import Contact
from tidemill_consumers.deadlines import Deadlines
from tidemill_consumers.executors import Executor
from tidemill_consumers.guards import Guards
from tidemill_consumers.heartbeat import Heartbeat
from tidemill_consumers.intake import Intake
from tidemill_consumers.outcomes import Outcome, Parked, Released
from tidemill_consumers.pace import Pace
from tidemill_consumers.reader import Reader
from tidemill_consumers.run import Interrupt, Run
from tidemill_consumers.runs import Runs
from tidemill_consumers.settings import WorkerSettings
from tidemill_consumers.settlement import Settlement

# How long a worker that stops waits for the server's answer to its last settlements.
_LAST_WORDS_SECONDS: Final = 5.0
# A page of what is handed on when a worker leaves.
_HAND_ON_PAGE: Final = 1_000
# Leaving is no crash: what is handed on then is never buried.
_NO_BURIAL: Final = 1_000_000


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
        self.incarnation = new_id()
        self._mill = mill
        self._tasks = dict(mill.tasks)
        self._on_failure = on_failure
        self._beats = beats
        self._url = ""
        self._is_published = False
        self.queues = worker_settings.queues or tuple(sorted({task.queue for task in self._tasks.values()}))
        target = mill.client.target
        self._scripts: Scripts = mill.client.scripts
        self._link = Link(target)
        self.runs = Runs()
        self._guards = Guards(self._tasks, mill.client.breakers, self._link, self._scripts, self.failed)
        self._registering = threading.Lock()
        self._began = time.monotonic()
        self._done = 0
        self._limiter = make_limiter(worker_settings.concurrency_limiter, worker_settings.concurrency)
        self._pace = Pace(self._limiter)
        self._executors: dict[str, Executor] = {}
        self.intake = Intake(self.queues, self._limiter, self._pace, lambda: self.runs.is_isolating)
        self._deadlines = Deadlines(self._timed_out, self.failed)
        contact = Contact(worker_settings.server_deadline_seconds, lambda: bool(self.runs.all()), self.failed)
        self._settlement = Settlement(self._link, self._scripts, self, contact)
        self._reader = Reader(target, self._scripts, self.intake, self, contact)
        self._heartbeat = Heartbeat(target, self._scripts, worker_settings.lease_ms, self, contact)

    # -- life ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Registers, publishes recurring jobs, adopts parked ones, and begins to take.

        Raises ServerUnavailable, and InvalidInput when an executor is not installed; nothing runs then.
        """
        try:
            self.register()
            self._url = self._mill.url
            self.beat()  # before the first job, which may kill this process
            for name, task in self._tasks.items():
                if task.breaker is not None:
                    continue  # its parked jobs are the guards'
                while self._link.run(self._scripts.adopt(name, settings.ADOPT_PAGE)) == settings.ADOPT_PAGE:
                    pass
            self._executors = slots.load({task.executor for task in self._tasks.values()}, self, self._limiter)
        except BaseException:
            self._link.close()
            raise
        for part in (self._guards, self._deadlines, self._settlement, self._heartbeat, self._reader):
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
        suspects = self.runs.withdraw()
        for run in suspects:
            self.finished(run, Released())
        returned = len(suspects) + sum(map(self._hand_back_waiting, self._executors))
        self.runs.wait_until_none(grace)
        returned += self._hand_back_running()
        settled = self._settlement.close(_LAST_WORDS_SECONDS)
        self._heartbeat.close()
        self._deadlines.close()
        self._guards.close()
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

    def _hand_back_waiting(self, executor: str) -> int:
        """What this executor has not started."""
        waiting = self._executors[executor].withdraw()
        for run in waiting:
            self.finished(run, Released())
        return len(waiting)

    def _hand_back_running(self) -> int:
        """Interrupts what still runs; what does not notice is handed back all the same, since this process ends."""
        running = [run for run in self.runs.all() if not run.is_over]
        for run in running:
            self._interrupt(run, Interrupt.RELEASE)
        self.runs.wait_until_none(settings.INTERRUPT_SECONDS)
        for run in self.runs.all():
            self.finished(run, Released())
        return len(running)

    def hand_on(self, incarnation: str) -> None:
        """What was delivered to this name, which takes nothing more, goes on to other workers; and the name goes."""
        if not self._link.run(self._scripts.retire(incarnation, self.queues)):
            return
        for queue in self.queues:
            hand_on = self._scripts.recover(incarnation, queue, _HAND_ON_PAGE, _NO_BURIAL, b"")
            while self._link.run(hand_on).moved >= _HAND_ON_PAGE:
                pass
        self._link.run(self._scripts.retire(incarnation, self.queues))

    def failed(self, role: str, error: BaseException) -> None:
        """A part of this worker has died."""
        telemetry.event(
            Event.WORKER_FAILED, exc=error, worker=self.incarnation, role=role, error=type_name(type(error))
        )
        self._on_failure()

    # -- for the reader -----------------------------------------------------------------------------------------

    def register(self) -> None:
        """Says which incarnation this is, makes what is missing of its queues, and publishes recurring jobs."""
        self._register(self.incarnation)

    def _register(self, incarnation: str) -> None:
        tasks = {task.name: task.queue for task in self._tasks.values()}
        description = {
            "host": socket.gethostname(),
            "pid": str(os.getpid()),
            "queues": " ".join(self.queues),
            "concurrency": str(self.settings.concurrency),
            "lease_ms": str(self.settings.lease_ms),
            "started_ms": str(int(time.time() * 1000)),
        }
        if self.settings.concurrency_limiter != settings.CONCURRENCY_LIMITER:
            description["limiter"] = self.settings.concurrency_limiter
        limits = {task.name: task.limits.allowed if task.limits else "" for task in self._tasks.values()}
        self._link.run(self._scripts.declare_limits(limits))
        self._link.run(self._scripts.register(incarnation, self.settings.lease_ms, self.queues, tasks, description))
        self._publish()

    def _publish(self) -> None:
        """A server whose memory is full refuses definitions, but workers must drain it: a renewal tries again."""
        self._is_published = False
        with contextlib.suppress(QueueFull):
            self._mill.publish()
            self._is_published = True

    def accept(self, jobs: list[Taken]) -> None:
        self.intake.hold(jobs)
        for queue, count in Counter(taken.queue for taken in jobs).items():
            telemetry.received(queue, count)
        runs: list[Run] = []
        # Within a batch the high ones go first: what was reserved for others is taken, and starts a moment later.
        for taken in sorted(jobs, key=attrgetter("lane")):
            found = Released() if self.intake.is_stopping else self._admit(taken)
            if isinstance(found, Run):
                runs.append(found)
            else:
                self._settlement.put(taken, found)
        now, put_off = self.runs.add(self._confined(runs))
        for run in put_off:
            reason = "it may be what killed its workers: it waits for one that is idle"
            self._settlement.put(run.taken, Parked(reason, settings.SUSPECT_OFFER_MS, "no_permit"))
        self._submit(now)

    def _confined(self, runs: list[Run]) -> list[Run]:
        """Without those whose limits are to be named first."""
        unconfined = [run for run in runs if is_unconfined(run)]
        if not unconfined:
            return runs
        for taken, outcome in confine(unconfined, self._scripts, self.client.codec, self._link.run_all):
            self._settlement.put(taken, outcome)
        return [run for run in runs if run not in unconfined]

    def hand_back_late(self) -> bool:
        """What waits behind long jobs may start at once elsewhere. True: jobs wait, so look again soon."""
        since = self.runs.waiting_since()
        if since is None:
            return False
        late = time.monotonic() - settings.HAND_BACK_MS / 1000
        stuck = self.runs.stuck_executors(late) if since < late else ()
        count = sum(map(self._hand_back_waiting, stuck))
        if count:
            self.intake.handed_back(count)
        return True

    def _admit(self, taken: Taken) -> Run | Outcome:
        found = pipeline.admit(taken, self._tasks, self._mill.client.signing)
        if isinstance(found, Run) and found.definition.breaker is not None:
            return self._guards.admit(found, found.definition.breaker)
        return found

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
        if not renewal.described:
            self.register()
        if not self._is_published:
            self._publish()
        if renewal.cancelled:
            cancelled = set(renewal.cancelled)
            for run in self.runs.all():
                if run.taken.id in cancelled:
                    self._interrupt(run, Interrupt.CANCEL)

    def lease_lost(self, incarnation: str) -> None:
        """This incarnation was taken for dead, and its jobs were given to others: what runs here is void.

        It goes on as a new incarnation. What still runs keeps the old fence, so the server refuses its outcome.
        """
        with self._registering:
            if self.intake.is_stopping or incarnation != self.incarnation:
                return
            runs = self.runs.all()
            telemetry.event(Event.LEASE_LOST, worker=incarnation, running=len(runs))
            for run in runs:
                if run.context is not None:
                    run.context.request_stop()
            successor = new_id()
            self._register(successor)
            self.incarnation = successor
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

    def report(self, run: Run, fraction: float, text: str) -> None:
        self._settlement.report(run.taken, record.write_progress(fraction, text))

    # -- inside -------------------------------------------------------------------------------------------------

    def _submit(self, runs: list[Run]) -> None:
        for run in runs:
            if run.is_held:
                self._hold(run, waits=False)
            self._executors[run.definition.executor].submit(run)

    def _hold(self, run: Run, *, waits: bool) -> None:
        """Without an answer it goes on: a death that is blamed on nobody, or on one too many, loses nothing."""
        with contextlib.suppress(TidemillError):
            self._link.run(self._scripts.hold(run.taken, waits=waits))
            run.is_held = waits

    def _timed_out(self, run: Run) -> None:
        if self._interrupt(run, Interrupt.TIMEOUT):
            taken, timeout_s = run.taken, (run.timeout_ms or 0) / 1000
            telemetry.event(
                Event.JOB_TIMED_OUT,
                job_id=taken.id,
                task=taken.task,
                queue=taken.queue,
                attempt=taken.tries,
                timeout_s=timeout_s,
            )

    def _interrupt(self, run: Run, why: Interrupt) -> bool:
        if not run.stop(why):
            return False
        if self.runs.withdraw_suspect(run):
            self.finished(run, pipeline.classify(run, JobCancelled()))
        else:
            self._executors[run.definition.executor].interrupt(run, why)
        return True

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
        self._submit(self.runs.remove(*jobs))
        if was_isolating:
            self.intake.look_again()
