"""Jobs whose tasks declare a breaker, in real workers: parked while it is open, and run when it is closed."""

from __future__ import annotations

import asyncio
import itertools
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from breakers import guarded_app
from breakers.guarded_app import BREAKER
from conditions import eventually, eventually_each
from fleet import running_scheduler, running_worker
from servers import Server
from tidemill import JobFailed, Retry, Tidemill
from tidemill_consumers import settings as worker_settings
from tidemill_consumers.settings import WorkerSettings
from worker.processes import running

SETTINGS = WorkerSettings(concurrency=4, lease_ms=2_000, child_processes=1, app_path="breakers.guarded_app:mill")


@pytest.fixture
def dependency(tmp_path: Path) -> Path:
    """It is down."""
    (tmp_path / "down").touch()
    (tmp_path / "calls").touch()
    return tmp_path


def calls(dependency: Path) -> list[str]:
    return (dependency / "calls").read_text(encoding="utf-8").splitlines()


def fail(task: Any, dependency: Path, times: int = 2) -> None:
    """Jobs that fail, one after the other."""
    for _ in range(times):
        with pytest.raises(JobFailed, match="Down"):
            task.enqueue(str(dependency)).result(timeout=30)


def is_open() -> bool:
    return BREAKER.state == "open"


@pytest.mark.parametrize("name", ["on_thread", "on_loop", "in_child"])
def test_failures_open_it_and_jobs_wait_without_spending_an_attempt_until_it_is_closed(
    app: Tidemill, dependency: Path, name: str
) -> None:
    task = getattr(guarded_app, name)
    with running_scheduler(app), running_worker(app, SETTINGS):
        fail(task, dependency)
        eventually(is_open, "the breaker opens")
        app.breakers.open("pay", duration=60)
        eventually(lambda: BREAKER.retry_after > 10, "for long")
        jobs = [task.enqueue(str(dependency)) for _ in range(5)]
        eventually_each(jobs, lambda job: job.refresh().record.parked, "it is parked")
        for job in jobs:
            assert job.record.parked.startswith("breaker pay is open")
            assert job.attempt == 0
        assert guarded_app.other.enqueue().result(timeout=20) == "other"
        (dependency / "down").unlink()
        app.breakers.open("pay", duration=0.1)
        eventually(lambda: BREAKER.retry_after < 10, "the worker has heard of it")
        jobs.append(task.enqueue(str(dependency)))  # the others are due in a minute, or when it closes
        assert all(job.result(timeout=30) for job in jobs)
        assert [job.refresh().attempt for job in jobs] == [1] * 6
        eventually(lambda: BREAKER.state == "closed", "the breaker closes")


def test_while_it_is_down_each_reset_timeout_lets_one_probe_through_and_offers_a_job_about_once(
    app: Tidemill, dependency: Path
) -> None:
    with running_scheduler(app), running_worker(app, SETTINGS):
        fail(guarded_app.on_thread, dependency)
        eventually(is_open, "the breaker opens")
        jobs = [guarded_app.on_thread.enqueue(str(dependency)) for _ in range(20)]
        opened_with = len(calls(dependency))
        eventually(lambda: app.breakers.show("pay").openings >= 4, "probes have failed", 60)
        openings = app.breakers.show("pay").openings
        assert len(calls(dependency)) - opened_with <= openings
        # A probe that failed is dead: its task has no retries. The others were offered, and never began.
        (dependency / "down").unlink()
        eventually_each(jobs, lambda job: job.refresh().state.is_over, "it is over", 60)
        dead = [job for job in jobs if job.state == "dead"]
        assert len(dead) <= openings
        assert all(job.record.attempt - job.record.uncounted == 1 for job in jobs)
        offers = [job.record.uncounted for job in jobs]
        assert max(offers) <= openings + 2, offers


def test_a_probe_that_passes_closes_it_for_an_application_elsewhere(app: Tidemill, url: str, dependency: Path) -> None:
    with Tidemill(url) as elsewhere, running_scheduler(app), running_worker(app, SETTINGS):
        theirs = elsewhere.breaker("pay", fail_max=2, reset_timeout=guarded_app.RESET_SECONDS, half_open_max=1)
        with theirs:
            assert theirs.state == "closed"
        fail(guarded_app.on_thread, dependency)
        eventually(lambda: theirs.state == "open", "the application hears of it")
        (dependency / "down").unlink()
        assert guarded_app.on_thread.enqueue(str(dependency)).result(timeout=30)
        eventually(lambda: theirs.state == "closed", "the application hears of that as well")


