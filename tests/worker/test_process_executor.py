"""Tasks in child processes: killed, crashing, growing, sent ahead, and what they share with their worker."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from conditions import eventually
from fleet import running_fleet, running_worker
from tidemill import JobCancelled, JobFailed, Retry, Tidemill
from tidemill.retry import NO_RETRY
from tidemill.task import Definition
from tidemill.wire.scripts import Taken
from tidemill_consumers.executors import process
from tidemill_consumers.executors.process import ProcessExecutor
from tidemill_consumers.run import Run
from tidemill_consumers.settings import WorkerSettings
from tidemill_consumers.worker import Worker
from worker import jobs_app
from worker.processes import APP, is_alive, lines

pytestmark = pytest.mark.usefixtures("keep_what_waits")

ONE_CHILD = WorkerSettings(concurrency=4, lease_ms=4_000, child_processes=1, app_path=APP)


def test_a_withdrawal_that_was_not_answered_in_time_withdraws_nothing(
    app: Tidemill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_ANSWER_SECONDS", 0.05)
    busy, release = threading.Event(), threading.Event()

    def hold_up() -> None:
        busy.set()
        release.wait(20)

    executor = ProcessExecutor(Worker(app, ONE_CHILD))
    try:
        executor._mailbox.post(hold_up)  # pyright: ignore[reportPrivateUsage] - as if it were starting a child
        assert busy.wait(10)
        taken = Taken("job", "q", 1, "1-1", 1, 0, "t", b"", b"", 0, 0, 0, "", b"", "w")
        executor.submit(Run(taken, Definition("t", print, "q"), NO_RETRY, None))
        assert executor.withdraw() == []
        release.set()
        withdrawn = eventually(executor.withdraw, "it waits still")
        assert [run.taken.id for run in withdrawn] == ["job"]
    finally:
        release.set()
        executor.close()


def test_a_child_runs_one_job_after_the_other(app: Tidemill) -> None:
    with running_worker(app, ONE_CHILD):
        ids = {jobs_app.process_id.enqueue().result(timeout=20) for _ in range(5)}
        assert jobs_app.multiply.enqueue(6, 7).result(timeout=10) == 42
    assert len(ids) == 1
    assert ids != {os.getpid()}
    eventually(lambda: not any(map(is_alive, ids)), "the child is gone with its worker")


def test_what_a_job_raises_in_a_child_is_its_error(app: Tidemill) -> None:
    with running_worker(app, ONE_CHILD):
        with pytest.raises(JobFailed, match="ValueError: no such luck") as caught:
            jobs_app.fails.enqueue("no such luck").result(timeout=20)
        assert "in fails" in caught.value.traceback
        assert "tidemill_consumers" not in caught.value.traceback
        with pytest.raises(JobFailed, match="SystemExit: 3"):
            jobs_app.gives_up.enqueue().result(timeout=10)
        with pytest.raises(JobFailed, match="UnserializableValue"):
            jobs_app.not_carried.enqueue().result(timeout=10)
        assert jobs_app.multiply.enqueue(6, 7).result(timeout=10) == 42


def test_a_timeout_kills_the_child_whatever_its_job_catches(app: Tidemill, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with running_worker(app, ONE_CHILD):
        with pytest.raises(JobFailed, match="timeout of 1 s"):
            jobs_app.never_ends.enqueue(str(journal)).result(timeout=20)
        (first,) = lines(journal)
        eventually(lambda: not is_alive(int(first)), "its child is gone")
        assert jobs_app.process_id.enqueue().result(timeout=20) != int(first)


def test_cancelling_kills_the_child_and_what_its_job_has_started(app: Tidemill, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with running_worker(app, ONE_CHILD):
        job = jobs_app.starts_a_program.enqueue(str(journal))
        eventually(lambda: lines(journal), "the program runs")
        assert job.cancel()
        with pytest.raises(JobCancelled):
            job.result(timeout=10)
        eventually(lambda: not is_alive(int(lines(journal)[0])), "the program is gone too")


def test_a_job_that_is_cancelled_while_its_child_starts_does_not_run(app: Tidemill, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with running_worker(app, ONE_CHILD):
        job = jobs_app.never_ends.using(timeout=600).enqueue(str(journal))
        eventually(lambda: job.refresh().state == "running", "it was taken")
        job.cancel()
        with pytest.raises(JobCancelled):
            job.result(timeout=20)
    assert job.state == "cancelled"


def test_a_crash_fails_the_job_with_the_signal_and_is_retried_by_the_policy(app: Tidemill, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with running_fleet(app, ONE_CHILD):
        job = jobs_app.segfault.enqueue(str(journal))
        with pytest.raises(JobFailed, match="ChildDied: the child process that ran the job was killed by SIGSEGV"):
            job.result(timeout=30)
        with pytest.raises(JobFailed, match="ended with exit code 7"):
            jobs_app.leaves.enqueue().result(timeout=20)
    assert lines(journal) == ["1", "2"]
    assert (job.attempt, job.record.crashes) == (2, 0)


def test_a_child_is_replaced_after_its_number_of_jobs(app: Tidemill) -> None:
    settings = WorkerSettings(concurrency=1, child_processes=1, child_max_jobs=2, app_path=APP)
    with running_worker(app, settings):
        ids = [jobs_app.process_id.enqueue().result(timeout=20) for _ in range(4)]
    assert ids[0] == ids[1] != ids[2] == ids[3]


def test_a_child_that_has_grown_is_replaced(app: Tidemill) -> None:
    settings = WorkerSettings(concurrency=1, child_processes=1, child_max_megabytes=200, app_path=APP)
    with running_worker(app, settings):
        first = jobs_app.grow.enqueue(1).result(timeout=20)
        assert jobs_app.grow.enqueue(200).result(timeout=20) == first
        assert jobs_app.grow.enqueue(1).result(timeout=20) != first


def test_arguments_and_results_may_be_as_large_as_the_limit(app: Tidemill) -> None:
    data = bytes(262_000)  # the limit is 256 KiB for all arguments, as for the result
    with running_worker(app, ONE_CHILD):
        assert jobs_app.echo.enqueue(data).result(timeout=20) == data


def test_a_job_that_closes_stdout_harms_only_what_is_printed(app: Tidemill) -> None:
    with running_worker(app, ONE_CHILD):
        child = jobs_app.closes_stdout.enqueue().result(timeout=20)
        assert jobs_app.process_id.enqueue().result(timeout=10) == child


def test_a_signal_to_all_processes_leaves_the_children_to_their_worker(app: Tidemill) -> None:
    with running_worker(app, ONE_CHILD):
        answer = jobs_app.survives_sigterm.enqueue().result(timeout=20)
    assert answer == f"here, and the program ended with {-signal.SIGTERM}"


def test_a_job_in_a_child_has_its_current_job_and_its_progress_is_seen(app: Tidemill, tmp_path: Path) -> None:
    journal = tmp_path / "go on"
    with running_worker(app, ONE_CHILD):
        job = jobs_app.reports.enqueue(str(journal))
        eventually(lambda: job.refresh().progress == (0.25, "a quarter"), "its progress is seen")
        journal.touch()
        assert job.result(timeout=10) == f"{job.id} 1 1"


def test_a_child_that_can_not_import_the_application_costs_the_job_nothing(
    app: Tidemill, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with running_worker(app, WorkerSettings(concurrency=1, child_processes=1, app_path="no_such_module:mill")):
        job = jobs_app.multiply.enqueue(6, 7)
        eventually(lambda: job.refresh().state == "scheduled", "it was put off")
    assert "could not import the application" in job.record.parked
    assert job.attempt == 0
    assert "module 'no_such_module' was not found" in capfd.readouterr().err
    with running_fleet(app, ONE_CHILD):
        assert job.result(timeout=20) == 42


def test_a_system_that_starts_no_more_processes_costs_the_job_nothing(
    app: Tidemill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with running_worker(app, ONE_CHILD):
        job = jobs_app.multiply.enqueue(6, 7)
        eventually(lambda: job.refresh().state == "scheduled", "it was put off")
        assert job.attempt == 0


def test_the_retry_policy_is_applied_in_the_child_where_the_exceptions_class_is(app: Tidemill) -> None:
    with running_fleet(app, ONE_CHILD):
        job = jobs_app.fails.using(retry=Retry(max_attempts=3, base=0.01)).enqueue("again")
        with pytest.raises(JobFailed, match="again"):
            job.result(timeout=20)
    assert job.attempt == 3


def test_a_worker_that_stops_kills_the_child_of_a_job_that_outlives_the_grace(app: Tidemill, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with running_worker(app, ONE_CHILD) as worker:
        job = jobs_app.starts_a_program.enqueue(str(journal))
        eventually(lambda: lines(journal), "it runs")
        worker.stop(grace_seconds=0)
        assert job.refresh().state == "ready"
        eventually(lambda: not is_alive(int(lines(journal)[0])), "the program is gone")


def test_the_logger_is_quiet_about_children_that_did_well(app: Tidemill, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "tidemill"), running_worker(app, ONE_CHILD):
        jobs_app.multiply.enqueue(6, 7).result(timeout=20)
    assert not caplog.records
