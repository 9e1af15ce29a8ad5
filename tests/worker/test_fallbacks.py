"""What is called in the place of a task that would be dead, and when."""

from __future__ import annotations

import asyncio
import logging
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleet import running_fleet
from tidemill import Job, JobFailed, JobState, Retry, Tidemill, current_job
from tidemill.telemetry import Event, EventFields
from tidemill_consumers import decisions
from tidemill_consumers.settings import WorkerSettings
from worker import jobs_app
from worker.processes import APP, lines

PATIENCE_SECONDS = 40
CHILDREN = WorkerSettings(concurrency=4, lease_ms=4_000, child_processes=1, app_path=APP)
SOON = Retry(max_attempts=3, base=0.01)


class Refused(Exception):
    """An error of the tests."""


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[str, str]]]:
    """The events of jobs that say why, as (name, reason), in the order in which they were logged."""
    caplog.set_level(logging.INFO, "tidemill.job")

    def found() -> list[tuple[str, str]]:
        events: list[tuple[str, str]] = []
        for record in caplog.records:
            what, fields = getattr(record, "tidemill_event", None), record.args
            if isinstance(what, Event) and isinstance(fields, tuple) and isinstance(fields[0], EventFields):
                reason = fields[0].values.get("reason")
                events += [(what.event_name, str(reason))] if reason else []
        return events

    return found


def done(job: Job[Any]) -> Any:
    return job.result(timeout=PATIENCE_SECONDS)


def test_a_fallback_stands_in_when_the_attempts_are_over(
    mill: Tidemill, told: Callable[[], list[tuple[str, str]]]
) -> None:
    def cached(name: str, *, size: int = 1) -> str:
        return f"cached {name} {size} in attempt {current_job().attempt}"

    @mill.task(retry=SOON, fallback=cached)
    def fetch(name: str, *, size: int = 1) -> str:
        raise Refused

    with running_fleet(mill):
        job = fetch.enqueue("a", size=3)
        assert done(job) == "cached a 3 in attempt 3"
    assert (job.refresh().state, job.error) == (JobState.SUCCEEDED, None)
    # Not the order: the settlement of one attempt is logged while the next one may have begun.
    assert sorted(told()) == [("job.fallback", "attempts"), ("job.retried", "failed"), ("job.retried", "failed")]


def test_a_fallback_stands_in_for_an_error_that_is_final(
    mill: Tidemill, told: Callable[[], list[tuple[str, str]]]
) -> None:
    async def cached() -> str:
        await asyncio.sleep(0)
        return "cached"

    @mill.task(retry=Retry(max_attempts=3, retry_on=(OSError,)), fallback=cached)
    async def fetch() -> str:
        await asyncio.sleep(0)
        raise Refused

    with running_fleet(mill):
        assert done(fetch.enqueue()) == "cached"
    assert told() == [("job.fallback", "final")]


def test_a_fallback_is_not_called_while_there_are_attempts_or_the_function_succeeds(mill: Tidemill) -> None:
    called: list[str] = []

    @mill.task(retry=SOON, fallback=lambda: called.append("fallback"))
    def second_time_lucky() -> str:
        called.append("function")
        if current_job().attempt == 1:
            raise Refused
        return "done"

    with running_fleet(mill):
        assert done(second_time_lucky.enqueue()) == "done"
    assert called == ["function", "function"]


def test_a_fallback_that_fails_too_is_a_dead_letter_with_both_errors(
    mill: Tidemill, told: Callable[[], list[tuple[str, str]]]
) -> None:
    def broken() -> None:
        raise KeyError("no cache")

    @mill.task(fallback=broken)
    def fetch() -> None:
        raise Refused("no answer")

    with running_fleet(mill), pytest.raises(JobFailed, match="KeyError") as caught:
        done(fetch.enqueue())
    assert "Refused: no answer" in caught.value.traceback
    assert "tidemill_consumers" not in caught.value.traceback
    assert told() == [("job.fallback", "attempts"), ("job.dead", "fallback")]


@pytest.mark.interrupts
@pytest.mark.parametrize("kind", ["thread", "async"])
def test_an_attempt_that_timed_out_is_followed_by_one_for_the_fallback_alone(
    mill: Tidemill, told: Callable[[], list[tuple[str, str]]], kind: str
) -> None:
    def hang() -> str:
        while True:
            threading.Event().wait(0.005)

    async def wait() -> str:
        await asyncio.sleep(60)
        return "never"

    async def later() -> str:
        return f"cached in attempt {current_job().attempt}"

    if kind == "thread":
        job = mill.task(timeout=1, fallback=lambda: f"cached in attempt {current_job().attempt}")(hang).enqueue()
    else:
        job = mill.task(timeout=1, fallback=later)(wait).enqueue()
    with running_fleet(mill):
        assert done(job) == "cached in attempt 2"
    # Not the order: the settlement of one attempt is logged while the next one may have begun.
    assert sorted(told()) == [("job.fallback", "attempts"), ("job.retried", "fallback")]


