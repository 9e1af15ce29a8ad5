"""The supervisor of workers: it restarts them, keeps leases while a job holds the interpreter, and sees them die."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from conditions import eventually
from fleet import running_scheduler, running_worker
from tidemill import JobFailed, Tidemill
from tidemill_consumers.settings import WorkerSettings
from tidemill_scheduler import settings as scheduler_settings
from worker import jobs_app
from worker.processes import ALONE, APP, is_alive, lines, running

pytestmark = pytest.mark.usefixtures("look_often")

# A supervisor begins to keep a lease after half of it, and at the first time it has to import its client then.
LEASE_SECONDS = 3.0
SUPERVISED = ("worker", APP, f"--lease={LEASE_SECONDS}")
# No test waits for the end of such a lease.
LONG_LEASE = ("worker", APP, "--lease=300")


def workers(mill: Tidemill) -> dict[int, str]:
    """The fleet: pid → incarnation. (One whose lease has just ended may have no description any more.)"""
    return {
        int(info.description["pid"]): info.incarnation for info in mill.inspect.workers() if "pid" in info.description
    }


def test_a_supervisor_starts_again_what_ends_and_stops_all(app: Tidemill, tmp_path: Path) -> None:
    command = ("worker", APP, "--processes=2", "--with-scheduler", "--lease=1")
    with running(tmp_path / "log", app.url, *command) as fleet:
        eventually(lambda: len(workers(app)) == 2, "both have come")
        assert jobs_app.add.enqueue_in(0.05, 1, 2).result(timeout=20) == 3, "the scheduler works"
        before = workers(app)
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: len(set(workers(app)) - set(before)) == 1, "another has taken its place")
        eventually(lambda: len(workers(app)) == 2, "the dead one was recovered")
        pids = list(workers(app))
        fleet.send(signal.SIGTERM)
        assert fleet.wait() == 0
        assert not any(map(is_alive, pids))
    assert app.inspect.workers() == []


def test_the_workers_stop_when_their_supervisor_is_gone(app: Tidemill, tmp_path: Path) -> None:
    with running(tmp_path / "log", app.url, "worker", APP, "--processes=2") as fleet:
        eventually(lambda: len(workers(app)) == 2, "both have come")
        pids = list(workers(app))
        fleet.send(signal.SIGKILL)
        fleet.wait()
        eventually(lambda: not any(map(is_alive, pids)), "they have stopped")
    assert app.inspect.workers() == [], "in order"


def test_a_second_signal_to_the_supervisor_ends_its_workers_at_once(app: Tidemill, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with running(tmp_path / "log", app.url, "worker", APP, "--processes=2", "--grace=60") as fleet:
        jobs_app.stubborn.enqueue(str(journal))
        eventually(lambda: lines(journal) and len(workers(app)) == 2, "it runs")
        pids = list(workers(app))
        fleet.send(signal.SIGINT)
        eventually(lambda: "worker.stopping" in fleet.output, "they stop")
        fleet.send(signal.SIGINT)
        assert fleet.wait() == 128 + signal.SIGINT
        eventually(lambda: not any(map(is_alive, pids)), "they are gone")


def test_a_supervisor_gives_up_on_input_that_is_wrong(app: Tidemill, tmp_path: Path) -> None:
    with running(tmp_path / "log", app.url, "worker", "no_such_module", "--processes=2") as fleet:
        assert fleet.wait() == 2
    assert "module 'no_such_module' was not found" in fleet.output
    assert "Traceback" not in fleet.output


def test_a_job_that_holds_the_interpreter_for_three_leases_in_one_call_runs_once(app: Tidemill, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with running(tmp_path / "log", app.url, *SUPERVISED) as supervisor, running_scheduler(app):
        job = jobs_app.stand_still.enqueue(str(journal), 3 * LEASE_SECONDS)
        assert job.result(timeout=60) == "attempt 1"
        assert "worker.stalled" in supervisor.output
        assert jobs_app.add.enqueue(1, 2).result(timeout=20) == 3, "the worker goes on"
        assert "lease.lost" not in supervisor.output
    assert len(lines(journal)) == 1
    assert (job.record.attempt, job.record.crashes) == (1, 0)


def test_without_a_supervisor_such_a_job_costs_the_lease_and_its_late_result_is_refused(
    app: Tidemill, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    command = (*SUPERVISED, ALONE, "--log-format=json")
    with running(tmp_path / "log", app.url, *command) as worker, running_scheduler(app):
        job = jobs_app.stand_still.enqueue(str(journal), 3 * LEASE_SECONDS)
        eventually(lambda: job.refresh().record.crashes == 1, "it was taken for dead")
        worker.send(signal.SIGSTOP)
        with running_worker(jobs_app.mill, WorkerSettings()):
            assert job.result(timeout=60) == "attempt 2"
        worker.send(signal.SIGCONT)
        eventually(lambda: "job.fenced" in worker.output, "its late result is refused")
    assert job.result(timeout=5) == "attempt 2"


def test_a_worker_that_the_system_has_stopped_loses_its_lease(app: Tidemill, tmp_path: Path) -> None:
    journal, release = tmp_path / "journal", tmp_path / "release"
    with running(tmp_path / "log", app.url, *SUPERVISED), running_scheduler(app):
        job = jobs_app.hold.enqueue(str(journal), str(release))
        eventually(lambda: lines(journal), "it runs")
        pid = int(lines(journal)[0].split()[0])
        os.kill(pid, signal.SIGSTOP)
        try:
            eventually(lambda: job.refresh().state == "ready", "it was recovered")
        finally:
            os.kill(pid, signal.SIGCONT)
        release.touch()
        assert job.result(timeout=20) == "attempt 2"


@pytest.mark.parametrize("option", ["--max-stall=2", "--max-stall=600"])
def test_a_worker_that_is_stuck_is_killed_and_its_jobs_are_recovered(
    app: Tidemill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setattr(scheduler_settings, "MAX_CRASHES", 0)
    journal = tmp_path / "journal"
    task = jobs_app.stand_still if option == "--max-stall=2" else jobs_app.stand_still_for_too_long
    with running(tmp_path / "log", app.url, *SUPERVISED, option) as supervisor, running_scheduler(app):
        job = task.enqueue(str(journal), 120.0)
        with pytest.raises(JobFailed, match=r"worker_lost: .* was killed by SIGKILL"):
            job.result(timeout=60)
        assert "reason=stalled" in supervisor.output
        assert jobs_app.add.enqueue(1, 2).result(timeout=20) == 3, "another has taken its place"
    assert len(lines(journal)) == 1


def test_the_jobs_of_a_process_that_was_seen_to_die_do_not_wait_for_the_end_of_its_lease(
    app: Tidemill, tmp_path: Path
) -> None:
    journal, release = tmp_path / "journal", tmp_path / "release"
    with running(tmp_path / "log", app.url, *LONG_LEASE), running_scheduler(app):
        job = jobs_app.hold.enqueue(str(journal), str(release))
        eventually(lambda: lines(journal), "it runs")
        os.kill(int(lines(journal)[0].split()[0]), signal.SIGKILL)
        release.touch()
        assert job.result(timeout=60) == "attempt 2"


def test_a_job_that_kills_its_workers_is_buried_with_the_signal_and_the_memory(
    app: Tidemill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler_settings, "MAX_CRASHES", 1)
    poison = jobs_app.kills_its_worker.enqueue()
    with running(tmp_path / "log", app.url, *LONG_LEASE), running_scheduler(app), pytest.raises(JobFailed) as found:
        poison.result(timeout=60)
    message = found.value.error_message
    assert found.value.error_type == "worker_lost"
    assert "its worker died 2 times while it ran" in message
    assert "the process was killed by SIGKILL, " in message
    assert 10 < int(message.rpartition("SIGKILL, ")[2].split(" MB")[0]) < 1_000
