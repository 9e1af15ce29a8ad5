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
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Final, Protocol

from tidemill import settings as client_settings
from tidemill import telemetry
from tidemill.connection import Link
from tidemill.errors import QueueFull, ServerUnavailable, ServerUnsuitable, TidemillError
from tidemill.telemetry import Event
from tidemill.wire import record
from tidemill.wire.command import Command
from tidemill.wire.keys import LANES
from tidemill.wire.scripts import Scripts, Taken
from tidemill_consumers import settings
from tidemill_consumers.background import background
from tidemill_consumers.contact import Contact
from tidemill_consumers.intake import Attempt, attempt_of
from tidemill_consumers.outcomes import Cancelled, Dead, Outcome, Parked, Released, Retried, Succeeded

_FENCED: Final = 0
_NAMES: Final[dict[type[Outcome], str]] = {
    Succeeded: "succeeded",
    Retried: "retried",
    Dead: "dead",
    Parked: "parked",
    Cancelled: "cancelled",
    Released: "released",
}

Settled = tuple[Taken, Outcome]
Group = Sequence[Settled]


class Owner(Protocol):
    """What the settlement tells its worker, from its own thread."""

    def decided(self, batch: Sequence[Settled]) -> None: ...
    def settled(self, jobs: Sequence[Taken]) -> None: ...
    def failed(self, role: str, error: BaseException) -> None: ...


class Settlement:
    def __init__(self, link: Link, scripts: Scripts, owner: Owner, contact: Contact) -> None:
        self._contact = contact
        self._link = link
        self._scripts = scripts
        self._owner = owner
        # None: look at the reports; or, after `close`, the end.
        self._queue: queue.SimpleQueue[Settled | None] = queue.SimpleQueue()
        self._reports: dict[Attempt, tuple[Taken, bytes]] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._given_up = threading.Event()
        self._all_settled = False
        self._thread = background("settlement", self._serve, owner.failed)

    def start(self) -> None:
        self._thread.start()

    def put(self, taken: Taken, outcome: Outcome) -> None:
        """Settles the run soon. Never blocks."""
        self._queue.put((taken, outcome))

    def report(self, taken: Taken, progress: bytes) -> None:
        """Writes the progress soon: however often a job reports, only its last report of a batch is written."""
        with self._lock:
            is_first = not self._reports
            self._reports[attempt_of(taken)] = taken, progress
        if is_first:
            self._queue.put(None)

    def close(self, timeout_seconds: float) -> bool:
        """Settles what is left. False: the server did not answer in time; the reaper will recover the rest."""
        self._closing.set()
        self._queue.put(None)
        self._thread.join(timeout_seconds)
        self._given_up.set()
        return self._all_settled

    def _serve(self) -> None:
        over = False
        while not over:
            batch, over = self._gather()
            with self._lock:
                reports, self._reports = list(self._reports.values()), {}
            if batch or reports:
                self._owner.decided(batch)
                self._settle(batch, reports)
                self._owner.settled([taken for taken, _ in batch])
        self._all_settled = not self._given_up.is_set()
        if not self._all_settled:
            self._link.close()  # its owner has closed it before this last try

    def _gather(self) -> tuple[list[Settled], bool]:
        """What is there, up to a batch, and whether that is the end."""
        batch: list[Settled] = []
        while True:
            item = self._queue.get()
            if item is not None:
                batch.append(item)
            if self._queue.empty():
                return batch, item is None and self._closing.is_set()
            if len(batch) >= settings.SETTLE_BATCH:
                return batch, False

    def _settle(self, batch: Sequence[Settled], reports: Sequence[tuple[Taken, bytes]]) -> None:
        """In one round trip; if the server refuses, one by one: a record that was tampered with harms no other."""
        # Reports come last: one of a job that is over is refused by its fence.
        progress = [
            self._scripts.progress(taken.id, taken.incarnation, taken.attempt, fraction) for taken, fraction in reports
        ]
        if self._send(grouped(batch), progress) is None:
            return
        for taken, outcome in batch:
            error = self._send([[(taken, outcome)]], ())
            if error is not None:
                # Sending it again mends nothing. The job stays in the pending list, where a person can find it.
                telemetry.event(Event.RECORD_CORRUPT, job_id=taken.id, queue=taken.queue, reason=str(error))

    def _send(self, groups: Sequence[Group], progress: Sequence[Command[int]]) -> TidemillError | None:
        """Until the server has answered, or `close` has given up; then what it refused with, if it did."""
        commands: list[Command[Any]] = [command_for(self._scripts, group) for group in groups]
        while not self._given_up.is_set():
            try:
                with _observed(groups):
                    answers = self._link.run_all([*commands, *progress])
            except (ServerUnavailable, ServerUnsuitable, QueueFull) as error:
                # A password that was changed, or memory that is short, is a state of the server too: it can be mended.
                reason = str(error.__cause__ or error)
                telemetry.event(Event.SERVER_UNAVAILABLE, server=self._link.target.masked, error=reason)
                self._contact.failed("settlement", error)
                self._given_up.wait(client_settings.RETRY_CAP_SECONDS)
            except TidemillError as error:
                self._contact.answered("settlement")
                return error
            else:
                self._contact.answered("settlement")
                for group, codes in zip(groups, answers, strict=False):
                    _report(group, codes)
                return None
        return None


