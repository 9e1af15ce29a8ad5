"""Goes through everything that one shard holds, a page at a time, while the system works.

Almost every check is one script: what it compares is compared at one instant, so a busy system is never taken for a
damaged one, and a repair can't come too late. The exception are jobs without a ticket, since a stream can't be asked
for a job's ticket. They are found in three steps:

1. The records of READY and RUNNING jobs are read, with a mark of each that changes with whatever happens to the job.
2. All ready streams are gone through, from the first entry to the last. A ticket that moves meanwhile moves to the end,
   so it is seen there.
3. A job whose ticket was not seen and whose mark is still the same had none: the script that checks the mark makes one.

A job that has two tickets is not looked for, nor a ticket that waits although its job is over: take.lua starts a job
once, and drops what is left.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from tidemill import telemetry
from tidemill.client import Batch
from tidemill.doctor import settings
from tidemill.doctor.findings import Finding, Kind, Report, finding
from tidemill.doctor.keyspace import identify
from tidemill.doctor.tickets import WithoutTicket
from tidemill.errors import ServerUnavailable, TidemillError
from tidemill.telemetry import Event
from tidemill.wire.command import Command
from tidemill.wire.doctoring import Row
from tidemill.wire.keys import LANES

if TYPE_CHECKING:
    from tidemill.client import Client, Operation

T = TypeVar("T")


_PLACES = ("wheel", "dead", "done")
_PLACES_OF_LIMITS = ("permits", "called", "line")  # the line last: what left the others makes room for it
_QUEUE_FAMILIES = frozenset({*_PLACES, "ready", "queue", "turns", "tenant", "tenants"})


class _Check(Protocol[T]):
    """A command of the doctor, all but whether it is to repair."""

    def __call__(self, *, repair: bool) -> Command[T]: ...


def examine(client: Client, *, repair: bool) -> Operation[Report]:
    """Looks at everything once. `repair`: and mends what it finds."""
    return (yield from _Examination(client, repair).run())


class _Examination:
    def __init__(self, client: Client, repair: bool) -> None:
        self._scripts = client.scripts
        self._keys = client.scripts.keys
        self._repair = repair
        self._found: dict[tuple[Kind, str, str], Finding] = {}
        self._without_ticket = WithoutTicket()
        self._names: dict[str, set[str]] = {"queue": set(), "parked": set(), "worker": set()}
        self._keys_seen = self._records_seen = self._tickets_seen = 0

    def run(self) -> Operation[Report]:
        began = time.monotonic()
        yield from self._keyspace()
        queues = yield from self._queue_names()
        yield from self._streams(sorted({*queues, *self._without_ticket.queues}))
        yield from self._places(queues)
        yield from self._queues(queues)
        yield from self._workers(queues)
        return Report(
            tuple(self._found.values()),
            self._keys_seen,
            self._records_seen,
            self._tickets_seen,
            time.monotonic() - began,
        )

    # -- what all checks share ----------------------------------------------------------------------------------

    def _ask(self, check: _Check[T]) -> Operation[T]:
        """Repairs if that is wanted; where the server refuses (a key of a foreign type), only looks."""
        if self._repair:
            try:
                repaired: T = yield check(repair=True)
            except ServerUnavailable:
                raise
            except TidemillError:
                pass
            else:
                return repaired
        seen: T = yield check(repair=False)
        return seen

    def _add(self, rows: Iterable[Row], key: Callable[[str], str]) -> None:
        """`key`: what a row's subject is about."""
        for row in rows:
            self._add_one(Kind(row.kind), key(row.subject), row.subject, row.seen, row.repaired)

    def _add_one(self, kind: Kind, key: str, subject: str, detail: str, repaired: bool) -> None:
        found = finding(kind, key, subject, detail, repair=self._repair, repaired=repaired)
        if repaired:
            telemetry.event(Event.DOCTOR_REPAIRED, kind=str(kind), key=key, subject=subject, reason=found.seen)
            telemetry.repaired(str(kind))
        self._found[kind, key, subject] = found  # SCAN may return a key twice

    # -- records, locks, and keys that are none of ours ---------------------------------------------------------

    def _keyspace(self) -> Operation[None]:
        cursor = ""
        while cursor != "0":
            cursor, keys = yield self._scripts.scan(cursor or "0", settings.SCAN_PAGE_KEYS)
            self._keys_seen += len(keys)
            for page in _pages(keys):
                yield from self._look_at(page)
            if len(self._without_ticket) >= settings.MAX_WITHOUT_TICKET:
                yield from self._streams(sorted(self._without_ticket.queues))

    def _look_at(self, keys: Sequence[str]) -> Operation[None]:
        jobs: list[str] = []
        digests: list[str] = []
        lines: list[str] = []
        others: list[tuple[str, str]] = []
        for key in keys:
            known = identify(key.removeprefix(self._keys.root))
            if known is None:
                self._add_one(Kind.UNKNOWN_KEY, key, "", "", False)
            elif known.family == "job":
                jobs.append(known.name)
            else:
                others.append((key, known.type))
                if known.family == "unique":
                    digests.append(known.name)
                elif known.family == "tenant":
                    lines.append(key)
                family = "queue" if known.family in _QUEUE_FAMILIES else known.family
                self._names.setdefault(family, set()).add(known.name)
        yield from self._types(others)
        for key in lines:
            yield from self._line(key)
        if jobs:
            yield from self._records(jobs)
        if digests:
            rows = yield from self._ask(partial(self._scripts.check_locks, digests))
            self._add(rows, self._keys.unique)

    def _types(self, keys: Sequence[tuple[str, str]]) -> Operation[None]:
        types: list[str] = yield Batch([self._scripts.type_of(key) for key, _ in keys])
        for (key, wanted), seen in zip(keys, types, strict=True):
            if seen not in (wanted, "none"):
                self._add_one(Kind.FOREIGN_TYPE, key, "", seen, False)

    def _records(self, jobs: Sequence[str]) -> Operation[None]:
        checked = yield from self._ask(partial(self._scripts.check_records, jobs))
        self._records_seen += len(jobs)
        self._add(checked.rows, self._keys.job)
        self._without_ticket.add(checked.needs_ticket)

    def _line(self, key: str) -> Operation[None]:
        _, queue, lane, tenant = key.removeprefix(self._keys.root).split(":")
        cursor = ""
        check = partial(self._scripts.check_line, queue, lane, tenant, page=settings.CHECK_PAGE)
        while cursor != "0":
            cursor, rows = yield from self._ask(partial(check, cursor=cursor or "0"))
            self._add(rows, lambda _: key)

    def _queue_names(self) -> Operation[list[str]]:
        names: list[str] = yield self._scripts.queue_names()
        return sorted(self._names["queue"].union(names))

    # -- tickets ------------------------------------------------------------------------------------------------

    def _streams(self, queues: Sequence[str]) -> Operation[None]:
        """Goes through the tickets of these queues, and gives one to each job that was found to have none."""
        for queue in queues:
            for lane in LANES:
                yield from self._stream(queue, lane)
        for page in _pages(self._without_ticket.take_all()):
            jobs = [(job.job_id, job.mark) for job in page]
            rows = yield from self._ask(partial(self._scripts.reinstate, jobs))
            self._add(rows, self._keys.job)

    def _stream(self, queue: str, lane: str) -> Operation[None]:
        cursor, is_over, stream = "", False, self._keys.ready(queue, lane)
        check = partial(self._scripts.check_tickets, queue, lane, page=settings.CHECK_PAGE)
        while not is_over:
            checked = yield from self._ask(partial(check, cursor=cursor, moved_on_ms=settings.MOVED_ON_MS))
            self._tickets_seen += len(checked.tickets)
            self._without_ticket.see(queue, checked.tickets)
            self._add(checked.rows, lambda _: stream)
            cursor = checked.cursor
            is_over = not cursor

    # -- the other places ---------------------------------------------------------------------------------------

    def _places(self, queues: Sequence[str]) -> Operation[None]:
        """After the records: one that stands in a wrong place has its right one by now."""
        keys = self._keys
        for queue in queues:
            for kind, place in zip(_PLACES, (keys.wheel(queue), keys.dead(queue), keys.done(queue)), strict=True):
                yield from self._place(kind, place, queue)
        yield from self._place("expiring", keys.expiring, "")
        for task in sorted(self._names["parked"]):
            yield from self._place("parked", keys.parked(task), "")
        for kind in _PLACES_OF_LIMITS:
            for limit in sorted(self._names.get(kind, ())):
                yield from self._place(kind, f"{keys.root}{kind}:{limit}", limit)

    def _place(self, kind: str, place: str, queue: str) -> Operation[None]:
        cursor = ""
        check = partial(self._scripts.check_places, kind, place, queue, page=settings.CHECK_PAGE)
        while cursor != "0":
            cursor, rows = yield from self._ask(partial(check, cursor=cursor or "0"))
            self._add(rows, lambda _: place)

    def _queues(self, queues: Sequence[str]) -> Operation[None]:
        for page in _pages(queues):
            rows = yield from self._ask(partial(self._scripts.check_queues, page))
            self._add(rows, self._keys.queue)

    # -- workers ------------------------------------------------------------------------------------------------

    def _workers(self, queues: Sequence[str]) -> Operation[None]:
        for queue in queues:
            for lane in LANES:
                yield from self._consumers(queue, lane)
        leases: list[tuple[str, int]] = yield self._scripts.workers()
        names = sorted(self._names["worker"].union(name for name, _ in leases))
        for page in _pages(names):
            check = partial(self._scripts.check_workers, page, settings.LATE_MS, settings.GIVEN_LEASE_MS)
            rows = yield from self._ask(check)
            self._add(rows, self._keys.worker)

    def _consumers(self, queue: str, lane: str) -> Operation[None]:
        stream = self._keys.ready(queue, lane)
        check = partial(self._scripts.check_consumers, queue, lane, settings.LATE_MS, settings.GIVEN_LEASE_MS)
        rows = yield from self._ask(check)
        self._add(rows, lambda _: stream)


def _pages(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """As many as one script may look at."""
    size = settings.CHECK_PAGE
    return (items[start : start + size] for start in range(0, len(items), size))
