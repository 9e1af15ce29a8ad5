"""Uses that mypy and pyright must accept, with the types that they must infer. Checked, never run."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from tidemill import (
    AsyncTask,
    Call,
    CurrentJob,
    Job,
    JobState,
    Retry,
    Task,
    Template,
    Tidemill,
    aretry_call,
    call,
    current_job,
    retry_call,
)

mill = Tidemill("redis://nowhere.invalid", deadline=timedelta(seconds=1))


@mill.task(queue="images", retry=Retry(max_attempts=5), timeout=30, executor="thread")
def thumbnail(path: str, size: int = 128) -> str:
    return f"{path}@{size}"


@mill.task()
async def ping(url: str) -> int:
    return len(url)


def cached(path: str) -> str:
    return path


@mill.task(retry=Retry(backoff="decorrelated", until=timedelta(1)), fallback=cached, critical=True)
def fetch(path: str) -> str:
    assert_type(retry_call(len, path), int)
    assert_type(retry_call(open, path, mode="rb", retry=Retry(until=5)).fileno(), int)
    return path


@mill.task(executor="plug-in", expires=5.5)
def nothing(*names: str, loud: bool) -> None: ...


def sync_calls() -> None:
    assert_type(thumbnail("cat.jpg"), str)
    assert_type(thumbnail.enqueue("cat.jpg", size=256), Job[str])
    assert_type(thumbnail.enqueue_in(timedelta(minutes=5), "cat.jpg"), Job[str])
    assert_type(thumbnail.enqueue_in(2.5, "cat.jpg", size=1), Job[str])
    assert_type(thumbnail.enqueue_at(datetime(2030, 1, 1, tzinfo=UTC), "cat.jpg", 3), Job[str])
    assert_type(thumbnail.enqueue_many([call("a.jpg"), thumbnail.call("b.jpg", size=64)]), list[Job[str]])
    assert_type(thumbnail.call("b.jpg"), Call)
    assert_type(thumbnail.using(queue="slow", priority="high", delay=5, unique="a").enqueue("cat.jpg"), Job[str])
    assert_type(thumbnail.using(on_conflict="raise", retry=Retry(), timeout=timedelta(1), result_ttl=0)("a"), str)
    assert_type(ping.enqueue("example.org").result(timeout=1), int)
    assert_type(nothing.enqueue("a", "b", loud=True).result(), None)
    assert_type(mill.enqueue("images.thumbnail", "cat.jpg"), Job[Any])
    assert_type(mill.named("images.thumbnail").using(delay=5).enqueue_in(5, 1, b=2), Job[Any])


def jobs(job: Job[str]) -> None:
    assert_type(job.id, str)
    assert_type(job.state, JobState)
    assert_type(job.refresh(), Job[str])
    assert_type(job.result(timeout=10), str)
    assert_type(job.cancel(), bool)
    assert_type(mill.job("an-id"), Job[Any])
    print_result(job)


def print_result(job: Job[object]) -> None:
    print(job.result())


async def async_calls() -> None:
    coroutine: Coroutine[Any, Any, int] = ping("example.org")
    assert_type(await coroutine, int)
    assert_type(await aretry_call(ping, "example.org", retry=Retry(until=datetime(2030, 1, 1, tzinfo=UTC))), int)
    assert_type(await ping.aenqueue("example.org"), Job[int])
    assert_type(await (await ping.using(queue="slow").aenqueue_in(5, "example.org")).aresult(), int)
    assert_type(await thumbnail.aenqueue("cat.jpg"), Job[str])
    assert_type(await thumbnail.aenqueue_many([call("a.jpg")]), list[Job[str]])
    assert_type(await mill.aenqueue("images.thumbnail"), Job[Any])
    assert_type(await (await mill.ajob("an-id")).acancel(), bool)


def recurring() -> None:
    mill.every("*/5 * * * *", thumbnail, tz="Europe/Berlin", args=["cat.jpg"])
    mill.every(timedelta(seconds=30), ping, kwargs={"url": "example.org"}, missed="skip")
    mill.every(timedelta(seconds=30), mill.named("images.thumbnail"))


def templates() -> None:
    preview = mill.template("preview", task=thumbnail, defaults={"size": 64}, queue="slow", expires=5, schema=dict)
    assert_type(preview, Template)
    assert_type(preview.enqueue(path="cat.jpg"), Job[Any])
    assert_type(preview.enqueue_in(5, path="cat.jpg"), Job[Any])
    assert_type(preview.using(version="canary", tenant="a").enqueue_many([call(path="a.jpg")]), list[Job[Any]])
    assert_type(mill.template("preview", version=3, choose="at_enqueue").publish(), int)
    mill.every(timedelta(seconds=30), preview, kwargs={"path": "cat.jpg"})

    @preview.upcaster(1)
    def second(arguments: dict[str, Any]) -> dict[str, Any]:
        return {**arguments, "size": 1}

    assert_type(second({}), dict[str, Any])


def in_a_job() -> None:
    job: CurrentJob = current_job()
    assert_type((job.id, job.attempt, job.should_stop), tuple[str, int, bool])
    assert_type(job.deadline, datetime | None)
    job.progress(0.4, "resized")


kept: Task[[str, int], str] | None = None
loop_task: AsyncTask[[str], int] = ping
