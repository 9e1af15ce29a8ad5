"""What a running job knows of itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tidemill import CurrentJob, Fence, InvalidInput, current_job
from tidemill.context import CURRENT, MAX_PROGRESS_CHARS

Report = tuple[float, str]


def job(reports: list[Report], deadline: datetime | None = None) -> CurrentJob:
    return CurrentJob(
        id="an-id",
        task="a.task",
        queue="default",
        attempt=2,
        fence=Fence("worker", 3),
        deadline=deadline,
        report=lambda fraction, text: reports.append((fraction, text)),
    )


def test_outside_a_job_there_is_none() -> None:
    with pytest.raises(RuntimeError, match=r"current_job\(\) was called outside a job"):
        current_job()


def test_inside_a_job_it_is_found() -> None:
    running = job([])
    token = CURRENT.set(running)
    try:
        assert current_job() is running
        assert (current_job().id, current_job().attempt, str(current_job().fence)) == ("an-id", 2, "worker/3")
    finally:
        CURRENT.reset(token)


def test_fences_of_a_job_grow_with_its_attempts() -> None:
    assert Fence("b", 4).attempt > Fence("c", 3).attempt
    assert Fence("b", 4) == ("b", 4)


def test_progress_is_a_fraction_and_a_short_text() -> None:
    reports: list[Report] = []
    running = job(reports)
    running.progress(0)
    running.progress(0.4, "resized")
    running.progress(1, "x" * 1000)
    assert reports == [(0.0, ""), (0.4, "resized"), (1.0, "x" * MAX_PROGRESS_CHARS)]


@pytest.mark.parametrize("wrong", [-0.1, 1.5, float("nan"), "half", None, True])
def test_any_other_progress_is_refused(wrong: float) -> None:
    reports: list[Report] = []
    with pytest.raises(InvalidInput, match="progress must be a number"):
        job(reports).progress(wrong)
    assert reports == []


def test_a_job_is_asked_to_stop() -> None:
    running = job([])
    assert running.should_stop is False
    running.request_stop()
    stopped: bool = running.should_stop
    assert stopped is True


def test_a_deadline_comes_nearer() -> None:
    assert job([]).remaining is None
    left = job([], datetime.now(UTC) + timedelta(minutes=1)).remaining
    assert left is not None
    assert 0 < left <= 60
