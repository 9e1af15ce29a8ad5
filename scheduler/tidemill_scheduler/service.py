"""A scheduler: it decides what is to be done now, and sleeps until the next thing is due.

Several may run: every step is one atomic script, so they can only get in each other's way, not do harm, and none leads.
It sleeps until the earliest of: a due job, the end of a lease, an expiry, an occurrence, a look at a limit, the next
sweep. A script that makes something due earlier publishes on the alarm channel, which wakes it; with nothing to do it
sends a few commands a minute.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from tidemill import durability, telemetry
from tidemill.app import Tidemill
from tidemill.connection import Line, Link, open_line
from tidemill.errors import ServerUnavailable, TidemillError
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
from tidemill_scheduler.server_clock import ServerClock
from tidemill_scheduler.shedder import Shedder


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
        self._shedder = Shedder(self._link, self._scripts)
        self._stop = threading.Event()
        self._line: Line | None = None
        # The server, since the last survey. What was before this process began (a jump of the clock), it can't know.
        self._was_away = True
        self._answered_at: float | None = None  # monotonic seconds, as those below
        self._sweep_at = 0.0
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
                self._line = line
                self._warn_of_durability()
                self._follow(line, outage)
            finally:
                self._line = None
                line.close()
        except TidemillError as error:
            self._was_away = True
            if not self._stop.is_set():
                outage.failed(error)

    def _warn_of_durability(self) -> None:
        """Its producers are refused then; this says it before they are, and after a failover."""
        try:
            for reason in durability.unkept(self._link, self._scripts):
                telemetry.event(Event.SERVER_UNSAFE, server=self._target.masked, reason=reason)
        except ServerUnavailable:
            raise
        except TidemillError as error:
            telemetry.event(Event.SCHEDULER_FAILED, role="durability", error=str(error))

    def _follow(self, line: Line, outage: Outage) -> None:
        clock, heard_at = ServerClock(), time.monotonic()
        queues, at_ms = list[str](), 0
        while not self._stop.is_set():
            began = time.monotonic()
            survey = self._promoter.run(queues, at_ms)
            asked_at = time.monotonic()
            clock.heard(began, survey.now_us)
            if self._was_away or asked_at - began > settings.SLOW_ANSWER_SECONDS:
                self._reaper.distrust_leases(self._answered_at)
            self._was_away = False
            self._reaper.look_at_clock(survey.now_ms, began)
            wake_at = asked_at + self._work(survey) / 1000
            self._answered_at = time.monotonic()
            if self._answered_at - asked_at > settings.SLOW_ANSWER_SECONDS:
                self._reaper.distrust_leases(asked_at)
            outage.over()
            look = self._promoter.next_look(survey)
            look_at = wake_at if look.at_ms is None else clock.send_at(look.at_ms)
            if self._is_woken(line, min(wake_at, look_at)):
                heard_at = time.monotonic()
            elif time.monotonic() - heard_at > settings.PROVE_ALARM_SECONDS:
                line.subscribe([self._scripts.keys.alarm])
                heard_at = time.monotonic()
            # Before its time a look would find nothing.
            is_time = look.at_ms is not None and time.monotonic() >= look_at
            queues, at_ms = (look.queues, look.at_ms or 0) if is_time else ([], survey.now_ms)

    def _is_woken(self, line: Line, until: float) -> bool:
        """Sleeps until then, or until the alarm. True: it was the alarm."""
        if line.messages(until - time.monotonic() - settings.COARSE_WAIT_SECONDS):
            return True
        rest_seconds = until - time.monotonic()
        if rest_seconds > 0:
            self._stop.wait(rest_seconds)
        return False

    def _work(self, survey: Survey) -> float:
        """Does what is due beside promoting. Returns after how many milliseconds from the survey to look again."""
        return min(
            settings.IDLE_MS,
            self._reap(survey),
            self._duty("expiry", survey.next_expiry_ms, survey.now_ms, self._janitor.expire),
            self._duty(
                "recurring", survey.next_occurrence_ms, survey.now_ms, lambda: self._recurring.run(survey.now_ms)
            ),
            self._duty("shedder", survey.next_watch_ms, survey.now_ms, lambda: self._shedder.run(survey.now_ms)),
            self._sweep(),
        )

    def _duty(self, role: str, due_ms: int | None, now_ms: int, duty: Callable[[], object]) -> float:
        """Does it if it is due. What the server refuses must not keep the other duties."""
        if due_ms is None:
            return settings.IDLE_MS
        if due_ms > now_ms:
            return due_ms - now_ms
        try:
            duty()
        except ServerUnavailable:
            raise
        except TidemillError as error:
            telemetry.event(Event.SCHEDULER_FAILED, role=role, error=str(error))
            return settings.FAILED_RETRY_MS
        return 0

    def _reap(self, survey: Survey) -> float:
        look_ms = self._reaper.look_after_the_departed(survey.now_ms, survey.first_departed_ms)
        if survey.next_lease_end_ms is None:
            return look_ms
        until_ms = survey.next_lease_end_ms - survey.now_ms
        held_ms = (self._reap_at - time.monotonic()) * 1000
        if until_ms > 0 or held_ms > 0:
            return min(max(until_ms, held_ms), look_ms)
        again_ms = self._reaper.run(survey.now_ms)
        if again_ms is None:
            return 0
        self._reap_at = time.monotonic() + again_ms / 1000
        return min(again_ms, look_ms)

    def _sweep(self) -> float:
        left_ms = int((self._sweep_at - time.monotonic()) * 1000)
        return self._duty("janitor", left_ms, 0, self._sweep_once)

    def _sweep_once(self) -> None:
        if self._janitor.sweep():
            self._sweep_at = time.monotonic() + settings.SWEEP_EVERY_MS / 1000
