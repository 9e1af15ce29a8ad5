"""Recurring jobs: their definition in Redis, which schedulers need no application code to follow."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import timedelta, tzinfo
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from tidemill import validation
from tidemill.enqueueing import queue_of
from tidemill.errors import CorruptRecord, InvalidInput
from tidemill.options import Options
from tidemill.schedule import Cron, Interval, MissedRuns, from_wire, parse, to_wire
from tidemill.wire import envelope
from tidemill.wire.scripts import NewJobs
from tidemill.wire.signing import Signable

if TYPE_CHECKING:
    from tidemill.client import Client, Operation


@dataclass(frozen=True, slots=True)
class Recurring:
    """A task that is enqueued by a schedule. `body` holds its encoded arguments."""

    name: str
    task: str
    schedule: Cron | Interval
    missed: MissedRuns
    body: bytes
    queue: str = ""  # until it is published, for a task that is known by its name alone
    priority: str = "normal"
    expires_ms: int | None = None
    result_ttl_ms: int | None = None
    options: bytes = b""

    def occurrence_id(self, due_ms: int) -> str:
        """The id of the job of one occurrence: the same for every scheduler, so that there is one job."""
        return f"every:{self.name}:{due_ms}"

    def jobs(self) -> NewJobs:
        return NewJobs(
            self.queue,
            self.task,
            self.priority,
            expires_ms=self.expires_ms,
            result_ttl_ms=self.result_ttl_ms,
            options=self.options,
        )

    def pack(self) -> bytes:
        return envelope.pack(
            {
                "task": self.task,
                "schedule": to_wire(self.schedule),
                "missed": str(self.missed),
                "body": self.body,
                "queue": self.queue,
                "priority": self.priority,
                "expires_ms": self.expires_ms,
                "result_ttl_ms": self.result_ttl_ms,
                "options": self.options,
            }
        )

    def told_apart(self) -> Recurring:
        """The second schedule of a task: named by the task and a digest of schedule and arguments."""
        digest = blake2b(self.pack(), digest_size=4).hexdigest()
        return replace(self, name=f"{self.name[: validation.MAX_RECURRING_CHARS - 9]}-{digest}")


def unpack(name: str, definition: bytes) -> Recurring:
    """Reads a definition. Raises CorruptRecord."""
    fields: Any = envelope.unpack(definition)
    try:
        schedule = from_wire(fields.pop("schedule"))
        missed = MissedRuns(fields.pop("missed"))
        return Recurring(name=name, schedule=schedule, missed=missed, **fields)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CorruptRecord(f"the recurring job {name!r} can't be read: {error}") from error


def declare(
    task: str,
    options: Options,
    when: str | timedelta,
    tz: str | tzinfo | None,
    body: bytes,
    name: str | None,
    missed: str,
) -> Recurring:
    """Checks what `Tidemill.every` was given. Raises InvalidInput."""
    if options.tenant:
        raise InvalidInput("a recurring job has no tenant: enqueue from it with using(tenant=...)")
    if options.unique or options.job_id or options.delay_ms or options.due_ms:
        raise InvalidInput("a recurring job has no unique, job_id or delay: each occurrence is named by its time")
    schedule = parse(when, tz)
    validation.one_of("missed", missed, tuple(MissedRuns))
    return Recurring(
        name=_default_name(task) if name is None else validation.recurring_name(name),
        task=task,
        schedule=schedule,
        missed=MissedRuns(missed),
        body=body,
        queue=options.queue or "",
        priority=options.priority,
        expires_ms=options.expires_ms,
        result_ttl_ms=options.result_ttl_ms,
        options=options.carried,
    )


def _default_name(task: str) -> str:
    """The task's name: who changes the schedule in the code replaces it, and does not have two from then on."""
    if len(task) <= validation.MAX_RECURRING_CHARS:
        return task
    digest = blake2b(task.encode(), digest_size=4).hexdigest()
    return f"{task[: validation.MAX_RECURRING_CHARS - 9]}-{digest}"


def publish(client: Client, recurring: Recurring) -> Operation[None]:
    """Writes the definition; an unchanged one keeps its next occurrence."""
    if not recurring.queue:
        recurring = replace(recurring, queue=(yield from queue_of(client, recurring.task)))
    if client.signing is not None:
        bound = Signable(recurring.queue, recurring.task, "", recurring.options)
        body = client.signing.sign_recurring(recurring.name, bound, recurring.body)
        recurring = replace(recurring, body=body)
    now_ms = int(time.time() * 1000)
    yield client.scripts.declare(recurring.name, recurring.pack(), recurring.schedule.next_after_ms(now_ms))
