"""One typed method for each Lua script, of the same name, and for the few plain commands beside them.

A method builds a `Command` (what is sent, and how the answer is read); a link sends it. `now_ms` is for tests alone:
in production scripts read the server's clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tidemill import settings
from tidemill.wire import record
from tidemill.wire.command import Argument, Command, call
from tidemill.wire.keys import GROUP, Keys
from tidemill.wire.script import load


@dataclass(frozen=True, slots=True)
class NewJobs:
    """What the jobs of one enqueue call share. `due_ms` is unix time; without it, `delay_ms` counts from now."""

    queue: str
    task: str
    priority: str = "normal"
    due_ms: int | None = None
    delay_ms: int = 0
    expires_ms: int | None = None
    result_ttl_ms: int | None = None
    options: bytes = b""
    trace: str = ""


class NewJob(NamedTuple):
    id: str
    unique: str
    body: bytes


class Enqueued(NamedTuple):
    """`code`: ready, scheduled, exists (detail: the job's state) or conflict (detail: the holder's id)."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Full:
    """The queue had no room for the chunk; nothing of it was enqueued."""

    waiting: int
    limit: int


class Promoted(NamedTuple):
    jobs: int
    next_due_ms: int | None
    more_due: bool
    full: bool


class Ticket(NamedTuple):
    """A stream entry that a blocking read delivered."""

    queue: str
    lane: int
    entry: str
    job_id: str


@dataclass(frozen=True, slots=True)
class Taken:
    """A job that this worker is to run: what RUNNING means, with the fence in `incarnation` and `attempt`."""

    id: str
    queue: str
    lane: int
    entry: str
    attempt: int
    uncounted: int
    task: str
    body: bytes
    options: bytes
    crashes: int
    created_ms: int
    due_ms: int
    trace: str
    error: bytes
    incarnation: str

    @property
    def tries(self) -> int:
        """Attempts that count for the retry policy, this one included: 1 at first."""
        return self.attempt - self.uncounted


@dataclass(frozen=True, slots=True)
class Takings:
    jobs: list[Taken]
    paused: frozenset[str] = frozenset()
    missing_groups: bool = False


@dataclass(frozen=True, slots=True)
class Renewal:
    """None instead of this: the lease is gone."""

    cancelled: list[str]
    paused: frozenset[str]


class Recovered(NamedTuple):
    """`moved` < 0: the lease lives. Fewer than a page: that was all."""

    moved: int
    ready: list[str]
    buried: list[str]


@dataclass(frozen=True, slots=True)
class Survey:
    """What a scheduler has to do, and when; None: nothing of the kind."""

    now_ms: int
    due_queues: list[str]
    next_wheel_ms: int | None
    next_lease_end_ms: int | None
    next_expiry_ms: int | None
    next_occurrence_ms: int | None


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """The figures of one queue. `counters` holds what finished since the queue exists, and its settings."""

    queue: str
    scheduled: int
    ready: dict[str, int]
    running: int
    dead: int
    finished: int
    oldest_ready_ms: int | None
    counters: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def waiting(self) -> int:
        return sum(self.ready.values())


def text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")


def _texts(values: Any) -> list[str]:
    return [text(value) for value in values]


def _milliseconds(value: object) -> int | None:
    found = text(value)
    return int(float(found)) if found else None


def _codes(reply: Any) -> list[int]:
    return [int(code) for code in reply]


class Kept(NamedTuple):
    """Retention: how long a finished record is kept (ms), and how many a queue keeps."""

    ttl_ms: int = settings.RESULT_TTL_MS
    most: int = settings.MAX_FINISHED


