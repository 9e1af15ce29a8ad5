"""SCHEDULED → READY: a batch of each queue that has due jobs, so that no queue waits behind another's burst."""

from __future__ import annotations

from collections.abc import Iterable

from tidemill import telemetry
from tidemill.connection import Link
from tidemill.errors import ServerUnavailable, TidemillError
from tidemill.telemetry import Event
from tidemill.wire.command import Command
from tidemill.wire.scripts import Promoted, Scripts
from tidemill_scheduler import settings


class Promoter:
    def __init__(self, link: Link, scripts: Scripts) -> None:
        self._link = link
        self._scripts = scripts

    def run(self, queues: Iterable[str], now_ms: int) -> float:
        """Promotes a batch of each. Returns after how many milliseconds there is more to do."""
        calls = {
            queue: self._scripts.promote(queue, settings.PROMOTE_BATCH, settings.HIGH_WATER_JOBS) for queue in queues
        }
        try:
            return min(self._wait_ms(answer, now_ms) for answer in self._link.run_all(list(calls.values())))
        except ServerUnavailable:
            raise
        except TidemillError:  # of one of them; the others are not kept waiting
            return min(self._alone(queue, call, now_ms) for queue, call in calls.items())

    def _alone(self, queue: str, call: Command[Promoted], now_ms: int) -> float:
        try:
            return self._wait_ms(self._link.run(call), now_ms)
        except ServerUnavailable:
            raise
        except TidemillError as error:
            telemetry.event(Event.SCHEDULER_FAILED, role=f"promoter of queue {queue}", error=str(error))
            return settings.FAILED_RETRY_MS

    @staticmethod
    def _wait_ms(answer: Promoted, now_ms: int) -> float:
        if answer.more_due:
            return settings.FULL_RETRY_MS if answer.full else 0
        # Something may have become due while the batch was under way: the next survey knows better than we.
        return settings.IDLE_MS if answer.next_due_ms is None else max(0, answer.next_due_ms - now_ms)
