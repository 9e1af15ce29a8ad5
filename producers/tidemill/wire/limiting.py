"""The commands of those who look at limits."""

from __future__ import annotations

from typing import Any

from tidemill.wire.command import Command
from tidemill.wire.keys import LINE
from tidemill.wire.replies import pairs, text
from tidemill.wire.shard import Shard


class Limiting(Shard):
    def declared_limits(self) -> Command[dict[str, str]]:
        """task → what its limits allow."""
        return Command(("HGETALL", self.keys.limits), lambda reply: {task: text(word) for task, word in pairs(reply)})

    def queue_limits(self, queue: str) -> Command[tuple[str, str]]:
        """Its rate and its concurrency; "": none."""
        words = ("HMGET", self.keys.queue(queue), "rate", "concurrency")
        return Command(words, lambda reply: (text(reply[0]), text(reply[1])))

    def lines(self, cursor: str, count: int) -> Command[tuple[str, dict[str, int]]]:
        """(next cursor, limit → when its line is looked at, ms): those in which jobs wait. Cursors as in `scan`."""

        def parse(reply: Any) -> tuple[str, dict[str, int]]:
            return text(reply[0]), {name.removeprefix(LINE): int(float(score)) for name, score in pairs(reply[1])}

        return Command(("ZSCAN", self.keys.agenda, cursor, "MATCH", f"{LINE}*", "COUNT", count), parse)

    def waiting(self, limit: str) -> Command[int]:
        """How many stand in its line."""
        return Command(("ZCARD", self.keys.line(limit)), int)

    def first_in_line(self, limit: str) -> Command[str]:
        """The id of the job that is next; "": nobody waits."""
        return Command(("ZRANGE", self.keys.line(limit), 0, 0), lambda reply: text(reply[0]) if reply else "")

    def limits_of(self, job_id: str) -> Command[tuple[str, list[str]]]:
        """The task of a job, and the names of its limits."""

        def parse(reply: Any) -> tuple[str, list[str]]:
            return text(reply[0]), [word.partition(":")[0] for word in text(reply[1]).split()]

        return Command(("HMGET", self.keys.job(job_id), "t", "li"), parse)

    def permits(self, limit: str) -> Command[int]:
        """How many of a concurrency are held."""
        return Command(("ZCARD", self.keys.permits(limit)), int)

    def expected_us(self, limit: str) -> Command[float]:
        """When the next job of a rate is expected; 0: all of its burst is free."""
        return Command(("GET", self.keys.limit(limit)), lambda reply: float(reply or 0))
