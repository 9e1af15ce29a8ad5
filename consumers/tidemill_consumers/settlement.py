"""Tells the server what came of runs: in batches, and until it has answered.

Outcomes are put into a queue; one thread takes all that are there, groups them by script and stream, and sends the
groups in one round trip. While it is under way the next outcomes gather, so batches grow with the load by themselves
and a lone job is settled at once.

Every settlement is fenced: the script refuses it when the attempt is not the current one any more (FENCED: this worker
was taken for dead and the job recovered), and answers a repeated call as done. So when a reply is lost, or the server
is away, the same batch is sent again, however often; nothing can be settled twice.
"""

from __future__ import annotations

import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final

from tidemill import telemetry
from tidemill.connection import Link
from tidemill.errors import QueueFull, ServerUnavailable, TidemillError
from tidemill.telemetry import Event
from tidemill.wire import record
from tidemill.wire.command import Command
from tidemill.wire.keys import LANES
from tidemill.wire.scripts import Scripts, Taken
from tidemill_consumers import settings
from tidemill_consumers.outcomes import (
    Cancelled,
    Dead,
    Outcome,
    Parked,
    Progressed,
    Released,
    Retried,
    Succeeded,
)

_FENCED: Final = 0

Settled = tuple[Taken, Outcome]
Reported = tuple[Taken, Progressed]


class Settlement:
    def __init__(self, link: Link, scripts: Scripts, on_settled: Callable[[Sequence[Taken]], None]) -> None:
        self._link = link
        self._scripts = scripts
        self._on_settled = on_settled
        self._queue: queue.SimpleQueue[Settled | Reported | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="tidemill-settlement", daemon=True)
        self._given_up = threading.Event()

    def start(self) -> None:
        self._thread.start()

    def put(self, taken: Taken, outcome: Outcome) -> None:
        """Settles the run soon. Never blocks."""
        self._queue.put((taken, outcome))

    def report(self, taken: Taken, progress: bytes) -> None:
        """Writes the progress soon; of several in one batch only the last. Never blocks."""
        self._queue.put((taken, Progressed(progress)))

    def close(self, timeout_seconds: float) -> bool:
        """Settles what is left. False: the server did not answer in time; the reaper will recover the rest."""
        self._queue.put(None)
        self._thread.join(timeout_seconds)
        self._given_up.set()
        return not self._thread.is_alive()

    def _serve(self) -> None:
        while True:
            batch, reports, over = self._gather()
            if batch or reports:
                self._settle(batch, reports)
                self._on_settled([taken for taken, _ in batch])
            if over:
                return

    def _gather(self) -> tuple[list[Settled], dict[str, Reported], bool]:
        """What is there, up to a batch; the last report of each job; whether that is the end."""
        batch: list[Settled] = []
        reports: dict[str, Reported] = {}
        item = self._queue.get()
        while item is not None:
            taken, outcome = item
            if isinstance(outcome, Progressed):
                reports[taken.id] = taken, outcome
            else:
                batch.append((taken, outcome))
            if len(batch) >= settings.SETTLE_BATCH or self._queue.empty():
                return batch, reports, False
            item = self._queue.get()
        return batch, reports, True

    def _settle(self, batch: list[Settled], reports: dict[str, Reported]) -> None:
        groups = _grouped(batch)
        commands: list[Command[Any]] = [_command(self._scripts, group) for group in groups]
        # After the settlements: a report of a job that is over is refused by its fence.
        for taken, outcome in reports.values():
            fence = (taken.id, taken.incarnation, taken.attempt)
            commands.append(self._scripts.progress(*fence, outcome.progress))
        while not self._given_up.is_set():
            try:
                answers = self._link.run_all(commands)
            except (ServerUnavailable, QueueFull) as error:
                telemetry.event(
                    Event.SERVER_UNAVAILABLE,
                    server=self._link.target.masked,
                    error=str(error.__cause__ or error),
                )
            except TidemillError as error:
                # A reply that is no reply of our script: nothing that sending again could mend. The jobs stay in the
                # pending list, so the reaper or a person can still find them.
                telemetry.event(Event.WORKER_FAILED, role="settlement", error=str(error))
                return
            else:
                for group, codes in zip(groups, answers, strict=False):
                    _report(group, codes)
                return


def _grouped(batch: Sequence[Settled]) -> list[list[Settled]]:
    groups: dict[tuple[object, ...], list[Settled]] = defaultdict(list)
    for taken, outcome in batch:
        groups[type(outcome), taken.incarnation, taken.queue, taken.lane].append((taken, outcome))
    return list(groups.values())


def _command(scripts: Scripts, group: Sequence[Settled]) -> Command[list[int]]:
    first, kind = group[0]
    place = (first.incarnation, first.queue, LANES[first.lane])
    rows: list[Any] = [_row(taken, outcome) for taken, outcome in group]
    match kind:
        case Succeeded():
            return scripts.complete(*place, rows)
        case Retried():
            return scripts.retry(*place, rows)
        case Dead():
            return scripts.bury(*place, rows)
        case Parked():
            return scripts.park(*place, rows)
        case Cancelled():
            return scripts.abandon(*place, rows)
        case Released():
            return scripts.release(*place, rows)


def _row(taken: Taken, outcome: Outcome) -> tuple[object, ...]:
    fence = (taken.id, taken.entry, taken.attempt)
    match outcome:
        case Succeeded(result):
            return (*fence, result)
        case Retried(error, delay_ms):
            return (*fence, delay_ms, record.write_error(error))
        case Dead(error):
            return (*fence, record.write_error(error))
        case Parked(reason, delay_ms):
            return (*fence, delay_ms, reason, taken.task)
        case Cancelled() | Released():
            return fence


def _report(group: Sequence[Settled], codes: Sequence[int]) -> None:
    """Counts and logs what the server accepted and what it refused."""
    done = sum(code != _FENCED for code in codes)
    queue_name = group[0][0].queue
    match group[0][1]:
        case Succeeded():
            telemetry.jobs_settled(queue_name, "succeeded", done)
        case Dead():
            telemetry.jobs_settled(queue_name, "dead", done)
        case Cancelled():
            telemetry.jobs_settled(queue_name, "cancelled", done)
        case Retried():
            telemetry.jobs_retried(queue_name, done)
        case Parked():
            telemetry.jobs_parked(queue_name, "unknown_task", done)
        case Released():
            pass
    for (taken, outcome), code in zip(group, codes, strict=True):
        _log(taken, outcome, code)


def _log(taken: Taken, outcome: Outcome, code: int) -> None:
    labels: dict[str, Any] = {
        "job_id": taken.id,
        "task": taken.task,
        "queue": taken.queue,
        "attempt": taken.tries,
        "traceparent": taken.trace,
    }
    if code == _FENCED:
        telemetry.event(Event.JOB_FENCED, **labels)
        return
    match outcome:
        case Succeeded():
            telemetry.event(Event.JOB_SUCCEEDED, **labels)
        case Retried(error, delay_ms):
            telemetry.event(Event.JOB_RETRIED, **labels, delay_ms=delay_ms, error=f"{error.type}: {error.message}")
        case Dead(error, reason):
            telemetry.event(Event.JOB_DEAD, **labels, reason=reason, error=f"{error.type}: {error.message}")
        case Parked(reason, delay_ms):
            telemetry.event(Event.JOB_PARKED, **labels, delay_ms=delay_ms, reason=reason)
        case Cancelled():
            telemetry.event(Event.JOB_CANCELLED, **labels)
        case Released():
            telemetry.event(Event.JOB_RELEASED, **labels)