def _observed(groups: Sequence[Group]) -> ExitStack:
    """The blocks that tracing sees: one for each group."""
    blocks = ExitStack()
    for group in groups:
        taken, outcome = group[0]
        only_id = taken.id if len(group) == 1 else None
        blocks.enter_context(telemetry.settle(taken.queue, len(group), _NAMES[type(outcome)], only_id))
    return blocks


def grouped(batch: Sequence[Settled]) -> list[list[Settled]]:
    """What one call each can settle."""
    groups: dict[tuple[object, ...], list[Settled]] = defaultdict(list)
    for taken, outcome in batch:
        groups[type(outcome), taken.incarnation, taken.queue, taken.lane].append((taken, outcome))
    return list(groups.values())


def command_for(scripts: Scripts, group: Group) -> Command[list[int]]:
    """Settles one of the groups that `grouped` makes."""
    first, kind = group[0]
    place = (first.incarnation, first.queue, LANES[first.lane])
    rows: list[Any] = [(taken.id, taken.entry, taken.attempt, *_details(taken, outcome)) for taken, outcome in group]
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


def _details(taken: Taken, outcome: Outcome) -> tuple[object, ...]:
    """What a script is told of a job beside its fence."""
    match outcome:
        case Succeeded():
            return (outcome.result,)
        case Retried():
            return outcome.delay_ms, record.write_error(outcome.error, outcome.fallback)
        case Dead():
            return (record.write_error(outcome.error),)
        case Parked():
            return outcome.delay_ms, outcome.reason, taken.task
        case Cancelled() | Released():
            return ()


def _report(group: Group, codes: Sequence[int]) -> None:
    """Counts and logs what the server accepted and what it refused."""
    done = sum(code != _FENCED for code in codes)
    queue_name, outcome = group[0][0].queue, group[0][1]
    match outcome:
        case Succeeded() | Dead() | Cancelled():
            telemetry.jobs_settled(queue_name, _NAMES[type(outcome)], done)
        case Retried():
            telemetry.jobs_retried(queue_name, done)
        case Parked(_, _, label):
            telemetry.jobs_parked(queue_name, label, done)
        case Released():
            pass
    if Event.JOB_SUCCEEDED.is_on or done < len(codes) or not isinstance(outcome, Succeeded):
        for (taken, outcome), code in zip(group, codes, strict=True):
            _log(taken, outcome, code)


def _log(taken: Taken, outcome: Outcome, code: int) -> None:
    what, details = (Event.JOB_FENCED, {}) if code == _FENCED else event_of(outcome)
    telemetry.event(
        what,
        job_id=taken.id,
        task=taken.task,
        queue=taken.queue,
        attempt=taken.tries,
        traceparent=taken.trace,
        **details,
    )


def event_of(outcome: Outcome) -> tuple[Event, dict[str, Any]]:
    """What is logged of an outcome, and which fields it has beside the job's."""
    match outcome:
        case Succeeded():
            return Event.JOB_SUCCEEDED, {}
        case Retried(error, delay_ms, reason):
            return Event.JOB_RETRIED, {"delay_ms": delay_ms, "reason": reason, "error": error.type}
        case Dead(error, reason):
            return Event.JOB_DEAD, {"reason": reason, "error": error.type}
        case Parked(reason, delay_ms, _):
            return Event.JOB_PARKED, {"delay_ms": delay_ms, "reason": reason}
        case Cancelled():
            return Event.JOB_CANCELLED, {}
        case Released():
            return Event.JOB_RELEASED, {}
