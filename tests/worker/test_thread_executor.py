"""Plain functions on threads: how they are stopped, and what can't stop the worker."""

from __future__ import annotations

import random
import threading
from contextlib import suppress
from contextvars import ContextVar

import pytest
from rq.timeouts import JobTimeoutException

from conditions import eventually, eventually_each
from fleet import running_worker
from tidemill import JobCancelled, JobFailed, Retry, Tidemill, current_job
from tidemill_consumers.settings import WorkerSettings


def spin() -> None:
    """For ever, in short waits: the interpreter interrupts between two of them."""
    pause = threading.Event()
    while True:
        pause.wait(0.005)


@pytest.mark.interrupts
def test_a_timeout_raises_the_exception_of_rq_in_the_job(mill: Tidemill) -> None:
    seen: list[BaseException] = []

    @mill.task(timeout=0.5)
    def wait() -> None:
        try:
            spin()
        except BaseException as error:
            seen.append(error)
            raise

    with running_worker(mill), pytest.raises(JobFailed, match=r"timeout of 0\.5 s") as caught:
        wait.enqueue().result(timeout=10)
    assert caught.value.error_type == "TimeoutError"
    assert isinstance(seen[0], JobTimeoutException)


@pytest.mark.interrupts
def test_a_job_that_catches_the_timeout_and_goes_on_has_timed_out_when_it_returns(mill: Tidemill) -> None:
    @mill.task(timeout=0.1)
    def stubborn() -> str:
        with suppress(JobTimeoutException):
            spin()
        return "done"

    with running_worker(mill), pytest.raises(JobFailed, match="timeout"):
        stubborn.enqueue().result(timeout=10)


@pytest.mark.interrupts
def test_a_running_job_is_cancelled_with_an_exception(mill: Tidemill) -> None:
    started = threading.Event()
    seen: list[BaseException] = []

    @mill.task()
    def wait() -> None:
        try:
            started.set()
            spin()
        except JobCancelled as error:
            seen.append(error)
            raise

    with running_worker(mill):
        job = wait.enqueue()
        assert started.wait(10)
        assert job.cancel()
        with pytest.raises(JobCancelled):
            job.result(timeout=10)
    assert len(seen) == 1
    assert job.state == "cancelled"


@pytest.mark.interrupts
def test_a_job_may_look_whether_it_should_stop(mill: Tidemill) -> None:
    started, stopped = threading.Event(), threading.Event()

    @mill.task()
    def polite() -> None:
        job, pause = current_job(), threading.Event()
        started.set()
        try:
            while not job.should_stop:
                pause.wait(0.005)
            stopped.set()
        except JobCancelled:
            assert job.should_stop
            stopped.set()

    with running_worker(mill):
        job = polite.enqueue()
        assert started.wait(10)
        job.cancel()
        assert stopped.wait(10)
        with pytest.raises(JobCancelled):
            job.result(timeout=10)


@pytest.mark.interrupts
def test_a_timeout_that_races_with_the_end_of_the_job_hits_nothing_else(mill: Tidemill) -> None:
    @mill.task()
    def short(seconds: float) -> float:
        threading.Event().wait(seconds)
        return seconds

    chance = random.Random(7)
    with running_worker(mill, WorkerSettings(concurrency=4)) as worker:
        tight = short.using(timeout=0.002)
        jobs = [tight.enqueue(chance.uniform(0.0005, 0.0035)) for _ in range(300)]
        eventually(lambda: mill.inspect.queue("default").counters.get("dead", "0") != "0", "some ran too long")
        eventually_each(jobs, lambda job: job.refresh().state in ("succeeded", "dead"), "it is over")
        assert short.enqueue(0).result(timeout=10) == 0
        assert {job.error.type for job in jobs if job.error} == {"TimeoutError"}
        eventually(lambda: not worker.running_ids(), "nothing is left over")


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_whatever_a_job_raises_is_its_own_end_and_not_the_workers(mill: Tidemill, kind: type[BaseException]) -> None:
    @mill.task(retry=Retry(max_attempts=3))
    def leave() -> None:
        raise kind

    @mill.task()
    def after() -> str:
        return "alive"

    with running_worker(mill, WorkerSettings(concurrency=1)):
        with pytest.raises(JobFailed, match=kind.__name__):
            leave.enqueue().result(timeout=10)
        assert after.enqueue().result(timeout=10) == "alive"


def test_an_exception_that_can_not_be_described_is_recorded_by_its_class(mill: Tidemill) -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise SystemExit

    @mill.task()
    def fail() -> None:
        raise Broken

    with running_worker(mill), pytest.raises(JobFailed, match=r"Broken: .*its text can't be had: SystemExit"):
        fail.enqueue().result(timeout=10)


def test_a_policy_that_can_not_be_applied_is_the_jobs_end_and_not_the_workers(mill: Tidemill) -> None:
    class Unwilling(type):
        def __instancecheck__(cls, _: object) -> bool:
            raise RuntimeError("no")

    class Refused(Exception, metaclass=Unwilling):
        pass

    @mill.task(retry=Retry(retry_on=(Refused,)))
    def fail() -> None:
        raise ValueError

    with running_worker(mill), pytest.raises(JobFailed, match="ValueError: and it can't be described: RuntimeError"):
        fail.enqueue().result(timeout=10)


def test_context_variables_do_not_leak_from_job_to_job(mill: Tidemill) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")

    @mill.task()
    def use(value: str) -> str:
        before = variable.get()
        variable.set(value)
        return f"{before} then {variable.get()}"

    with running_worker(mill, WorkerSettings(concurrency=1)):
        jobs = [use.enqueue("a"), use.enqueue("b")]
        assert [job.result(timeout=10) for job in jobs] == ["unset then a", "unset then b"]


def test_no_more_jobs_run_at_a_time_than_the_concurrency(mill: Tidemill) -> None:
    lock, full = threading.Lock(), threading.Event()
    now, most = 0, 0

    @mill.task()
    def count() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
            if now == 3:
                full.set()
        full.wait(20)
        threading.Event().wait(0.005)
        with lock:
            now -= 1

    with running_worker(mill, WorkerSettings(concurrency=3)):
        for job in [count.enqueue() for _ in range(40)]:
            job.result(timeout=10)
    assert most == 3


def test_current_job_tells_who_and_when_it_is(mill: Tidemill) -> None:
    @mill.task(queue="photos", timeout=30)
    def look() -> list[object]:
        job = current_job()
        assert job.deadline is not None
        assert job.remaining is not None
        return [job.id, job.task, job.queue, job.attempt, tuple(job.fence), 20 < job.remaining <= 30, job.should_stop]

    with running_worker(mill) as worker:
        job = look.enqueue()
        assert job.result(timeout=10) == [
            job.id,
            look.name,
            "photos",
            1,
            (worker.incarnation, 1),
            True,
            False,
        ]
    with pytest.raises(RuntimeError, match="outside a job"):
        current_job()


def test_progress_can_be_seen_while_the_job_runs(mill: Tidemill) -> None:
    release = threading.Event()

    @mill.task()
    def work() -> None:
        for step in range(10_000):  # however often it reports, the last one counts
            current_job().progress(step / 20_000, f"step {step}")
        release.wait(20)

    with running_worker(mill):
        job = work.enqueue()
        eventually(lambda: job.refresh().progress == (0.49995, "step 9999"), "the last report can be seen")
        assert job.state == "running"
        release.set()
        job.result(timeout=10)
    assert job.progress is None