def test_a_block_inside_a_child_is_a_call_of_its_own(app: Tidemill, dependency: Path) -> None:
    with running_scheduler(app), running_worker(app, SETTINGS):
        fail(guarded_app.block_in_child, dependency)
        eventually(lambda: app.breakers.show("pay").state == "open", "its process has opened it")
        app.breakers.open("pay", duration=60)

        def is_refused() -> bool:
            with pytest.raises(JobFailed) as raised:
                guarded_app.block_in_child.enqueue(str(dependency)).result(timeout=30)
            return "BreakerOpen: breaker pay is open" in str(raised.value)

        eventually(is_refused, "the child hears of it", 60)


def test_an_excluded_error_of_a_child_is_a_success(app: Tidemill, dependency: Path) -> None:
    with running_scheduler(app), running_worker(app, SETTINGS):
        fail(guarded_app.in_child, dependency, times=1)
        with pytest.raises(JobFailed, match="KeyError"):
            guarded_app.excluded_in_child.enqueue().result(timeout=30)
        fail(guarded_app.in_child, dependency, times=1)
        (dependency / "down").unlink()
        assert guarded_app.in_child.enqueue(str(dependency)).result(timeout=30)
        assert BREAKER.state == "closed"


def test_a_job_that_meets_the_open_breaker_inside_is_parked_and_runs_again(app: Tidemill, dependency: Path) -> None:
    (dependency / "hold").touch()
    with running_scheduler(app), running_worker(app, SETTINGS):
        job = guarded_app.meets_it.enqueue(str(dependency))
        eventually(lambda: job.refresh().state == "running", "it runs")
        fail(guarded_app.on_thread, dependency)
        eventually(is_open, "the breaker opens")
        app.breakers.open("pay", duration=60)
        eventually(lambda: BREAKER.retry_after > 10, "for long")
        (dependency / "hold").unlink()
        eventually(lambda: job.refresh().record.parked, "it is parked")
        assert job.attempt == 0
        (dependency / "down").unlink()
        app.breakers.close("pay")
        assert job.result(timeout=30)
        assert job.refresh().attempt == 1


def test_a_job_with_a_fallback_waits_too_and_its_failures_count(app: Tidemill, dependency: Path) -> None:
    with running_scheduler(app), running_worker(app, SETTINGS):
        for _ in range(2):
            assert guarded_app.with_fallback.enqueue(str(dependency)).result(timeout=30) == -1
        eventually(is_open, "the breaker opens")
        app.breakers.open("pay", duration=60)
        eventually(lambda: BREAKER.retry_after > 10, "for long")
        job = guarded_app.with_fallback.enqueue(str(dependency))
        eventually(lambda: job.refresh().record.parked, "it is parked")
        (dependency / "down").unlink()
        app.breakers.close("pay")
        assert job.result(timeout=30) > 0


def test_a_cancelled_probe_gives_its_permit_back(url: str) -> None:
    with Tidemill(url) as mill:
        breaker = mill.breaker("pay", reset_timeout=3_600, half_open_max=1)  # so long it would be lent

        @mill.task(breaker=breaker)
        async def waits(seconds: float) -> None:
            await asyncio.sleep(seconds)

        with running_scheduler(mill), running_worker(mill, SETTINGS):
            mill.breakers.open("pay", duration=0.1)
            eventually(lambda: breaker.state == "open", "it is open")
            probe = waits.enqueue(3_600)
            eventually(lambda: mill.breakers.show("pay").probing == 1, "it is the probe")
            probe.cancel()
            eventually(lambda: mill.breakers.show("pay").probing == 0, "the permit is free")
            assert mill.breakers.show("pay").state == "half_open"
            waits.enqueue(0).result(timeout=30)
            eventually(lambda: breaker.state == "closed", "the breaker closes")


