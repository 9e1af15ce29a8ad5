"""SCHEDULED → READY: a batch of each queue that has due jobs, so that no queue waits behind another's burst.

A look is one round trip: it promotes from the queues that were known to be due by then, and asks what comes next.
Workers make room in full streams without a word, so a full queue is looked at again after a pause, which grows while
they take little.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from tidemill import telemetry
from tidemill.connection import Link
from tidemill.errors import ServerUnavailable, TidemillError
from tidemill.telemetry import Event
from tidemill.wire.command import Command
from tidemill.wire.keys import LINE
from tidemill.wire.scripts import Promoted, Scripts, Survey
from tidemill_scheduler import settings


class Look(NamedTuple):
    """When to look next, by the server's clock, and at which queues; None: nothing is known to become due."""

    at_ms: int | None
    queues: list[str]


@dataclass(slots=True)
class _Pause:
    """Of a queue that is full, or that the server has refused. `taken`: jobs that found room since it was full."""

    ms: int
    ends_ms: int
    taken: int = 0


class Promoter:
    def __init__(self, link: Link, scripts: Scripts) -> None:
        self._link = link
        self._scripts = scripts
        self._pauses: dict[str, _Pause] = {}

    def run(self, queues: Iterable[str], now_ms: int) -> Survey:
        """Promotes a batch of each. Returns what is to be done after that. now_ms: the server's time, about."""
        calls = {queue: self._call(queue) for queue in queues}
        survey = self._scripts.survey(settings.QUEUES_PAGE)
        try:
            *answers, found = self._link.run_all([*calls.values(), survey])
        except ServerUnavailable:
            raise
        except TidemillError:  # of one of them; the others are not kept waiting
            for queue, call in calls.items():
                self._alone(queue, call, now_ms)
            return self._link.run(survey)
        for queue, answer in zip(calls, answers, strict=True):
            self._promoted(queue, answer, now_ms)
        last: Survey = found
        return last

    def _call(self, queue: str) -> Command[Promoted]:
        limit = queue.removeprefix(LINE)
        if limit != queue:
            return self._scripts.admit(limit)
        return self._scripts.promote(queue, settings.PROMOTE_BATCH, settings.HIGH_WATER_JOBS)

    def _alone(self, queue: str, call: Command[Promoted], now_ms: int) -> None:
        try:
            self._promoted(queue, self._link.run(call), now_ms)
        except ServerUnavailable:
            raise
        except TidemillError as error:
            telemetry.event(Event.SCHEDULER_FAILED, role=f"promoter of queue {queue}", error=str(error))
            self._pauses[queue] = _Pause(settings.FAILED_RETRY_MS, now_ms + settings.FAILED_RETRY_MS)

    def _promoted(self, queue: str, answer: Promoted, now_ms: int) -> None:
        pause = self._pauses.get(queue)
        if pause is not None:
            pause.taken += answer.jobs
            pause.ends_ms = now_ms  # there may be room for another batch
        if not answer.full:
            return
        ms = settings.FULL_RETRY_MS
        if pause is not None and pause.taken < settings.FEW_TAKEN_JOBS:
            ms = min(2 * pause.ms, settings.FULL_RETRY_MOST_MS)
        self._pauses[queue] = _Pause(ms, now_ms + ms)

    def next_look(self, survey: Survey) -> Look:
        """After `run`, whose survey it is."""
        now_ms, due = survey.now_ms, survey.due_queues
        self._pauses = {queue: pause for queue, pause in self._pauses.items() if queue in due}
        # Behind a page of full queues may stand others: all of the page move behind those when they are looked at.
        longest_ms = settings.FULL_RETRY_MS if len(due) >= settings.QUEUES_PAGE else settings.IDLE_MS
        times = [(now_ms + min(self._left_ms(queue, now_ms), longest_ms), queue) for queue in due]
        times += [(due_ms, queue) for queue, due_ms in survey.next_queues]
        if not times:
            return Look(None, [])
        at_ms = min(times)[0]
        return Look(at_ms, [queue for time_ms, queue in times if time_ms <= at_ms])

    def _left_ms(self, queue: str, now_ms: int) -> int:
        """Never more than the whole pause, whatever the server's clock does."""
        pause = self._pauses.get(queue)
        return max(0, min(pause.ends_ms - now_ms, pause.ms)) if pause else 0
