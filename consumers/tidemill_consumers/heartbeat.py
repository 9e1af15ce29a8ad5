"""Keeps the worker's lease, and listens for what concerns its running jobs.

Two threads with a connection each. One renews the lease, four times a lease, and is told which jobs are to be cancelled
and which queues are paused. The other listens for messages that make the first one look at once. Neither shares a
thread with a job, so a job that blocks its loop or waits in C does not cost the lease. One that holds the interpreter
stops these threads too: the supervisor, which hears nothing from this worker then, keeps the lease meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from typing import Protocol

from tidemill import telemetry
from tidemill.connection import Line, Link, open_line
from tidemill.errors import TidemillError
from tidemill.target import Target
from tidemill.telemetry import Event
from tidemill.wire.scripts import Renewal, Scripts
from tidemill.wire.templating import template_news_in
from tidemill_consumers import settings
from tidemill_consumers.background import background
from tidemill_consumers.contact import Contact


class Tenant(Protocol):
    """What the heartbeat has to know of its worker."""

    @property
    def incarnation(self) -> str: ...
    @property
    def queues(self) -> tuple[str, ...]: ...
    def running_ids(self) -> Collection[str]: ...
    def held_count(self) -> int: ...
    def renewed(self, renewal: Renewal, held: int) -> None: ...
    def lease_lost(self, incarnation: str) -> None: ...
    def connected(self) -> None: ...
    def template_changed(self, name: str) -> None: ...
    def beat(self) -> None: ...
    def failed(self, role: str, error: BaseException) -> None: ...


class Heartbeat:
    def __init__(self, target: Target, scripts: Scripts, lease_ms: int, tenant: Tenant, contact: Contact) -> None:
        self._contact = contact
        self._target = target
        self._scripts = scripts
        self._lease_ms = lease_ms
        self._tenant = tenant
        self._interval_seconds = lease_ms / 1000 / settings.RENEWALS_PER_LEASE
        # A renewal that is not answered within an interval is tried again by the next one.
        self._link = Link(target, deadline_seconds=self._interval_seconds)
        self._wanted = threading.Event()
        self._closing = threading.Event()
        self._line: Line | None = None
        self._threads = [
            background("lease", self._renew_regularly, tenant.failed),
            background("control", self._listen, tenant.failed),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._closing.set()
        self._wanted.set()
        if self._line is not None:
            self._line.interrupt()
        for thread in self._threads:
            thread.join(2)
        self._link.close()

    def _renew_regularly(self) -> None:
        last_renewed = time.monotonic()
        while not self._closing.is_set():
            try:
                self._renew()
                last_renewed = time.monotonic()
                self._contact.answered("lease")
            except TidemillError as error:
                late_seconds = time.monotonic() - last_renewed
                telemetry.event(Event.SERVER_UNAVAILABLE, server=self._target.masked, error=str(error))
                if late_seconds * 1000 > self._lease_ms:
                    telemetry.event(Event.LEASE_LOST, worker=self._tenant.incarnation, late_s=round(late_seconds, 1))
                self._contact.failed("lease", error)
            self._tenant.beat()
            self._wanted.wait(self._interval_seconds)
            self._wanted.clear()

    def _renew(self) -> None:
        tenant, incarnation = self._tenant, self._tenant.incarnation
        held, running = tenant.held_count(), list(tenant.running_ids())
        renewal = self._link.run(self._scripts.renew(incarnation, self._lease_ms, tenant.queues, running))
        if renewal is None:
            tenant.lease_lost(incarnation)
        else:
            tenant.renewed(renewal, held)

    def _listen(self) -> None:
        """A message only makes the lease thread look: what was missed while disconnected is found by it as well."""
        while not self._closing.is_set():
            try:
                self._follow()
            except TidemillError:  # the lease thread says so
                self._closing.wait(min(1.0, self._interval_seconds))

    def _follow(self) -> None:
        line = open_line(self._target)
        channels = [self._scripts.keys.control, self._scripts.keys.templates]
        try:
            line.subscribe(channels)
            self._line = line
            self._wanted.set()
            self._tenant.connected()
            while not self._closing.is_set():
                heard = line.messages(2 * settings.BLOCK_MS / 1000)
                for channel, message in heard:
                    self._hear(channel, message)
                if not heard:
                    line.subscribe(channels)
        finally:
            self._line = None
            line.close()

    def _hear(self, channel: str, message: str) -> None:
        if channel == self._scripts.keys.templates:
            news = template_news_in(message)
            if news is not None:
                self._tenant.template_changed(news[0])
        elif message == "queues" or self._tenant.incarnation in message:
            self._wanted.set()
