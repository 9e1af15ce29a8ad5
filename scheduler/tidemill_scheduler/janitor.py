"""Drops finished records and dead letters whose time is over, and expires jobs that were not started in time."""

from __future__ import annotations

from tidemill import telemetry
from tidemill.connection import Link
from tidemill.telemetry import Event
from tidemill.wire.scripts import Scripts
from tidemill_scheduler import settings


class Janitor:
    def __init__(self, link: Link, scripts: Scripts) -> None:
        self._link = link
        self._scripts = scripts

    def sweep(self) -> bool:
        """A page of each kind. True: that was all."""
        queues = self._link.run(self._scripts.queue_names())
        if not queues:
            return True
        page = settings.SWEEP_PAGE
        dropped = self._link.run_all(
            [self._scripts.sweep("finished", queues, page), self._scripts.sweep("dead", queues, page)]
        )
        return all(count < page for count in dropped)

    def expire(self) -> None:
        """All that is due."""
        while True:
            seen, expired = self._link.run(self._scripts.expire(settings.EXPIRE_PAGE))
            if expired:
                telemetry.event(Event.JOB_EXPIRED, count=expired)
            if seen < settings.EXPIRE_PAGE:
                return
