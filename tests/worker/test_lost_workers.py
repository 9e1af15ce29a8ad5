"""Workers that die, are taken for dead, or come back from the dead."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest

from conditions import eventually
from fleet import running_fleet, running_scheduler, running_worker
from servers import Server
from tidemill import JobFailed, Tidemill, current_job
from tidemill_consumers import settings
from tidemill_consumers.settings import WorkerSettings
from tidemill_scheduler import settings as scheduler_settings
from worker import jobs_app
from worker.processes import ALONE, APP, lines, running

pytestmark = pytest.mark.usefixtures("look_often")

SHORT_LEASE = WorkerSettings(concurrency=4, lease_ms=600)
LEASE = "--lease=1"


def take_for_dead(server: Server, mill: Tidemill, incarnation: str) -> None:
    """What the reaper does when a worker was silent for too long; in one step, since this one is not."""
    scripts = mill.client.scripts
    mill.client.link.run(scripts.recover("nobody", "default", 1, 3, b""))  # so that the scripts are loaded
    mill.client.link.run(scripts.retire("nobody", ["default"]))
    together = server.client.pipeline(transaction=True)
    together.zadd(scripts.keys.workers, {incarnation: 1}, xx=True)
    together.execute_command(*scripts.recover(incarnation, "default", 100, 3, b"").words)
    together.execute_command(*scripts.retire(incarnation, ["default"]).words)
    together.execute()


def test_the_job_of_a_killed_worker_is_recovered_and_completes_once(app: Tidemill, tmp_path: Path) -> None:
    journal, release = tmp_path / "journal", tmp_path / "release"
    with running(tmp_path / "log", app.url, "worker", APP, ALONE, LEASE) as worker:
        job = jobs_app.hold.enqueue(str(journal), str(release))
        eventually(lambda: lines(journal), "it runs")
        worker.send(signal.SIGKILL)
        worker.wait()
    release.touch()
    with running_scheduler(app), running_worker(app, WorkerSettings(app_path=APP)):
        assert job.result(timeout=20) == "attempt 2"
    assert [line.split()[1] for line in lines(journal)] == ["1", "2"]
    assert (job.attempt, job.record.crashes) == (1, 1), "the crash spends no attempt of the policy"
    assert app.inspect.workers() == []


def test_a_job_that_kills_its_workers_is_buried(app: Tidemill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler_settings, "MAX_CRASHES", 2)
    poison = jobs_app.kills_its_worker.enqueue()
    with running(tmp_path / "log", app.url, "worker", APP, "--processes=2", LEASE), running_scheduler(app):
        with pytest.raises(JobFailed, match="worker_lost: its worker died 3 times while it ran"):
            poison.result(timeout=40)
        assert jobs_app.add.enqueue(1, 2).result(timeout=20) == 3
    assert app.inspect.queue("default").dead == 1
    assert (poison.attempt, poison.record.attempt) == (1, 3)


def test_a_job_that_was_delivered_to_a_dead_workers_last_read_is_recovered(
    mill: Tidemill, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler_settings, "LAST_READ_LOOK_MS", 100)

    @mill.task()
    def add(a: int, b: int) -> int:
        return a + b

    scripts, run = mill.client.scripts, mill.client.link.run
    run(scripts.register("ghost", 200, ["default"], {}, {"lease_ms": "200"}))
    with running_scheduler(mill):
        eventually(lambda: mill.inspect.workers() == [], "it was taken for dead")
        # What its blocking read would do, if the server has not noticed yet that nobody is there any more.
        job = add.enqueue(1, 2)
        assert [ticket.job_id for ticket in run(scripts.listen("ghost", ["default"], 1_000))] == [job.id]
        with running_worker(mill):
            assert job.result(timeout=20) == 3
    assert job.record.crashes == 0


def test_dead_workers_are_looked_after_for_longer_than_a_read_can_block() -> None:
    assert scheduler_settings.LAST_READ_MS > settings.BLOCK_MS


def test_a_worker_that_was_taken_for_dead_goes_on_as_a_new_one(
    mill: Tidemill, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    release, started = threading.Event(), threading.Semaphore(0)
    told_to_stop: list[bool] = []

    @mill.task()
    def wait() -> int:
        job = current_job()
        started.release()
        release.wait(30)
        told_to_stop.append(job.should_stop)
        return job.fence.attempt

    # Long enough for it not to be lost by itself: the scheduler looks often.
    with running_worker(mill, WorkerSettings(concurrency=4, lease_ms=5_000)) as worker, running_scheduler(mill):
        first = worker.incarnation
        job = wait.enqueue()
        assert started.acquire(timeout=10)
        take_for_dead(server, mill, first)
        # The same process takes the job again, under its new name, while the old attempt still runs.
        assert started.acquire(timeout=20), "it was recovered and taken again"
        eventually(lambda: worker.incarnation != first, "it has another name")
        assert len(worker.runs.all()) == 2
        release.set()
        assert job.result(timeout=10) == 2
        eventually(lambda: not worker.runs.all(), "both have ended")
        eventually(lambda: worker.intake.held_entries(worker.incarnation) == set(), "nothing is held any more")
    assert sorted(told_to_stop) == [False, True]
    assert "lease lost" in caplog.text
    assert "result refused" in caplog.text
    assert mill.inspect.workers() == []


def test_a_zombie_can_not_complete_what_was_given_to_another(app: Tidemill, tmp_path: Path) -> None:
    journal, release, log = tmp_path / "journal", tmp_path / "release", tmp_path / "log"
    with running(log, app.url, "worker", APP, ALONE, LEASE) as worker:
        job = jobs_app.hold.enqueue(str(journal), str(release))
        eventually(lambda: lines(journal), "it runs")
        worker.send(signal.SIGSTOP)
        with running_scheduler(app), running_worker(app, WorkerSettings(app_path=APP)):
            eventually(lambda: len(lines(journal)) == 2, "another worker has it")
            release.touch()
            assert job.result(timeout=10) == "attempt 2"
        worker.send(signal.SIGCONT)
        eventually(lambda: "job.fenced" in worker.output, "the zombie's completion was refused")
        eventually(lambda: "lease.lost" in worker.output, "and its lease thread was told")
        # It is a member of the fleet again.
        assert jobs_app.add.enqueue(1, 2).result(timeout=20) == 3
        worker.send(signal.SIGTERM)
        assert worker.wait() == 0
    assert job.refresh().result(timeout=1) == "attempt 2"


def test_when_everything_was_deleted_the_workers_repair_what_they_need(mill: Tidemill, server: Server) -> None:
    @mill.task()
    def add(a: int, b: int) -> int:
        return a + b

    with running_fleet(mill, SHORT_LEASE):
        assert add.enqueue(1, 2).result(timeout=10) == 3
        server.flush()
        assert add.enqueue(3, 4).result(timeout=20) == 7
        eventually(lambda: len(mill.inspect.workers()) == 1, "the worker is known again")


def test_a_consumer_group_that_was_destroyed_is_made_again_and_nothing_is_lost(mill: Tidemill, server: Server) -> None:
    @mill.task()
    def add(a: int, b: int) -> int:
        return a + b

    stream = mill.client.scripts.keys.ready("default", "normal")
    with running_worker(mill, SHORT_LEASE):
        assert add.enqueue(1, 2).result(timeout=10) == 3
        server.client.xgroup_destroy(stream, "tidemill")
        assert [add.enqueue(1, number).result(timeout=20) for number in range(3)] == [1, 2, 3]


def test_a_job_that_runs_is_not_started_again_when_its_ticket_is_delivered_again(
    mill: Tidemill, server: Server
) -> None:
    release, started = [threading.Event(), threading.Event()], threading.Semaphore(0)

    @mill.task()
    def block(number: int) -> None:
        started.release()
        release[number].wait(20)

    @mill.task()
    def add(a: int, b: int) -> int:
        return a + b

    with running_worker(mill, WorkerSettings(concurrency=2)):
        first, second = block.enqueue(0), block.enqueue(1)
        assert started.acquire(timeout=10)
        assert started.acquire(timeout=10)  # and so the reader waits for room
        server.client.xgroup_destroy(mill.client.scripts.keys.ready("default", "normal"), "tidemill")
        release[1].set()
        second.result(timeout=20)
        assert [add.enqueue(1, number).result(timeout=20) for number in range(3)] == [1, 2, 3]
        release[0].set()
        first.result(timeout=20)
        assert first.attempt == 1
        assert not started.acquire(blocking=False)


def test_jobs_whose_reply_was_lost_on_the_way_are_found_in_the_pending_list(mill: Tidemill, server: Server) -> None:
    release, started = threading.Event(), threading.Event()

    @mill.task()
    def block() -> None:
        started.set()
        release.wait(20)

    @mill.task()
    def add(a: int, b: int) -> int:
        return a + b

    with running_worker(mill, WorkerSettings(concurrency=1)) as worker:
        blocking = block.enqueue()
        assert started.wait(10)  # and so the reader waits for room
        lost, delivered = add.enqueue(5, 6), add.enqueue(7, 8)
        # As the reader would have done it: one job was taken, of the other only the ticket was delivered.
        client, scripts = mill.client.link, mill.client.scripts
        takings = client.run(scripts.take(worker.incarnation, worker.queues, 1))
        assert takings is not None
        assert [taken.id for taken in takings.jobs] == [lost.id]
        tickets = client.run(scripts.listen(worker.incarnation, worker.queues, 1_000))
        assert [ticket.job_id for ticket in tickets] == [delivered.id]
        server.client.client_kill_filter(_type="normal", skipme=True)  # the reader connects anew
        release.set()
        assert [lost.result(timeout=10), delivered.result(timeout=10)] == [11, 15]
        assert (lost.attempt, lost.record.crashes) == (1, 0)
        assert blocking.refresh().state == "succeeded"
