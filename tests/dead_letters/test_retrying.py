"""Dead letters run again: one, one with new arguments, or all that fit a filter, at a rate."""

from __future__ import annotations

import logging
import re
import threading
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from conditions import eventually
from dead_letters.letters import kill_again, leave, make_letters
from fleet import running_worker
from servers import Server
from tidemill import InvalidInput, JobExists, JobNotFound, RemoteError, Tidemill
from tidemill.client import Operation
from tidemill.dead_letters import BulkResult, single
from tidemill.wire.scripts import Hand, Requeue

SECONDS = 30


@dataclass
class Picture:
    path: str


def test_one_runs_again_under_its_id_with_its_attempts_counted_anew(mill: Tidemill) -> None:
    mended = threading.Event()

    @mill.task()
    def thumbnail(path: str) -> str:
        if not mended.is_set():
            raise ValueError(path)
        return f"{path}!"

    with running_worker(mill):
        job = thumbnail.enqueue("cat.jpg")
        eventually(lambda: job.refresh().state == "dead", "it is dead", SECONDS)
        mended.set()
        retried = mill.dead_letters.retry(job.id, by="ann", reason="mended")
        assert retried.id == job.id
        assert retried.result(SECONDS) == "cat.jpg!"
        assert retried.attempt == 1


def test_one_runs_again_with_new_arguments(mill: Tidemill) -> None:
    @mill.task()
    def thumbnail(picture: Picture, size: int = 1) -> str:
        if not picture.path.endswith(".jpg"):
            raise ValueError(picture.path)
        return f"{picture.path} at {size}"

    with running_worker(mill):
        job = thumbnail.enqueue(Picture("a very long name that takes more than one part of the record " * 2))
        eventually(lambda: job.refresh().state == "dead", "it is dead", SECONDS)
        assert mill.dead_letters.arguments(job.id) == ([Picture(job_path(mill, job.id))], {})
        with pytest.raises(InvalidInput, match=r"does not take these arguments: .*'colour'"):
            mill.dead_letters.retry(job.id, kwargs={"colour": "red"})
        with pytest.raises(InvalidInput, match=r"args must be a list of arguments, not 'cat\.jpg'"):
            mill.dead_letters.retry(job.id, args="cat.jpg")
        with pytest.raises(InvalidInput, match=re.escape("args[0]")):
            mill.dead_letters.retry(job.id, args=[object()])
        assert job.refresh().state == "dead"
        retried = mill.dead_letters.retry(job.id, args=[Picture("cat.jpg")], kwargs={"size": 2})
        assert retried.result(SECONDS) == "cat.jpg at 2"


def job_path(mill: Tidemill, job_id: str) -> str:
    args, _ = mill.dead_letters.arguments(job_id)
    (picture,) = args
    assert isinstance(picture, Picture)
    return picture.path


def test_what_can_not_be_retried_says_why(mill: Tidemill) -> None:
    (job_id,) = make_letters(mill, 1, unique="key")
    holder = mill.named("a.task").using(unique="key", delay=60).enqueue()
    for args in (None, [1]):
        with pytest.raises(JobExists, match=f"held by job {holder.id}"):
            mill.dead_letters.retry(job_id, args=args)
        with pytest.raises(JobNotFound, match="job nobody is not known"):
            mill.dead_letters.retry("nobody", args=args)
        with pytest.raises(InvalidInput, match="is scheduled: only a dead letter can be retried"):
            mill.dead_letters.retry(holder.id, args=args)
        with pytest.raises(InvalidInput, match="job id 'no body' is not valid"):
            mill.dead_letters.retry("no body", args=args)
    with pytest.raises(JobNotFound, match="job nobody is not known"):
        mill.dead_letters.arguments("nobody")


