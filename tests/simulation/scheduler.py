"""A simulated scheduler: the real parts of the service, in its order."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from unittest.mock import patch

from simulation.turns import Program, TurnLink, in_turns
from simulation.world import World
from tidemill.wire.scripts import Survey
from tidemill_scheduler import settings
from tidemill_scheduler.janitor import Janitor
from tidemill_scheduler.promoter import Promoter
from tidemill_scheduler.reaper import Reaper
from tidemill_scheduler.recurring import RecurringJobs
from tidemill_scheduler.shedder import Shedder


@contextmanager
def small_pages() -> Generator[None]:
    """Pages so small that a few jobs fill several."""
    with patch.multiple(
        settings,
        PROMOTE_BATCH=2,
        HIGH_WATER_JOBS=5,
        RECOVER_PAGE=2,
        SWEEP_PAGE=3,
        EXPIRE_PAGE=2,
        SHED_PAGE=1,
        OCCURRENCES_PAGE=1,
    ):
        yield


class Scheduler:
    """One process. It keeps nothing but what its parts keep."""

    def __init__(self, world: World, link: TurnLink) -> None:
        self._world = world
        self._link = link
        self._promoter = Promoter(link, world.scripts)
        self._reaper = Reaper(link, world.scripts, world.clocks.monotonic_seconds)
        self._recurring = RecurringJobs(link, world.scripts)
        self._janitor = Janitor(link, world.scripts)
        self._shedder = Shedder(link, world.scripts)
        self._reap_at_ms = 0

    def run(self) -> None:
        clocks = self._world.clocks
        was_away, answered_at = True, None
        while True:
            began = clocks.monotonic_seconds()
            survey = self._link.run(self._world.scripts.survey())
            asked_at = clocks.monotonic_seconds()
            if was_away or asked_at - began > settings.SLOW_ANSWER_SECONDS:
                self._reaper.distrust_leases(answered_at)
            was_away = False
            self._reaper.look_at_clock(survey.now_ms)
            self._work(survey)
            answered_at = clocks.monotonic_seconds()
            if answered_at - asked_at > settings.SLOW_ANSWER_SECONDS:
                self._reaper.distrust_leases(asked_at)
            self._link.rest()

    def _work(self, survey: Survey) -> None:
        now_ms = survey.now_ms
        if survey.due_queues:
            self._promoter.run(survey.due_queues, now_ms)
        self._reap(survey)
        if _is_due(survey.next_expiry_ms, now_ms):
            self._janitor.expire()
        if _is_due(survey.next_occurrence_ms, now_ms):
            self._recurring.run(now_ms)
        if _is_due(survey.next_watch_ms, now_ms):
            self._shedder.run(now_ms)
        if self._world.chance.random() < 0.2:
            self._janitor.sweep()

    def _reap(self, survey: Survey) -> None:
        self._reaper.look_after_the_departed(survey.now_ms, survey.first_departed_ms)
        monotonic_ms = self._world.clocks.monotonic_ms
        if _is_due(survey.next_lease_end_ms, survey.now_ms) and monotonic_ms >= self._reap_at_ms:
            again_ms = self._reaper.run(survey.now_ms)
            if again_ms is not None:
                self._world.ledger.sometimes["reaper waited"] += 1
                self._reap_at_ms = monotonic_ms + again_ms


def _is_due(due_ms: int | None, now_ms: int) -> bool:
    return due_ms is not None and due_ms <= now_ms


def program(world: World) -> Program:
    return in_turns(lambda link: Scheduler(world, link).run(), world.connection.mill.client.target)
