"""Short lives of a few jobs, which together reach every script; each says how often a task must have run."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest

from conditions import eventually
from fleet import running_fleet, running_scheduler, running_worker
from tidemill import InvalidInput, JobCancelled, JobExpired, JobFailed, Retry, Tidemill, current_job
from tidemill_consumers.settings import WorkerSettings

Life = Callable[[Tidemill], dict[str, tuple[int, int]]]
LEASE = WorkerSettings(concurrency=4, lease_ms=2_000)
WAIT_SECONDS = 40


class _Runs:
    """Counts from any thread."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, task: str) -> int:
        with self._lock:
            self._counts[task] += 1
            return self._counts[task]

    def compared(self, **expected: int) -> dict[str, tuple[int, int]]:
        return {task: (self._counts[task], count) for task, count in expected.items()}


def work(mill: Tidemill) -> dict[str, tuple[int, int]]:
    """Jobs succeed, are retried, become dead letters and are run again, now and later."""
    runs = _Runs()

    @mill.task()
    def ok(number: int) -> int:
        runs("ok")
        current_job().progress(0.5, "half")
        return number

    @mill.task(retry=Retry(max_attempts=2, base=0.01))
    def flaky() -> str:
        if runs("flaky") == 1:
            raise ValueError("the first time")
        return "done"

    @mill.task()
    def broken() -> None:
        if runs("broken") == 1:
            raise ValueError("broken")

    with running_fleet(mill, LEASE):
        jobs = [ok.enqueue(1), ok.enqueue_in(0.1, 2)]
        again, dead = flaky.enqueue(), broken.enqueue()
        assert [job.result(timeout=WAIT_SECONDS) for job in jobs] == [1, 2]
        assert again.result(timeout=WAIT_SECONDS) == "done"
        with pytest.raises(JobFailed):
            dead.result(timeout=WAIT_SECONDS)
        with contextlib.suppress(InvalidInput):  # if a reply was lost, the job may be over before the second try
            dead.retry()
        eventually(lambda: dead.refresh().state == "succeeded", "it was run again", WAIT_SECONDS)
    return runs.compared(ok=2, flaky=2, broken=2)


def steer(mill: Tidemill) -> dict[str, tuple[int, int]]:
    """A running job is cancelled; one of an unknown task is parked, and adopted by a worker that knows it."""
    runs, started, pause = _Runs(), threading.Event(), threading.Event()

    @mill.task()
    def long() -> None:
        runs("long")
        started.set()
        while not current_job().should_stop:
            pause.wait(0.01)

    with running_scheduler(mill), running_worker(mill, LEASE):
        job, parked = long.enqueue(), mill.enqueue("unknown")
        assert started.wait(WAIT_SECONDS)
        eventually(lambda: parked.refresh().state == "scheduled", "it was parked", WAIT_SECONDS)
        assert job.cancel() is True
        with pytest.raises(JobCancelled):
            job.result(timeout=WAIT_SECONDS)

    @mill.task(name="unknown")
    def known() -> str:
        runs("known")
        return "known"

    with running_scheduler(mill), running_worker(mill, LEASE):
        assert parked.result(timeout=WAIT_SECONDS) == "known"
    return runs.compared(long=1, known=1)


def leave(mill: Tidemill) -> dict[str, tuple[int, int]]:
    """A worker stops, and hands back what runs and what waits; another runs all."""
    runs, started, release, pause = _Runs(), threading.Event(), threading.Event(), threading.Event()

    @mill.task()
    def held(number: int) -> int:
        runs("held")
        started.set()
        while not release.is_set():
            pause.wait(0.01)  # a wait that can be interrupted
        return number

    jobs = [held.enqueue(number) for number in range(3)]
    with running_worker(mill, WorkerSettings(concurrency=1, lease_ms=2_000)) as worker:
        assert started.wait(WAIT_SECONDS)
        worker.stop(grace_seconds=0)
    assert {job.refresh().state for job in jobs} == {"ready"}
    release.set()
    with running_worker(mill, LEASE):
        assert [job.result(timeout=WAIT_SECONDS) for job in jobs] == [0, 1, 2]
    assert mill.inspect.workers() == []
    return runs.compared(held=1 + 3)


def by_the_clock(mill: Tidemill) -> dict[str, tuple[int, int]]:
    """A job expires unstarted, and recurring ones are made."""
    runs = _Runs()

    @mill.task()
    def tick() -> None:
        runs(current_job().id)

    expiring = tick.using(queue="nobody", expires=0.2).enqueue()
    with running_fleet(mill, LEASE):
        mill.every(timedelta(seconds=1), tick, name="often")
        with pytest.raises(JobExpired):
            expiring.result(timeout=WAIT_SECONDS)
        made = eventually(lambda: mill.inspect.jobs("default", "succeeded")[1:], "two have run", WAIT_SECONDS)
        mill.remove_recurring("often")
        assert mill.remove_recurring("often") is False
    return runs.compared(**{job.id: 1 for job in made})


# Which scripts each of them calls.
LIVES: dict[Life, tuple[str, ...]] = {
    work: (
        *("enqueue", "take", "complete", "retry", "bury", "requeue", "promote", "progress", "watch", "survey"),
        *("register", "renew"),
    ),
    steer: ("cancel", "abandon", "park", "adopt"),
    leave: ("release", "retire"),
    by_the_clock: ("declare", "tick", "expire", "sweep", "undeclare"),
}
