"""The commands of those who look at queues, jobs and workers, and change a queue's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tidemill.wire import record
from tidemill.wire.command import Command, call
from tidemill.wire.replies import milliseconds, pairs, text, texts
from tidemill.wire.script import load
from tidemill.wire.shard import Shard


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


class Inspecting(Shard):
    def configure(self, queue: str, changes: Mapping[str, str]) -> Command[int]:
        """Sets `limit`, `limit_bytes`, `paused` or `durability`; "" clears."""
        words = tuple(word for pair in changes.items() for word in pair)
        return call(load("configure"), (self.keys.queue(queue), self.keys.queues), (queue, *words), int)

    def durability_of(self, queue: str) -> Command[str]:
        """Its level, or ""."""
        return Command(("HGET", self.keys.queue(queue), "durability"), text)

    def measure(self, queue: str) -> Command[QueueFigures]:
        keys = self.keys
        places = (keys.queue(queue), keys.wheel(queue), keys.dead(queue), keys.done(queue), *keys.lanes(queue))

        def parse(reply: Any) -> QueueFigures:
            return QueueFigures(
                queue=queue,
                counters={name: text(value) for name, value in pairs(reply[0])},
                scheduled=int(reply[1]),
                dead=int(reply[2]),
                finished=int(reply[3]),
                running=int(reply[4]),
                oldest_ready_ms=milliseconds(reply[5]),
                ready={"high": int(reply[6]), "normal": int(reply[7]), "low": int(reply[8])},
            )

        return call(load("measure"), places, (), parse)

    def read(self, job_id: str) -> Command[record.Record | None]:
        def parse(reply: Any) -> record.Record | None:
            words = iter(reply)
            fields = dict(zip(words, words, strict=True))
            return record.from_hash(job_id, fields) if fields else None

        return Command(("HGETALL", self.keys.job(job_id)), parse)

    def queue_names(self) -> Command[list[str]]:
        return Command(("SMEMBERS", self.keys.queues), lambda reply: sorted(texts(reply)))

    def recurring(self) -> Command[dict[str, bytes]]:
        return Command(("HGETALL", self.keys.recurring), lambda reply: dict(pairs(reply)))

    def workers(self) -> Command[list[tuple[str, int]]]:
        """(incarnation, end of its lease in ms) of every worker, the dead ones that are not yet recovered included."""

        def parse(reply: Any) -> list[tuple[str, int]]:
            return [(name, int(float(score))) for name, score in pairs(reply)]

        return Command(("ZRANGE", self.keys.workers, 0, -1, "WITHSCORES"), parse)

    def departed(self) -> Command[list[tuple[str, int]]]:
        """(incarnation, when it left in ms) of the workers that have left a short time ago."""

        def parse(reply: Any) -> list[tuple[str, int]]:
            return [(name, int(float(score))) for name, score in pairs(reply)]

        return Command(("ZRANGE", self.keys.departed, 0, -1, "WITHSCORES"), parse)

    def describe_worker(self, incarnation: str) -> Command[dict[str, str]]:
        def parse(reply: Any) -> dict[str, str]:
            return {name: text(value) for name, value in pairs(reply)}

        return Command(("HGETALL", self.keys.worker(incarnation)), parse)

    def page(self, place: str, queue: str, offset: int, count: int) -> Command[list[str]]:
        """Ids in a place of a queue by time: scheduled, dead or finished."""
        name = {"scheduled": self.keys.wheel, "dead": self.keys.dead, "finished": self.keys.done}[place]
        return Command(("ZRANGE", name(queue), offset, offset + count - 1), texts)

    def tickets(self, queue: str, lane: str, after: str, count: int) -> Command[list[tuple[str, str]]]:
        """(entry, job id) of a lane's tickets, the oldest first, from behind the entry `after` ("" = the first) on."""
        words = ("XRANGE", self.keys.ready(queue, lane), f"({after}" if after else "-", "+", "COUNT", count)
        return Command(words, lambda reply: [(text(entry), text(fields[1])) for entry, fields in reply])

    def server_time(self) -> Command[int]:
        """Unix time of the server in ms."""
        return Command(("TIME",), lambda reply: int(reply[0]) * 1000 + int(reply[1]) // 1000)

    def uptime_seconds(self) -> Command[int]:
        def parse(reply: Any) -> int:
            lines = (line.partition(":") for line in text(reply).splitlines())
            return next((int(value) for name, _, value in lines if name == "uptime_in_seconds"), 0)

        return Command(("INFO", "server"), parse)
