"""What happened to a job, and what was done by hand, as far as it is still kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill import validation
from tidemill.dead_letters import settings
from tidemill.job import not_found
from tidemill.wire.command import Command
from tidemill.wire.record import Record
from tidemill.wire.replies import milliseconds
from tidemill.wire.scripts import Entry

if TYPE_CHECKING:
    from tidemill.client import Client, Operation


@dataclass(frozen=True, slots=True)
class HandAction:
    """A call of something that was done by hand. `at_ms`: unix time of the server's clock.

    action: "retry", "edit" (a retry with new arguments) or "purge"; or what was done to a breaker or a template, as
        "open_breaker", "retire_template". by, reason: who and why, as they said.
    operation: what all calls of one action have in common; filter: which letters it was to be, "" for one by its id.
    jobs: the ids of exactly those that it was done to; or "breaker:<name>", "template:<name>:<number>".
    """

    action: str
    at_ms: int
    by: str
    reason: str
    operation: str
    filter: str
    jobs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JobEvent:
    """A transition of a job: the script that made it, and when (unix ms of the server's clock)."""

    name: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class JobHistory:
    """`record`: None when it was removed. `actions` and `events`, the last first: what their streams still hold."""

    job_id: str
    record: Record | None
    actions: tuple[HandAction, ...]
    events: tuple[JobEvent, ...]


def history(client: Client, job_id: str) -> Operation[JobHistory]:
    """Raises JobNotFound when nothing is known of the job any more."""
    validation.job_id(job_id)
    record: Record | None = yield client.scripts.read(job_id)
    done = yield from actions(client, job_id, None, None)
    entries = yield from _entries(client.scripts.event_entries, lambda entry: job_id in _ids(entry), None)
    if record is None and not done and not entries:
        raise not_found(job_id)
    events = tuple(JobEvent(entry.fields.get("event", ""), _time_of(entry)) for entry in entries)
    return JobHistory(job_id, record, done, events)


def actions(
    client: Client, job_id: str | None, operation: str | None, limit: int | None
) -> Operation[tuple[HandAction, ...]]:
    """What was done by hand, the last first: to this job, in this operation, at most `limit`."""
    if job_id is not None:
        validation.job_id(job_id)
    if limit is not None:
        validation.whole("limit", limit, 1, 100_000)

    def fits(entry: Entry) -> bool:
        is_its = operation is None or entry.fields.get("operation") == operation
        return is_its and (job_id is None or job_id in _ids(entry))

    entries = yield from _entries(client.scripts.audit_entries, fits, limit)
    return tuple(map(_action, entries))


def _entries(
    read: Callable[[str, int], Command[list[Entry]]], fits: Callable[[Entry], bool], limit: int | None
) -> Operation[list[Entry]]:
    """Goes through a stream from its end, a page at a time."""
    found: list[Entry] = []
    behind, is_over = "", False
    while not is_over and (limit is None or len(found) < limit):
        page: list[Entry] = yield read(behind, settings.STREAM_PAGE)
        found += filter(fits, page)
        is_over = len(page) < settings.STREAM_PAGE
        behind = page[-1].id if page else ""
    return found[:limit]


def _action(entry: Entry) -> HandAction:
    fields = entry.fields
    return HandAction(
        action=fields.get("action", ""),
        at_ms=milliseconds(fields.get("at")) or _time_of(entry),
        by=fields.get("by", ""),
        reason=fields.get("reason", ""),
        operation=fields.get("operation", ""),
        filter=fields.get("filter", ""),
        jobs=tuple(_ids(entry)),
    )


def _ids(entry: Entry) -> list[str]:
    return entry.fields.get("jobs", "").split()


def _time_of(entry: Entry) -> int:
    """The server's clock when the entry was added."""
    return int(entry.id.partition("-")[0])
