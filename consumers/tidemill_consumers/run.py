"""A run: one attempt at one job in this process, from take to settlement."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

from tidemill.context import CurrentJob, Fence
from tidemill.retry import Retry
from tidemill.task import Definition
from tidemill.wire.scripts import Taken

if TYPE_CHECKING:
    from tidemill.breakers import Call
    from tidemill.breakers.breaker import Verdict
    from tidemill_consumers.guards import Guard
    from tidemill_consumers.templates.version import Bind
    from tidemill_consumers.templates.wanted import Wanted


class Interrupt(Enum):
    """Why a running job is stopped from outside."""

    TIMEOUT = "timeout"
    CANCEL = "cancel"
    RELEASE = "release"


class Run:
    """`definition`, `retry`, `timeout_ms` and `critical` are what the pipeline found; an executor runs it."""

    __slots__ = (
        "_lock",
        "_settled",
        "bind",
        "call",
        "context",
        "critical",
        "definition",
        "fallback_reason",
        "guard",
        "interrupt",
        "is_held",
        "is_settling",
        "place",
        "retry",
        "seconds",
        "started_at",
        "taken",
        "taken_at",
        "timeout_ms",
        "verdict",
        "wanted",
    )

    def __init__(
        self, taken: Taken, definition: Definition, retry: Retry, timeout_ms: int | None, critical: bool = False
    ) -> None:
        self.taken = taken
        self.definition = definition
        self.retry = retry
        self.timeout_ms = timeout_ms
        self.critical = critical
        self.bind: Bind | None = None  # of its template: makes its arguments of what was sent; None: that is all
        self.wanted: Wanted | None = None  # a version that is not held: it waits for it, in no executor
        self.fallback_reason = ""  # why its fallback was called
        self.guard: Guard | None = None  # of the breaker that its task declares; in a child: none, its worker has asked
        self.call: Call | None = None  # through that breaker
        self.verdict: Verdict | None = None  # what the exception that its function raised says to that breaker
        self.context: CurrentJob | None = None
        self.interrupt: Interrupt | None = None
        self.taken_at = time.monotonic()
        self.started_at = 0.0  # monotonic seconds; 0: not started
        self.seconds = 0.0  # how long it ran, once it is over
        self.is_settling = False  # its outcome is in the hands of the settlement
        # Its record says that it has not started: `take` has noted that of one whose worker died before.
        self.is_held = taken.crashes > 0
        self.place: object = None  # the executor's: where it runs
        self._lock = threading.Lock()
        self._settled = False

    @property
    def is_over(self) -> bool:
        """Its outcome is decided."""
        return self._settled

    @property
    def is_waiting(self) -> bool:
        """It has not started, and nobody has decided that it is not to."""
        return not self.started_at and not self._settled

    @property
    def server_ms(self) -> float:
        """The server's time now: what it was at the take, and what has passed since."""
        return self.taken.taken_ms + (time.monotonic() - self.taken_at) * 1000

    @property
    def is_here(self) -> bool:
        """It runs in this process, and may hold its interpreter."""
        return self.definition.executor != "process"

    def is_stopped(self) -> bool:
        """Asked to stop, from outside. A method, because another thread changes the answer between two calls."""
        return self.interrupt is not None

    def start(self, report: Callable[[Run, float, str], None]) -> CurrentJob:
        """The run begins now: makes what `current_job()` returns."""
        self.started_at = time.monotonic()
        deadline = None
        if self.timeout_ms is not None:
            deadline = datetime.now(UTC) + timedelta(milliseconds=self.timeout_ms)
        taken = self.taken
        self.context = CurrentJob(
            taken.id,
            taken.task,
            taken.queue,
            taken.tries,
            Fence(taken.incarnation, taken.attempt),
            deadline,
            lambda fraction, text: report(self, fraction, text),
        )
        self.context.breaker = self.definition.breaker
        if self.interrupt is not None:
            self.context.request_stop()
        return self.context

    def stop(self, interrupt: Interrupt) -> bool:
        """Notes that it is to stop. True: this call was the first to say so."""
        with self._lock:
            if self.interrupt is not None or self._settled:
                return False
            self.interrupt = interrupt
        if self.context is not None:
            self.context.request_stop()
        return True

    def finish(self) -> bool:
        """True for the one caller whose outcome counts."""
        with self._lock:
            first, self._settled = not self._settled, True
        if first and self.started_at:
            self.seconds = time.monotonic() - self.started_at
        return first
