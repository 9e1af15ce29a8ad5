"""The `thread` executor: plain functions on threads of this process.

A timeout raises `rq.timeouts.JobTimeoutException` in the thread, as RQ's TimerDeathPenalty does; a cancellation raises
`JobCancelled`. The interpreter delivers such an exception between two bytecodes, so a call into C (a database driver
that waits, a regular expression, `time.sleep`) is interrupted only when it returns; use executor="process" for work
that must be stopped at once. A job that catches the exception and goes on is reported as timed out when it returns.

The race to get right: the exception must never hit the thread after the job's own code is over. `_Seat` guards that:
an exception is sent only under its lock and while that very job sits there, and before the thread does anything else,
one that is still pending is cleared.
"""

from __future__ import annotations

import ctypes
import threading
from collections import deque
from typing import Final

from tidemill.errors import JobCancelled
from tidemill_consumers import pipeline
from tidemill_consumers.executors import Host
from tidemill_consumers.outcomes import Outcome
from tidemill_consumers.run import Interrupt, Run


def _timeout_class() -> type[BaseException]:
    from rq.timeouts import JobTimeoutException

    return JobTimeoutException


def _send(thread_id: int, kind: type[BaseException] | None) -> None:
    target = ctypes.c_ulong(thread_id)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(target, None if kind is None else ctypes.py_object(kind))


class _Seat:
    """Where a thread's current job sits, and how an exception is sent to it."""

    __slots__ = ("_kinds", "_lock", "_run", "_thread_id")

    def __init__(self, kinds: tuple[type[BaseException], ...]) -> None:
        self._lock = threading.Lock()
        self._thread_id = threading.get_ident()
        self._run: Run | None = None
        self._kinds = kinds

    def enter(self, run: Run) -> None:
        self._run = run

    def send(self, run: Run, kind: type[BaseException]) -> None:
        with self._lock:
            if self._run is run:
                _send(self._thread_id, kind)

    def leave(self) -> None:
        """Afterwards no exception is pending and none comes."""
        while True:
            try:
                with self._lock:
                    self._run = None
                _send(self._thread_id, None)
                return
            except self._kinds:
                continue


class ThreadExecutor:
    def __init__(self, host: Host) -> None:
        self._host = host
        self._most: Final = host.settings.concurrency
        self._waiting: deque[Run] = deque()
        self._wanted = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._closed = False
        self._timeout: Final = _timeout_class()
        self._kinds: Final = (self._timeout, JobCancelled)

    def submit(self, run: Run) -> None:
        self._waiting.append(run)
        with self._lock:
            if self._idle < len(self._waiting) and self._threads < self._most:
                self._threads += 1
                name = f"tidemill-thread-{self._threads}"
                threading.Thread(target=self._serve, name=name, daemon=True).start()
        self._wanted.release()

    def _serve(self) -> None:
        seat = _Seat(self._kinds)
        while True:
            with self._lock:
                self._idle += 1
            self._wanted.acquire()
            with self._lock:
                self._idle -= 1
            if self._closed:
                return
            try:
                run = self._waiting.popleft()
            except IndexError:  # withdrawn meanwhile
                continue
            outcome = self._run(run, seat)
            self._host.finished(run, outcome)

    def _run(self, run: Run, seat: _Seat) -> Outcome:
        outcome: Outcome | None = None
        raised: BaseException | None = None
        try:
            try:
                run.place = seat
                seat.enter(run)
                context = run.start(self._host.report)
                self._host.started(run)
                if run.interrupt is None:
                    outcome = pipeline.call_sync(run, context, self._host.codec)
            except BaseException as error:  # noqa: BLE001 - whatever a job raises is its outcome
                raised = error
            seat.leave()
        except self._kinds as late:  # it came between the job's last line and `leave`
            raised = late
            seat.leave()
        if outcome is None or run.interrupt is not None:
            return pipeline.classify(run, raised or JobCancelled("it was stopped before its first step"))
        return outcome

    def withdraw(self) -> list[Run]:
        withdrawn: list[Run] = []
        while self._waiting:
            try:
                withdrawn.append(self._waiting.popleft())
            except IndexError:
                break
        return withdrawn

    def interrupt(self, run: Run, why: Interrupt) -> None:
        if isinstance(run.place, _Seat):
            run.place.send(run, self._timeout if why is Interrupt.TIMEOUT else JobCancelled)

    def close(self) -> None:
        """Idle threads end; one that is stuck in a job is a daemon, and ends with the process."""
        self._closed = True
        with self._lock:
            self._wanted.release(self._threads or 1)
