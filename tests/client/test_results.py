"""Waiting for the end of a job: for threads and for event loops."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from conditions import eventually, eventually_each
from fleet import running_fleet, running_worker
from servers import Server
from tidemill import Job, JobCancelled, JobExists, JobExpired, JobFailed, JobNotFound, Task, Tidemill


@pytest.fixture
def work(mill: Tidemill) -> Task[[str], str]:
    """Returns its text; fails on "fail"."""

    @mill.task()
    def work(text: str) -> str:
        if text == "fail":
            raise LookupError("no such text")
        return text.upper()

    return work


def commands_of(server: Server) -> int:
    return int(server.client.info("stats")["total_commands_processed"])


def connections_of(server: Server) -> int:
    return int(server.client.info("clients")["connected_clients"])


def listeners_of(server: Server) -> set[bytes]:
    """The channels of processes that wait."""
    return set(server.client.execute_command("PUBSUB", "SHARDCHANNELS", "*:waiter:*"))


def test_a_job_that_is_over_is_answered_at_once_and_again(mill: Tidemill, work: Task[[str], str]) -> None:
    with running_worker(mill):
        job = work.enqueue("tide")
        assert job.result(timeout=10) == "TIDE"
    assert (job.result(), job.result(timeout=0), mill.job(job.id).result(timeout=1)) == ("TIDE", "TIDE", "TIDE")
    assert job.finished_at is not None


def test_a_timeout_says_how_far_the_job_is(work: Task[[str], str]) -> None:
    job = work.using(delay=60).enqueue("tide")
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=rf"job {job.id} was not over after 0.05 s; it is scheduled"):
        job.result(timeout=0.05)
    assert time.monotonic() - began < 5
    with pytest.raises(TimeoutError, match="was not over after 0 s"):
        job.result(timeout=0)


async def test_a_timeout_of_async_code(mill: Tidemill, work: Task[[str], str]) -> None:
    job = await work.aenqueue("tide")
    with pytest.raises(TimeoutError, match=r"was not over after 0.05 s; it is ready"):
        await job.aresult(timeout=0.05)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(job.aresult(), 0.05)  # cancelled in the middle of waiting
    with running_worker(mill):
        assert await job.aresult(timeout=10) == "TIDE"
    await mill.aclose()


def test_a_failed_job_raises_what_the_worker_saw(mill: Tidemill, work: Task[[str], str]) -> None:
    with running_worker(mill):
        job = work.enqueue("fail")
        with pytest.raises(JobFailed, match=rf"job {job.id} failed: LookupError: no such text") as caught:
            job.result(timeout=10)
    error = caught.value
    assert (error.job_id, error.error_type, error.error_message) == (job.id, "LookupError", "no such text")
    assert 'raise LookupError("no such text")' in error.traceback
    assert "The worker's traceback:" in str(error)
    assert job.error == error.error


async def test_a_cancelled_job_raises_in_both_kinds_of_code(mill: Tidemill, work: Task[[str], str]) -> None:
    job = await work.aenqueue("tide")
    waiting = asyncio.create_task(job.aresult(timeout=10))
    in_thread = asyncio.create_task(asyncio.to_thread(mill.job(job.id).result, 10))
    await asyncio.to_thread(eventually, lambda: _is_watched(mill, job), "this process waits")
    assert await job.acancel()
    for task in (waiting, in_thread):
        with pytest.raises(JobCancelled, match=f"job {job.id} was cancelled"):
            await task
    await mill.aclose()


def test_a_job_that_was_not_started_in_time_has_expired(mill: Tidemill, work: Task[[str], str]) -> None:
    job = work.using(expires=timedelta(milliseconds=1)).enqueue("tide")
    with running_fleet(mill), pytest.raises(JobExpired, match="it was not started before its `expires`"):
        job.result(timeout=10)
    assert job.state == "expired"


def test_a_result_that_is_not_kept_goes_to_those_who_wait_already(mill: Tidemill, work: Task[[str], str]) -> None:
    with ThreadPoolExecutor() as threads:
        waited_for = work.using(result_ttl=0).enqueue("tide")
        waiting = threads.submit(waited_for.result, 20)
        eventually(waiting.running, "the thread runs")
        eventually(lambda: mill.client.link.run(mill.client.scripts.read(waited_for.id)), "the job is there")
        eventually(lambda: _is_watched(mill, waited_for), "the thread waits")
        forgotten = work.using(result_ttl=0).enqueue("tide")
        with running_worker(mill):
            assert waiting.result(20) == "TIDE"
            eventually(lambda: mill.client.link.run(mill.client.scripts.read(forgotten.id)) is None, "it is dropped")
        with pytest.raises(JobNotFound):
            forgotten.result(timeout=5)


def _is_watched(mill: Tidemill, job: Job[Any]) -> bool:
    from tidemill.wire.command import Command

    exists = Command(("HEXISTS", mill.client.scripts.keys.job(job.id), "w"), bool)
    return mill.client.link.run(exists)


def test_many_waiters_share_one_connection_and_wait_for_free(
    mill: Tidemill, server: Server, work: Task[[str], str]
) -> None:
    jobs = [work.using(delay=60).enqueue(str(n)) for n in range(20)]
    with ThreadPoolExecutor(20) as threads:
        before = connections_of(server)
        waiting = [threads.submit(job.result, 20) for job in jobs]
        eventually_each(jobs, lambda job: _is_watched(mill, job), "the thread waits")
        quiet = commands_of(server)
        # Threads that talked at the same time left idle connections; waiting itself takes one.
        assert connections_of(server) - before <= 21
        for _ in range(3):
            assert not threading.Event().wait(0.05)
            assert not any(future.done() for future in waiting)
        assert commands_of(server) - quiet <= 8, "waiting sends nothing: these are the questions of this test"
        for job in jobs:
            job.cancel()
        for future in waiting:
            assert isinstance(future.exception(20), JobCancelled)


async def test_a_thousand_coroutines_wait_by_a_handful_of_connections(url: str, server: Server) -> None:
    async with Tidemill(url) as mill:
        named = mill.named("a.task").using(delay=60)
        jobs = await named.aenqueue_many(mill_call(n) for n in range(1000))
        before = connections_of(server)
        waiting = asyncio.gather(*(job.aresult(timeout=30) for job in jobs), return_exceptions=True)
        await asyncio.to_thread(eventually, lambda: _is_watched(mill, jobs[-1]), "the last coroutine waits")
        assert connections_of(server) - before <= 20
        cancelled = await asyncio.to_thread(mill.inspect.purge, "default")
        assert cancelled == 1000
        assert {type(outcome) for outcome in await waiting} == {JobCancelled}


def mill_call(number: int) -> Any:
    from tidemill import call

    return call(number)


def test_waiting_costs_a_constant_number_of_commands(mill: Tidemill, server: Server, work: Task[[str], str]) -> None:
    job = work.using(delay=60).enqueue("tide")
    former = listeners_of(server)
    with pytest.raises(TimeoutError):
        job.result(timeout=0.01)
    eventually(lambda: listeners_of(server) - former, "the listener is up")
    before = commands_of(server)
    with pytest.raises(TimeoutError):
        job.result(timeout=0.5)
    # HMGET (and HSET) inside of watch.lua are counted too, and INFO of the count itself.
    assert commands_of(server) - before <= 6


def test_waiting_goes_on_across_a_restart_of_the_server() -> None:
    server = Server(None, "--appendfsync", "always")
    mill = Tidemill(server.url)

    @mill.task()
    def work(text: str) -> str:
        return text.upper()

    try:
        job = work.enqueue("tide")
        with ThreadPoolExecutor() as threads:
            waiting = threads.submit(job.result, 30)
            eventually(lambda: _is_watched(mill, job), "the thread waits")
            server.kill()
            server.start()
            with running_worker(mill):
                assert waiting.result(30) == "TIDE"
    finally:
        mill.close()
        server.close()


def test_closing_does_not_strand_who_waits(mill: Tidemill, work: Task[[str], str]) -> None:
    job = work.enqueue("tide")
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(job.result, 20)
        eventually(lambda: _is_watched(mill, job), "the thread waits")
        mill.close()
        with running_worker(mill):
            assert waiting.result(20) == "TIDE"


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_waits_by_a_connection_of_its_own(mill: Tidemill, work: Task[[str], str]) -> None:
    job = work.enqueue("tide")
    with pytest.raises(TimeoutError):
        job.result(timeout=0.05)  # the parent listens
    with ThreadPoolExecutor() as threads, running_worker(mill):
        assert job.result(timeout=10) == "TIDE"
        later = work.using(delay=0.3).enqueue("ebb")
        child = os.fork()
        if child == 0:
            try:
                with pytest.raises(TimeoutError):
                    later.result(timeout=0.05)
                mill.close()
                os._exit(0)
            except BaseException:  # noqa: BLE001 - a child of a test must not run the rest of the tests
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        waiting = threads.submit(later.result, 20)
        eventually(lambda: _is_watched(mill, later), "the parent waits")
        assert later.cancel()
        with pytest.raises(JobCancelled):
            waiting.result(20)


def test_a_user_who_may_not_listen_gets_results_later(caplog: pytest.LogCaptureFixture) -> None:
    server = Server()
    mill = Tidemill(server.url)

    @mill.task(name="a.task")
    def work() -> str:
        return "done"

    try:
        server.client.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", "-ssubscribe")
        with Tidemill(server.url.replace("://", "://app:pw@"), deadline=3) as producer:
            job = producer.enqueue("a.task")
            with ThreadPoolExecutor() as threads, running_worker(mill), caplog.at_level("WARNING"):
                assert threads.submit(job.result, 20).result(20) == "done"
            pending = producer.named("a.task").using(delay=60).enqueue()
            with pytest.raises(TimeoutError):
                pending.result(timeout=0.3)
            eventually(lambda: "ssubscribe" in caplog.text, "the listener says why")
    finally:
        mill.close()
        server.close()


def test_a_dead_letter_whose_unique_key_is_taken_stays_dead(mill: Tidemill, work: Task[[str], str]) -> None:
    with running_worker(mill):
        job = work.using(unique="one").enqueue("fail")
        with pytest.raises(JobFailed):
            job.result(timeout=10)
    holder = work.using(unique="one").enqueue("tide")
    with pytest.raises(JobExists, match=f"job {job.id}: its unique key is held by job {holder.id}") as caught:
        job.retry()
    assert caught.value.job_id == holder.id
    assert job.refresh().state == "dead"


def test_a_job_that_succeeded_can_neither_be_cancelled_nor_retried(mill: Tidemill, work: Task[[str], str]) -> None:
    with running_worker(mill):
        job = work.enqueue("tide")
        job.result(timeout=10)
    assert (job.cancel(), job.state) == (False, "succeeded")
    with pytest.raises(ValueError, match="is succeeded: only a dead letter can be retried by hand"):
        job.retry()


async def test_a_dead_letter_is_run_again_by_hand(mill: Tidemill) -> None:
    broken = threading.Event()
    broken.set()

    @mill.task()
    def work() -> str:
        if broken.is_set():
            raise OSError("broken")
        return "mended"

    with running_worker(mill):
        job = work.enqueue()
        with pytest.raises(JobFailed):
            job.result(timeout=10)
        with pytest.raises(JobFailed):
            await (await job.aretry()).aresult(timeout=10)
        broken.clear()
        assert job.retry().state == "ready"
        assert job.result(timeout=10) == "mended"
    await mill.aclose()
