"""When the next attempt comes, and when none does: what failed calls ask for, and the deadline of all attempts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from conditions import eventually
from fleet import running_fleet, running_scheduler, running_worker
from tidemill import Job, JobFailed, JobState, Retry, Tidemill, current_job
from tidemill.retry import NO_RETRY
from tidemill.task import Definition
from tidemill.telemetry import Event, EventFields
from tidemill.wire.scripts import Taken
from tidemill_consumers import decisions
from tidemill_consumers.run import Run

PATIENCE_SECONDS = 40
Told = Callable[[Event], list[dict[str, Any]]]


class Busy(Exception):
    """A service that says when to come again, in a header or by itself."""

    def __init__(self, seconds: float, *, in_header: bool = False) -> None:
        super().__init__()
        if in_header:
            self.response = SimpleNamespace(headers={"Retry-After": str(seconds)})
        else:
            self.retry_after = seconds


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    """The fields of each event of a kind."""
    caplog.set_level(logging.INFO, "tidemill.job")

    def found(what: Event) -> list[dict[str, Any]]:
        return [
            record.args[0].values
            for record in caplog.records
            if getattr(record, "tidemill_event", None) is what
            and isinstance(record.args, tuple)
            and isinstance(record.args[0], EventFields)
        ]

    return found


def scheduled(job: Job[Any]) -> Job[Any]:
    eventually(lambda: job.refresh().state is JobState.SCHEDULED, "the job waits for its next attempt", 20)
    return job


@pytest.mark.parametrize("in_header", [True, False])
def test_a_failed_call_that_says_when_to_come_again_is_believed(mill: Tidemill, told: Told, in_header: bool) -> None:
    """Even beyond the cap, which bounds what the policy guesses."""

    @mill.task(retry=Retry(max_attempts=3, base=1, cap=2))
    def call_service() -> None:
        raise Busy(3_600, in_header=in_header)

    with running_worker(mill):
        scheduled(call_service.enqueue())
        eventually(lambda: bool(told(Event.JOB_RETRIED)), "the retry is logged", 20)
    (fields,) = told(Event.JOB_RETRIED)
    assert (fields["delay_ms"], fields["reason"]) == (3_600_000, "retry_after")


def test_a_job_that_would_come_again_after_its_deadline_is_dead_at_once(mill: Tidemill, told: Told) -> None:
    @mill.task(retry=Retry(max_attempts=3, base=0.01, until=60))
    def call_service() -> None:
        raise Busy(61)

    with running_fleet(mill), pytest.raises(JobFailed, match="Busy"):
        call_service.enqueue().result(timeout=PATIENCE_SECONDS)
    assert told(Event.JOB_DEAD)[0]["reason"] == "until"
    assert not told(Event.JOB_RETRIED)


@pytest.mark.parametrize("until", [timedelta(seconds=1), 1.0, None], ids=["timedelta", "seconds", "datetime"])
def test_attempts_end_with_their_deadline(mill: Tidemill, told: Told, until: timedelta | float | None) -> None:
    def policy() -> Retry:
        return Retry(1000, "constant", 0.05, jitter=0, until=until or datetime.now(UTC) + timedelta(seconds=1))

    starts: list[int] = []

    @mill.task(retry=policy())
    def fail() -> None:
        starts.append(mill.job(current_job().id).record.started_ms)
        raise ValueError

    with running_fleet(mill):
        job = fail.using(retry=policy()).enqueue()
        with pytest.raises(JobFailed, match="ValueError"):
            job.result(timeout=PATIENCE_SECONDS)
    assert 1 < job.attempt < 1000
    assert told(Event.JOB_DEAD)[0]["reason"] == "until"
    assert all(start <= job.record.created_ms + 1_000 for start in starts)


def test_an_attempt_that_comes_too_late_is_not_begun(mill: Tidemill, told: Told) -> None:
    """It was due in time, but nobody was there to run it."""
    runs: list[int] = []

    @mill.task(retry=Retry(max_attempts=9, base=0.5, jitter=0, until=4))
    def fail() -> None:
        runs.append(current_job().attempt)
        raise ValueError("the last error")

    with running_worker(mill):
        job = scheduled(fail.enqueue())
    now = mill.client.scripts.server_time
    deadline_ms = mill.client.link.run(now()) + 4_000
    with running_scheduler(mill):
        eventually(lambda: mill.client.link.run(now()) > deadline_ms, "the deadline is over", 20)
        with running_worker(mill), pytest.raises(JobFailed, match="ValueError: the last error"):
            job.result(timeout=PATIENCE_SECONDS)
    assert runs == [1]
    assert told(Event.JOB_DEAD)[0]["reason"] == "until"


def test_a_dead_letter_that_is_retried_by_hand_has_its_time_again(mill: Tidemill) -> None:
    runs: list[int] = []

    @mill.task(retry=Retry(max_attempts=2, base=0.01, until=3_600))
    def fail() -> None:
        runs.append(1)
        raise ValueError

    with running_fleet(mill):
        job = fail.enqueue()
        for _ in range(2):
            with pytest.raises(JobFailed):
                job.result(timeout=PATIENCE_SECONDS)
            job.retry()
        with pytest.raises(JobFailed):
            job.result(timeout=PATIENCE_SECONDS)
    assert len(runs) == 6


def test_one_that_is_retried_by_hand_after_an_instant_that_is_over_has_one_attempt(mill: Tidemill) -> None:
    runs: list[int] = []

    @mill.task(retry=Retry(max_attempts=9, base=0.01, until=datetime(2020, 1, 1, tzinfo=UTC)))
    def fail() -> None:
        runs.append(1)
        raise ValueError

    with running_fleet(mill):
        job = fail.enqueue()
        with pytest.raises(JobFailed):
            job.result(timeout=PATIENCE_SECONDS)
        job.retry()
        with pytest.raises(JobFailed):
            job.result(timeout=PATIENCE_SECONDS)
    assert len(runs) == 2


def test_a_run_whose_lease_is_lost_takes_no_fallback() -> None:
    """Its attempt is void: another worker makes the next one."""
    taken = Taken("id", "q", 1, "1-1", 1, 0, "t", b"", b"", 0, 0, 0, "", b"", "w")
    run = Run(taken, Definition("t", print, "q", fallback=print), NO_RETRY, None)
    context = run.start(lambda _run, _fraction, _text: None)
    assert decisions.instead(run, ValueError()) is print
    run.fallback_reason = ""
    context.request_stop()
    assert decisions.instead(run, ValueError()) is None


@pytest.mark.parametrize(
    ("retry", "reason"),
    [(Retry(max_attempts=1), "attempts"), (Retry(max_attempts=5, retry_on=(OSError,)), "final")],
)
def test_a_dead_letter_says_why_it_is_one(mill: Tidemill, told: Told, retry: Retry, reason: str) -> None:
    @mill.task(retry=retry)
    def fail() -> None:
        raise ValueError

    with running_worker(mill), pytest.raises(JobFailed):
        fail.enqueue().result(timeout=PATIENCE_SECONDS)
    assert told(Event.JOB_DEAD)[0]["reason"] == reason


def test_decorrelated_delays_are_the_jobs_own(mill: Tidemill, told: Told) -> None:
    retry = Retry(max_attempts=3, backoff="decorrelated", base=0.05, cap=0.2)

    @mill.task(retry=retry)
    def fail() -> None:
        raise ValueError

    with running_fleet(mill):
        job = fail.enqueue()
        with pytest.raises(JobFailed):
            job.result(timeout=PATIENCE_SECONDS)
    delays = [fields["delay_ms"] for fields in told(Event.JOB_RETRIED)]
    assert delays == [retry.delay_ms(tries, seed=job.id) for tries in (1, 2)]
