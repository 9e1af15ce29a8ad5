"""The commands by which a worker belongs to the fleet: it arrives, keeps its lease, and leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidemill.wire.command import Argument, Command, call
from tidemill.wire.replies import texts
from tidemill.wire.script import load
from tidemill.wire.shard import Shard


@dataclass(frozen=True, slots=True)
class Renewal:
    """None instead of this: the lease is gone.

    waiting: of the queues that are not paused, those with tickets that nobody was given.
    given: tickets of these queues that this incarnation was given and has not settled; where it has more of a lane than
        it runs jobs, one more at most is counted.
    described: it has a description; one that has ended is to be written again.
    """

    cancelled: list[str]
    paused: frozenset[str]
    waiting: frozenset[str] = frozenset()
    given: int = 0
    described: bool = True


class Membership(Shard):
    def register(
        self,
        incarnation: str,
        lease_ms: int,
        queues: Sequence[str],
        tasks: Mapping[str, str],
        description: Mapping[str, str],
        now_ms: Argument = "",
    ) -> Command[int]:
        """`tasks`: each task's default queue. `description`: at least one pair."""
        keys = (self.keys.workers, self.keys.worker(incarnation), self.keys.queues, self.keys.tasks)
        arguments: list[Argument] = [now_ms, incarnation, lease_ms, len(description)]
        arguments += [word for pair in description.items() for word in pair]
        arguments += [len(queues), *queues]
        arguments += [word for pair in tasks.items() for word in pair]
        return call(load("register"), (*keys, *self.keys.streams(queues)), tuple(arguments), int)

    def renew(
        self,
        incarnation: str,
        lease_ms: int,
        queues: Sequence[str],
        running: Sequence[str],
        now_ms: Argument = "",
    ) -> Command[Renewal | None]:
        settings_of = (self.keys.queue(queue) for queue in queues)
        keys = (self.keys.workers, self.keys.worker(incarnation), *settings_of)

        def parse(reply: Any) -> Renewal | None:
            if not int(reply[0]):
                return None
            paused, waiting = (frozenset(queues[int(index) - 3] for index in found) for found in reply[2:4])
            return Renewal(texts(reply[1]), paused, waiting, int(reply[4]), bool(reply[5]))

        return call(load("renew"), keys, (now_ms, incarnation, lease_ms, *running), parse)

    def retire(
        self,
        incarnation: str,
        queues: Sequence[str],
        *,
        if_over: bool = False,
        forget: bool = False,
        now_ms: Argument = "",
        judged_ms: Argument = "",
    ) -> Command[int]:
        """The number of streams that still have pending tickets; 0: it has departed. `forget`: nor is it kept there.

        `judged_ms`: with `if_over`, the end of the lease that was found to be over; "": whichever it is now.
        """
        keys = (self.keys.workers, self.keys.worker(incarnation), *self.keys.streams(queues))
        return call(load("retire"), keys, (now_ms, incarnation, int(if_over), int(forget), judged_ms), int)

    def end_lease(self, incarnation: str, how: str, now_ms: Argument = "") -> Command[int]:
        """`how`: what its process died of. 1: it had a lease."""
        keys = (self.keys.workers, self.keys.worker(incarnation))
        return call(load("end_lease"), keys, (now_ms, incarnation, how), int)
