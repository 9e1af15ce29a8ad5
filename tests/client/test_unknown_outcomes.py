"""The three answers of an enqueue: done, refused, unknown."""

from __future__ import annotations

import asyncio
import signal
import threading

import pytest

from client.counting import job_count
from conditions import eventually
from proxy import Proxy
from servers import Server
from tidemill import EnqueueUnknown, Job, QueueFull, ServerUnavailable, Tidemill, call
from tidemill.settings import ENQUEUE_CHUNK_JOBS

NOBODY = "redis://127.0.0.1:1/0"
# What should succeed has this time on a busy machine too; what has to fail takes all of it.
DEADLINE_SECONDS = 3.0


def test_an_enqueue_whose_replies_are_all_lost_is_unknown_and_carries_its_job(server: Server, url: str) -> None:
    with Proxy(server) as proxy, Tidemill(proxy.url, deadline=DEADLINE_SECONDS) as mill:
        mill.enqueue("a.task").cancel()  # the server has the scripts now
        proxy.lose_replies(10_000)
        with pytest.raises(EnqueueUnknown) as caught:
            mill.enqueue("a.task", "x")
        proxy.lose_replies(0)
        error = caught.value
        assert isinstance(error, ServerUnavailable)
        job: Job[object] = error.job
        assert (error.jobs, error.enqueued) == ((job,), ())
        assert f"whether job {job.id} is enqueued is not known: no answer from" in str(error)
        assert "enqueue again with using(job_id=...) and the same id" in str(error)
        assert job.refresh().state == "ready", "it was applied"
        assert mill.named("a.task").using(job_id=job.id).enqueue("x") == job
        assert job_count(server) == 2


async def test_an_enqueue_whose_replies_are_all_lost_is_unknown_in_async_code(server: Server, url: str) -> None:
    with Proxy(server) as proxy:
        async with Tidemill(proxy.url, deadline=DEADLINE_SECONDS) as mill:
            await mill.aenqueue("a.task")
            proxy.lose_replies(10_000)
            with pytest.raises(EnqueueUnknown) as caught:
                await mill.named("a.task").aenqueue_in(60, "x")
            proxy.lose_replies(0)
            assert caught.value.job.state == "scheduled"
            assert (await caught.value.job.arefresh()).state == "scheduled"


def test_a_server_that_was_never_reached_refuses() -> None:
    with Tidemill(NOBODY, deadline=0.3) as mill, pytest.raises(ServerUnavailable) as caught:
        mill.enqueue("a.task")
    assert not isinstance(caught.value, EnqueueUnknown)
    assert caught.value.may_be_applied is False


async def test_a_server_that_was_never_reached_refuses_async_code_too() -> None:
    async with Tidemill(NOBODY, deadline=0.3) as mill:
        with pytest.raises(ServerUnavailable) as caught:
            await mill.aenqueue("a.task")
    assert not isinstance(caught.value, EnqueueUnknown)


def test_refusals_after_a_lost_attempt_do_not_make_it_known(server: Server, url: str) -> None:
    with Proxy(server) as proxy, Tidemill(proxy.url, deadline=DEADLINE_SECONDS) as mill:
        mill.enqueue("a.task")
        proxy.lose_replies(10_000)

        def vanish() -> None:
            eventually(lambda: job_count(server) == 2, "an attempt was made, and its reply lost")
            proxy.close()

        vanishing = threading.Thread(target=vanish)
        vanishing.start()
        with pytest.raises(EnqueueUnknown, match="refused"):
            mill.enqueue("a.task")
        vanishing.join()
        assert job_count(server) == 2
        with pytest.raises(ServerUnavailable) as refused:
            mill.enqueue("a.task")
        assert not isinstance(refused.value, EnqueueUnknown), "this one never met the server"


def test_a_refusal_for_want_of_memory_after_a_lost_attempt_does_not_make_it_known(own_server: Server) -> None:
    with Proxy(own_server) as proxy, Tidemill(proxy.url) as mill:
        first = mill.enqueue("a.task")
        own_server.client.config_set("maxmemory", "1")
        with pytest.raises(QueueFull):
            mill.enqueue("a.task")
        proxy.lose_replies(1)
        with pytest.raises(EnqueueUnknown, match="has reached its maxmemory") as caught:
            mill.enqueue("a.task")
        assert caught.value.job != first


