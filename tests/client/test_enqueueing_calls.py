"""Every call that makes a job, and its twin for async code."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from servers import Server
from tidemill import (
    InvalidInput,
    Job,
    JobExists,
    JobNotFound,
    QueueFull,
    Retry,
    Task,
    Tidemill,
    call,
)
from tidemill.settings import ENQUEUE_CHUNK_JOBS
from tidemill.validation import MAX_DELAY_DAYS


def calls_of(server: Server, command: str) -> int:
    stats = server.client.execute_command("INFO", "commandstats")
    text = stats.decode() if isinstance(stats, bytes) else str(stats)
    found = re.search(rf"cmdstat_{command}[^:]*:calls=(\d+)", text) or re.search(
        rf"cmdstat_{command}'?: \{{'calls': (\d+)", text
    )
    return int(found[1]) if found else 0


def arguments(job: Job[Any], mill: Tidemill) -> object:
    args, kwargs = mill.codec.decode_call(job.record.body)
    return tuple(args), kwargs


def test_a_job_carries_its_arguments_queue_and_task(mill: Tidemill, thumbnail: Task[..., str]) -> None:
    job = thumbnail.enqueue("cat.jpg", size=256)
    assert (job.state, job.queue, job.task) == ("ready", "images", f"{thumbnail.__wrapped__.__module__}.thumbnail")
    assert arguments(job, mill) == (("cat.jpg",), {"size": 256})
    assert mill.job(job.id) == job
    assert (job.attempt, job.progress, job.error, job.due_at, job.finished_at) == (0, None, None, None, None)
    assert job.created_at is not None
    assert abs(job.created_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_task_is_still_the_function(thumbnail: Task[..., str]) -> None:
    assert thumbnail("cat.jpg", 3) == "cat.jpg@3"
    assert thumbnail.__name__ == "thumbnail"
    assert repr(thumbnail) == f"<Task {thumbnail.__wrapped__.__module__}.thumbnail on images>"


async def test_an_async_task_is_still_a_coroutine_function(mill: Tidemill) -> None:
    @mill.task()
    async def double(number: int) -> int:
        return 2 * number

    assert await double(21) == 42
    assert await double.using(queue="other")(4) == 8


def test_enqueue_in_and_enqueue_at_wait_for_their_time(thumbnail: Task[..., str]) -> None:
    when = datetime.now(UTC) + timedelta(hours=2)
    for job in (
        thumbnail.enqueue_in(timedelta(hours=2), "cat.jpg"),
        thumbnail.enqueue_in(7200, "cat.jpg"),
        thumbnail.enqueue_at(when, "cat.jpg"),
        thumbnail.using(delay=7200).enqueue("cat.jpg"),
    ):
        assert job.state == "scheduled"
        assert job.due_at is not None
        assert abs(job.due_at - when) < timedelta(minutes=1)


def test_a_job_is_never_early_by_a_rounded_millisecond(thumbnail: Task[..., str]) -> None:
    when = datetime(2050, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
    when = when if when - datetime.now(UTC) < timedelta(days=MAX_DELAY_DAYS) else datetime.now(UTC) + timedelta(days=1)
    job = thumbnail.enqueue_at(when, "cat.jpg")
    assert job.due_at is not None
    assert job.due_at >= when


def test_a_past_time_is_now(thumbnail: Task[..., str]) -> None:
    assert thumbnail.enqueue_at(datetime(1950, 1, 1, tzinfo=UTC), "cat.jpg").state == "ready"
    assert thumbnail.enqueue_in(0, "cat.jpg").state == "ready"


async def test_every_call_has_a_twin_for_async_code(mill: Tidemill, thumbnail: Task[..., str]) -> None:
    when = datetime.now(UTC) + timedelta(hours=2)
    jobs = [
        await thumbnail.aenqueue("cat.jpg", size=256),
        await thumbnail.aenqueue_in(60, "cat.jpg"),
        await thumbnail.aenqueue_at(when, "cat.jpg"),
        *await thumbnail.aenqueue_many([call("a.jpg"), call("b.jpg", size=64)]),
        await mill.aenqueue(thumbnail.name, "cat.jpg"),
    ]
    assert [job.state for job in jobs] == ["ready", "scheduled", "scheduled", "ready", "ready", "ready"]
    found = await mill.ajob(jobs[0].id)
    assert (await found.arefresh()).queue == "images"
    assert await found.acancel() is True
    assert (await found.arefresh()).state == "cancelled"
    with pytest.raises(InvalidInput, match="only a dead letter"):
        await found.aretry()
    await mill.aclose()


async def test_names_have_all_calls_too(mill: Tidemill) -> None:
    named = mill.named("images.thumbnail").using(queue="slow")
    when = datetime.now(UTC) + timedelta(hours=2)
    jobs = [
        named.enqueue("cat.jpg", size=3),
        named.enqueue_in(60, "cat.jpg"),
        named.enqueue_at(when, "cat.jpg"),
        *named.enqueue_many([call("a.jpg"), call("b.jpg")]),
        await named.aenqueue("cat.jpg"),
        await named.aenqueue_in(timedelta(minutes=1), "cat.jpg"),
        await named.aenqueue_at(when, "cat.jpg"),
        *await named.aenqueue_many([call("a.jpg")]),
    ]
    assert [job.state == "scheduled" for job in jobs] == [
        *(False, True, True),
        *(False, False),
        *(False, True, True),
        False,
    ]
    assert {(job.queue, job.task) for job in jobs} == {("slow", "images.thumbnail")}
    await mill.aclose()


def test_many_jobs_take_one_round_trip_a_chunk(mill: Tidemill, server: Server, thumbnail: Task[..., str]) -> None:
    thumbnail.enqueue("first.jpg")  # connects and loads the script
    before = calls_of(server, "evalsha")
    jobs = thumbnail.enqueue_many(thumbnail.call(f"{n}.jpg", n) for n in range(2 * ENQUEUE_CHUNK_JOBS + 1))
    assert calls_of(server, "evalsha") - before == 3
    assert arguments(jobs[-1], mill) == ((f"{2 * ENQUEUE_CHUNK_JOBS}.jpg", 2 * ENQUEUE_CHUNK_JOBS), {})
    assert thumbnail.enqueue_many([]) == []


def test_a_name_goes_to_the_queue_that_its_workers_declared(mill: Tidemill, url: str) -> None:
    mill.client.link.run(
        mill.client.scripts.register("a-worker", 5_000, ["images"], {"images.thumbnail": "images"}, {"host": "here"})
    )
    with Tidemill(url) as producer:
        assert producer.enqueue("images.thumbnail", "cat.jpg").queue == "images"
        assert producer.named("images.thumbnail").using(queue="slow").enqueue("cat.jpg").queue == "slow"
        assert producer.enqueue("nobody.knows", "cat.jpg").queue == "default"


def test_a_name_goes_to_the_queue_of_the_task_that_is_known_here(mill: Tidemill, thumbnail: Task[..., str]) -> None:
    assert mill.enqueue(thumbnail.name, "cat.jpg").queue == "images"


def test_a_job_id_makes_a_call_safe_to_repeat(mill: Tidemill, thumbnail: Task[..., str]) -> None:
    first = thumbnail.using(job_id="order:17").enqueue("cat.jpg")
    again = thumbnail.using(job_id="order:17", delay=60).enqueue("dog.jpg")
    assert (first.id, first) == ("order:17", again)
    assert again.state == "ready"
    assert arguments(again, mill) == (("cat.jpg",), {})
    assert len(mill.inspect.jobs("images")) == 1


def test_a_unique_key_returns_the_job_that_holds_it(mill: Tidemill, thumbnail: Task[..., str]) -> None:
    unique = thumbnail.using(unique="cat.jpg", delay=60)
    first = unique.enqueue("cat.jpg")
    assert unique.enqueue("cat.jpg") == first
    assert unique.enqueue("cat.jpg").state == "scheduled"
    assert thumbnail.using(unique="dog.jpg").enqueue("dog.jpg") != first
    first.cancel()
    assert unique.enqueue("cat.jpg") != first
    assert len(mill.inspect.jobs("images", "scheduled")) == 1


async def test_a_unique_key_raises_with_the_holders_id(thumbnail: Task[..., str], mill: Tidemill) -> None:
    unique = thumbnail.using(unique="cat.jpg", on_conflict="raise")
    first = unique.enqueue("cat.jpg")
    for _ in range(2):
        with pytest.raises(JobExists, match=f"with unique='cat.jpg' is not over: {first.id}, which is ready") as caught:
            await unique.aenqueue("cat.jpg")
        assert caught.value.job_id == first.id
    await mill.aclose()


def test_a_full_queue_refuses_a_chunk_whole(mill: Tidemill, thumbnail: Task[..., str]) -> None:
    mill.inspect.limit("images", 3)
    thumbnail.using(delay=60).enqueue("1.jpg")
    thumbnail.enqueue("2.jpg")
    with pytest.raises(QueueFull, match="queue 'images' is full: 2 jobs are in it, its limit is 3; none of these 2"):
        thumbnail.enqueue_many([call("3.jpg"), call("4.jpg")])
    assert thumbnail.using(job_id="the-third").enqueue("3.jpg").state == "ready"
    with pytest.raises(QueueFull) as caught:
        thumbnail.enqueue("4.jpg")
    assert caught.value.retry_after > 0
    assert thumbnail.using(job_id="the-third").enqueue("3.jpg").id == "the-third"  # there already: not "full"
    mill.inspect.limit("images", None)
    assert thumbnail.enqueue("4.jpg").state == "ready"


def test_all_options_reach_the_record(mill: Tidemill, thumbnail: Task[..., str]) -> None:
    job = thumbnail.using(
        queue="slow",
        priority="high",
        delay=timedelta(minutes=5),
        job_id="one",
        unique="cat.jpg",
        expires=3600,
        result_ttl=timedelta(days=1),
        retry=Retry(max_attempts=7),
        timeout=2.5,
    ).enqueue("cat.jpg")
    record = job.record
    assert (record.id, record.queue, record.priority, record.state) == ("one", "slow", "high", "scheduled")
    assert record.due_ms - record.created_ms == 300_000
    assert record.expires_ms - record.created_ms == 3_600_000
    raw = mill.client.link.run(_fields("one"))
    assert raw[b"z"] == b"86400000"
    assert raw[b"u"].decode() == mill.client.scripts.keys.digest(thumbnail.name, "cat.jpg")


def test_a_retry_and_a_timeout_set_one_after_the_other_both_travel(mill: Tidemill, thumbnail: Task[..., str]) -> None:
    from tidemill.wire import envelope

    job = thumbnail.using(retry=Retry(max_attempts=7)).using(timeout=2.5).enqueue("cat.jpg")
    carried: Any = envelope.unpack(mill.client.link.run(_fields(job.id))[b"o"])
    assert carried["timeout_ms"] == 2500
    assert carried["retry"]["max_attempts"] == 7


def test_options_of_the_task_are_its_calls_defaults(mill: Tidemill) -> None:
    @mill.task(queue="images", priority="low", result_ttl=60, expires=timedelta(hours=1))
    def thumbnail() -> None: ...

    job = thumbnail.enqueue()
    assert (job.record.priority, job.record.expires_ms - job.record.created_ms) == ("low", 3_600_000)
    assert mill.client.link.run(_fields(job.id))[b"z"] == b"60000"
    assert thumbnail.using(priority="high").enqueue().record.priority == "high"


def _fields(job_id: str) -> Any:
    from tidemill.wire.command import Command

    def parse(reply: Any) -> dict[bytes, bytes]:
        pairs = iter(reply)
        return dict(zip(pairs, pairs, strict=True))

    return Command(("HGETALL", f"tm:{{0}}:job:{job_id}"), parse)


def test_cancelling_is_safe_to_repeat(mill: Tidemill, thumbnail: Task[..., str]) -> None:
    for job in (thumbnail.enqueue("cat.jpg"), thumbnail.using(delay=60).enqueue("cat.jpg")):
        assert (job.cancel(), job.state) == (True, "cancelled")
        assert (job.cancel(), mill.job(job.id).cancel()) == (True, True)
    assert repr(job) == f"<Job {job.id} cancelled>"
    assert len({job, mill.job(job.id)}) == 1


def test_two_installations_share_a_server(server: Server) -> None:
    server.flush()
    with Tidemill(server.url, prefix="one") as one, Tidemill(server.url, prefix="two") as two:
        job = one.enqueue("a.task")
        with pytest.raises(JobNotFound):
            two.job(job.id)
    server.flush()
