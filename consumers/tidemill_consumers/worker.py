"""A worker process: it decides; reader, executors, settlement and heartbeat do.

    reader ──take──▶ executors ──outcome──▶ settlement
                        ▲
    heartbeat ──cancel──┘

Life: start → run → drain → stop. `held` is every job that was taken and is not settled; it bounds what is taken.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Collection, Sequence
from typing import Final

from tidemill import telemetry
from tidemill.app import Tidemill
from tidemill.client import Client
from tidemill.connection import Link
from tidemill.errors import TidemillError
from tidemill.ids import new_id
from tidemill.telemetry import Event
from tidemill.wire import record
from tidemill.wire.scripts import Renewal, Scripts, Taken
from tidemill_consumers import executors, pipeline, settings
from tidemill_consumers.deadlines import Deadlines
from tidemill_consumers.heartbeat import Heartbeat
from tidemill_consumers.outcomes import Outcome, Released
from tidemill_consumers.pace import Pace
from tidemill_consumers.reader import Reader
from tidemill_consumers.run import Interrupt, Run
from tidemill_consumers.settings import WorkerSettings
from tidemill_consumers.settlement import Settlement

# How long a worker that stops waits for the server's answer to its last settlements.
_LAST_WORDS_SECONDS: Final = 5.0


class Worker:
    """Runs the jobs of an application. `start`, then `stop`; both may be called from any thread, once."""

    def __init__(self, mill: Tidemill, worker_settings: WorkerSettings) -> None:
        self.settings = worker_settings
        self.codec = mill.codec
        self.incarnation = new_id()
        self.queues = worker_settings.queues or tuple(sorted({task.queue for task in mill.tasks.values()}))
        self._mill = mill
        client: Client = mill.client
        self._scripts: Scripts = client.scripts
        self._link = Link(client.target)
        self._held: dict[str, Taken] = {}
        self._running: dict[str, Run] = {}
        self._changed = threading.Condition()
        self._paused: frozenset[str] = frozenset()
        self._stopping = False
        self._began = time.monotonic()
        self._done = 0
        self._pace = Pace(worker_settings.concurrency)
        kinds = sorted({task.executor for task in mill.tasks.values()})
        self._executors = executors.load(kinds, self)
        self._deadlines = Deadlines(lambda run: self._interrupt(run, Interrupt.TIMEOUT))
        self._settlement = Settlement(self._link, self._scripts, self._settled)
        self._reader = Reader(client.target, self._scripts, self)
        self._heartbeat = Heartbeat(client.target, self._scripts, worker_settings.lease_ms, self)

    # -- life ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Registers, publishes recurring jobs, adopts parked ones, and begins to take. Raises ServerUnavailable."""
        self.register()
        self._mill.publish()
        self._settlement.start()
        self._heartbeat.start()
        self._reader.start()
        for task in self._mill.tasks:
            while self._link.run(self._scripts.adopt(task, settings.ADOPT_PAGE)) == settings.ADOPT_PAGE:
                pass
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
        telemetry.event(Event.WORKER_STOPPING, worker=self.incarnation, running=len(self._running), grace_s=grace)
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._reader.close()
        returned = self._hand_back_waiting()
        self._wait_until_idle(grace)
        returned += self._hand_back_running()
        settled = self._settlement.close(_LAST_WORDS_SECONDS)
        self._heartbeat.close()
        self._deadlines.close()
        for executor in self._executors.values():
            executor.close()
        if settled:
            self._retire()
        self._link.close()
        elapsed = round(time.monotonic() - self._began, 1)
        telemetry.event(
            Event.WORKER_STOPPED,
            worker=self.incarnation,
            done=self._done,
            returned=returned,
            elapsed_s=elapsed,
        )

    def _hand_back_waiting(self) -> int:
        waiting = [run for executor in self._executors.values() for run in executor.withdraw()]
        for run in waiting:
            self.finished(run, Released())
        return len(waiting)

    def _wait_until_idle(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        with self._changed:
            while self._running and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)

    def _hand_back_running(self) -> int:
        """Interrupts what still runs; what does not notice is handed back all the same, since this process ends."""
        running = list(self._running.values())
        for run in running:
            self._interrupt(run, Interrupt.RELEASE)
        self._wait_until_idle(settings.INTERRUPT_SECONDS)
        for run in list(self._running.values()):
            self.finished(run, Released())
        return len(running)

    def _retire(self) -> None:
        with contextlib.suppress(TidemillError):  # the reaper does it when the lease is over
            if not self._link.run(self._scripts.retire(self.incarnation, self.queues)):
                return
            # Tickets that were delivered in the last moment go on to other workers.
            error = record.write_error(pipeline.corrupt("it was held by a worker that left").error)
            for queue in self.queues:
                self._link.run(self._scripts.recover(self.incarnation, queue, 1_000, 1_000_000, error))
            self._link.run(self._scripts.retire(self.incarnation, self.queues))

    # -- for the reader -----------------------------------------------------------------------------------------

    def register(self) -> None:
        tasks = {task.name: task.queue for task in self._mill.tasks.values()}
        description = {
            "host": socket.gethostname(),
            "pid": str(os.getpid()),
            "queues": " ".join(self.queues),
            "concurrency": str(self.settings.concurrency),
            "lease_ms": str(self.settings.lease_ms),
            "started_ms": str(int(time.time() * 1000)),
        }
        self._link.run(
            self._scripts.register(self.incarnation, self.settings.lease_ms, self.queues, tasks, description)
        )

    def wait_for_room(self) -> int:
        with self._changed:
            while not self._stopping:
                room = self.settings.concurrency + self._pace.prefetch() - len(self._held)
                if room > 0:
                    return room
                self._changed.wait()
        return 0

    def open_queues(self) -> tuple[str, ...]:
        with self._changed:
            while not self._stopping:
                found = tuple(queue for queue in self.queues if queue not in self._paused)
                if found:
                    return found
                self._changed.wait()
        return ()

    def held_ids(self) -> Collection[str]:
        with self._changed:
            return set(self._held)

    def paused(self, queues: frozenset[str]) -> None:
        self._set_paused(self._paused | queues)

    def accept(self, jobs: list[Taken]) -> None:
        with self._changed:
            for taken in jobs:
                self._held[taken.id] = taken
        for taken in jobs:
            telemetry.received(taken.queue, 1)
            run = pipeline.resolve(taken, self._mill.tasks)
            if isinstance(run, Run):
                self._running[taken.id] = run
                self._executors[run.definition.executor].submit(run)
            else:
                self._settlement.put(taken, run)

    # -- for the heartbeat --------------------------------------------------------------------------------------

    def running_ids(self) -> Collection[str]:
        return list(self._running)

    def renewed(self, renewal: Renewal) -> None:
        self._set_paused(renewal.paused)
        for job_id in renewal.cancelled:
            run = self._running.get(job_id)
            if run is not None:
                self._interrupt(run, Interrupt.CANCEL)

    def lease_lost(self) -> None:
        """This incarnation was taken for dead, and its jobs were given to others: what runs here is void.

        It goes on as a new incarnation. What still runs keeps the old fence, so the server refuses its outcome.
        """
        with self._changed:
            if self._stopping:
                return
            telemetry.event(Event.LEASE_LOST, worker=self.incarnation, running=len(self._running))
            for run in self._running.values():
                if run.context is not None:
                    run.context.request_stop()
            self.incarnation = new_id()
        self.register()
        self._reader.interrupt()

    def _set_paused(self, queues: frozenset[str]) -> None:
        with self._changed:
            changed = queues != self._paused
            reopened = bool(self._paused - queues)
            self._paused = queues
            if changed:
                self._changed.notify_all()
        if reopened:
            self._reader.interrupt()

    # -- for the executors --------------------------------------------------------------------------------------

    def started(self, run: Run) -> None:
        self._deadlines.add(run)
        taken = run.taken
        now_ms = time.time() * 1000
        ready_ms = max(taken.created_ms, taken.due_ms)
        lateness_s = (now_ms - taken.due_ms) / 1000 if taken.due_ms else None
        telemetry.job_started(taken.queue, (now_ms - ready_ms) / 1000, lateness_s)
        telemetry.event(Event.JOB_STARTED, job_id=taken.id, task=taken.task, queue=taken.queue, attempt=taken.tries)

    def finished(self, run: Run, outcome: Outcome) -> None:
        if not run.finish():
            return
        if run.started_at:
            self._pace.observe((time.monotonic() - run.started_at) * 1000)
        with self._changed:
            self._running.pop(run.taken.id, None)
            if self._stopping:
                self._changed.notify_all()
        self._settlement.put(run.taken, outcome)

    def report(self, run: Run, fraction: float, text: str) -> None:
        self._settlement.report(run.taken, record.write_progress(fraction, text))

    # -- inside -------------------------------------------------------------------------------------------------

    def _interrupt(self, run: Run, why: Interrupt) -> None:
        if run.stop(why):
            self._executors[run.definition.executor].interrupt(run, why)

    def _settled(self, jobs: Sequence[Taken]) -> None:
        with self._changed:
            for taken in jobs:
                held = self._held.get(taken.id)
                if held is not None and held.attempt == taken.attempt:
                    del self._held[taken.id]
            self._done += len(jobs)
            self._changed.notify_all()