def test_a_full_queue_after_a_lost_attempt_is_a_refusal(server: Server, mill: Tidemill) -> None:
    """The script looked for the job itself: that it is not there is certain."""
    mill.inspect.limit("default", 1)
    mill.enqueue("a.task")
    with Proxy(server) as proxy, Tidemill(proxy.url) as producer:
        producer.inspect.queues()
        proxy.lose_replies(1)
        with pytest.raises(QueueFull):
            producer.enqueue("a.task")


def test_a_server_that_was_paused_may_apply_it_later(own_server: Server) -> None:
    with Tidemill(own_server.url, deadline=DEADLINE_SECONDS) as mill:
        named = mill.named("a.task").using(queue="default")
        named.enqueue()
        own_server.process.send_signal(signal.SIGSTOP)
        with pytest.raises(EnqueueUnknown) as caught:
            named.enqueue()
        own_server.process.send_signal(signal.SIGCONT)
    with Tidemill(own_server.url) as mill:
        assert mill.named("a.task").using(job_id=caught.value.job.id).enqueue() == caught.value.job
        assert job_count(own_server) == 2


def test_a_lost_look_for_the_queue_of_a_task_is_a_refusal(server: Server, url: str) -> None:
    """The name alone was asked about: the enqueue was never sent."""
    with Proxy(server, marker=b"HGET") as proxy, Tidemill(proxy.url, deadline=DEADLINE_SECONDS) as mill:
        proxy.lose_replies(10_000)
        with pytest.raises(ServerUnavailable) as caught:
            mill.enqueue("a.task")
        assert not isinstance(caught.value, EnqueueUnknown)
        assert caught.value.may_be_applied is False


def test_many_jobs_say_which_are_in_and_which_are_unknown(server: Server, url: str) -> None:
    calls = [call(number) for number in range(2 * ENQUEUE_CHUNK_JOBS + 1)]
    with Proxy(server, marker=_SECOND_CHUNK) as proxy, Tidemill(proxy.url, deadline=DEADLINE_SECONDS) as mill:
        proxy.lose_replies(10_000)
        numbered = [call(_SECOND_CHUNK.decode() if number == ENQUEUE_CHUNK_JOBS else number) for number in range(401)]
        assert len(numbered) == len(calls)
        with pytest.raises(EnqueueUnknown, match=f"whether these {ENQUEUE_CHUNK_JOBS} jobs are enqueued") as caught:
            mill.named("a.task").enqueue_many(numbered)
        proxy.lose_replies(0)
        assert len(caught.value.enqueued) == len(caught.value.jobs) == ENQUEUE_CHUNK_JOBS
        assert {job.refresh().state for job in (*caught.value.enqueued, *caught.value.jobs)} == {"ready"}
        assert job_count(server) == 2 * ENQUEUE_CHUNK_JOBS, "what comes behind was not sent"


_SECOND_CHUNK = b"the-first-job-of-the-second-chunk"


def test_many_jobs_that_are_refused_say_which_are_in(own_server: Server) -> None:
    """The queue has room for the first chunk; then the server has none left for the second."""
    calls = [call(number) for number in range(ENQUEUE_CHUNK_JOBS + 1)]
    with Tidemill(own_server.url) as mill:
        mill.inspect.limit("default", ENQUEUE_CHUNK_JOBS)
        with pytest.raises(QueueFull) as caught:
            mill.named("a.task").enqueue_many(calls)
        assert len(caught.value.enqueued) == ENQUEUE_CHUNK_JOBS


async def test_a_cancelled_enqueue_stays_a_cancellation(own_server: Server) -> None:
    async with Tidemill(own_server.url) as mill:
        await mill.aenqueue("a.task")
        own_server.process.send_signal(signal.SIGSTOP)
        waiting = asyncio.create_task(mill.aenqueue("a.task"))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        own_server.process.send_signal(signal.SIGCONT)


def test_what_is_no_enqueue_stays_unavailable_and_says_whether_it_may_be_applied(server: Server, url: str) -> None:
    with Proxy(server) as proxy, Tidemill(proxy.url, deadline=DEADLINE_SECONDS) as mill:
        job = mill.enqueue("a.task")
        mill.enqueue("a.task").cancel()
        proxy.lose_replies(10_000)
        with pytest.raises(ServerUnavailable) as caught:
            job.cancel()
        proxy.lose_replies(0)
        assert not isinstance(caught.value, EnqueueUnknown)
        assert caught.value.may_be_applied is True
        assert job.refresh().state == "cancelled"
