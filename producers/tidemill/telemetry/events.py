"""Every log event with its level and its fields, and `event()`, which logs one."""

from __future__ import annotations

import logging
from enum import Enum
from logging import DEBUG, ERROR, INFO, WARNING

from tidemill.telemetry.logfmt import FieldValue, logfmt
from tidemill.telemetry.provider import trace_id_in


class Event(Enum):
    """What can be logged: name, level, message and the fields that it may carry.

    What happens once a job is DEBUG when all is well: at 60,000 jobs a second the metrics tell it better.
    `job_id` is written as `job`; `error` is a class name; `reason` one of few words.
    """

    WORKER_STARTED = "worker.started", INFO, "worker started", "worker queues concurrency server"
    WORKER_STOPPING = "worker.stopping", INFO, "worker stopping", "worker reason running grace_s"
    WORKER_STOPPED = "worker.stopped", INFO, "worker stopped", "worker done returned elapsed_s"
    WORKER_FAILED = "worker.failed", ERROR, "worker failed", "worker role error"
    WORKER_STALLED = (
        "worker.stalled",
        WARNING,
        "a job holds the worker's interpreter: the supervisor keeps its lease",
        ("worker pid silent_s"),
    )
    CHILD_STARTED = "child.started", DEBUG, "child process started", "worker pid"
    CHILD_STOPPED = "child.stopped", INFO, "child process stopped", "worker pid reason exit_code"

    JOB_STARTED = "job.started", DEBUG, "job started", "job_id task queue attempt worker"
    JOB_SUCCEEDED = "job.succeeded", DEBUG, "job succeeded", "job_id task queue attempt duration_ms"
    JOB_RETRIED = "job.retried", INFO, "job will be retried", "job_id task queue attempt delay_ms reason error"
    JOB_FALLBACK = "job.fallback", WARNING, "job takes its fallback", "job_id task queue attempt reason error"
    JOB_DEAD = "job.dead", ERROR, "job is a dead letter", "job_id task queue attempt reason error"
    CALL_RETRIED = "call.retried", INFO, "call will be made again", "function attempt delay_ms reason error"
    CALL_FAILED = "call.failed", INFO, "call is not made again", "function attempt reason error"
    JOB_PARKED = "job.parked", INFO, "job parked", "job_id task queue attempt delay_ms reason"
    JOB_RELEASED = "job.released", INFO, "job handed back", "job_id task queue attempt reason"
    JOB_RECOVERED = (
        "job.recovered",
        WARNING,
        "job of a lost worker recovered",
        ("job_id task queue attempt crashes worker count"),
    )
    JOB_CANCELLED = "job.cancelled", INFO, "job cancelled", "job_id task queue attempt"
    JOB_EXPIRED = "job.expired", WARNING, "job expired", "job_id task queue attempt count"
    JOB_SHED = "job.shed", WARNING, "jobs dropped: other jobs took their place in a full queue", "queue reason count"
    JOB_FENCED = (
        "job.fenced",
        WARNING,
        "result refused: the job has a newer attempt or owner",
        ("job_id task queue attempt worker"),
    )
    JOB_TIMED_OUT = (
        "job.timed_out",
        WARNING,
        "job ran into its timeout",
        "job_id task queue attempt timeout_s",
    )
    JOB_REFUSED = (
        "job.refused",
        WARNING,
        "job refused: it has no signature that this worker accepts",
        "job_id task queue attempt reason",
    )
    TEMPLATE_REFUSED = (
        "template.refused",
        ERROR,
        "a version of a template is damaged, or has no signature that this worker accepts: its jobs are dead letters",
        "template version reason",
    )
    TEMPLATES_WARMED = "template.warmed", INFO, "what the fleet uses most is loaded", "count elapsed_s"
    QUEUE_PRESSED = "queue.pressed", WARNING, "queue is filling up, or full", "queue reason used limit"
    DEAD_RETRIED = "dead.retried", INFO, "dead letters retried by hand", "by why operation job_id count"
    DEAD_EDITED = "dead.edited", INFO, "dead letter retried by hand with new arguments", "by why operation job_id"
    DEAD_PURGED = "dead.purged", INFO, "dead letters removed by hand", "by why operation queue count"
    BREAKER_OPENED = "breaker.opened", WARNING, "breaker is open", "breaker reason delay_ms local"
    BREAKER_HALF_OPEN = "breaker.half_open", INFO, "breaker lets probes through", "breaker reason local"
    BREAKER_CLOSED = "breaker.closed", INFO, "breaker is closed", "breaker reason local"
    BREAKER_SET = "breaker.set", INFO, "breaker set by hand", "by why operation breaker state"
    TEMPLATE_PUBLISHED = "template.published", INFO, "version of a template published", "template version bytes"
    TEMPLATE_RETIRED = (
        "template.retired",
        INFO,
        "version of a template retired by hand",
        "by why operation template version keep_s",
    )
    TEMPLATE_RESTORED = (
        "template.restored",
        INFO,
        "version of a template restored by hand",
        "by why operation template version",
    )
    TEMPLATE_LABELLED = (
        "template.labelled",
        INFO,
        "label put on a version of a template by hand",
        "by why operation template label version weight",
    )
    TEMPLATE_UNLABELLED = (
        "template.unlabelled",
        INFO,
        "label of a template removed by hand",
        "by why operation template label",
    )
    DOCTOR_REPAIRED = "doctor.repaired", INFO, "damage repaired", "kind key subject reason"
    RECORD_CORRUPT = "record.corrupt", ERROR, "record is not one that Tidemill wrote", "job_id queue reason"

    LEASE_LOST = (
        "lease.lost",
        ERROR,
        "lease lost: other workers may take this worker's jobs",
        ("worker late_s running"),
    )
    SERVER_UNAVAILABLE = (
        "server.unavailable",
        WARNING,
        "server does not answer",
        "server error attempt delay_ms",
    )
    SERVER_BACK = "server.back", INFO, "server answers again", "server outage_s"
    PRIMARY_CHANGED = "primary.changed", WARNING, "the sentinels name another primary", "primary server"
    SERVER_UNSAFE = "server.unsafe", WARNING, "server is configured so that jobs may be lost", "server reason"
    SERVER_STARTED = "server.started", INFO, "embedded server started", "server pid version"
    SERVER_STOPPED = "server.stopped", INFO, "embedded server stopped", "server pid"
    CLOCK_JUMPED = "clock.jumped", WARNING, "clock jumped: recovery waits for one lease", "by_ms"

    SCHEDULER_STARTED = "scheduler.started", INFO, "scheduler started", "scheduler server"
    SCHEDULER_STOPPED = "scheduler.stopped", INFO, "scheduler stopped", "scheduler elapsed_s"
    SCHEDULER_FAILED = "scheduler.failed", ERROR, "scheduler failed", "scheduler role error delay_ms"
    RECURRING_ENQUEUED = (
        "recurring.enqueued",
        INFO,
        "recurring job enqueued",
        "name task queue count",
    )
    RECURRING_MISSED = "recurring.missed", WARNING, "recurring runs missed", "name task queue count"

    def __init__(self, name: str, level: int, message: str, fields: str) -> None:
        self.event_name = name
        self.level = level
        self.message = message
        self.fields = frozenset(fields.split())
        # `tidemill.job`, `tidemill.worker`: a level can be set for each subject.
        self.logger = logging.getLogger(f"tidemill.{name.partition('.')[0]}")

    @property
    def is_on(self) -> bool:
        """Whether anybody wants to see it."""
        return self.logger.isEnabledFor(self.level)


class EventFields:
    """An event's fields in a log record: text for any handler, values for one that reads `record.args`."""

    __slots__ = ("values",)

    def __init__(self, values: dict[str, FieldValue]) -> None:
        self.values = values

    def __str__(self) -> str:
        return logfmt(self.values)


def event(what: Event, *, exc: BaseException | None = None, traceparent: str = "", **fields: FieldValue) -> None:
    """Log `what` with those of its `fields` that are not None. Cheap while its level is off.

    Args:
        exc: its traceback is logged too.
        traceparent: of the record, for its trace id, where the caller is not inside of the job's `process`.
    """
    if not what.is_on:
        return
    values: dict[str, FieldValue] = {
        ("job" if key == "job_id" else key): value for key, value in fields.items() if value is not None
    }
    if traceparent and (trace_id := trace_id_in(traceparent)):
        values["trace_id"] = trace_id
    what.logger.log(
        what.level,
        f"{what.message}%s",
        EventFields(values),
        exc_info=exc,
        stacklevel=2,
        extra={"tidemill_event": what},
    )
