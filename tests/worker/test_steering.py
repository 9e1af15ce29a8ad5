"""Steering a fleet from outside while it works: pausing, cancelling, expiry, uniqueness."""

from __future__ import annotations

import threading
from unittest.mock import Mock

import pytest

from conditions import eventually
from fleet import running_fleet, running_scheduler, running_worker
from tidemill import JobCancelled, JobExists, JobFailed, Tidemill, current_job
from tidemill.wire.keys import GROUP
from tidemill_consumers import settings
from tidemill_consumers.pace import Pace
from tidemill_consumers.settings import WorkerSettings


def test_a_paused_queue_starts_nothing_and_goes_on_where_it_was(mill: Tidemill) -> None:
    @mill.task(queue="a")
    def a() -> str:
        return "a"

    @mill.task(queue="b")
    def b() -> str:
        return "b"

    with running_worker(mill) as worker:
        assert a.enqueue().result(timeout=10) == "a"
        mill.inspect.pause("a")
        eventually(lambda: "a" in worker.intake.paused, "the worker knows")
        waiting = [a.enqueue() for _ in range(3)]
        assert b.enqueue().result(timeout=10) == "b"
        assert {str(job.refresh().state) for job in waiting} == {"ready"}
        mill.inspect.resume("a")
        assert [job.result(timeout=10) for job in waiting] == ["a"] * 3


def test_a_queue_that_was_paused_before_the_worker_came_starts_nothing(mill: Tidemill) -> None:
    @mill.task(queue="a")
    def a() -> str:
        return "a"

    @mill.task(queue="b")
    def b() -> str:
        return "b"

    job = a.enqueue()
    mill.inspect.pause("a")
    with running_worker(mill):
        assert b.enqueue().result(timeout=10) == "b"
        assert job.refresh().state == "ready"
        mill.inspect.resume("a")
        assert job.result(timeout=10) == "a"


def test_when_all_queues_are_paused_the_worker_sleeps_and_can_be_stopped(mill: Tidemill) -> None:
    @mill.task()
    def add() -> int:
        return 1

    with running_worker(mill) as worker:
        mill.inspect.pause("default")
        job = add.enqueue()
        eventually(lambda: mill.inspect.queue("default").ready["normal"] == 1, "it waits")
        eventually(lambda: worker.intake.paused, "the worker knows")
        assert job.refresh().state == "ready"
    assert mill.inspect.workers() == []


def test_a_job_can_be_cancelled_while_it_is_delayed_or_waits(mill: Tidemill) -> None:
    ran: list[str] = []

    @mill.task()
    def run(name: str) -> None:
        ran.append(name)

    delayed, waiting, third = run.enqueue_in(0.2, "delayed"), run.enqueue("waiting"), run.enqueue("third")
    assert delayed.cancel()
    assert waiting.cancel()
    with running_fleet(mill):
        third.result(timeout=10)
        for job in (delayed, waiting):
            with pytest.raises(JobCancelled):
                job.result(timeout=10)
        stream = mill.client.scripts.keys.ready("default", "normal")
        eventually(lambda: mill.inspect.queue("default").running == 0, f"no ticket is pending in {stream} of {GROUP}")
    assert ran == ["third"]


def test_a_job_that_waits_in_the_worker_is_cancelled_before_it_starts(
    mill: Tidemill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "HAND_BACK_MS", 60_000)  # it does not go to another worker meanwhile
    monkeypatch.setattr(
        Pace, "prefetch", Mock(return_value=5)
    )  # jobs were short until now: it takes more than its slots
    release, started = threading.Event(), threading.Event()
    ran: list[int] = []

    @mill.task()
    def quick(number: int) -> None:
        ran.append(number)

    @mill.task()
    def block() -> None:
        started.set()
        release.wait(20)

    with running_worker(mill, WorkerSettings(concurrency=1)) as worker:
        blocking = block.enqueue()
        assert started.wait(10)
        victim = quick.enqueue(99)
        eventually(lambda: victim.refresh().state == "running", "it waits in the worker")
        victim.cancel()
        eventually(lambda: any(run.is_stopped() for run in worker.runs.all()), "the worker was told")
        release.set()
        blocking.result(timeout=10)
        with pytest.raises(JobCancelled):
            victim.result(timeout=10)
    assert 99 not in ran


def test_a_job_that_ends_by_itself_before_the_cancellation_reaches_it_has_succeeded(mill: Tidemill) -> None:
    @mill.task()
    def add() -> int:
        return 1

    with running_worker(mill):
        job = add.enqueue()
        assert job.result(timeout=10) == 1
        assert not job.cancel()
        assert job.refresh().state == "succeeded"


def test_a_job_that_was_not_started_in_time_expires_and_never_runs(mill: Tidemill) -> None:
    ran: list[str] = []

    @mill.task()
    def run(name: str) -> None:
        ran.append(name)

    waiting = run.using(expires=0.05).enqueue("waiting")
    delayed = run.using(expires=0.05, delay=30).enqueue("delayed")
    with running_scheduler(mill):
        for job in (waiting, delayed):
            with pytest.raises(JobFailed, match="not started before its `expires`"):
                job.result(timeout=10)
            assert job.state == "expired"
    with running_worker(mill):
        run.enqueue("now").result(timeout=10)
    assert ran == ["now"]


def test_without_a_scheduler_a_worker_does_not_start_what_has_expired(mill: Tidemill) -> None:
    @mill.task()
    def run() -> None:
        raise AssertionError("it ran")

    job = run.using(expires=0.01).enqueue()
    threading.Event().wait(0.02)
    with running_worker(mill), pytest.raises(JobFailed, match="expires"):
        job.result(timeout=10)


def test_a_unique_key_is_held_until_the_job_is_over(mill: Tidemill) -> None:
    release, started = threading.Event(), threading.Event()

    @mill.task()
    def once() -> str:
        started.set()
        release.wait(20)
        return current_job().id

    with running_worker(mill):
        first = once.using(unique="cat").enqueue()
        assert started.wait(10)
        assert once.using(unique="cat").enqueue().id == first.id
        with pytest.raises(JobExists):
            once.using(unique="cat", on_conflict="raise").enqueue()
        release.set()
        assert first.result(timeout=10) == first.id
        assert once.using(unique="cat").enqueue().result(timeout=10) != first.id


@pytest.mark.parametrize("end", ["dead", "cancelled"])
def test_a_unique_key_is_released_however_the_job_ends(mill: Tidemill, end: str) -> None:
    @mill.task()
    def fail() -> None:
        raise ValueError

    first = fail.using(unique="cat").enqueue()
    if end == "cancelled":
        first.cancel()
    with running_worker(mill):
        eventually(lambda: first.refresh().state == end, "it is over")
        assert fail.using(unique="cat").enqueue().id != first.id
