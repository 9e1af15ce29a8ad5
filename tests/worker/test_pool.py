"""The threads of a pool: how many start, and what they wait for."""

from __future__ import annotations

import threading
from typing import cast

import pytest

from tidemill.retry import NO_RETRY
from tidemill.task import Definition
from tidemill.wire.scripts import Taken
from tidemill_consumers.executors import Host
from tidemill_consumers.executors.pool import Pool
from tidemill_consumers.outcomes import Outcome, Succeeded
from tidemill_consumers.run import Run

pytestmark = pytest.mark.once


def run_of(job_id: str) -> Run:
    taken = Taken(job_id, "q", 1, "1-1", 1, 0, "t", b"", b"", 0, 0, 0, "", b"", "w")
    return Run(taken, Definition("t", print, "q"), NO_RETRY, None)


class _Alone:
    """What a pool needs of its worker. Its runs wait until they may go on."""

    def __init__(self) -> None:
        self.started, self.go_on = threading.Semaphore(0), threading.Event()
        self.ran: list[str] = []

    def run(self, run: Run) -> Outcome:
        self.ran.append(run.taken.id)
        self.started.release()
        assert self.go_on.wait(10)
        return Succeeded(b"")

    def close(self) -> None: ...
    def finished(self, run: Run, outcome: Outcome) -> None: ...
    def failed(self, role: str, error: BaseException) -> None: ...


def test_what_waits_in_a_pool_that_is_closed_does_not_run() -> None:
    alone = _Alone()
    pool = Pool("test", 1, cast(Host, alone), lambda: alone)
    for job_id in ("runs", "waits"):
        pool.submit(run_of(job_id))
    assert alone.started.acquire(timeout=10)
    pool.close()
    alone.go_on.set()
    pool.join(10)
    assert alone.ran == ["runs"]


def test_every_run_gets_a_thread_while_others_are_stuck() -> None:
    alone = _Alone()
    pool = Pool("test", 8, cast(Host, alone), lambda: alone)
    for number in range(8):
        pool.submit(run_of(f"job {number}"))
    assert all(alone.started.acquire(timeout=10) for _ in range(8))
    alone.go_on.set()
    pool.close()
    pool.join(10)


class _CountingLock:
    """A lock that counts how often it was taken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.taken = 0

    def __enter__(self) -> None:
        self._lock.acquire()
        self.taken += 1

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_a_backlog_is_worked_off_without_a_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that share one at each job end up waiting for each other at each job."""
    alone, lock = _Alone(), _CountingLock()
    with monkeypatch.context() as patched:
        patched.setattr(threading, "Lock", lambda: lock)
        pool = Pool("test", 2, cast(Host, alone), lambda: alone)
    for number in range(1_000):
        pool.submit(run_of(f"job {number}"))
    alone.go_on.set()
    assert all(alone.started.acquire(timeout=10) for _ in range(1_000))
    taken = lock.taken
    pool.close()
    pool.join(10)
    assert taken < 100
