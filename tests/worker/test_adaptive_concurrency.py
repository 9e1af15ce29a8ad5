"""A worker whose limit follows what it measures: what the limit holds, and what the limiter is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import cast
from unittest.mock import Mock

import pytest

from conditions import eventually
from fleet import running_worker
from tidemill import JobCancelled, JobFailed, Task, Tidemill, telemetry
from tidemill.retry import NO_RETRY
from tidemill_consumers import concurrency, settings
from tidemill_consumers.concurrency.limiter import Limiter, Sample
from tidemill_consumers.pace import Pace
from tidemill_consumers.settings import WorkerSettings
from tidemill_consumers.worker import Worker
from worker import jobs_app
from worker.processes import APP, running


class Scripted:
    """A limiter that a test sets, and that remembers what it was told."""

    queue_bound: int | None = None

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.samples: list[Sample] = []

    def observe(self, sample: Sample) -> None:
        self.samples.append(sample)

    def has_heard(self, count: int) -> bool:
        """Of so many runs."""
        return len(self.samples) >= count


class Meter:
    """How many jobs are inside at once; they stay until they are let go."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.inside = self.most = self.entered = 0
        self.go_on = threading.Event()

    def enter(self) -> None:
        with self._lock:
            self.inside += 1
            self.entered += 1
            self.most = max(self.most, self.inside)

    def holds(self, count: int) -> bool:
        return self.inside == count

    def leave(self) -> None:
        with self._lock:
            self.inside -= 1

    def task(self, mill: Tidemill) -> Task[[], None]:
        """Its jobs are inside until they are let go."""

        @mill.task()
        def stay() -> None:
            self.enter()
            self.go_on.wait(60)
            self.leave()

        return stay


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """`WorkerSettings(concurrency_limiter="scripted")` chooses it. It begins at 3."""
    found = Scripted(3)

    def make(most: int) -> Limiter:
        return found

    algorithms = cast("dict[str, Callable[[int], Limiter]]", concurrency.ALGORITHMS)
    monkeypatch.setitem(algorithms, "scripted", make)
    return found


SCRIPTED = WorkerSettings(concurrency=8, lease_ms=4_000, concurrency_limiter="scripted")


def test_all_executors_together_keep_to_the_limit(mill: Tidemill, scripted: Scripted) -> None:
    meter = Meter()

    on_a_thread = meter.task(mill)

    @mill.task()
    async def on_the_loop() -> None:
        meter.enter()
        await asyncio.to_thread(meter.go_on.wait, 20)
        meter.leave()

    jobs = [task.enqueue() for _ in range(10) for task in (on_a_thread, on_the_loop)]
    with running_worker(mill, SCRIPTED):
        eventually(lambda: meter.inside == 3, "as many run as may")
        meter.go_on.set()
        for job in jobs:
            job.result(timeout=20)
    assert meter.most == 3
    assert meter.entered == 20
    eventually(partial(scripted.has_heard, 20), "the limiter was told of all")
    assert len(scripted.samples) == 20
    assert {sample.running for sample in scripted.samples} <= {1, 2, 3}