def test_closing_it_by_hand_brings_parked_jobs_back_at_its_rate(
    app: Tidemill, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_settings, "ADOPT_PAGE", 7)  # several pages
    with Tidemill(url) as mill:
        breaker = mill.breaker("slow", release_rate=100)
        ran: list[int] = []

        @mill.task(name="guarded", breaker=breaker)
        def guarded(number: int) -> None:
            ran.append(number)

        mill.breakers.open("slow", duration=600)
        with running_worker(mill, SETTINGS), running_worker(mill, SETTINGS):
            jobs = [guarded.enqueue(number) for number in range(40)]
            eventually_each(jobs, lambda job: job.refresh().record.parked, "it is parked")
            mill.breakers.close("slow")
            dues = eventually(lambda: _dues(mill, jobs), "all are due soon")
            steps = [later - earlier for earlier, later in itertools.pairwise(dues)]
            assert min(steps) >= 9, dues  # one each 10 ms, by the fleet and not by each worker
            with running_scheduler(mill):
                for job in jobs:
                    job.result(timeout=30)
        assert sorted(ran) == list(range(40))


def _dues(mill: Tidemill, jobs: list[Any]) -> list[int]:
    """When they are due, in ms; [] while one of them is due in minutes."""
    due = sorted(job.refresh().record.due_ms for job in jobs)
    now_ms = mill.client.link.run(mill.client.scripts.server_time())
    return due if due[-1] < now_ms + 60_000 else []


def test_the_permit_of_a_worker_that_was_killed_is_anothers(
    app: Tidemill, url: str, dependency: Path, tmp_path: Path
) -> None:
    (dependency / "hold").touch()
    arguments = ("worker", "breakers.guarded_app:mill", "--no-supervisor", "--lease=2")
    with running_scheduler(app):
        with running(tmp_path / "worker.log", url, *arguments) as worker:
            fail(guarded_app.on_thread, dependency)
            eventually(lambda: app.breakers.show("pay").state == "open", "the breaker opens")
            (dependency / "down").unlink()
            probe = guarded_app.slow_probe.enqueue(str(dependency))
            eventually(lambda: app.breakers.show("pay").probing == 1, "it is the probe", 60)
            worker.send(signal.SIGKILL)
            worker.wait()
        (dependency / "hold").unlink()
        with running_worker(app, SETTINGS):
            other = guarded_app.on_thread.enqueue(str(dependency))
            assert other.result(timeout=60)
            assert probe.result(timeout=60)
            eventually(lambda: BREAKER.state == "closed", "the breaker closes")


def test_while_the_server_is_away_failures_of_running_jobs_open_it_here_and_then_for_all(
    own_server: Server, dependency: Path
) -> None:
    (dependency / "hold").touch()
    with Tidemill(own_server.url) as mill, Tidemill(own_server.url) as elsewhere:
        breaker = mill.breaker("pay", fail_max=2, reset_timeout=30)
        theirs = elsewhere.breaker("pay", fail_max=2, reset_timeout=30)
        with theirs:
            pass

        began: list[str] = []

        @mill.task(breaker=breaker, retry=Retry(max_attempts=9))
        def guarded(directory: str) -> None:
            began.append(directory)
            pause = threading.Event()
            while (Path(directory) / "hold").exists():
                pause.wait(0.01)
            raise guarded_app.Down

        with running_scheduler(mill), running_worker(mill, WorkerSettings(concurrency=4)):
            jobs = [guarded.enqueue(str(dependency)) for _ in range(3)]
            eventually(lambda: len(began) == len(jobs), "they run")
            own_server.kill()
            (dependency / "hold").unlink()
            eventually(lambda: breaker.state == "open", "it opens here")
            assert theirs.state == "closed"
            own_server.start()
            eventually(lambda: theirs.state == "open", "it opens elsewhere", 60)
            eventually_each(jobs, lambda job: job.refresh().record.parked, "it is parked", 60)
            assert {job.attempt for job in jobs} == {1}


def test_a_worker_without_guarded_tasks_has_no_part_for_them(mill: Tidemill) -> None:
    mill.breaker("pay")

    @mill.task()
    def work() -> int:
        return 1

    with running_scheduler(mill), running_worker(mill):
        assert work.enqueue().result(timeout=20) == 1
        names = [thread.name for thread in threading.enumerate()]
        assert not [name for name in names if "breakers" in name], names
