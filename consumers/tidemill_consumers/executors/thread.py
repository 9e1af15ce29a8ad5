"""The `thread` executor: plain functions on threads of this process.

A timeout raises `rq.timeouts.JobTimeoutException` in the thread, as RQ's TimerDeathPenalty does; a cancellation raises
`JobCancelled`. The interpreter delivers such an exception between two bytecodes, so a call into C (a database driver
that waits, a regular expression, `time.sleep`) is interrupted only when it returns, and code that was about to release
a lock may not come to it; use executor="process" for work that must be stopped at once and without a trace. A job that
catches the exception and goes on is reported as timed out when it returns.

The race to get right: the exception must never hit the thread outside the job's own code. `_Seat` guards that: an
exception is sent only under its lock and while that very job sits there (a run is interrupted once at most), and before
the thread does anything else, one that is still pending is cleared.
"""

from __future__ import annotations

import ctypes
import threading
from typing import Final

from tidemill.errors import JobCancelled
from tidemill_consumers import pipeline
from tidemill_consumers.executors import Host
from tidemill_consumers.executors.pool import Pool
from tidemill_consumers.outcomes import Outcome
from tidemill_consumers.run import Interrupt, Run


def _timeout_class() -> type[BaseException]:
    from rq.timeouts import JobTimeoutException

    return JobTimeoutException


def _send(thread_id: int, kind: type[BaseException]) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), ctypes.py_object(kind))


class _Seat:
    """Where a thread's current job sits, and how an exception is sent to it."""

    __slots__ = ("_kinds", "_lock", "_run", "_sent", "_thread_id")

    def __init__(self, kinds: tuple[type[BaseException], ...]) -> None:
        # A plain lock: one in Python code could be left locked by an exception between two of its bytecodes.
        self._lock = threading.Lock()
        self._thread_id = threading.get_ident()
        self._run: Run | None = None
        self._sent = False
        self._kinds = kinds

    def enter(self, run: Run) -> None:
        with self._lock:
            self._run = run

    def send(self, run: Run, kind: type[BaseException]) -> None:
        with self._lock:
            if self._run is run:
                self._sent = True
                _send(self._thread_id, kind)

    def leave(self) -> None:
        """Afterwards no exception is pending and none comes."""
        while True:
            try:
                with self._lock:
                    self._run = None
                if not self._sent:
                    return
                self._sent = False
                self._take_one()
            except self._kinds:
                continue

    def _take_one(self) -> None:
        """Replaces what may be pending by an exception of its own, and takes that.

        Not `_send(..., None)`: CPython 3.11 then goes on believing that one is pending, and a traced call never ends.
        """
        _send(self._thread_id, self._kinds[0])
        while True:
            pass


class _Runner:
    """One thread's."""

    def __init__(self, host: Host, kinds: tuple[type[BaseException], ...]) -> None:
        self._host = host
        self._kinds = kinds
        self._seat = _Seat(kinds)

    def run(self, run: Run) -> Outcome:
        run.place = self._seat
        context = run.start(self._host.report)
        self._host.started(run)
        outcome: Outcome | None = None
        raised: BaseException | None = None
        try:
            try:
                self._seat.enter(run)
                # Asked after it is seated: whoever interrupts it from now on sends the exception.
                if not run.is_stopped():
                    outcome = pipeline.call_sync(run, context, self._host.client)
            except BaseException as error:  # noqa: BLE001 - whatever a job raises is its outcome
                raised = error
            self._seat.leave()
        except self._kinds as late:  # it came between the job's last line and `leave`
            raised = late
            self._seat.leave()
        if outcome is not None and not run.is_stopped():
            return outcome
        try:
            return pipeline.classify(run, raised or JobCancelled("it was stopped before its first step"))
        finally:
            raised = None  # it holds this frame, which holds it: the job's objects would wait for the collector

    def close(self) -> None:
        pass


class ThreadExecutor(Pool):
    """Its idle threads end at `close`; one that is stuck in a job is a daemon, and ends with the process."""

    def __init__(self, host: Host) -> None:
        self._timeout: Final = _timeout_class()
        kinds = (self._timeout, JobCancelled)
        super().__init__("thread", host.settings.concurrency, host, lambda: _Runner(host, kinds))

    def interrupt(self, run: Run, why: Interrupt) -> None:
        if isinstance(run.place, _Seat):
            run.place.send(run, self._timeout if why is Interrupt.TIMEOUT else JobCancelled)
