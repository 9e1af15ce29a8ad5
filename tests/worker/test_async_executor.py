"""Async tasks: on a loop of the worker's own."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar

import pytest

from conditions import eventually
from fleet import running_fleet, running_worker
from tidemill import JobCancelled, JobFailed, Retry, Tidemill, current_job
from tidemill_consumers.settings import WorkerSettings


def test_many_jobs_run_at_the_same_time_on_one_thread(mill: Tidemill) -> None:
    together: list[int] = []
    everybody = asyncio.Event()

    @mill.task()
    async def meet() -> int:
        together.append(threading.get_ident())
        if len(together) == 8:
            everybody.set()
        await everybody.wait()
        return threading.get_ident()

    with running_worker(mill, WorkerSettings(concurrency=8)):
        jobs = [meet.enqueue() for _ in range(8)]
        assert {job.result(timeout=10) for job in jobs} == {together[0]}


def test_a_timeout_cancels_the_task_at_its_await(mill: Tidemill) -> None:
    seen: list[str] = []

    @mill.task(timeout=0.1)
    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    ran_out = r"TimeoutError: the attempt ran longer than its timeout of 0\.1 s"
    with running_worker(mill), pytest.raises(JobFailed, match=ran_out):
        wait.enqueue().result(timeout=10)
    assert seen == ["cancelled"]


def test_a_job_that_swallows_its_cancellation_is_cancelled_all_the_same(mill: Tidemill) -> None:
    started = threading.Event()

    @mill.task()
    async def swallow() -> str:
        try:
            started.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            assert current_job().should_stop
        return "done after all"

    with running_worker(mill):
        job = swallow.enqueue()
        assert started.wait(10)
        assert job.cancel()
        with pytest.raises(JobCancelled):
            job.result(timeout=10)


def test_a_timeout_is_retried_by_the_policy(mill: Tidemill) -> None:
    # On a busy machine later attempts may take too long as well.
    @mill.task(timeout=0.05, retry=Retry(max_attempts=1_000, backoff="constant", base=0.01))
    async def slow_at_first() -> int:
        if current_job().attempt == 1:
            await asyncio.Event().wait()
        return current_job().attempt

    with running_fleet(mill):
        assert slow_at_first.enqueue().result(timeout=40) >= 2


def test_a_job_that_blocks_the_loop_costs_neither_the_lease_nor_the_other_executors(mill: Tidemill) -> None:
    release, started = threading.Event(), threading.Event()

    @mill.task()
    async def block() -> str:
        started.set()
        release.wait(20)  # as no async task should
        return "over"

    @mill.task()
    def quick() -> int:
        return 1

    with running_fleet(mill, WorkerSettings(concurrency=2, lease_ms=4_000)) as worker:
        incarnation = worker.incarnation
        job = block.enqueue()
        assert started.wait(10)
        lease_end_ms = mill.inspect.workers()[0].lease_end_ms
        # A renewal comes each second: one may have been under way when the loop was blocked.
        eventually(lambda: mill.inspect.workers()[0].lease_end_ms > lease_end_ms + 1_500, "the lease is kept meanwhile")
        assert quick.enqueue().result(timeout=10) == 1
        release.set()
        assert job.result(timeout=10) == "over"
        assert worker.incarnation == incarnation


def test_a_task_that_a_job_left_behind_can_not_stop_the_loop(mill: Tidemill) -> None:
    left: list[asyncio.Task[None]] = []

    @mill.task()
    async def leave() -> str:
        async def exit_later() -> None:
            raise SystemExit(3)

        left.append(asyncio.create_task(exit_later()))
        await asyncio.sleep(0)
        return "left"

    @mill.task()
    async def after() -> str:
        return "alive"

    with running_worker(mill):
        assert leave.enqueue().result(timeout=10) == "left"
        assert after.enqueue().result(timeout=10) == "alive"
    assert isinstance(left[0].exception(), SystemExit)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit])
def test_whatever_a_job_raises_is_its_own_end_and_not_the_workers(mill: Tidemill, kind: type[BaseException]) -> None:
    @mill.task(retry=Retry(max_attempts=3))
    async def leave() -> None:
        raise kind

    @mill.task()
    async def after() -> str:
        return "alive"

    with running_worker(mill):
        with pytest.raises(JobFailed, match=kind.__name__):
            leave.enqueue().result(timeout=10)
        assert after.enqueue().result(timeout=10) == "alive"


def test_context_variables_do_not_leak_from_job_to_job(mill: Tidemill) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")

    @mill.task()
    async def use(value: str) -> str:
        before = variable.get()
        variable.set(value)
        await asyncio.sleep(0)
        return f"{before} then {variable.get()}"

    with running_worker(mill, WorkerSettings(concurrency=1)):
        jobs = [use.enqueue("a"), use.enqueue("b")]
        assert [job.result(timeout=10) for job in jobs] == ["unset then a", "unset then b"]
