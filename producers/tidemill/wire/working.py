"""The commands of a worker that takes jobs and settles them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from tidemill.wire.command import Argument, Command, call
from tidemill.wire.keys import GROUP
from tidemill.wire.replies import codes, text, whole
from tidemill.wire.script import load
from tidemill.wire.shard import Shard


class Ticket(NamedTuple):
    """A stream entry that was delivered to this incarnation, and whose job it has yet to take."""

    queue: str
    lane: int
    entry: str
    job_id: str


@dataclass(slots=True)
class Taken:
    """A job that this worker is to run: what RUNNING means, with the fence in `incarnation` and `attempt`.

    Never changed. (Not frozen: making one would cost three times as much, and this is where jobs are short.)
    """

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
    expires_ms: int = 0
    taken_ms: int = 0  # by the server's clock
    limits: str = ""

    @property
    def tries(self) -> int:
        """Attempts that count for the retry policy, this one included: 1 at first."""
        return self.attempt - self.uncounted


@dataclass(frozen=True, slots=True)
class Takings:
    jobs: list[Taken]
    paused: frozenset[str] = frozenset()
    missing_groups: bool = False


class Working(Shard):
    def declare_limits(self, limits: Mapping[str, str]) -> Command[int]:
        """What the limits of each task allow; "": it has none."""
        rows = tuple(word for row in limits.items() for word in row)
        return call(load("declare_limits"), (self.keys.limits,), rows, int)

    def adopt(self, task: str, page: int, now_ms: Argument = "") -> Command[int]:
        return call(load("adopt"), (self.keys.parked(task),), (now_ms, page), int)

    def listen(self, incarnation: str, queues: Sequence[str], block_ms: int) -> Command[list[Ticket]]:
        """Waits for tickets: at most one of each stream."""
        streams = self.keys.streams(queues)
        words = ("XREADGROUP", "GROUP", GROUP, incarnation, "COUNT", 1, "BLOCK", block_ms, "STREAMS")
        return Command((*words, *streams, *(">" for _ in streams)), self._tickets(queues, streams))

    def strays(self, incarnation: str, queues: Sequence[str], count: int) -> Command[list[Ticket]]:
        """Tickets that were delivered to this incarnation and are not settled: some may have been lost on the way."""
        streams = self.keys.streams(queues)
        words = ("XREADGROUP", "GROUP", GROUP, incarnation, "COUNT", count, "STREAMS")
        return Command((*words, *streams, *("0" for _ in streams)), self._tickets(queues, streams))

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
            jobs = [_taken(row, queues, incarnation, reply[4]) for row in reply[3]]
            paused = frozenset(queues[(int(index) - 2) // 4] for index in reply[1])
            return Takings(jobs, paused, bool(reply[2]))

        return call(load("take"), tuple(keys), tuple(arguments), parse)

    # Settlements take jobs of one stream, and return for each: 1 done, 0 fenced, 2 done before (a repeated call).

    def complete(
        self,
        incarnation: str,
        queue: str,
        lane: str,
        jobs: Sequence[tuple[str, str, int, bytes]],
        now_ms: Argument = "",
    ) -> Command[list[int]]:
        """Jobs as (id, entry, attempt, result)."""
        keys = (self.keys.ready(queue, lane),)
        return call(load("complete"), keys, self._settling(incarnation, queue, jobs, now_ms), codes)

    def retry(
        self,
        incarnation: str,
        queue: str,
        lane: str,
        jobs: Sequence[tuple[str, str, int, int, bytes]],
        now_ms: Argument = "",
    ) -> Command[list[int]]:
        """Jobs as (id, entry, attempt, delay ms, error)."""
        keys = (self.keys.ready(queue, lane), self.keys.wheel(queue))
        return call(load("retry"), keys, self._settling(incarnation, queue, jobs, now_ms), codes)

    def park(
        self,
        incarnation: str,
        queue: str,
        lane: str,
        jobs: Sequence[tuple[str, str, int, int, str, str]],
        now_ms: Argument = "",
    ) -> Command[list[int]]:
        """Jobs as (id, entry, attempt, delay ms, reason, task)."""
        keys = (self.keys.ready(queue, lane), self.keys.wheel(queue))
        return call(load("park"), keys, self._settling(incarnation, queue, jobs, now_ms), codes)

    def bury(
        self,
        incarnation: str,
        queue: str,
        lane: str,
        jobs: Sequence[tuple[str, str, int, bytes]],
        now_ms: Argument = "",
    ) -> Command[list[int]]:
        """Jobs as (id, entry, attempt, error)."""
        keys = (self.keys.ready(queue, lane),)
        return call(load("bury"), keys, self._settling(incarnation, queue, jobs, now_ms), codes)

    def abandon(
        self, incarnation: str, queue: str, lane: str, jobs: Sequence[tuple[str, str, int]], now_ms: Argument = ""
    ) -> Command[list[int]]:
        """Jobs as (id, entry, attempt)."""
        keys = (self.keys.ready(queue, lane),)
        return call(load("abandon"), keys, self._settling(incarnation, queue, jobs, now_ms), codes)

    def release(
        self, incarnation: str, queue: str, lane: str, jobs: Sequence[tuple[str, str, int]]
    ) -> Command[list[int]]:
        """Jobs as (id, entry, attempt)."""
        arguments = (incarnation, *(word for job in jobs for word in job))
        return call(load("release"), (self.keys.ready(queue, lane),), arguments, codes)

    def hold(self, taken: Taken, *, waits: bool) -> Command[int]:
        """Whether it waits to run alone. 1: written; 0: fenced."""
        fence = (taken.id, taken.incarnation, taken.attempt)
        return call(load("hold"), (self.keys.job(taken.id),), (*fence, int(waits)), int)

    def confine(self, taken: Taken, limits: str) -> Command[int]:
        """1: written; 0: fenced."""
        fence = (taken.id, taken.incarnation, taken.attempt)
        return call(load("confine"), (self.keys.job(taken.id),), (*fence, limits), int)

    def progress(self, job_id: str, incarnation: str, attempt: int, progress: bytes) -> Command[int]:
        """1: written; 0: fenced."""
        return call(load("progress"), (self.keys.job(job_id),), (job_id, incarnation, attempt, progress), int)

    def _settling(
        self, incarnation: str, queue: str, jobs: Sequence[tuple[Argument, ...]], now_ms: Argument
    ) -> tuple[Argument, ...]:
        return (now_ms, incarnation, queue, *self.kept, *chain.from_iterable(jobs))

    @staticmethod
    def _tickets(queues: Sequence[str], streams: Sequence[str]) -> Callable[[Any], list[Ticket]]:
        places = {stream.encode(): (queues[index // 3], index % 3) for index, stream in enumerate(streams)}

        def parse(reply: Any) -> list[Ticket]:
            return [
                Ticket(*places[stream], text(entry), text(fields[1]))
                for stream, entries in reply or ()
                for entry, fields in entries
                if fields  # an entry that was deleted while pending has none
            ]

        return parse


def _taken(row: Any, queues: Sequence[str], incarnation: str, now_ms: int) -> Taken:
    """One row of take.lua: stream index, entry, id, then the record's fields from `a` on."""
    index, entry, job_id, attempt, uncounted, task, body, b1, b2, b3, options, *row = row
    crashes, created, due, trace, error, *more = row
    queue, lane = divmod(int(index) - 3, 4)
    return Taken(
        text(job_id),
        queues[queue],
        lane,
        text(entry),
        int(attempt),
        whole(uncounted),
        text(task),
        b"".join([body or b"", *filter(None, (b1, b2, b3))]),
        options or b"",
        whole(crashes) if crashes else 0,
        whole(created),
        whole(due) if due else 0,
        text(trace) if trace else "",
        error or b"",
        incarnation,
        whole(more[0]) if more else 0,
        now_ms,
        text(more[1]) if len(more) > 1 else "",
    )
