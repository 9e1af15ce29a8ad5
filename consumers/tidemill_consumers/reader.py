"""Takes jobs: waits for tickets with a blocking read when there is nothing, and takes without waiting while there is.

The thread sleeps while no slot is free. When a call's outcome is unknown (the connection broke), jobs may have been
taken whose reply was lost: they stand in this incarnation's pending list, and are looked up there before anything else.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from typing import Protocol

from tidemill import settings as client_settings
from tidemill import telemetry
from tidemill.connection import Line, open_line
from tidemill.errors import GroupMissing, ServerUnavailable, TidemillError
from tidemill.target import Target
from tidemill.telemetry import Event
from tidemill.wire.scripts import Scripts, Taken, Ticket
from tidemill_consumers import settings
from tidemill_consumers.lanes import Reserves


class Intake(Protocol):
    """What the reader has to know of its worker."""

    @property
    def incarnation(self) -> str: ...
    def wait_for_room(self) -> int:
        """Blocks until there is room for jobs, and returns how many; 0: the worker stops."""
        ...

    def open_queues(self) -> tuple[str, ...]:
        """The queues to read; blocks while all are paused; empty: the worker stops."""
        ...

    def held_ids(self) -> Collection[str]: ...
    def paused(self, queues: frozenset[str]) -> None: ...
    def accept(self, jobs: list[Taken]) -> None: ...
    def register(self) -> None: ...
    def lease_lost(self) -> None: ...


class Reader:
    def __init__(self, target: Target, scripts: Scripts, intake: Intake) -> None:
        self._target = target
        self._scripts = scripts
        self._intake = intake
        self._reserves = Reserves()
        self._line: Line | None = None
        self._turn = 0
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="tidemill-reader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Takes nothing more. What a read delivered in the last moment is found in the pending list."""
        self._closed = True
        self.interrupt()
        self._thread.join(client_settings.REPLY_TIMEOUT_SECONDS + 1)

    def interrupt(self) -> None:
        """Ends a blocking read, so that the reader looks at its queues again."""
        line = self._line
        if line is not None:
            line.interrupt()

    def _serve(self) -> None:
        began_failing: float | None = None
        pause_seconds = client_settings.RETRY_BASE_SECONDS
        while not self._closed:
            try:
                line = self._connect()
                if began_failing is not None:
                    outage_seconds = round(time.monotonic() - began_failing, 1)
                    telemetry.event(Event.SERVER_BACK, server=self._target.masked, outage_s=outage_seconds)
                began_failing, pause_seconds = None, client_settings.RETRY_BASE_SECONDS
                try:
                    self._read_on(line)
                finally:
                    line.close()
            except GroupMissing:
                self._repair()
            except ServerUnavailable as error:
                if self._closed:
                    return
                if began_failing is None:
                    began_failing = time.monotonic()
                if pause_seconds > client_settings.RETRY_BASE_SECONDS:
                    telemetry.event(Event.SERVER_UNAVAILABLE, server=self._target.masked, error=str(error))
                time.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, client_settings.RETRY_CAP_SECONDS)
            except Exception as error:  # noqa: BLE001 - a worker that reads nothing must not look alive
                telemetry.event(Event.WORKER_FAILED, exc=error, role="reader", error=f"{type(error).__name__}: {error}")
                time.sleep(client_settings.RETRY_CAP_SECONDS)

    def _connect(self) -> Line:
        timeout_seconds = settings.BLOCK_MS / 1000 + client_settings.REPLY_TIMEOUT_SECONDS
        self._line = open_line(self._target, timeout_seconds)
        return self._line

    def _repair(self) -> None:
        """Somebody deleted a stream or its group: they are made again, at 0."""
        try:
            self._intake.register()
        except TidemillError as error:
            telemetry.event(Event.SERVER_UNAVAILABLE, server=self._target.masked, error=str(error))
            time.sleep(client_settings.RETRY_CAP_SECONDS)

    def _read_on(self, line: Line) -> None:
        tickets = self._strays(line)
        more = bool(tickets)
        while not self._closed:
            room = self._intake.wait_for_room()
            queues = self._open_queues()
            if not room or not queues:
                return
            if not more:
                block_ms = settings.BLOCK_MS
                tickets = line.run(self._scripts.listen(self._intake.incarnation, queues, block_ms))
                if not tickets:
                    continue
            reserved = self._reserves.next(room)
            takings = line.run(
                self._scripts.take(self._intake.incarnation, queues, room, reserved, self._still_open(tickets, queues))
            )
            if takings is None:
                self._intake.lease_lost()
                return
            if takings.paused:
                self._intake.paused(takings.paused)
            if takings.jobs:
                self._intake.accept(takings.jobs)
            more, tickets = len(takings.jobs) >= room, []
            if takings.missing_groups:
                self._repair()

    def _open_queues(self) -> tuple[str, ...]:
        """Each read begins with another queue, so that none waits behind a busy one."""
        queues = self._intake.open_queues()
        if not queues:
            return ()
        self._turn = (self._turn + 1) % len(queues)
        return queues[self._turn :] + queues[: self._turn]

    @staticmethod
    def _still_open(tickets: list[Ticket], queues: tuple[str, ...]) -> list[Ticket]:
        return [ticket for ticket in tickets if ticket.queue in queues]

    def _strays(self, line: Line) -> list[Ticket]:
        queues = self._intake.open_queues()
        if not queues:
            return []
        found = line.run(self._scripts.strays(self._intake.incarnation, queues, settings.MAX_PREFETCH * 2))
        held = self._intake.held_ids()
        return [ticket for ticket in found if ticket.job_id not in held]
