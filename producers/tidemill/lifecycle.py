"""How a long-running command lives: it ends by a signal, or when the process that started it is gone, or when a part of
it has failed; and it waits out the absence of its server."""

from __future__ import annotations

import _thread
import gc
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

from tidemill import settings, telemetry
from tidemill.backoff import Backoff
from tidemill.errors import TidemillError
from tidemill.telemetry import Event

# How often a waiting process looks whether its supervisor is still there, and runs handlers of signals.
_CHECK_SECONDS: Final = 1.0
# Names the supervisor's pid to its processes: when it is gone, they stop too.
SUPERVISOR_VARIABLE: Final = "TIDEMILL_SUPERVISOR_PID"
# Containers that are made before the garbage collector looks for cycles among them. By default that is so often that
# most of what it goes through belongs to jobs that still run; with this many a job takes less CPU, and what cycles hold
# is gone a moment later.
_YOUNG_CONTAINERS: Final = 10_000
# Of CPython up to 3.12, and of later ones.
_DEFAULT_YOUNG_CONTAINERS: Final = (700, 2_000)


class Signals:
    """SIGTERM and SIGINT: the first sets `stop`, the second ends the process at once, after `before_end`.

    Made first of all in a command, so that a signal during its start-up is not lost. Only in the main thread.
    """

    def __init__(self, before_end: Callable[[], None] = lambda: None) -> None:
        self.stop = threading.Event()
        self.failed = False
        self._before_end = before_end
        self._supervisor = _take_supervisor()
        self._is_second = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self._is_second:
            self._before_end()
            os._exit(128 + number)
        self._is_second = True
        # Not here: the main thread, in which handlers run, may just hold the event's lock.
        _thread.start_new_thread(self.stop.set, ())

    def fail(self) -> None:
        """A part of this process has failed, and it must not go on without: it stops, and `failed` is true."""
        self.failed = True
        self.stop.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Waits until the process is to stop, at most for `seconds`. True: it is to stop."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self.stop.is_set():
            if self._supervisor and os.getppid() != self._supervisor:
                self.stop.set()
                break
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            # Never for ever: of a process that was paused and continued, the kernel may hand a signal to a thread that
            # woke before this one, and Python runs handlers in this one, which nothing else would wake.
            self.stop.wait(_CHECK_SECONDS if left is None else min(left, _CHECK_SECONDS))
        return True


def _take_supervisor() -> int | None:
    """The pid of the process that supervises this one; those that this one starts must not take it for theirs."""
    found = os.environ.get(SUPERVISOR_VARIABLE)
    if not found or not found.isdigit() or int(found) == os.getpid():
        return None
    del os.environ[SUPERVISOR_VARIABLE]
    return int(found)


def exempt_what_is_loaded() -> None:
    """What is loaded by now stays as long as the process, so the garbage collector need not look at it: the modules of
    an application are tens of thousands of objects, and no job starts while it goes through them."""
    gc.collect()
    gc.freeze()


def collect_less_often() -> None:
    """Python's defaults are for programs that make few containers at a time. What an application has set stays."""
    young, *older = gc.get_threshold()
    if young in _DEFAULT_YOUNG_CONTAINERS:
        gc.set_threshold(_YOUNG_CONTAINERS, *older)


def supervise() -> None:
    """Processes that are started from now on stop when this one is gone."""
    os.environ[SUPERVISOR_VARIABLE] = str(os.getpid())


class Outage:
    """The server is away: pauses between the tries to reach it, a line in the log now and then, and one when it is
    back."""

    def __init__(self, server: str, pause: Callable[[float], object]) -> None:
        self._server = server
        self._pause = pause
        self._backoff = Backoff()
        self._began = 0.0  # monotonic seconds, as the next
        self._told_at = 0.0
        self._failures = 0

    def failed(self, error: TidemillError) -> None:
        """Pauses. The first failure is not logged: it may be an idle connection that was closed."""
        now = time.monotonic()
        if not self._failures:
            self._began = now
        elif self._failures == 1 or now - self._told_at >= settings.RETRY_CAP_SECONDS:
            telemetry.event(Event.SERVER_UNAVAILABLE, server=self._server, error=str(error))
            self._told_at = now
        self._failures += 1
        self._pause(self._backoff.next_seconds())

    def over(self) -> None:
        """The server has answered. Cheap: it is said after each answer."""
        if not self._failures:
            return
        if self._failures > 1:
            outage_seconds = round(time.monotonic() - self._began, 1)
            telemetry.event(Event.SERVER_BACK, server=self._server, outage_s=outage_seconds)
        self._failures = 0
        self._backoff.over()
