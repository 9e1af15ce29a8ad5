"""Takes jobs: without waiting while there are some; when there are none, after a blocking read that waits for tickets.

The thread sleeps while no slot is free. When a call's outcome is unknown (the connection broke), jobs may have been
taken whose reply was lost: they stand in this incarnation's pending list, and are looked up there before anything else.

A dead connection is found out by the read's own end, after a minute; or sooner, by the lease thread: the server tells
it where jobs wait and how many it has given to this worker. A read that gets nothing all the same begins anew.

Only the blocking read is ever interrupted. A `take` that was cut off would leave jobs that run nowhere, and whoever
recovers them would count it as a crash.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Final, Protocol

from tidemill import settings as client_settings
from tidemill import telemetry
from tidemill.connection import Line, open_line
from tidemill.errors import GroupMissing, ServerUnavailable, TidemillError
from tidemill.lifecycle import Outage
from tidemill.target import Target
from tidemill.telemetry import Event
from tidemill.wire.scripts import Renewal, Scripts, Taken, Ticket
from tidemill_consumers import settings
from tidemill_consumers.background import background
from tidemill_consumers.contact import Contact
from tidemill_consumers.intake import Intake
from tidemill_consumers.lanes import Reserves

_DEAF: Final = "there are jobs, but the read that waits for them does not get them"


@dataclass(slots=True)
class _Read:
    """A blocking read that is under way. `in_vain_since`: since when jobs were seen to wait beside it."""

    line: Line
    queues: tuple[str, ...]
    in_vain_since: float | None = None  # monotonic seconds


class Owner(Protocol):
    """What the reader has to know of its worker."""

    @property
    def incarnation(self) -> str: ...
    def accept(self, jobs: list[Taken]) -> None: ...
    def hand_back_late(self) -> bool: ...
    def register(self) -> None: ...
    def lease_lost(self, incarnation: str) -> None: ...
    def hand_on(self, incarnation: str) -> None: ...
    def failed(self, role: str, error: BaseException) -> None: ...


class Reader:
    def __init__(self, target: Target, scripts: Scripts, intake: Intake, owner: Owner, contact: Contact) -> None:
        self._contact = contact
        self._target = target
        self._scripts = scripts
        self._intake = intake
        self._owner = owner
        self._reserves = Reserves()
        self._turn = 0
        self.names: set[str] = set()  # under which it has read, and whose tickets are not handed on
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._reading: _Read | None = None
        self._interrupted = threading.Event()
        self._outage = Outage(target.masked, self._closing.wait)
        self._thread = background("reader", self._serve, owner.failed)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Takes nothing more. What a read delivered in the last moment is found in the pending list."""
        self._closing.set()
        self.interrupt()
        self._thread.join(client_settings.REPLY_TIMEOUT_SECONDS + 1)

    def interrupt(self) -> None:
        """Ends a blocking read, so that the reader looks at its queues again."""
        with self._lock:
            self._interrupted.set()
            if self._reading is not None:
                self._reading.line.interrupt()

    def compare(self, renewal: Renewal, held: int) -> None:
        """What the server said just now on another connection; `held`: the jobs that were held when it was asked.

        A read is not heard if jobs wait all the same, or if tickets were given to this name that never came.
        """
        now = time.monotonic()
        with self._lock:
            read = self._reading
            if read is None:
                return
            if renewal.waiting.isdisjoint(read.queues) and renewal.given <= held:
                read.in_vain_since = None
                self._contact.answered("delivery")
                return
            if read.in_vain_since is None:
                read.in_vain_since = now
            if now - read.in_vain_since < settings.DEAF_SECONDS:
                return
            read.line.interrupt()
        error = ServerUnavailable(_DEAF)
        telemetry.event(Event.SERVER_UNAVAILABLE, server=self._target.masked, error=str(error))
        self._contact.failed("delivery", error)

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                self._connected()
            except GroupMissing:
                self._repair()
            except TidemillError as error:
                if self._interrupted.is_set():
                    self._interrupted.clear()
                else:
                    self._contact.failed("reader", error)
                    self._outage.failed(error)

    def _connected(self) -> None:
        line = open_line(self._target)
        incarnation = self._owner.incarnation
        self.names.add(incarnation)
        try:
            # A read under a former name may have been served after all was taken from it: nobody else would look.
            for former in self.names - {incarnation}:
                self._owner.hand_on(former)
                self.names.remove(former)
            self._read_on(line, incarnation)
        finally:
            line.close()

    def _repair(self) -> None:
        """Somebody deleted a stream or its group: they are made again, at 0."""
        try:
            self._owner.register()
        except TidemillError as error:
            self._contact.failed("reader", error)
            self._outage.failed(error)

    def _read_on(self, line: Line, incarnation: str) -> None:
        """Until something has to be set up anew. Tickets of one incarnation are never taken as another."""
        tickets, more = self._strays(line, incarnation), True
        while not self._closing.is_set():
            are_waiting = self._owner.hand_back_late()
            room = self._intake.wait_for_room(settings.HAND_BACK_MS / 1000 if are_waiting else None)
            if room is None:
                continue
            queues = self._open_queues()
            if not room or not queues:
                return
            if not more:
                block_ms = settings.HAND_BACK_MS if are_waiting else settings.BLOCK_MS
                tickets = self._not_held(incarnation, self._listen(line, incarnation, queues, block_ms))
                if not tickets:
                    continue
            if incarnation != self._owner.incarnation:
                return
            # A queue may have been paused since its tickets were delivered: the script hands them back.
            asked = queues + tuple(sorted({ticket.queue for ticket in tickets}.difference(queues)))
            takings = line.run(self._scripts.take(incarnation, asked, room, self._reserves.next(room), tickets))
            self._answered()
            if takings is None:
                self._owner.lease_lost(incarnation)
                return
            if takings.paused:
                self._intake.pause(takings.paused)
            if takings.jobs:
                self._contact.answered("delivery")
                self._owner.accept(takings.jobs)
            more, tickets = len(takings.jobs) >= room, []
            if takings.missing_groups:
                self._owner.register()

    def _listen(self, line: Line, incarnation: str, queues: tuple[str, ...], block_ms: int) -> list[Ticket]:
        """What the blocking read delivers; [] after its time, and when the queues are to be looked at again."""
        with self._lock:
            if self._interrupted.is_set():  # since the queues were looked at
                self._interrupted.clear()
                return []
            self._reading = _Read(line, queues)
        try:
            tickets = line.run_blocking(self._scripts.listen(incarnation, queues, block_ms), block_ms / 1000)
        finally:
            with self._lock:
                self._reading = None
        self._answered()
        return tickets

    def _answered(self) -> None:
        self._contact.answered("reader")
        self._outage.over()

    def _open_queues(self) -> tuple[str, ...]:
        """Each read begins with another queue, so that none waits behind a busy one."""
        queues = self._intake.open_queues()
        if not queues:
            return ()
        self._turn = (self._turn + 1) % len(queues)
        return queues[self._turn :] + queues[: self._turn]

    def _strays(self, line: Line, incarnation: str) -> list[Ticket]:
        found = line.run(self._scripts.strays(incarnation, self._intake.queues, settings.MAX_PREFETCH * 2))
        return self._not_held(incarnation, found)

    def _not_held(self, incarnation: str, tickets: list[Ticket]) -> list[Ticket]:
        """By the job and not by the entry: a second ticket of a job that runs, or one that is delivered again since its
        group was destroyed, must not start it again."""
        held = self._intake.held_jobs(incarnation)
        return [ticket for ticket in tickets if ticket.job_id not in held]
