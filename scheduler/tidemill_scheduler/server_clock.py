"""When to send a command so that the server runs it at a given time of its own clock, to a fraction of a millisecond.

A command that was sent at the monotonic time t ran when the server's clock said s: s - t is the distance of the two
clocks plus the way there, and what is sent that much before a due time runs at it. Of several, the least is the one
that was held up least (the minimum filter of Cristian, "Probabilistic clock synchronization", 1989, and of NTP, RFC
5905); it grows with time, by as much as clocks drift apart. Should an estimate be wrong, a look comes too soon, finds
nothing due, and corrects it, or too late by some milliseconds: whether a job is due, the server alone decides.
"""

from __future__ import annotations

from tidemill_scheduler import settings


class ServerClock:
    """Monotonic seconds here, and the server's milliseconds and microseconds."""

    def __init__(self) -> None:
        self._ahead_seconds: float | None = None
        self._heard_at = 0.0

    def heard(self, sent_at: float, now_us: int) -> None:
        """A command that was sent then ran when the server's clock said `now_us`."""
        seen = now_us / 1e6 - sent_at
        expected = self._ahead_seconds
        if expected is not None:
            expected += (sent_at - self._heard_at) * settings.CLOCK_DRIFT
        is_step = expected is None or seen > expected + settings.CLOCK_STEP_SECONDS
        self._ahead_seconds = seen if is_step or expected is None else min(seen, expected)
        self._heard_at = sent_at

    def send_at(self, due_ms: int) -> float:
        """The monotonic time at which to send what is to run at `due_ms`. After `heard`."""
        return due_ms / 1000 - (self._ahead_seconds or 0.0)
