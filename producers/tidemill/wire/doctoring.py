"""The commands of the doctor: see `tidemill.doctor`.

Each looks at a page of one structure and of what belongs to it, in one script, so what it finds is so at one instant.
With `repair` the same script puts it right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tidemill.wire.command import Argument, Command, call
from tidemill.wire.replies import text, texts
from tidemill.wire.script import load
from tidemill.wire.shard import Shard


class Row(NamedTuple):
    """What a check found. `subject`: an id, an incarnation, a stream entry or a queue, as the kind has it."""

    kind: str
    subject: str
    seen: str
    repaired: bool


class NeedsTicket(NamedTuple):
    """A job that is to have a ticket. `holder`: the worker that runs it, "" while it waits."""

    job_id: str
    queue: str
    holder: str
    mark: bytes


class CheckedRecords(NamedTuple):
    rows: list[Row]
    needs_ticket: list[NeedsTicket]


class CheckedTickets(NamedTuple):
    """`tickets`: (job id, the consumer that it was delivered to, or ""). `cursor`: "" when that was all."""

    cursor: str
    tickets: list[tuple[str, str]]
    rows: list[Row]


class Doctoring(Shard):
    def scan(self, cursor: str, count: int) -> Command[tuple[str, list[str]]]:
        """(next cursor, keys of this shard); "0" begins, and is the cursor when that was all."""
        words = ("SCAN", cursor, "MATCH", f"{self.keys.root}*", "COUNT", count)
        return Command(words, lambda reply: (text(reply[0]), texts(reply[1])))

    def type_of(self, key: str) -> Command[str]:
        """The type of a key; "none": it is gone."""
        return Command(("TYPE", key), text)

    def check_records(self, job_ids: Sequence[str], *, repair: bool, now_ms: Argument = "") -> Command[CheckedRecords]:
        def parse(reply: Any) -> CheckedRecords:
            words = iter(reply[1])
            found = [
                NeedsTicket(text(one), text(queue), text(holder), mark) for one, queue, holder, mark in _by_4(words)
            ]
            return CheckedRecords(_rows(reply[0]), found)

        keys = (self.keys.agenda, self.keys.expiring)
        return call(load("check_records"), keys, (now_ms, int(repair), self.kept.ttl_ms, *job_ids), parse)

    def check_places(
        self, kind: str, place: str, queue: str, cursor: str, page: int, *, repair: bool
    ) -> Command[tuple[str, list[Row]]]:
        """`place`: the key. `kind`: wheel, dead, done, parked, expiring, line, called or permits; of the last three
        `queue` is the limit. Cursors as in `scan`.
        """
        arguments = (int(repair), kind, queue, cursor, page)
        return call(load("check_places"), (place,), arguments, lambda reply: (text(reply[0]), _rows(reply[1])))

    def check_line(
        self, queue: str, lane: str, tenant: str, cursor: str, page: int, *, repair: bool
    ) -> Command[tuple[str, list[Row]]]:
        """`tenant`: its digest. Cursors as in `scan`."""
        keys = (self.keys.turns(queue, lane), self.keys.tenant_line(queue, lane, tenant))
        arguments = (int(repair), queue, lane, tenant, cursor, page)
        return call(load("check_line"), keys, arguments, lambda reply: (text(reply[0]), _rows(reply[1])))

    def check_tickets(
        self, queue: str, lane: str, cursor: str, page: int, moved_on_ms: int, *, repair: bool
    ) -> Command[CheckedTickets]:
        def parse(reply: Any) -> CheckedTickets:
            words = iter(texts(reply[1]))
            return CheckedTickets(text(reply[0]), list(zip(words, words, strict=True)), _rows(reply[2]))

        keys = (self.keys.workers, self.keys.ready(queue, lane))
        return call(load("check_tickets"), keys, (int(repair), cursor, page, moved_on_ms), parse)

    def reinstate(self, jobs: Sequence[tuple[str, bytes]], *, repair: bool) -> Command[list[Row]]:
        """Jobs as (id, mark), whose tickets were looked for in vain since the marks were taken."""
        words = [word for job in jobs for word in job]
        return call(load("reinstate"), (self.keys.workers, self.keys.expiring), (int(repair), *words), _rows)

    def check_locks(self, digests: Sequence[str], *, repair: bool) -> Command[list[Row]]:
        keys = tuple(self.keys.unique(digest) for digest in digests)
        return call(load("check_locks"), keys, (int(repair), *digests), _rows)

    def check_workers(
        self, incarnations: Sequence[str], late_ms: int, lease_ms: int, *, repair: bool, now_ms: Argument = ""
    ) -> Command[list[Row]]:
        arguments = (now_ms, int(repair), late_ms, lease_ms, *incarnations)
        return call(load("check_workers"), (self.keys.workers,), arguments, _rows)

    def check_consumers(
        self, queue: str, lane: str, idle_ms: int, lease_ms: int, *, repair: bool, now_ms: Argument = ""
    ) -> Command[list[Row]]:
        keys = (self.keys.workers, self.keys.ready(queue, lane))
        return call(load("check_consumers"), keys, (now_ms, int(repair), idle_ms, lease_ms), _rows)

    def check_queues(self, queues: Sequence[str], *, repair: bool, now_ms: Argument = "") -> Command[list[Row]]:
        keys = (self.keys.queues, self.keys.agenda)
        return call(load("check_queues"), keys, (now_ms, int(repair), *queues), _rows)


def _by_4(words: Any) -> Any:
    return zip(words, words, words, words, strict=True)


def _rows(reply: Any) -> list[Row]:
    return [Row(text(kind), text(subject), text(seen), bool(repaired)) for kind, subject, seen, repaired in reply]