def test_no_more_is_taken_than_the_limit_lets_run(
    mill: Tidemill, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill_consumers.settings.HAND_BACK_MS", 60_000)
    meter = Meter()

    wait = meter.task(mill)

    jobs = [wait.enqueue() for _ in range(20)]
    with running_worker(mill, SCRIPTED) as worker:
        eventually(partial(meter.holds, 3), "as many run as may")
        assert worker.intake.wait_for_room(0.1) is None
        assert worker.held_count() == 3
        meter.go_on.set()
        for job in jobs:
            job.result(timeout=20)


def test_the_prefetch_follows_the_limit_and_its_queue_bound() -> None:
    limiter = Scripted(4)
    pace = Pace(limiter)
    pace.observe("thread", 1.0)
    assert pace.prefetch() == 4 * settings.PREFETCH_MS
    limiter.limit = 2
    assert pace.prefetch() == 2 * settings.PREFETCH_MS
    limiter.queue_bound = 7
    assert pace.prefetch() == 7
    limiter.queue_bound = 1_000
    assert pace.prefetch() == 2 * settings.PREFETCH_MS


def test_the_limit_can_be_seen_while_the_worker_runs(
    mill: Tidemill, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Callable[[], int]] = {}

    def limit_source(algorithm: str, limit: Callable[[], int]) -> Callable[[], None]:
        seen[algorithm] = limit
        return seen.clear

    monkeypatch.setattr(telemetry, "limit_source", limit_source)

    @mill.task()
    def plain() -> None: ...

    @mill.task()
    async def awaited() -> None: ...

    with running_worker(mill, SCRIPTED):
        assert {algorithm: limit() for algorithm, limit in seen.items()} == {"scripted": 3}
    assert seen == {}
    with running_worker(mill, WorkerSettings()):
        assert seen == {}, "there is nothing to see of a fixed limit"


def test_a_loop_that_starts_jobs_late_says_so(
    mill: Tidemill, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill_consumers.settings.HAND_BACK_MS", 60_000)
    scripted.limit = 8

    @mill.task()
    async def block() -> None:
        threading.Event().wait(0.2)  # and not asyncio's: nothing else on the loop runs meanwhile

    jobs = [block.enqueue() for _ in range(8)]
    with running_worker(mill, SCRIPTED):
        for job in jobs:
            job.result(timeout=30)
    eventually(partial(scripted.has_heard, 8), "the limiter was told of all")
    assert not scripted.samples[-1].may_grow


def test_a_limit_that_changes_counts_for_what_starts_from_then_on(mill: Tidemill, scripted: Scripted) -> None:
    meter, gates = Meter(), threading.Semaphore(0)

    @mill.task()
    def wait() -> None:
        meter.enter()
        gates.acquire(timeout=20)
        meter.leave()

    jobs = [wait.enqueue() for _ in range(12)]
    with running_worker(mill, SCRIPTED):
        eventually(lambda: meter.inside == 3, "three run")
        scripted.limit = 5
        gates.release()
        eventually(lambda: meter.inside == 5 and meter.entered == 6, "one ended, and five run")
        scripted.limit = 1
        for done in range(1, 5):
            gates.release()
            left = 5 - done
            eventually(partial(meter.holds, left), "what ran goes on, and nothing new starts")
        assert meter.entered == 6
        for _ in jobs:
            gates.release()
        for job in jobs:
            job.result(timeout=20)
    assert meter.most == 5


def test_the_limiter_is_told_what_failed_and_what_timed_out(mill: Tidemill, scripted: Scripted) -> None:
    @mill.task(retry=NO_RETRY)
    def fail() -> None:
        raise ValueError("no")

    @mill.task(retry=NO_RETRY, timeout=0.1)
    async def hang() -> None:
        await asyncio.sleep(60)

    @mill.task()
    def succeed() -> None: ...

    with running_worker(mill, SCRIPTED):
        for task, ends in (
            (fail, pytest.raises(JobFailed)),
            (hang, pytest.raises(JobFailed)),
            (succeed, nullcontext()),
        ):
            before = len(scripted.samples)
            with ends:
                task.enqueue().result(timeout=20)
            # The server may know of an outcome a moment before the limiter does.
            eventually(partial(scripted.has_heard, before + 1), "the limiter was told")
    assert [(sample.failed, sample.dropped) for sample in scripted.samples] == [
        (True, False),
        (True, True),
        (False, False),
    ]
    assert scripted.samples[1].seconds >= 0.1
    assert [sample.running for sample in scripted.samples] == [1, 1, 1]


def test_a_job_that_waits_for_a_slot_can_be_cancelled(
    mill: Tidemill, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill_consumers.settings.HAND_BACK_MS", 60_000)
    monkeypatch.setattr("tidemill_consumers.pace.Pace.prefetch", Mock(return_value=5))
    scripted.limit = 1
    meter = Meter()

    wait = meter.task(mill)

    jobs = [wait.enqueue() for _ in range(3)]
    with running_worker(mill, SCRIPTED) as worker:
        eventually(lambda: worker.held_count() == 3 and meter.inside == 1, "one runs, two wait in the worker")
        running_id = next(run.taken.id for run in worker.runs.all() if run.started_at)
        waiting = [job for job in jobs if job.id != running_id]
        waiting[0].cancel()
        with pytest.raises(JobCancelled):
            waiting[0].result(timeout=20)
        assert meter.inside == 1, "it did not wait for its turn"
        meter.go_on.set()
        waiting[1].result(timeout=20)
    assert meter.entered == 2
    eventually(partial(scripted.has_heard, 2), "the limiter was told of both")
    assert len(scripted.samples) == 2, "what did not run says nothing"


def test_what_waits_for_a_slot_is_handed_back_when_the_worker_stops(
    mill: Tidemill, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill_consumers.settings.HAND_BACK_MS", 60_000)
    monkeypatch.setattr("tidemill_consumers.pace.Pace.prefetch", Mock(return_value=5))
    scripted.limit = 1
    meter = Meter()

    wait = meter.task(mill)

    for _ in range(4):
        wait.enqueue()
    worker = Worker(mill, SCRIPTED)
    worker.start()
    eventually(lambda: worker.held_count() == 4 and meter.inside == 1, "one runs, three wait in the worker")
    stopping = threading.Thread(target=worker.stop, kwargs={"grace_seconds": 20})
    stopping.start()
    eventually(lambda: mill.inspect.queue("default").ready["normal"] == 3, "they wait for other workers")
    meter.go_on.set()
    stopping.join(20)
    assert meter.entered == 1
    assert mill.inspect.queue("default").running == 0


def test_jobs_that_wait_too_long_for_a_slot_are_handed_back(mill: Tidemill, scripted: Scripted) -> None:
    meter = Meter()

    wait = meter.task(mill)

    jobs = [wait.enqueue() for _ in range(3)]
    with running_worker(mill, SCRIPTED):
        eventually(lambda: meter.inside == 3, "all run")
        scripted.limit = 1
        jobs += [wait.enqueue() for _ in range(2)]
        with running_worker(mill, WorkerSettings(concurrency=2)):
            eventually(lambda: meter.inside == 5, "another worker runs what this one may not")
            meter.go_on.set()
            for job in jobs:
                job.result(timeout=20)


@pytest.mark.parametrize("algorithm", ["gradient", "gradient2", "windowed"])
def test_a_worker_process_with_an_adaptive_limit_runs_everything(
    app: Tidemill, url: str, tmp_path: Path, algorithm: str
) -> None:
    (tmp_path / "release").touch()
    journal = tmp_path / "journal"
    jobs = [jobs_app.hold.enqueue(str(journal), str(tmp_path / "release")) for _ in range(200)]
    options = ("--concurrency=50", f"--concurrency-limiter={algorithm}")
    with running(tmp_path / "log", url, "worker", APP, *options) as command:
        for job in jobs:
            job.result(timeout=60)
            assert job.attempt == 1  # however often it was taken: one that waits for a slot is handed back
        (described,) = app.inspect.workers()
        assert described.description["limiter"] == algorithm
    assert command.wait() == 0
    assert len(journal.read_text(encoding="utf-8").splitlines()) == 200
