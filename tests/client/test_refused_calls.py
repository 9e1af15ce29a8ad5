"""Calls that are refused where they are made, each with its rule."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidemill import (
    InvalidInput,
    JobNotFound,
    PayloadTooLarge,
    Retry,
    Task,
    Tidemill,
    UnserializableValue,
    call,
)


def test_many_jobs_are_all_checked_before_one_is_sent(mill: Tidemill, thumbnail: Task[..., str]) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        thumbnail.enqueue_many([call("a.jpg"), call("b.jpg", colour="red")])
    with pytest.raises(UnserializableValue, match=r"size: object can.t be carried"):
        thumbnail.enqueue_many([call("a.jpg"), call("b.jpg", size=object())])
    with pytest.raises(InvalidInput, match=re.escape("enqueue_many takes call(...) objects; item 1 is 'b.jpg'")):
        thumbnail.enqueue_many([call("a.jpg"), "b.jpg"])  # type: ignore[list-item] # pyright: ignore[reportArgumentType] - as untyped callers do
    with pytest.raises(InvalidInput, match="job_id and unique name one job"):
        thumbnail.using(job_id="one").enqueue_many([call("a.jpg"), call("b.jpg")])
    assert mill.inspect.jobs("images") == []


def test_a_wrong_call_fails_where_it_is_made(thumbnail: Task[..., str]) -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'path'"):
        thumbnail.enqueue()
    with pytest.raises(TypeError, match="takes from 1 to 2 positional arguments but 3 were given"):
        thumbnail.enqueue_in(5, "cat.jpg", 1, 2)


WRONG_OPTIONS = [
    ({"queue": "Big Images"}, "queue name 'Big Images' is not valid: 1 to 64 of a-z, 0-9, '_', '.', '-'"),
    ({"queue": "x" * 65}, f"queue name '{'x' * 65}' is not valid: 1 to 64 of a-z, 0-9, '_', '.', '-'"),
    ({"queue": "a{b}"}, "queue name 'a{b}' is not valid: 1 to 64 of a-z, 0-9, '_', '.', '-'"),
    ({"queue": "a\n"}, "queue name 'a\\n' is not valid: 1 to 64 of a-z, 0-9, '_', '.', '-'"),
    ({"priority": "urgent"}, "priority 'urgent' is not valid: one of 'high', 'normal', 'low'"),
    ({"delay": -1}, "delay must be 0 to 3660 days, not -1"),
    ({"delay": timedelta(days=73_000)}, "delay must be 0 to 3660 days, not datetime.timedelta(days=73000)"),
    ({"delay": float("nan")}, "delay must be 0 to 3660 days, not nan"),
    ({"delay": "5"}, "delay must be a timedelta or a number of seconds, not '5'"),
    ({"delay": True}, "delay must be a timedelta or a number of seconds, not True"),
    ({"job_id": "a b"}, "job id 'a b' is not valid: 1 to 128 of A-Z, a-z, 0-9 and _ . : @ = + / -"),
    ({"job_id": ""}, "job id '' is not valid: 1 to 128 of A-Z, a-z, 0-9 and _ . : @ = + / -"),
    ({"unique": ""}, "unique must be a text of 1 to 4096 characters, not ''"),
    ({"unique": 7}, "unique must be a text of 1 to 4096 characters, not '7'"),
    ({"on_conflict": "wait"}, "on_conflict 'wait' is not valid: one of 'return', 'raise'"),
    ({"expires": 0}, "expires must be more than 0 to 3660 days, not 0"),
    ({"result_ttl": -0.5}, "result_ttl must be 0 to 3660 days, not -0.5"),
    ({"timeout": 0}, "timeout must be more than 0 to 3660 days, not 0"),
    ({"retry": 3}, "retry must be a Retry, as Retry(max_attempts=5), not 3"),
    (
        {"retry": Retry(retry_on=(OSError,))},
        "retry_on and dont_retry_on can't travel with a job: set them in @mill.task(retry=...)",
    ),
    (
        {"color": "red", "queue": "a"},
        "unknown option color: one of queue, priority, tenant, delay, job_id, unique, on_conflict, "
        "on_full, block_for, expires, result_ttl, retry, timeout, critical",
    ),
    ({"critical": 1}, "critical must be True or False, not 1"),
]


@pytest.mark.parametrize(("options", "message"), WRONG_OPTIONS, ids=[str(options) for options, _ in WRONG_OPTIONS])
def test_a_wrong_option_is_refused_with_its_rule(options: dict[str, Any], message: str) -> None:
    named = Tidemill("redis://nowhere.invalid").named("a.task")
    with pytest.raises(InvalidInput) as caught:
        named.using(**options)
    assert str(caught.value) == message


def test_times_are_refused_with_their_rule(thumbnail: Task[..., str]) -> None:
    naive = datetime(2030, 1, 1)  # noqa: DTZ001 - a naive one is refused
    with pytest.raises(InvalidInput, match=r"enqueue_at must know its time zone: datetime.datetime\(2030.* is naive"):
        thumbnail.enqueue_at(naive, "cat.jpg")
    with pytest.raises(InvalidInput, match=r"enqueue_at .* is more than 3660 days ahead"):
        thumbnail.enqueue_at(datetime.now(UTC) + timedelta(days=200 * 365), "cat.jpg")
    with pytest.raises(InvalidInput, match="enqueue_at must be a datetime, not 17"):
        thumbnail.enqueue_at(17, "cat.jpg")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - as untyped callers do
    with pytest.raises(InvalidInput, match="delay must be 0 to 3660 days, not -5"):
        thumbnail.enqueue_in(-5, "cat.jpg")


def test_arguments_over_the_limit_are_refused_with_both_sizes(url: str) -> None:
    with Tidemill(url, max_payload_bytes=1000) as mill:

        @mill.task()
        def store(data: bytes) -> None: ...

        with pytest.raises(PayloadTooLarge, match=r"10\d\d bytes.*1000"):
            store.enqueue(b"x" * 1001)
        assert store.enqueue(b"x" * 900).state == "ready"


def test_an_unknown_job_is_not_found(mill: Tidemill) -> None:
    message = "job nobody is not known: never enqueued, or dropped by retention"
    with pytest.raises(JobNotFound, match=message) as caught:
        mill.job("nobody")
    assert isinstance(caught.value, LookupError)
    gone = mill.enqueue("a.task")
    gone_id = gone.id
    mill.client.link.run(_deleted(gone_id))
    actions: list[Callable[[], object]] = [gone.refresh, gone.cancel, gone.retry, lambda: gone.result(timeout=1)]
    for action in actions:
        with pytest.raises(JobNotFound, match=f"job {gone_id} is not known"):
            action()
    with pytest.raises(InvalidInput, match="job id 'not an id' is not valid"):
        mill.job("not an id")


async def test_an_unknown_job_is_not_found_by_async_code_either(mill: Tidemill) -> None:
    gone = await mill.aenqueue("a.task")
    await mill.client.async_link.run(_deleted(gone.id))
    actions: list[Callable[[], Awaitable[object]]] = [gone.arefresh, gone.acancel, gone.aretry, gone.aresult]
    for action in actions:
        with pytest.raises(JobNotFound):
            await action()
    await mill.aclose()


def _deleted(job_id: str) -> Any:
    from tidemill.wire.command import Command

    return Command(("DEL", f"tm:{{0}}:job:{job_id}"), int)
