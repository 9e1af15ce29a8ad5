"""A queue at its limit, as those who enqueue see it: pressure, refusal, and waiting for room."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from conditions import eventually
from fleet import running_worker
from tidemill import InvalidInput, QueueFull, Tidemill, call
from tidemill.settings import ENQUEUE_CHUNK_JOBS
from tidemill.task import Task


@pytest.fixture
def noop(mill: Tidemill) -> Task[[], None]:
    @mill.task(name="noop", queue="q")
    def noop() -> None: ...

    return noop


def test_a_job_tells_how_full_its_queue_is_from_85_percent_on(mill: Tidemill, noop: Task[[], None]) -> None:
    assert noop.enqueue().pressure == 0.0
    mill.inspect.limit("q", 20)
    jobs = noop.enqueue_many([call() for _ in range(15)])
    assert {job.pressure for job in jobs} == {0.0}
    assert noop.enqueue().pressure == 0.85
    last = noop.enqueue_many([call() for _ in range(3)])
    assert {job.pressure for job in last} == {1.0}
    with pytest.raises(QueueFull):
        noop.enqueue()


def test_a_queue_that_fills_up_is_told_of_once_in_a_while(
    mill: Tidemill, noop: Task[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    mill.inspect.limit("q", 2)
    with caplog.at_level(logging.WARNING, "tidemill.queue"):
        noop.enqueue_many([call(), call()])
        for _ in range(3):
            with pytest.raises(QueueFull):
                noop.enqueue()
    assert [record.getMessage() for record in caplog.records if record.name == "tidemill.queue"] == [
        "queue is filling up, or full queue=q reason=jobs used=0 limit=2"
    ]


def test_a_batch_gets_in_as_far_as_there_is_room_if_it_is_to(mill: Tidemill, noop: Task[[], None]) -> None:
    most = ENQUEUE_CHUNK_JOBS + 3
    mill.inspect.limit("q", most)
    calls = [call() for _ in range(2 * ENQUEUE_CHUNK_JOBS)]
    with pytest.raises(
        QueueFull, match=f"its limit is {most}; 3 of these {ENQUEUE_CHUNK_JOBS} were enqueued"
    ) as caught:
        noop.enqueue_many(calls, partial=True)
    got_in = caught.value.enqueued
    assert len(got_in) == most
    assert {job.refresh().state for job in got_in} == {"ready"}
    assert mill.inspect.queue("q").waiting == most


def test_arguments_that_are_too_large_together_are_refused(mill: Tidemill) -> None:
    mill.inspect.limit("blobs", size_bytes=10_000)
    store = mill.named("store").using(queue="blobs")
    assert store.enqueue(b"x" * 9_000).pressure > 0.85
    with pytest.raises(QueueFull, match=r"about 9\d\d\d bytes of arguments are in it, its limit is 10000; none"):
        store.enqueue(b"x" * 2_000)
    assert store.enqueue(b"x" * 10).state == "ready"


def test_a_job_that_would_expire_before_its_turn_is_refused_at_once(mill: Tidemill, noop: Task[[], None]) -> None:
    mill.inspect.limit("q", 1_000)
    noop.enqueue_many([call() for _ in range(30)])
    now_ms = int(time.time() * 1000)
    rate = {"drained": "0", "drained_ms": str(now_ms), "drain_rate": "1000"}  # one a second
    mill.client.link.run(mill.client.scripts.configure("q", rate))
    with pytest.raises(QueueFull, match="a job would wait for about 30 s, and is to expire after 10 s") as caught:
        noop.using(expires=10).enqueue()
    assert caught.value.retry_after == pytest.approx(20)
    assert noop.using(expires=60).enqueue().state == "ready"


def test_an_enqueue_that_blocks_gets_in_when_there_is_room(mill: Tidemill, noop: Task[[], None]) -> None:
    mill.inspect.limit("q", 1)
    first = noop.using(delay=60).enqueue()
    with ThreadPoolExecutor(1) as threads:
        waits = threads.submit(noop.using(on_full="block").enqueue)
        eventually(lambda: _refusals(mill) > 0, "it was refused")
        assert not waits.done()
        first.cancel()
        assert waits.result(20).state == "ready"


def _refusals(mill: Tidemill) -> int:
    """A refusal notes when it was, to learn the rate at which jobs end."""
    return int("drained_ms" in mill.inspect.queue("q").counters)


async def test_it_blocks_neither_the_loop_nor_others(mill: Tidemill, noop: Task[[], None]) -> None:
    mill.inspect.limit("q", 1)
    first = noop.using(delay=60).enqueue()
    waits = asyncio.create_task(noop.using(on_full="block").aenqueue())
    await asyncio.to_thread(eventually, lambda: _refusals(mill) > 0, "it was refused")
    assert (await mill.named("other").using(queue="other").aenqueue()).state == "ready"
    await first.acancel()
    assert (await asyncio.wait_for(waits, 20)).state == "ready"
    await mill.aclose()


def test_it_gives_up_after_its_time(mill: Tidemill, noop: Task[[], None]) -> None:
    mill.inspect.limit("q", 1)
    noop.enqueue()
    with pytest.raises(QueueFull, match="queue 'q' is full"):
        noop.using(on_full="block", block_for=0.01).enqueue()


def test_a_batch_that_blocks_gets_in_bit_by_bit(mill: Tidemill, noop: Task[[], None]) -> None:
    mill.inspect.limit("q", 5)
    with running_worker(mill):
        jobs = noop.using(on_full="block").enqueue_many([call() for _ in range(40)])
        assert len(jobs) == len({job.id for job in jobs}) == 40
        for job in jobs:
            job.result(timeout=20)


def test_a_job_that_can_wait_is_put_off_until_there_is_room(mill: Tidemill, noop: Task[[], None]) -> None:
    mill.inspect.limit("q", 2)
    noop.enqueue_many([call(), call()])
    later = noop.using(on_full="defer").enqueue()
    assert (later.state, later.pressure) == ("scheduled", 1.0)
    assert later.due_at is not None
    noop.using(on_full="defer").enqueue()
    with pytest.raises(QueueFull):
        noop.using(on_full="defer").enqueue()


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"on_full": "wait"}, "on_full 'wait' is not valid: one of 'raise', 'block', 'defer'"),
        ({"block_for": 0}, "block_for"),
        ({"block_for": -1}, "block_for"),
    ],
)
def test_what_is_no_way_to_treat_a_full_queue_is_refused(
    noop: Task[[], None], choices: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        noop.using(**choices)


@pytest.mark.parametrize("limits", [{"jobs": 0}, {"size_bytes": -1}, {"jobs": 1.5}])
def test_a_limit_that_makes_no_sense_is_refused(mill: Tidemill, limits: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(limits)).replace("jobs", "limit")):
        mill.inspect.limit("q", **limits)
    assert mill.inspect.queue("q").counters.keys().isdisjoint({"limit", "limit_bytes"})
