"""The tutorial: a task, a job, its result."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fleet import running_fleet, running_worker
from tidemill import JobFailed, JobState, Retry, Tidemill, call


def test_a_job_is_enqueued_run_and_its_result_is_fetched(mill: Tidemill) -> None:
    @mill.task()
    def add(a: int, b: int) -> int:
        return a + b

    job = add.enqueue(1, 2)
    assert job.state == "ready"
    with running_worker(mill):
        assert job.result(timeout=10) == 3
    assert job.state == "succeeded"


async def test_async_code_has_the_same_calls(mill: Tidemill) -> None:
    @mill.task()
    async def double(number: int) -> int:
        return 2 * number

    with running_worker(mill):
        job = await double.aenqueue(21)
        assert await job.aresult(timeout=10) == 42
    await mill.aclose()


def test_a_delayed_job_waits_for_its_time(mill: Tidemill) -> None:
    @mill.task()
    def now() -> float:
        return datetime.now(UTC).timestamp()

    with running_fleet(mill):
        due = datetime.now(UTC) + timedelta(milliseconds=300)
        job = now.enqueue_at(due)
        assert job.state is JobState.SCHEDULED
        assert job.result(timeout=10) >= due.timestamp()


def test_many_jobs_are_enqueued_at_once(mill: Tidemill) -> None:
    @mill.task()
    def square(number: int) -> int:
        return number * number

    with running_worker(mill):
        jobs = square.enqueue_many(call(number) for number in range(500))
        assert [job.result(timeout=10) for job in jobs] == [number * number for number in range(500)]


def test_a_failing_job_is_retried_and_then_a_dead_letter_with_its_error(mill: Tidemill) -> None:
    @mill.task(retry=Retry(max_attempts=3, base=0.01))
    def fail() -> None:
        raise ValueError("not today")

    with running_fleet(mill):
        job = fail.enqueue()
        with pytest.raises(JobFailed, match="ValueError: not today") as caught:
            job.result(timeout=10)
    assert (job.state, job.attempt, caught.value.error_type) == (JobState.DEAD, 3, "ValueError")
    assert "in fail" in caught.value.traceback
