"""RUNNING → READY for the jobs of dead workers.

A worker is dead when its lease is over, whatever its jobs' length: liveness is what the lease says, and no job needs a
timeout to be recovered. Each of its queues is gone through in pages, so no call is long, and any number of schedulers
may do it at once: recover.lua moves a ticket once. When nothing is left, the worker is forgotten (retire.lua).

When a worker leaves or dies while it waits for jobs, or is cut off, the server may serve its read all the same, before
it notices that nobody is there: so it stands among the departed for some time more, and is looked after. That is in
Redis and not in the memory of a scheduler, which may die as well.

A worker's supervisor that has seen its process die ends the lease and says what it died of: that needs no waiting.

Leases may look over that are not: the server was down, and nobody could renew; or its clock has jumped. When one is
believed, trust.py says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from tidemill import telemetry
from tidemill.connection import Link
from tidemill.errors import RemoteError, ServerUnavailable, TidemillError
from tidemill.telemetry import Event
from tidemill.wire import record
from tidemill.wire.scripts import Scripts
from tidemill_scheduler import settings
from tidemill_scheduler.trust import Trust

# Said of a worker whose supervisor did not see it die, as it went down with it, or as there was none.
_UNSEEN_DEATH: Final = "its lease was over, and nobody saw how it ended"
# What `recover` answers while the lease lives.
_LIVES: Final = -1


class Reaper:
    """`clock`: monotonic seconds; a simulation has one of its own."""

    def __init__(self, link: Link, scripts: Scripts, clock: Callable[[], float] = time.monotonic) -> None:
        self._link = link
        self._scripts = scripts
        self._clock = clock
        self._trust = Trust(clock)
        self._clock_ahead_ms: tuple[float, float] | None = None  # at least, at most
        self._look_at = 0.0  # monotonic seconds

    def look_at_clock(self, now_ms: int, asked_at: float | None = None) -> None:
        """The server's clock, as it was at some time since `asked_at` (monotonic seconds; None: just now). If it has
        jumped since the last time, leases are not believed. An answer that was long under way is no jump."""
        heard_at = self._clock()
        least = now_ms - heard_at * 1000
        most = least if asked_at is None else now_ms - asked_at * 1000
        if self._clock_ahead_ms is not None:
            least_before, most_before = self._clock_ahead_ms
            jump_ms = max(least - most_before, 0) or min(most - least_before, 0)
            if abs(jump_ms) > settings.CLOCK_JUMP_MS:
                telemetry.event(Event.CLOCK_JUMPED, by_ms=round(jump_ms))
                self.distrust_leases()
        self._clock_ahead_ms = least, most

    def distrust_leases(self, since: float | None = None) -> None:
        """The server was out of reach until now. `since`: when it last answered, monotonic seconds; None: unknown."""
        self._trust.outage(since)

    def run(self, now_ms: int) -> int | None:
        """Recovers what is to be recovered. Returns when to look again, in ms from now; None: nothing is waited for."""
        leases = self._link.run(self._scripts.workers())
        over = [(name, lease_end_ms) for name, lease_end_ms in leases if lease_end_ms <= now_ms]
        if not over:
            return None
        # A restart may pass without being noticed.
        uptime_seconds = self._link.run(self._scripts.uptime_seconds())
        asked_at = self._clock()
        self._trust.server_started(asked_at - uptime_seconds)
        waits: list[int] = []
        queues: list[str] | None = None
        for incarnation, lease_end_ms in over:
            described = self._link.run(self._scripts.describe_worker(incarnation))
            how = described.get("ended", "")
            lease_seconds = _lease_ms(described) / 1000
            renewed_at = asked_at - (now_ms - lease_end_ms) / 1000 - lease_seconds
            grace_ms = 0 if how else round(self._trust.grace_seconds(renewed_at, lease_seconds, asked_at) * 1000)
            if grace_ms > 0:
                waits.append(grace_ms)
                continue
            if queues is None:
                queues = self._link.run(self._scripts.queue_names())
            if not self._recover(incarnation, queues, lease_end_ms, how):
                waits.append(settings.FAILED_RETRY_MS)
        if not waits:
            return None
        # A worker that has to be waited for does not keep those whose lease ends earlier from being recovered.
        return min([*waits, *(lease_end_ms - now_ms for _, lease_end_ms in leases if lease_end_ms > now_ms)])

    def _recover(self, incarnation: str, queues: list[str], judged_ms: int | None, how: str = "") -> bool:
        """`judged_ms`: the end of the lease that was found to be over; None: it has none. `how`: what its process died
        of, if that is known. False: the server refused a part of it, and the worker is not forgotten."""
        complete = True
        for queue in queues:
            moved = self._all_of(incarnation, queue, judged_ms, how)
            if moved == _LIVES:  # it was only late, and has renewed its lease meanwhile
                return True
            complete = complete and moved is not None
        if complete:
            self._link.run(self._scripts.retire(incarnation, queues, if_over=True, judged_ms=_argument(judged_ms)))
        return complete

    def _all_of(self, incarnation: str, queue: str, judged_ms: int | None, how: str) -> int | None:
        """Page after page; None if the server refused: a queue whose keys were damaged must not keep the others."""
        moved = settings.RECOVER_PAGE
        try:
            while moved >= settings.RECOVER_PAGE:
                moved = self._page(incarnation, queue, judged_ms, how)
        except ServerUnavailable:
            raise
        except TidemillError as error:
            telemetry.event(Event.SCHEDULER_FAILED, role=f"reaper of queue {queue}", error=str(error))
            return None
        return moved

    def look_after_the_departed(self, now_ms: int, first_left_ms: int | None) -> float:
        """Recovers what was delivered to them since they left. Returns when to look again, in ms from now.

        first_left_ms: when the first of them left, as the survey says; None: there is none.
        """
        if first_left_ms is None:
            return settings.IDLE_MS
        now = self._clock()
        if now >= self._look_at:
            queues = self._link.run(self._scripts.queue_names())
            for incarnation, left_ms in self._link.run(self._scripts.departed()):
                if self._recover(incarnation, queues, None) and now_ms - left_ms > settings.LAST_READ_MS:
                    self._link.run(self._scripts.retire(incarnation, queues, if_over=True, forget=True))
            self._look_at = now + settings.LAST_READ_LOOK_MS / 1000
        return max(0.0, self._look_at - now) * 1000

    def _page(self, incarnation: str, queue: str, judged_ms: int | None, how: str) -> int:
        times = settings.MAX_CRASHES + 1
        message = f"its worker died {times} times while it ran, {incarnation} the last time"
        error = RemoteError("worker_lost", f"{message}: {how or _UNSEEN_DEATH}")
        found = self._link.run(
            self._scripts.recover(
                incarnation,
                queue,
                settings.RECOVER_PAGE,
                settings.MAX_CRASHES,
                record.write_error(error),
                judged_ms=_argument(judged_ms),
            )
        )
        for job_id in found.ready:
            telemetry.event(Event.JOB_RECOVERED, job_id=job_id, queue=queue, worker=incarnation)
        for job_id in found.buried:
            telemetry.event(Event.JOB_DEAD, job_id=job_id, queue=queue, reason="worker_lost")
        if found.ready:
            telemetry.jobs_recovered(queue, len(found.ready))
        return found.moved


def _argument(judged_ms: int | None) -> str | int:
    return "" if judged_ms is None else judged_ms


def _lease_ms(described: Mapping[str, str]) -> int:
    told = described.get("lease_ms", "")
    return int(told) if told.isdecimal() else settings.DEFAULT_LEASE_MS