class Scripts:
    """Commands for one shard."""

    def __init__(self, keys: Keys, kept: Kept | None = None) -> None:
        self.keys = keys
        self.kept = kept or Kept()

    # -- the producer's -----------------------------------------------------------------------------------------

    def enqueue(self, shared: NewJobs, jobs: Sequence[NewJob], now_ms: Argument = "") -> Command[list[Enqueued] | Full]:
        arguments: list[Argument] = [
            now_ms,
            shared.queue,
            shared.task,
            shared.priority,
            "" if shared.due_ms is None else shared.due_ms,
            shared.delay_ms,
            "" if shared.expires_ms is None else shared.expires_ms,
            "" if shared.result_ttl_ms is None else shared.result_ttl_ms,
            shared.options,
            shared.trace,
        ]
        for job in jobs:
            arguments += job

        def parse(reply: Any) -> list[Enqueued] | Full:
            if int(reply[0]) == 0:
                return Full(int(reply[1]), int(reply[2]))
            return [Enqueued(text(reply[i]), text(reply[i + 1])) for i in range(1, len(reply), 2)]

        return call(load("enqueue"), (self.keys.queue(shared.queue),), tuple(arguments), parse)

    def cancel(self, job_ids: Sequence[str], now_ms: Argument = "") -> Command[list[str]]:
        keys = tuple(self.keys.job(job_id) for job_id in job_ids)
        return call(load("cancel"), keys, (now_ms, *self.kept, *job_ids), _texts)

    def requeue(self, job_id: str, now_ms: Argument = "") -> Command[list[str]]:
        return call(load("requeue"), (self.keys.job(job_id),), (now_ms, job_id), _texts)

    def watch(self, job_id: str, waiter: str) -> Command[str]:
        return call(load("watch"), (self.keys.job(job_id),), (waiter,), text)

    def configure(self, queue: str, changes: Mapping[str, str]) -> Command[int]:
        pairs = tuple(word for pair in changes.items() for word in pair)
        return call(load("configure"), (self.keys.queue(queue), self.keys.queues), (queue, *pairs), int)

    def declare(self, name: str, definition: bytes, next_ms: int) -> Command[int]:
        keys = (self.keys.recurring, self.keys.occurrences)
        return call(load("declare"), keys, (name, definition, next_ms), int)

    def undeclare(self, name: str) -> Command[int]:
        return call(load("undeclare"), (self.keys.recurring, self.keys.occurrences), (name,), int)

    def read(self, job_id: str) -> Command[record.Record | None]:
        def parse(reply: Any) -> record.Record | None:
            pairs = iter(reply)
            fields = dict(zip(pairs, pairs, strict=True))
            return record.from_hash(job_id, fields) if fields else None

        return Command(("HGETALL", self.keys.job(job_id)), parse)

    def measure(self, queue: str, now_ms: Argument = "") -> Command[QueueFigures]:
        keys = self.keys
        places = (
            keys.queue(queue),
            keys.wheel(queue),
            keys.dead(queue),
            keys.done(queue),
            *keys.lanes(queue),
        )

        def parse(reply: Any) -> QueueFigures:
            counters = _texts(reply[0])
            return QueueFigures(
                queue=queue,
                scheduled=int(reply[1]),
                dead=int(reply[2]),
                finished=int(reply[3]),
                running=int(reply[4]),
                oldest_ready_ms=_milliseconds(reply[5]),
                ready={"high": int(reply[6]), "normal": int(reply[7]), "low": int(reply[8])},
                counters=dict(zip(counters[::2], counters[1::2], strict=True)),
            )

        return call(load("measure"), places, (now_ms,), parse)

    def queue_names(self) -> Command[list[str]]:
        return Command(("SMEMBERS", self.keys.queues), lambda reply: sorted(_texts(reply)))

    def task_queue(self, task: str) -> Command[str]:
        """The default queue of a task, as workers declared it; "" when no worker ever did."""
        return Command(("HGET", self.keys.tasks, task), text)

    def recurring(self) -> Command[dict[str, bytes]]:
        def parse(reply: Any) -> dict[str, bytes]:
            pairs = iter(reply)
            return {text(name): definition for name, definition in zip(pairs, pairs, strict=True)}

        return Command(("HGETALL", self.keys.recurring), parse)

    def workers(self) -> Command[list[tuple[str, int]]]:
        """(incarnation, end of its lease in ms) of every worker, the dead ones that are not yet recovered included."""

        def parse(reply: Any) -> list[tuple[str, int]]:
            return [(text(reply[i]), int(float(reply[i + 1]))) for i in range(0, len(reply), 2)]

        return Command(("ZRANGE", self.keys.workers, 0, -1, "WITHSCORES"), parse)

    def describe_worker(self, incarnation: str) -> Command[dict[str, str]]:
        def parse(reply: Any) -> dict[str, str]:
            words = _texts(reply)
            return dict(zip(words[::2], words[1::2], strict=True))

        return Command(("HGETALL", self.keys.worker(incarnation)), parse)

    def page(self, place: str, queue: str, offset: int, count: int) -> Command[list[str]]:
        """Ids in a place of a queue: scheduled, dead or finished (by time), or a lane's tickets (by age)."""
        if place in ("scheduled", "dead", "finished"):
            name = {"scheduled": self.keys.wheel, "dead": self.keys.dead, "finished": self.keys.done}[place]
            return Command(("ZRANGE", name(queue), offset, offset + count - 1), _texts)
        words = ("XRANGE", self.keys.ready(queue, place), "-", "+", "COUNT", offset + count)
        return Command(words, lambda reply: [text(entry[1][1]) for entry in reply[offset:]])

    def server_time(self) -> Command[int]:
        return Command(("TIME",), lambda reply: int(reply[0]) * 1000 + int(reply[1]) // 1000)

    def uptime_seconds(self) -> Command[int]:
        def parse(reply: Any) -> int:
            lines = (line.partition(":") for line in text(reply).splitlines())
            return next((int(value) for name, _, value in lines if name == "uptime_in_seconds"), 0)

        return Command(("INFO", "server"), parse)

    # -- the worker's -------------------------------------------------------------------------------------------

    def register(
        self,
        incarnation: str,
        lease_ms: int,
        queues: Sequence[str],
        tasks: Mapping[str, str],
        description: Mapping[str, str],
        now_ms: Argument = "",
    ) -> Command[int]:
        keys = (self.keys.workers, self.keys.worker(incarnation), self.keys.queues, self.keys.tasks)
        streams = tuple(stream for queue in queues for stream in self.keys.lanes(queue))
        arguments: list[Argument] = [now_ms, incarnation, lease_ms, len(description)]
        arguments += [word for pair in description.items() for word in pair]
        arguments += [len(queues), *queues]
        arguments += [word for pair in tasks.items() for word in pair]
        return call(load("register"), keys + streams, tuple(arguments), int)

    def renew(
        self,
        incarnation: str,
        lease_ms: int,
        queues: Sequence[str],
        running: Sequence[str],
        now_ms: Argument = "",
    ) -> Command[Renewal | None]:
        keys = (
            self.keys.workers,
            self.keys.worker(incarnation),
            *(self.keys.queue(queue) for queue in queues),
        )

        def parse(reply: Any) -> Renewal | None:
            if not int(reply[0]):
                return None
            return Renewal(_texts(reply[1]), frozenset(queues[int(index) - 3] for index in reply[2]))

        return call(load("renew"), keys, (now_ms, incarnation, lease_ms, *running), parse)

    def retire(self, incarnation: str, queues: Sequence[str], now_ms: Argument = "") -> Command[int]:
        streams = tuple(stream for queue in queues for stream in self.keys.lanes(queue))
        keys = (self.keys.workers, self.keys.worker(incarnation), *streams)
        return call(load("retire"), keys, (now_ms, incarnation), int)

    def adopt(self, task: str, page: int, now_ms: Argument = "") -> Command[int]:
        return call(load("adopt"), (self.keys.parked(task),), (now_ms, page), int)

    def listen(self, incarnation: str, queues: Sequence[str], block_ms: int) -> Command[list[Ticket]]:
        """Waits for tickets: at most one of each stream."""
        streams = [stream for queue in queues for stream in self.keys.lanes(queue)]
        words = ("XREADGROUP", "GROUP", GROUP, incarnation, "COUNT", 1, "BLOCK", block_ms, "STREAMS")
        return Command((*words, *streams, *(">" for _ in streams)), self._tickets(queues, streams))

    def strays(self, incarnation: str, queues: Sequence[str], count: int) -> Command[list[Ticket]]:
        """Tickets that were delivered to this incarnation and are not settled: some may have been lost on the way."""
        streams = [stream for queue in queues for stream in self.keys.lanes(queue)]
        words = ("XREADGROUP", "GROUP", GROUP, incarnation, "COUNT", count, "STREAMS")
        return Command((*words, *streams, *("0" for _ in streams)), self._tickets(queues, streams))

    @staticmethod
    def _tickets(queues: Sequence[str], streams: Sequence[str]) -> Any:
        places = {stream.encode(): (queues[index // 3], index % 3) for index, stream in enumerate(streams)}

        def parse(reply: Any) -> list[Ticket]:
            return [
                Ticket(*places[stream], text(entry), text(fields[1]))
                for stream, entries in reply or ()
                for entry, fields in entries
                if fields  # an entry that was deleted while pending has none
            ]

        return parse

    def take(
        self,
        incarnation: str,
        queues: Sequence[str],
        slots: int,
        reserved: tuple[int, int] = (0, 0),
        tickets: Sequence[Ticket] = (),
        now_ms: Argument = "",
    ) -> Command[Takings | None]:
        """`reserved`: slots offered to low and to normal before high. None: this incarnation holds no lease."""
        keys = [self.keys.workers]
        for queue in queues:
            keys += [self.keys.queue(queue), *self.keys.lanes(queue)]
        arguments: list[Argument] = [now_ms, incarnation, slots, *reserved, *self.kept]
        for ticket in tickets:
            index = 2 + 4 * queues.index(ticket.queue) + 1 + ticket.lane
            arguments += [index, ticket.entry, ticket.job_id]

        def parse(reply: Any) -> Takings | None:
            if reply[0] == b"lost":
                return None
            jobs = [_taken(row, queues, incarnation) for row in reply[3]]
            paused = frozenset(queues[(int(index) - 2) // 4] for index in reply[1])
            return Takings(jobs, paused, bool(reply[2]))

        return call(load("take"), tuple(keys), tuple(arguments), parse)

    def complete(
        self, incarnation: str, queue: str, lane: str, jobs: Sequence[tuple[str, str, int, bytes]]
    ) -> Command[list[int]]:
        """Jobs as (id, entry, attempt, result); so for the other settlements, each with its own fields."""
        keys = (self.keys.ready(queue, lane), self.keys.queue(queue))
        return call(load("complete"), keys, self._settling(incarnation, queue, jobs), _codes)

    def retry(
        self, incarnation: str, queue: str, lane: str, jobs: Sequence[tuple[str, str, int, int, bytes]]
    ) -> Command[list[int]]:
        """Jobs as (id, entry, attempt, delay ms, error)."""
        keys = (self.keys.ready(queue, lane), self.keys.wheel(queue), self.keys.queue(queue))
        return call(load("retry"), keys, self._settling(incarnation, queue, jobs), _codes)

    def park(
        self, incarnation: str, queue: str, lane: str, jobs: Sequence[tuple[str, str, int, int, str, str]]
    ) -> Command[list[int]]:
        """Jobs as (id, entry, attempt, delay ms, reason, task)."""
        keys = (self.keys.ready(queue, lane), self.keys.wheel(queue), self.keys.queue(queue))
        return call(load("park"), keys, self._settling(incarnation, queue, jobs), _codes)

    def bury(
        self, incarnation: str, queue: str, lane: str, jobs: Sequence[tuple[str, str, int, bytes]]
    ) -> Command[list[int]]:
        """Jobs as (id, entry, attempt, error)."""
        keys = (self.keys.ready(queue, lane),)
        return call(load("bury"), keys, self._settling(incarnation, queue, jobs), _codes)

    def abandon(
        self, incarnation: str, queue: str, lane: str, jobs: Sequence[tuple[str, str, int]]
    ) -> Command[list[int]]:
        """Jobs as (id, entry, attempt)."""
        keys = (self.keys.ready(queue, lane),)
        return call(load("abandon"), keys, self._settling(incarnation, queue, jobs), _codes)

    def release(
        self, incarnation: str, queue: str, lane: str, jobs: Sequence[tuple[str, str, int]]
    ) -> Command[list[int]]:
        """Jobs as (id, entry, attempt)."""
        arguments = ("", incarnation, *(word for job in jobs for word in job))
        return call(load("release"), (self.keys.ready(queue, lane),), arguments, _codes)

    def _settling(self, incarnation: str, queue: str, jobs: Sequence[tuple[Argument, ...]]) -> tuple[Argument, ...]:
        return ("", incarnation, queue, *self.kept, *(word for job in jobs for word in job))

    def progress(self, job_id: str, incarnation: str, attempt: int, progress: bytes) -> Command[int]:
        return call(load("progress"), (self.keys.job(job_id),), (incarnation, attempt, progress), int)

    # -- the scheduler's ----------------------------------------------------------------------------------------

    def survey(self, now_ms: Argument = "") -> Command[Survey]:
        keys = (self.keys.agenda, self.keys.workers, self.keys.expiring, self.keys.occurrences)

        def parse(reply: Any) -> Survey:
            wheel, lease, expiry, occurrence = (_milliseconds(value) for value in reply[2:6])
            return Survey(int(reply[0]), _texts(reply[1]), wheel, lease, expiry, occurrence)

        return call(load("survey"), keys, (now_ms,), parse)

    def promote(self, queue: str, most: int, high_water: int, now_ms: Argument = "") -> Command[Promoted]:
        def parse(reply: Any) -> Promoted:
            return Promoted(int(reply[0]), _milliseconds(reply[1]), bool(reply[2]), bool(reply[3]))

        keys = (self.keys.wheel(queue), self.keys.agenda)
        return call(load("promote"), keys, (now_ms, queue, most, high_water), parse)

    def recover(
        self,
        incarnation: str,
        queue: str,
        page: int,
        max_crashes: int,
        error: bytes,
        now_ms: Argument = "",
    ) -> Command[Recovered]:
        def parse(reply: Any) -> Recovered:
            moved = int(reply[0])
            return Recovered(moved, _texts(reply[1]), _texts(reply[2])) if moved >= 0 else Recovered(-1, [], [])

        keys = (self.keys.workers, *self.keys.lanes(queue))
        arguments = (now_ms, incarnation, queue, *self.kept, page, max_crashes, error)
        return call(load("recover"), keys, arguments, parse)

    def expire(self, page: int, now_ms: Argument = "") -> Command[tuple[int, int]]:
        arguments = (now_ms, *self.kept, page)
        return call(load("expire"), (self.keys.expiring,), arguments, lambda reply: (int(reply[0]), int(reply[1])))

    def sweep(self, place: str, queues: Sequence[str], page: int, now_ms: Argument = "") -> Command[int]:
        """Drops finished records (`place` "finished") or dead letters ("dead") whose time is over."""
        if place == "dead":
            keys = tuple(self.keys.dead(queue) for queue in queues)
            arguments = (now_ms, settings.DEAD_TTL_MS, settings.MAX_DEAD, page)
        else:
            keys = tuple(self.keys.done(queue) for queue in queues)
            arguments = (now_ms, 0, self.kept.most, page)
        return call(load("sweep"), keys, arguments, int)

    def tick(
        self,
        name: str,
        seen_ms: int,
        next_ms: int,
        shared: NewJobs,
        body: bytes,
        job_ids: Sequence[str],
        now_ms: Argument = "",
    ) -> Command[int]:
        ttl: Argument = "" if shared.result_ttl_ms is None else shared.result_ttl_ms
        arguments = (now_ms, name, seen_ms, next_ms, shared.queue, shared.task, shared.priority, ttl)
        keys = (self.keys.occurrences, self.keys.queue(shared.queue))
        return call(load("tick"), keys, (*arguments, shared.options, body, *job_ids), int)

    def due_occurrences(self, until_ms: int, most: int) -> Command[list[tuple[str, int]]]:
        words = ("ZRANGE", self.keys.occurrences, "-inf", until_ms, "BYSCORE", "LIMIT", 0, most, "WITHSCORES")

        def parse(reply: Any) -> list[tuple[str, int]]:
            return [(text(reply[i]), int(float(reply[i + 1]))) for i in range(0, len(reply), 2)]

        return Command(words, parse)

    def definition(self, name: str) -> Command[bytes]:
        return Command(("HGET", self.keys.recurring, name), lambda reply: reply or b"")


def _taken(row: Any, queues: Sequence[str], incarnation: str) -> Taken:
    """One row of take.lua: stream index, entry, id, then the record's fields from `a` on."""
    place = int(row[0]) - 3
    parts = b"".join(part for part in row[6:10] if part)
    return Taken(
        id=text(row[2]),
        queue=queues[place // 4],
        lane=place % 4,
        entry=text(row[1]),
        attempt=int(row[3]),
        uncounted=_whole(row[4]),
        task=_readable(row[5]),
        body=parts,
        options=row[10] or b"",
        crashes=_whole(row[11]),
        created_ms=_whole(row[12]),
        due_ms=_whole(row[13]),
        trace=_readable(row[14]),
        error=row[15] or b"",
        incarnation=incarnation,
    )


def _whole(value: object) -> int:
    """A number of a record that a foreign hand may have changed: what is no number counts as none."""
    try:
        return int(text(value) or 0)
    except ValueError:
        return 0


def _readable(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else ""
