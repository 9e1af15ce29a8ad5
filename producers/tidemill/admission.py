"""What a producer does about a queue that is filling up, or full: tells of it, waits for room, or refuses."""

from __future__ import annotations

import random
import time
from typing import Final

from tidemill import telemetry
from tidemill.errors import QueueFull
from tidemill.telemetry import Event
from tidemill.wire.scripts import Fullness

# A queue that stays full is told of so often, by each process.
_TELL_EVERY_SECONDS: Final = 10.0
# Of a queue whose rate is not known yet: soon enough that a burst loses little, and often enough to learn the rate.
_UNKNOWN_SECONDS: Final = 1.0
# Between two tries of a producer that waits. The estimate is a mean, and there may be room before.
_LEAST_WAIT_SECONDS: Final = 0.02
_MOST_WAIT_SECONDS: Final = 1.0


class Pressures:
    """Tells the log and the metrics about queues that fill up."""

    def __init__(self) -> None:
        self._told_at: dict[str, float] = {}  # monotonic seconds

    def admitted(self, queue: str, fullness: Fullness, jobs: int) -> None:
        """So many jobs got in, and the queue is over 85 % of a limit."""
        telemetry.jobs_pressed(queue, fullness.of, jobs)
        self._tell(queue, fullness)

    def refused(self, queue: str, fullness: Fullness, jobs: int) -> None:
        """So many jobs did not get in."""
        telemetry.jobs_turned_away(queue, fullness.of, jobs)
        self._tell(queue, fullness)

    def _tell(self, queue: str, fullness: Fullness) -> None:
        now = time.monotonic()
        if now - self._told_at.get(queue, -_TELL_EVERY_SECONDS) >= _TELL_EVERY_SECONDS:
            self._told_at[queue] = now
            telemetry.event(
                Event.QUEUE_PRESSED,
                queue=queue,
                reason=fullness.of,
                used=fullness.used,
                limit=fullness.limit,
            )


def retry_after_seconds(fullness: Fullness) -> float:
    """When there will be room, by the rate at which jobs end; a second while that is not known."""
    return _UNKNOWN_SECONDS if fullness.until_room_ms is None else fullness.until_room_ms / 1000


def wait_seconds(fullness: Fullness) -> float:
    """How long a producer that waits for room does so before it asks again. Jittered: others wait as well."""
    estimate = min(max(retry_after_seconds(fullness), _LEAST_WAIT_SECONDS), _MOST_WAIT_SECONDS)
    return estimate * random.uniform(0.5, 1.5)


def refusal(queue: str, fullness: Fullness, asked: int, got_in: int, tenant: str = "") -> QueueFull:
    """The error of a call of which `got_in` of `asked` jobs got in. `tenant`: the name of the one without room."""
    which = f"none of these {asked}" if not got_in else f"{got_in} of these {asked}"
    was = "was" if got_in <= 1 else "were"
    return QueueFull(
        f"queue {queue!r} {_state(fullness, tenant)}; {which} {was} enqueued", retry_after=retry_after_seconds(fullness)
    )


def _state(fullness: Fullness, tenant: str) -> str:
    used, limit = fullness.used, fullness.limit
    match fullness.of:
        case "jobs":
            return f"is full: {used} jobs are in it, its limit is {limit}"
        case "bytes":
            return f"is full: about {used} bytes of arguments are in it, its limit is {limit}"
        case "age":
            return f"is behind: its oldest job has waited for {used / 1000:g} s, its limit is {limit / 1000:g} s"
        case "tenant":
            whose = f"tenant {tenant!r}" if tenant else "jobs without a tenant"
            return f"has no room for {whose}: {used} of them wait for their turn, the limit is {limit}"
        case "deadline":
            return f"is behind: a job would wait for about {used / 1000:g} s, and is to expire after {limit / 1000:g} s"
