"""The commands of a scheduler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tidemill import settings
from tidemill.wire.command import Argument, Command, call
from tidemill.wire.producing import NewJobs
from tidemill.wire.replies import milliseconds, pairs, text, texts
from tidemill.wire.script import load
from tidemill.wire.shard import Shard


@dataclass(frozen=True, slots=True)
class Survey:
    """What a scheduler has to do, and when; None: nothing of the kind.

    `next_queues`: those whose wheels are due next, with the time in ms, the earliest first; ten at most.
    """

    now_us: int
    due_queues: list[str]
    next_queues: list[tuple[str, int]]
    next_lease_end_ms: int | None
    next_expiry_ms: int | None
    next_occurrence_ms: int | None
    first_departed_ms: int | None = None
    next_watch_ms: int | None = None

    @property
    def now_ms(self) -> int:
        return self.now_us // 1000


class Promoted(NamedTuple):
    """`next_due_ms`: None when the wheel is empty. `full`: more are due, but the ready streams have no room."""

    jobs: int
    next_due_ms: int | None
    more_due: bool
    full: bool


class Recovered(NamedTuple):
    """`moved` < 0: the lease lives. Fewer than a page: that was all."""

    moved: int
    ready: list[str]
    buried: list[str]


class Shed(NamedTuple):
    """`limit`: which was passed, "" if none. `more`: not all that had to go have gone."""

    job_ids: list[str]
    limit: str
    more: bool


class Scheduling(Shard):
    def survey(self, most_due: int = 100, now_ms: Argument = "") -> Command[Survey]:
        keys = self.keys
        places = (keys.agenda, keys.workers, keys.expiring, keys.occurrences, keys.departed, keys.watched)

        def parse(reply: Any) -> Survey:
            coming = [
                (queue, due_ms) for queue, score in pairs(reply[2]) if (due_ms := milliseconds(score)) is not None
            ]
            return Survey(int(reply[0]), texts(reply[1]), coming, *(milliseconds(value) for value in reply[3:8]))

        return call(load("survey"), places, (now_ms, most_due), parse)

    def promote(self, queue: str, most: int, high_water: int, now_ms: Argument = "") -> Command[Promoted]:
        def parse(reply: Any) -> Promoted:
            return Promoted(int(reply[0]), milliseconds(reply[1]), bool(reply[2]), bool(reply[3]))

        keys = (self.keys.wheel(queue), self.keys.agenda)
        return call(load("promote"), keys, (now_ms, queue, most, high_water), parse)

    def admit(self, limit: str, now_ms: Argument = "") -> Command[Promoted]:
        """Of a line, those that may start."""

        def parse(reply: Any) -> Promoted:
            return Promoted(int(reply[0]), milliseconds(reply[1]), more_due=False, full=False)

        return call(load("admit"), (self.keys.line(limit), self.keys.agenda), (now_ms, limit), parse)

    def recover(
        self,
        incarnation: str,
        queue: str,
        page: int,
        max_crashes: int,
        error: bytes,
        now_ms: Argument = "",
        *,
        judged_ms: Argument = "",
    ) -> Command[Recovered]:
        """`judged_ms`: the end of the lease that was found to be over; "": whichever it is now."""

        def parse(reply: Any) -> Recovered:
            moved = int(reply[0])
            return Recovered(moved, texts(reply[1]), texts(reply[2])) if moved >= 0 else Recovered(-1, [], [])

        keys = (self.keys.workers, *self.keys.lanes(queue))
        arguments = (now_ms, incarnation, queue, *self.kept, page, max_crashes, error, judged_ms)
        return call(load("recover"), keys, arguments, parse)

    def expire(self, page: int, now_ms: Argument = "") -> Command[tuple[int, int]]:
        """(ids looked at, jobs expired); fewer than a page looked at: that was all."""
        arguments = (now_ms, *self.kept, page)
        return call(load("expire"), (self.keys.expiring,), arguments, lambda reply: (int(reply[0]), int(reply[1])))

    def watched(self, until_ms: int, most: int) -> Command[list[str]]:
        """Queues whose limits are to be looked at by then."""
        return Command(("ZRANGE", self.keys.watched, "-inf", until_ms, "BYSCORE", "LIMIT", 0, most), texts)

    def shed(self, queue: str, page: int, again_ms: int, error: bytes, now_ms: Argument = "") -> Command[Shed]:
        """Drops jobs that wait in a queue over its limit. `again_ms`: until the next look at an age."""

        def parse(reply: Any) -> Shed:
            return Shed(texts(reply[2:]), text(reply[1]), bool(reply[0]))

        keys = (self.keys.watched, self.keys.queue(queue), *reversed(self.keys.lanes(queue)))
        return call(load("shed"), keys, (now_ms, queue, *self.kept, page, again_ms, error), parse)

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
        """The number of jobs made; -1: another scheduler was first."""
        lives: Argument = "" if shared.expires_ms is None else shared.expires_ms
        ttl: Argument = "" if shared.result_ttl_ms is None else shared.result_ttl_ms
        arguments = (now_ms, name, seen_ms, next_ms, shared.queue, shared.task, shared.priority, lives, ttl)
        keys = (self.keys.occurrences, self.keys.queue(shared.queue))
        return call(load("tick"), keys, (*arguments, shared.options, body, *job_ids), int)

    def due_occurrences(self, until_ms: int, most: int) -> Command[list[tuple[str, int]]]:
        """(name, due ms), the earliest first."""
        words = ("ZRANGE", self.keys.occurrences, "-inf", until_ms, "BYSCORE", "LIMIT", 0, most, "WITHSCORES")
        return Command(words, lambda reply: [(name, int(float(score))) for name, score in pairs(reply)])

    def definition(self, name: str) -> Command[bytes]:
        return Command(("HGET", self.keys.recurring, name), lambda reply: reply or b"")