def test_new_arguments_that_came_too_late_are_no_success(mill: Tidemill, server: Server) -> None:
    """Somebody else retries the job between the look at it and the call that edits it."""
    (job_id,) = make_letters(mill, 1)
    operation = single.retry_edited(mill.client, {}, job_id, [1], {}, None, "")

    def with_somebody_else() -> Operation[None]:
        answer = yield operation.send(None)
        step = operation.send(answer)
        yield mill.client.scripts.requeue([Requeue(job_id)], Hand("bob"))
        while True:
            step = operation.send((yield step))

    with pytest.raises(InvalidInput, match="was retried by somebody else meanwhile"):
        mill.client.run(with_somebody_else())
    assert mill.dead_letters.arguments(job_id) == ([0], {})


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"by": ""}, "by must be one line of 1 to 128 printable characters, not 0 characters"),
        ({"by": "a\nb"}, "by must be one line"),
        ({"reason": "x" * 1_001}, "reason must be one line of 0 to 1000 printable characters, not 1001 characters"),
        ({"reason": 5}, "printable characters, not 5"),
    ],
    ids=str,
)
def test_who_and_why_are_lines(mill: Tidemill, wrong: Any, rule: str) -> None:
    (job_id,) = make_letters(mill, 1)
    for change in (
        lambda: mill.dead_letters.retry(job_id, **wrong),
        lambda: mill.job(job_id).retry(**wrong),
        lambda: mill.dead_letters.retry_all(queue="default", **wrong),
        lambda: mill.dead_letters.purge(queue="default", **wrong),
    ):
        with pytest.raises(InvalidInput, match=re.escape(rule)):
            change()
    assert mill.job(job_id).state == "dead"


def test_all_that_fit_a_filter_run_again_and_the_others_stay(mill: Tidemill) -> None:
    ids = make_letters(mill, 130)
    (other,) = make_letters(mill, 1, error=RemoteError("KeyError", "x"))
    result = mill.dead_letters.retry_all(error="ValueError", reason="the disk is back")
    assert (result.matched, result.done, result.skipped) == (130, 130, {})
    assert {str(mill.job(job_id).state) for job_id in ids} == {"ready"}
    assert mill.job(other).state == "dead"
    leave(mill)
    assert mill.doctor().healthy
    (again,) = [mill.dead_letters.retry_all(error="ValueError")]
    assert (again.matched, again.done) == (0, 0)


def test_those_that_can_not_run_again_are_counted_by_reason(mill: Tidemill, server: Server) -> None:
    (held,) = make_letters(mill, 1, unique="key")
    mill.named("a.task").using(unique="key", queue="other").enqueue()
    (good, spoiled) = make_letters(mill, 2)
    server.client.hset(mill.client.scripts.keys.job(spoiled), "s", "flying")
    result = mill.dead_letters.retry_all(queue="default")
    assert (result.matched, result.done, result.skipped) == (3, 1, {"conflict": 1, "corrupt": 1})
    assert (mill.job(good).state, mill.job(held).state) == ("ready", "dead")


def test_a_limit_leaves_the_rest(mill: Tidemill) -> None:
    make_letters(mill, 120)
    assert mill.dead_letters.retry_all(queue="default", limit=70).done == 70
    assert mill.inspect.queue("default").dead == 50


def test_one_that_fails_again_meanwhile_is_not_retried_once_more(mill: Tidemill) -> None:
    ids = make_letters(mill, 120)
    seen: list[int] = []

    def fail_again(result: BulkResult) -> None:
        ready = [job.id for job in mill.inspect.jobs("default", "ready", limit=200)]
        if ready:
            kill_again(mill, ready)
        seen.append(result.done)

    result = mill.dead_letters.retry_all(queue="default", report=fail_again)
    assert (result.done, seen[0], seen[-1]) == (120, 0, 120)
    assert {str(mill.job(job_id).state) for job_id in ids} == {"dead"}


def test_one_that_died_again_since_it_was_looked_at_stays(mill: Tidemill, server: Server) -> None:
    ids = make_letters(mill, 20)

    def die_again(result: BulkResult) -> None:
        """Between the first call and the second, of one page that was looked at before both."""
        if result.done == 10:
            for job_id in ids:
                server.client.hincrby(mill.client.scripts.keys.job(job_id), "f", 1)

    result = mill.dead_letters.retry_all(queue="default", rate="50/s", report=die_again)
    assert (result.matched, result.done, result.skipped) == (20, 10, {"changed": 10})
    assert mill.inspect.queue("default").dead == 10


