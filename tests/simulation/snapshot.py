"""What the server holds, read in one call after each command that may have changed it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from pathlib import Path
from typing import Any, Final, NamedTuple

from tidemill.wire.command import Command, call
from tidemill.wire.keys import LANES, Keys
from tidemill.wire.script import Script

_TEXT: Final = (Path(__file__).parent / "snapshot.lua").read_text(encoding="utf-8")
_SCRIPT: Final = Script("snapshot", _TEXT, sha1(_TEXT.encode(), usedforsecurity=False).hexdigest())

LIVE: Final = frozenset({"scheduled", "ready", "running"})

Scores = dict[str, int]


class Fields(NamedTuple):
    """A record, as far as the invariants need it; "" where a field is absent."""

    state: str
    queue: str
    priority: str
    task: str
    lease: str
    attempt: str
    crashes: str
    due: str
    expires: str
    unique: str
    cancel: str
    parked: str

    @property
    def is_live(self) -> bool:
        return self.state in LIVE

    @property
    def lane(self) -> str:
        return self.priority or "normal"


class Ticket(NamedTuple):
    """A stream entry; `holder`: the consumer that it was delivered to, or ""."""

    queue: str
    lane: str
    job_id: str
    holder: str


@dataclass
class Snapshot:
    """The state after one command. `tickets` of entries that were deleted while pending have no job id."""

    agenda: Scores = field(default_factory=dict[str, int])
    expiring: Scores = field(default_factory=dict[str, int])
    workers: Scores = field(default_factory=dict[str, int])
    wheel: dict[str, Scores] = field(default_factory=dict[str, Scores])
    dead: dict[str, Scores] = field(default_factory=dict[str, Scores])
    done: dict[str, Scores] = field(default_factory=dict[str, Scores])
    tickets: list[Ticket] = field(default_factory=list[Ticket])
    parked: dict[str, Scores] = field(default_factory=dict[str, Scores])
    locks: dict[str, str] = field(default_factory=dict[str, str])
    records: dict[str, Fields] = field(default_factory=dict[str, Fields])

    def state(self, job_id: str) -> str:
        """ "" when there is no record."""
        found = self.records.get(job_id)
        return found.state if found else ""


@dataclass
class Camera:
    """Takes snapshots of what is known to exist; ids are told to it before the command that may make them."""

    keys: Keys
    queues: Sequence[str]
    tasks: Sequence[str]
    digests: list[str] = field(default_factory=list[str])
    job_ids: dict[str, None] = field(default_factory=dict[str, None])
    _seen: dict[str, tuple[Any, Fields | None]] = field(default_factory=dict[str, tuple[Any, "Fields | None"]])
    _last: tuple[Any, Snapshot] | None = None

    def command(self) -> Command[Snapshot]:
        """The snapshot is the same object as the one before when nothing has changed."""
        names: list[str | int] = []
        for kind in (self.queues, self.tasks, self.digests):
            names += [len(kind), *kind]
        arguments = (self.keys.root, *names, *self.job_ids)
        return call(_SCRIPT, (self.keys.agenda,), arguments, self._parse)

    def _parse(self, reply: Any) -> Snapshot:
        if self._last is not None and self._last[0] == reply:
            return self._last[1]
        agenda, expiring, workers, queues, parked, locks, records = reply
        found = Snapshot(_scores(agenda), _scores(expiring), _scores(workers))
        for queue, (wheel, dead, done, *streams) in zip(self.queues, queues, strict=True):
            found.wheel[queue], found.dead[queue], found.done[queue] = _scores(wheel), _scores(dead), _scores(done)
            for lane, (entries, pending) in zip(LANES, streams, strict=True):
                found.tickets += _tickets(queue, lane, entries, pending)
        found.parked = {task: _scores(one) for task, one in zip(self.tasks, parked, strict=True)}
        found.locks = {digest: one.decode() for digest, one in zip(self.digests, locks, strict=True) if one}
        for job_id, raw in zip(self.job_ids, records, strict=True):
            fields = self._fields(job_id, raw)
            if fields is not None:
                found.records[job_id] = fields
        self._last = reply, found
        return found

    def _fields(self, job_id: str, raw: list[bytes | None]) -> Fields | None:
        seen = self._seen.get(job_id)
        if seen is None or seen[0] != raw:
            fields = Fields(*(value.decode() if value else "" for value in raw)) if any(raw) else None
            seen = self._seen[job_id] = raw, fields
        return seen[1]


def _scores(flat: list[bytes]) -> Scores:
    words = iter(flat)
    return {member.decode(): int(float(score)) for member, score in zip(words, words, strict=True)}


def _tickets(queue: str, lane: str, entries: list[bytes], pending: list[bytes]) -> list[Ticket]:
    words = iter(pending)
    holders = {entry: holder.decode() for entry, holder in zip(words, words, strict=True)}
    words = iter(entries)
    found = [
        Ticket(queue, lane, job_id.decode(), holders.pop(entry, "")) for entry, job_id in zip(words, words, strict=True)
    ]
    return found + [Ticket(queue, lane, "", holder) for holder in holders.values()]
