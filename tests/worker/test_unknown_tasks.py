"""Jobs whose task no worker here knows: a fleet in the middle of a deployment."""

from __future__ import annotations

import pytest

from conditions import eventually, eventually_each
from fleet import running_fleet, running_scheduler, running_worker
from tidemill import JobCancelled, Tidemill
from tidemill.wire.scripts import Taken
from tidemill_consumers import settings
from tidemill_consumers.outcomes import Parked
from tidemill_consumers.pipeline import parked, resolve
from tidemill_consumers.settings import WorkerSettings


def old_fleet(url: str) -> Tidemill:
    mill = Tidemill(url)

    @mill.task(name="old")
    def old() -> str:
        return "old"

    return mill


def new_fleet(url: str) -> Tidemill:
    mill = old_fleet(url)

    @mill.task(name="new")
    def new(number: int) -> int:
        return number

    return mill


def test_a_job_of_an_unknown_task_is_parked_with_the_reason_and_spends_no_attempt(url: str) -> None:
    with old_fleet(url) as mill, running_worker(mill):
        job = mill.enqueue("new", 1)
        eventually(lambda: job.refresh().state == "scheduled", "it was put off")
        assert "no worker of this queue knows task 'new'" in job.record.parked
        assert job.attempt == 0
        assert mill.enqueue("old").result(timeout=10) == "old"


def test_it_runs_at_once_when_a_worker_comes_that_knows_the_task(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "PARK_BASE_MS", 60_000)
    monkeypatch.setattr(settings, "ADOPT_PAGE", 2)  # several pages
    with old_fleet(url) as old, new_fleet(url) as new, running_scheduler(old):
        with running_worker(old):
            jobs = [old.enqueue("new", number) for number in range(5)]
            eventually_each(jobs, lambda job: job.refresh().state == "scheduled", "it was put off")
        with running_worker(new):
            assert [job.result(timeout=10) for job in jobs] == list(range(5))


def test_in_a_mixed_fleet_the_job_ends_up_with_a_worker_that_knows_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "PARK_BASE_MS", 10)
    one = WorkerSettings(concurrency=1)
    with (
        old_fleet(url) as old,
        new_fleet(url) as new,
        running_fleet(old, one),
        running_worker(new, one),
    ):
        jobs = [new.enqueue("new", number) for number in range(20)]
        assert [job.result(timeout=20) for job in jobs] == list(range(20))
        assert all(job.attempt == 1 for job in jobs)


def test_a_parked_job_can_be_cancelled(url: str) -> None:
    with old_fleet(url) as mill, running_worker(mill):
        job = mill.enqueue("new", 1)
        eventually(lambda: job.refresh().state == "scheduled", "it was put off")
        assert job.cancel()
        with pytest.raises(JobCancelled):
            job.result(timeout=10)


def test_the_delay_doubles_with_every_offer_up_to_the_cap() -> None:
    def delay_ms(uncounted: int) -> int:
        taken = Taken("id", "q", 1, "1-1", 1, uncounted, "new", b"", b"", 0, 0, 0, "", b"", "w")
        found = resolve(taken, {})
        assert isinstance(found, Parked)
        assert found == parked(taken, found.reason)
        return found.delay_ms

    base_ms, cap_ms = settings.PARK_BASE_MS, settings.PARK_CAP_MS
    assert [delay_ms(uncounted) for uncounted in (0, 1, 2)] == [base_ms, 2 * base_ms, 4 * base_ms]
    assert delay_ms(1_000_000) == delay_ms(7) == cap_ms
    assert delay_ms(-5) == base_ms
