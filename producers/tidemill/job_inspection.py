"""Going through the jobs of a queue, to list or to cancel them: the operations behind `mill.inspect`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from tidemill import tenant_inspection, validation
from tidemill.client import Batch
from tidemill.errors import CorruptRecord, RemoteError
from tidemill.job import Job, JobState, state_of
from tidemill.tenant_inspection import Line
from tidemill.wire.command import Command
from tidemill.wire.keys import LANES
from tidemill.wire.record import Record, from_hash

if TYPE_CHECKING:
    from tidemill.client import Client, Operation

# Jobs looked at in one call when many are listed or cancelled: short for the server, few round trips.
_PAGE: Final = 100
_PLACES: Final = ("scheduled", "high", "normal", "low", "dead", "finished")


def listed(client: Client, queue: str, state: str | None, offset: int, limit: int) -> Operation[list[Job[Any]]]:
    """At most `limit` of one state or of all, behind the first `offset`."""
    validation.queue_name(queue)
    wanted = None if state is None else JobState(validation.one_of("state", state, tuple(JobState)))
    most = validation.whole("offset", offset, 0, 10**9) + validation.whole("limit", limit, 1, 10**9)
    found: list[Record] = []
    lines = (yield from tenant_inspection.lines(client, queue)) if wanted in (None, JobState.READY) else []
    places: list[str | Line] = [*_places(wanted), *lines]
    for place in places:
        cursor = _Cursor()
        while len(found) < most and not cursor.is_at_end:
            ids = yield from _page(client, place, queue, cursor)
            records = yield from _records(client, queue, ids)
            found += [record for record in records if wanted in (None, state_of(record))]
    return [Job(client, record.id, state_of(record), record) for record in found[offset:most]]


def purge(client: Client, queue: str) -> Operation[int]:
    """Cancels what has not started; returns how many."""
    validation.queue_name(queue)
    cancelled = 0
    lines = yield from tenant_inspection.lines(client, queue)
    places: list[str | Line] = ["scheduled", *lines, *LANES]
    for place in places:
        cursor = _Cursor()
        while not cursor.is_at_end:
            ids = yield from _page(client, place, queue, cursor)
            records = yield from _records(client, queue, ids)
            # A purge must not stop what runs, nor count what was cancelled before.
            waiting = [record.id for record in records if record.state in (JobState.SCHEDULED, JobState.READY)]
            if waiting:
                states = yield client.scripts.cancel(waiting)
                cancelled += states.count("cancelled")
            # A cancelled job leaves the wheel, and the others move up; a ticket stays until a worker reads it.
            cursor.offset -= len(waiting)
    return cancelled


@dataclass(slots=True)
class _Cursor:
    """How far a place was read: zsets by rank, streams by entry."""

    offset: int = 0
    entry: str = ""
    is_at_end: bool = False


def _page(client: Client, place: str | Line, queue: str, cursor: _Cursor) -> Operation[list[str]]:
    """The next ids of a place; moves the cursor behind them."""
    if isinstance(place, Line):
        ids: list[str] = yield client.scripts.tenant_line(queue, *place, cursor.offset, _PAGE)
        cursor.offset += len(ids)
    elif place in LANES:
        tickets: list[tuple[str, str]] = yield client.scripts.tickets(queue, place, cursor.entry, _PAGE)
        ids = [job_id for _, job_id in tickets]
        cursor.entry = tickets[-1][0] if tickets else cursor.entry
    else:
        ids = yield client.scripts.page(place, queue, cursor.offset, _PAGE)
        cursor.offset += len(ids)
    cursor.is_at_end = len(ids) < _PAGE
    return ids


def _records(client: Client, queue: str, ids: list[str]) -> Operation[list[Record]]:
    """The records that there are, in one round trip."""
    commands = [_read_leniently(client.scripts.read(job_id), job_id, queue) for job_id in ids]
    records: list[Record | None] = yield Batch(commands)
    return [record for record in records if record is not None]


def _read_leniently(command: Command[Record | None], job_id: str, queue: str) -> Command[Record | None]:
    """One record that no Tidemill wrote must not hide the others: it is shown as a dead letter, with the reason."""

    def parse(reply: Any) -> Record | None:
        try:
            return command.parse(reply)
        except CorruptRecord as error:
            shown = from_hash(job_id, {b"s": b"dead", b"q": queue.encode()})
            return replace(shown, error=RemoteError("CorruptRecord", str(error)))

    return replace(command, parse=parse)


def _places(state: JobState | None) -> Iterator[str | Line]:
    """Where jobs of a state are to be found."""
    match state:
        case JobState.SCHEDULED | JobState.DEAD:
            yield str(state)
        case JobState.READY | JobState.RUNNING:
            yield from LANES
        case JobState.SUCCEEDED | JobState.CANCELLED | JobState.EXPIRED:
            yield "finished"
        case None:
            yield from _PLACES