def test_a_rate_is_kept_by_small_calls(mill: Tidemill, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a clock that goes only when somebody sleeps, so that a busy machine does not count."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr("tidemill.dead_letters.bulk.time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    make_letters(mill, 120)
    seen: list[tuple[float, int]] = []
    result = mill.dead_letters.retry_all(
        queue="default", rate="50/s", report=lambda result: seen.append((now[0], result.done))
    )
    assert result.done == 120
    # Whenever somebody looks, no more than the rate allows, but for the call that is due at this very moment.
    assert all(done <= at * 50 + 10 + 1e-6 for at, done in seen), seen
    assert 2.0 <= now[0] <= 2.4


@pytest.mark.parametrize(
    ("rate", "per_second"), [(50, 50), (0.5, 0.5), ("50/s", 50), ("600/m", 10), ("1800/h", 0.5), ("7", 7)]
)
def test_rates_that_are_understood(rate: float | str, per_second: float) -> None:
    from tidemill.dead_letters.rate import rate_of

    assert rate_of(rate).per_second == per_second


@pytest.mark.parametrize("rate", [0, -1, True, float("nan"), float("inf"), "", "fast", "50/d", "-5/s", None, 1e6])
def test_rates_that_are_not(rate: Any) -> None:
    from tidemill.dead_letters.rate import rate_of

    with pytest.raises(InvalidInput, match=r"rate .* is not valid: jobs a second above 0"):
        rate_of(rate)


def test_a_change_of_everything_has_to_be_asked_for(mill: Tidemill) -> None:
    make_letters(mill, 1)
    for change in (mill.dead_letters.retry_all, mill.dead_letters.purge):
        with pytest.raises(InvalidInput, match="a filter is missing"):
            change()
    assert mill.inspect.queue("default").dead == 1


async def test_everything_has_a_twin_for_async_code(mill: Tidemill) -> None:
    letters = mill.dead_letters
    first, second, third = make_letters(mill, 3)
    assert len((await letters.abrowse(limit=2)).letters) == 2
    assert await letters.acounts() == {"ValueError": 3}
    assert await letters.aarguments(first) == ([0], {})
    assert (await letters.aretry(first)).id == first
    assert (await letters.aretry(second, args=[9])).state == "ready"
    assert await letters.aarguments(second) == ([9], {})
    assert (await letters.ahistory(second)).actions[0].action == "edit"
    assert (await letters.apurge(queue="default", dry_run=True)).matched == 1
    assert (await letters.aretry_all(queue="default", rate=1_000, limit=5)).done == 1
    kill_again(mill, [first, second, third])
    assert (await mill.job(first).aretry(by="ann")).state == "ready"
    assert (await letters.apurge(queue="default")).done == 2
    assert [one.action for one in await letters.aactions(limit=2)] == ["purge", "retry"]
    await mill.aclose()


def test_each_hand_action_is_logged_without_the_text_of_exceptions(
    mill: Tidemill, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, _ = make_letters(mill, 3)
    with caplog.at_level(logging.INFO, "tidemill.dead"):
        mill.dead_letters.retry(first, by="ann", reason="mended")
        mill.dead_letters.retry(second, args=[1], by="ann")
        mill.dead_letters.retry_all(text="picture", limit=1, by="ann")
        mill.dead_letters.purge(text="picture", by="ann")
        kill_again(mill, [first, second, *(job.id for job in mill.inspect.jobs("default", "ready")[2:])])
        mill.dead_letters.purge(text="again", by="ann")
    names = [record.__dict__["tidemill_event"].event_name for record in caplog.records]
    assert names == ["dead.retried", "dead.edited", "dead.retried", "dead.purged"]
    assert f"job={first}" in caplog.text
    assert "by=ann why=mended" in caplog.text
    assert "picture" not in caplog.text
