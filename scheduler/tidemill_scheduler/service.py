"""A scheduler: it decides what is to be done now, and sleeps until the next thing is due.

Several may run: every step is one atomic script, so they can only get in each other's way, not do harm, and none leads.
It sleeps until the earliest of: a due job, the end of a lease, an expiry, an occurrence, the next sweep. A script that
makes something due earlier publishes on the alarm channel, which wakes it; with nothing to do it sends a few commands a
minute.
"""

from __future__ import annotations

import threading
import time
from typing import Final

from tidemill import telemetry
from tidemill.app import Tidemill
from tidemill.connection import Line, Link, open_line
from tidemill.errors import TidemillError
from tidemill.ids import new_id
from tidemill.lifecycle import Outage
from tidemill.telemetry import Event
from tidemill.wire.scripts import Survey
from tidemill_scheduler import settings
from tidemill_scheduler.janitor import Janitor
from tidemill_scheduler.promoter import Promoter
from tidemill_scheduler.reaper import Reaper
from tidemill_scheduler.recurring import RecurringJobs
from tidemill_scheduler.sampler import Sampler


class Scheduler:
    """`run` returns when `stop` was called from another thread or a signal handler."""

    def __init__(self, mill: Tidemill) -> None:
        self.name: Final = new_id()
        self._mill = mill
        self._target = mill.client.target
        self._scripts = mill.client.scripts
        self._link = Link(self._target)
        self._promoter = Promoter(self._link, self._scripts)
        self._reaper = Reaper(self._link, self._scripts)
        self._recurring = RecurringJobs(self._link, self._scripts)
        self._janitor = Janitor(self._link, self._scripts)
        self._stop = threading.Event()
        self._line: Line | None = None
        self._sweep_at = 0.0  # monotonic seconds, as the next one
        self._reap_at = 0.0

    def stop(self) -> None:
        self._stop.set()
        if self._line is not None:
            self._line.interrupt()

    def run(self) -> None:
        began = time.monotonic()
        remove_gauges = telemetry.gauge_source(Sampler(self._mill))
        outage = Outage(self._target.masked, self._stop.wait)
        telemetry.event(Event.SCHEDULER_STARTED, scheduler=self.name, server=self._target.masked)
        try:
            while not self._stop.is_set():
                self._serve(outage)
        finally:
            remove_gauges()
            self._link.close()
            elapsed = round(time.monotonic() - began, 1)
            telemetry.event(Event.SCHEDULER_STOPPED, scheduler=self.name, elapsed_s=elapsed)

    def _serve(self, outage: Outage) -> None:
        """One connection's time."""
        try:
            line = open_line(self._target)
            try:
                line.subscribe([self._scripts.keys.alarm])
                self._reaper.distrust_leases(self._link.run(self._scripts.uptime_seconds()))
                self._line = line
                self._follow(line, outage)
            finally:
                self._line = None
                line.close()
        except TidemillError as error:
            if not self._stop.is_set():
                outage.failed(error)

    def _follow(self, line: Line, outage: Outage) -> None:
        while not self._stop.is_set():
            survey = self._link.run(self._scripts.survey())
            asked_at = time.monotonic()
            self._reaper.look_at_clock(survey.now_ms)
            wait_ms = self._work(survey)
            outage.over()
            wait_seconds = wait_ms / 1000 - (time.monotonic() - asked_at)
            if wait_seconds > 0:
                line.messages(wait_seconds)

    def _work(self, survey: Survey) -> float:
        """Does what is due. Returns after how many milliseconds, counted from the survey, to look again."""
        now_ms, waits = survey.now_ms, [float(settings.IDLE_MS)]
        if survey.due_queues:
            waits.append(self._promoter.run(survey.due_queues, now_ms))
        elif survey.next_wheel_ms is not None:
            waits.append(survey.next_wheel_ms - now_ms)
        waits.append(self._reap(survey))
        look_ms = self._reaper.look_after_the_dead()
        if look_ms is not None:
            waits.append(look_ms)
        if survey.next_expiry_ms is not None:
            waits.append(survey.next_expiry_ms - now_ms)
            if survey.next_expiry_ms <= now_ms:
                self._janitor.expire()
        if survey.next_occurrence_ms is not None:
            waits.append(survey.next_occurrence_ms - now_ms)
            if survey.next_occurrence_ms <= now_ms:
                self._recurring.run(now_ms)
        waits.append(self._sweep())
        return min(waits)

    def _reap(self, survey: Survey) -> float:
        if survey.next_lease_end_ms is None:
            return settings.IDLE_MS
        until_ms = survey.next_lease_end_ms - survey.now_ms
        held_ms = (self._reap_at - time.monotonic()) * 1000
        if until_ms > 0 or held_ms > 0:
            return max(until_ms, held_ms)
        again_ms = self._reaper.run(survey.now_ms)
        if again_ms is not None:
            self._reap_at = time.monotonic() + again_ms / 1000
            return again_ms
        return 0

    def _sweep(self) -> float:
        now = time.monotonic()
        if now < self._sweep_at:
            return (self._sweep_at - now) * 1000
        if not self._janitor.sweep():
            return 0
        self._sweep_at = now + settings.SWEEP_EVERY_MS / 1000
        return settings.SWEEP_EVERY_MS