@pytest.mark.interrupts
def test_a_fallback_that_never_ends_has_one_attempt_of_its_own(
    mill: Tidemill, told: Callable[[], list[tuple[str, str]]]
) -> None:
    called: list[int] = []

    def hang() -> None:
        called.append(current_job().attempt)
        while True:
            threading.Event().wait(0.005)

    @mill.task(timeout=1, fallback=hang, retry=Retry(retry_on=(OSError,)))
    def fail() -> None:
        raise Refused

    with running_fleet(mill), pytest.raises(JobFailed, match="timeout of 1 s"):
        done(fail.enqueue())
    assert called == [1, 2]
    assert told()[-1] == ("job.dead", "fallback")


def test_a_cancelled_job_has_no_fallback(mill: Tidemill) -> None:
    started = threading.Event()
    called: list[int] = []

    async def never() -> None:
        called.append(1)

    @mill.task(fallback=never)
    async def wait() -> None:
        started.set()
        await asyncio.sleep(60)

    with running_fleet(mill):
        job = wait.enqueue()
        assert started.wait(PATIENCE_SECONDS)
        job.cancel()
        with pytest.raises(Exception, match="cancelled"):
            done(job)
    assert (job.refresh().state, called) == (JobState.CANCELLED, [])


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("raise", ["try 1", "try 2", "fallback 2"]),
        ("segfault", ["try 1", "try 2", "fallback 3"]),
        ("hang", ["try 1", "try 2", "fallback 3"]),
    ],
)
def test_a_child_process_calls_the_fallback_or_the_next_one_does(
    app: Tidemill, tmp_path: Path, how: str, expected: list[str]
) -> None:
    journal = tmp_path / "journal"
    with running_fleet(app, CHILDREN):
        job = jobs_app.has_a_fallback.enqueue(str(journal), how)
        assert done(job) == f"instead of {how}"
    assert lines(journal) == expected


def test_a_child_process_knows_how_much_time_is_left(app: Tidemill, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with running_fleet(app, CHILDREN):
        for until, expected in ((3_600, ["try 1", "try 2", "try 3", "fallback 3"]), (0.15, ["try 1", "fallback 1"])):
            retry = Retry(max_attempts=3, base=0.01, until=until)
            job = jobs_app.has_a_fallback.using(retry=retry).enqueue(str(journal), "raise")
            assert done(job) == "instead of raise"
            assert lines(journal) == expected
            journal.unlink()


@pytest.mark.parametrize("critical", [False, True])
@pytest.mark.parametrize("limit", ["until", "expires"])
def test_less_than_200_ms_are_for_the_fallback_unless_the_work_is_critical(
    mill: Tidemill,
    told: Callable[[], list[tuple[str, str]]],
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    critical: bool,
) -> None:
    monkeypatch.setattr(decisions, "MIN_REMAINING_MS", 3_599_000)  # so that the machine's pace decides nothing

    @mill.task(fallback=lambda: "cached")
    def fetch() -> str:
        if current_job().attempt == 1:
            raise Refused
        return "fetched"

    retry = Retry(max_attempts=9, base=2, jitter=0)
    if limit == "until":
        chosen = fetch.using(retry=Retry(max_attempts=9, base=2, jitter=0, until=3_600), critical=critical)
    else:
        chosen = fetch.using(retry=retry, expires=3_600, critical=critical)
    with running_fleet(mill):
        assert done(chosen.enqueue()) == ("fetched" if critical else "cached")
    assert told() == ([("job.retried", "failed")] if critical else [("job.fallback", limit)])


def test_a_task_may_be_critical_for_all_its_jobs_but_one(mill: Tidemill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "MIN_REMAINING_MS", 10_000_000)

    @mill.task(retry=SOON, fallback=lambda: "cached", critical=True, expires=3_600)
    def fetch() -> str:
        return "fetched"

    assert fetch.definition.critical is True
    with running_fleet(mill):
        assert done(fetch.enqueue()) == "fetched", "a first attempt is always the function's"


def test_the_first_attempt_is_the_functions_however_little_time_is_left(
    mill: Tidemill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "MIN_REMAINING_MS", 10_000_000)

    @mill.task(retry=Retry(until=3_600), fallback=lambda: "cached")
    def fetch() -> str:
        return "fetched"

    with running_fleet(mill):
        assert done(fetch.enqueue()) == "fetched"


def test_a_broken_error_does_not_keep_the_fallback_away(mill: Tidemill) -> None:
    class Broken(Exception):
        @property
        def retry_after(self) -> float:
            raise RuntimeError

    @mill.task(fallback=lambda: "".join(traceback.format_exc())[:4])
    def fetch() -> str:
        raise Broken

    with running_fleet(mill):
        assert done(fetch.enqueue()) == "Trac"
