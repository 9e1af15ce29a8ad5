"""`retry_call` inside a job: it ends with the job."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

import pytest

from conditions import eventually
from fleet import running_fleet, running_worker
from tidemill import JobCancelled, JobFailed, JobState, Retry, Tidemill, aretry_call, current_job, retry_call

PATIENCE_SECONDS = 40
# So long that a test which waits for it fails.
SLOW = Retry(max_attempts=9, base=3_600, cap=3_600, jitter=0)


class Calls:
    """A call that fails, and how often it was made."""

    def __init__(self) -> None:
        self.made = 0
        self.begun = threading.Event()

    def fail(self) -> None:
        self.made += 1
        self.begun.set()
        raise ConnectionError

    async def afail(self) -> None:
        await asyncio.sleep(0)
        self.fail()


Wait = Callable[[Tidemill, Calls, float | None], str]


def _waiting_thread(mill: Tidemill, calls: Calls, timeout: float | None) -> str:
    @mill.task(name="wait", timeout=timeout)
    def wait() -> None:
        retry_call(calls.fail, retry=SLOW)

    return wait.name


def _waiting_coroutine(mill: Tidemill, calls: Calls, timeout: float | None) -> str:
    @mill.task(name="wait", timeout=timeout)
    async def wait() -> None:
        await aretry_call(calls.afail, retry=SLOW)

    return wait.name


both = pytest.mark.parametrize("waiting", [_waiting_thread, _waiting_coroutine])


@pytest.mark.interrupts
@both
def test_a_cancelled_job_does_not_sleep_on(mill: Tidemill, waiting: Wait) -> None:
    calls = Calls()
    task = mill.named(waiting(mill, calls, None))
    with running_fleet(mill):
        job = task.enqueue()
        assert calls.begun.wait(PATIENCE_SECONDS)
        job.cancel()
        with pytest.raises(JobCancelled):
            job.result(timeout=PATIENCE_SECONDS)
    assert calls.made == 1


@both
def test_no_call_is_waited_for_that_the_jobs_timeout_would_not_see(mill: Tidemill, waiting: Wait) -> None:
    calls = Calls()
    task = mill.named(waiting(mill, calls, 600))
    with running_worker(mill), pytest.raises(JobFailed, match="ConnectionError"):
        task.enqueue().result(timeout=PATIENCE_SECONDS)
    assert calls.made == 1


@pytest.mark.interrupts
def test_a_worker_that_stops_hands_a_sleeping_job_back(mill: Tidemill) -> None:
    calls = Calls()
    task = mill.named(_waiting_thread(mill, calls, None))
    with running_worker(mill) as worker:
        job = task.enqueue()
        assert calls.begun.wait(PATIENCE_SECONDS)
        worker.stop(grace_seconds=0)
        eventually(lambda: job.refresh().state is JobState.READY, "the job is handed back", 20)
    assert calls.made == 1


@pytest.mark.interrupts
def test_a_call_that_is_under_way_when_the_job_is_stopped_is_not_made_again(
    mill: Tidemill, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tidemill.call")
    begun, made = threading.Event(), list[int]()

    def until_stopped() -> None:
        made.append(1)
        begun.set()
        while not current_job().should_stop:
            threading.Event().wait(0.005)
        raise ConnectionError

    @mill.task()
    def call() -> None:
        retry_call(until_stopped, retry=Retry(base=0))

    with running_fleet(mill):
        job = call.enqueue()
        assert begun.wait(PATIENCE_SECONDS)
        job.cancel()
        with pytest.raises(JobCancelled):
            job.result(timeout=PATIENCE_SECONDS)
    assert made == [1]
    calls = [record.getMessage() for record in caplog.records if record.name == "tidemill.call"]
    assert ["reason=stop" in message for message in calls] == [True]


def test_what_the_calls_could_not_mend_the_job_tries_again_and_asks_when(mill: Tidemill) -> None:
    """A service says that it is away for longer than a job should wait: the job waits in Redis, and holds nobody."""

    class Busy(Exception):
        retry_after = 3_600

    def call_service() -> None:
        raise Busy

    @mill.task(retry=Retry(max_attempts=2))
    def work() -> None:
        retry_call(call_service)

    with running_worker(mill):
        job = work.enqueue()
        eventually(lambda: job.refresh().state is JobState.SCHEDULED, "it waits for its next attempt", 20)
        found = mill.client.link.run(mill.client.scripts.read(job.id))
        assert found is not None
        assert found.due_ms > mill.client.link.run(mill.client.scripts.server_time()) + 3_000_000


def test_several_threads_of_a_job_may_wait_for_its_end(mill: Tidemill) -> None:
    from tidemill.context import CurrentJob, Fence

    job = CurrentJob("id", "task", "queue", 1, Fence("worker", 1), None, lambda _fraction, _text: None)
    assert job.wait_for_stop(0) is False
    answers: list[bool] = []
    threads = [threading.Thread(target=lambda: answers.append(job.wait_for_stop(3_600))) for _ in range(8)]
    for thread in threads:
        thread.start()
    job.request_stop()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert answers == [True] * 8
    assert job.wait_for_stop(3_600) is True
