"""A job that may have killed its workers runs alone, and is not blamed for what others did."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest

from conditions import eventually
from fleet import running_scheduler, running_worker
from servers import Server
from tidemill import Job, JobCancelled, Task, Tidemill
from tidemill_consumers import settings
from tidemill_consumers.settings import SUSPECT_CRASHES, SUSPECT_OFFERS, WorkerSettings
from worker import jobs_app
from worker.processes import ALONE, APP, lines, running

pytestmark = pytest.mark.usefixtures("look_often")

LEASE = "--lease=1"


def suspect(server: Server, mill: Tidemill, job: Job[object], offers: int = 0) -> None:
    """As the record is after its worker has died twice, and after so many workers were too busy for it."""
    server.client.hset(mill.client.scripts.keys.job(job.id), mapping={"k": SUSPECT_CRASHES, "v": offers, "a": offers})


def enqueue_suspects(
    server: Server, mill: Tidemill, task: Task[[], None], count: int, offers: int = 0
) -> list[Job[None]]:
    """While the queue is paused, so that no worker takes them before they are."""
    mill.inspect.pause("default")
    jobs = [task.enqueue() for _ in range(count)]
    for job in jobs:
        suspect(server, mill, job, offers)
    mill.inspect.resume("default")
    return jobs


class Neighbour:
    """A job that keeps its worker busy until it is released. `seen`: what has ended, in order."""

    def __init__(self, mill: Tidemill) -> None:
        self.release = threading.Event()
        self.seen: list[str] = []
        self._started = threading.Event()

        @mill.task()
        def block() -> None:
            self._started.set()
            self.release.wait(20)
            self.seen.append("the neighbour")

        self._task = block

    def start(self) -> Job[None]:
        job = self._task.enqueue()
        assert self._started.wait(10)
        return job


def test_a_job_that_may_have_killed_workers_runs_alone(mill: Tidemill, server: Server) -> None:
    lock = threading.Lock()
    running_now: list[str] = []
    seen: dict[str, list[str]] = {}

    @mill.task()
    def run(name: str) -> None:
        with lock:
            running_now.append(name)
        threading.Event().wait(0.02)
        with lock:
            seen[name] = list(running_now)
        threading.Event().wait(0.02)
        with lock:
            running_now.remove(name)

    jobs = [run.enqueue(f"{number}") for number in range(4)]
    suspects = [run.enqueue("suspect"), run.enqueue("another")]
    jobs += [run.enqueue(f"{number}") for number in range(4, 8)]
    for job in suspects:
        suspect(server, mill, job, offers=SUSPECT_OFFERS)
    with running_worker(mill, WorkerSettings(concurrency=4)):
        for job in [*jobs, *suspects]:
            job.result(timeout=10)
    assert seen["suspect"] == ["suspect"]
    assert seen["another"] == ["another"]
    assert any(len(names) > 1 for names in seen.values())


def test_a_busy_worker_leaves_a_suspect_to_one_that_is_idle(
    mill: Tidemill, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "SUSPECT_WAIT_MS", 20)
    neighbour = Neighbour(mill)

    @mill.task()
    def run() -> None: ...

    with running_worker(mill, WorkerSettings(concurrency=4)):
        blocking = neighbour.start()
        (job,) = enqueue_suspects(server, mill, run, 1)
        eventually(lambda: job.refresh().state == "scheduled", "it was put off")
        assert "waits for one that is idle" in job.record.parked
        with running_scheduler(mill), running_worker(mill, WorkerSettings(concurrency=4)):
            job.result(timeout=20)
        assert job.attempt == 1
        neighbour.release.set()
        blocking.result(timeout=10)


def test_a_busy_worker_runs_a_suspect_as_soon_as_nothing_else_runs(
    mill: Tidemill, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "SUSPECT_WAIT_MS", 60_000)
    neighbour = Neighbour(mill)

    @mill.task()
    def run() -> None:
        neighbour.seen.append("the suspect")

    with running_worker(mill, WorkerSettings(concurrency=4)):
        neighbour.start()
        (job,) = enqueue_suspects(server, mill, run, 1)
        eventually(lambda: job.refresh().state == "running", "it waits in the worker")
        neighbour.release.set()
        job.result(timeout=10)
    assert neighbour.seen == ["the neighbour", "the suspect"]
    assert job.record.uncounted == 0


def test_a_busy_worker_keeps_one_suspect_at_a_time(
    mill: Tidemill, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "SUSPECT_WAIT_MS", 60_000)
    neighbour = Neighbour(mill)

    @mill.task()
    def run() -> None: ...

    with running_worker(mill, WorkerSettings(concurrency=4)):
        neighbour.start()
        jobs = enqueue_suspects(server, mill, run, 2)
        eventually(
            lambda: sorted(job.refresh().state for job in jobs) == ["running", "scheduled"],
            "one waits in the worker, the other is put off",
        )
        neighbour.release.set()
        with running_scheduler(mill):
            for job in jobs:
                job.result(timeout=10)


def test_a_suspect_that_waits_to_be_alone_can_be_cancelled_and_handed_back(mill: Tidemill, server: Server) -> None:
    neighbour = Neighbour(mill)

    @mill.task()
    def run() -> None:
        raise AssertionError("it ran")

    with running_worker(mill, WorkerSettings(concurrency=4)) as worker:
        blocking = neighbour.start()
        cancelled, returned = enqueue_suspects(server, mill, run, 2, offers=SUSPECT_OFFERS)
        eventually(lambda: returned.refresh().state == "running", "it waits in the worker")
        cancelled.cancel()
        with pytest.raises(JobCancelled):
            cancelled.result(timeout=10)
        stopping = threading.Thread(target=worker.stop, args=(40,))
        stopping.start()
        eventually(lambda: returned.refresh().state == "ready", "it is handed back")
        neighbour.release.set()
        stopping.join(40)
    assert blocking.refresh().state == "succeeded"
    assert returned.refresh().state == "ready"
    assert returned.attempt == 0


def test_a_suspect_that_waits_to_be_alone_is_not_blamed_for_what_kills_its_worker(
    app: Tidemill, server: Server, tmp_path: Path
) -> None:
    journal, release = tmp_path / "journal", tmp_path / "release"
    with running(tmp_path / "log", app.url, "worker", APP, ALONE, LEASE, "--concurrency=4") as worker:
        neighbour = jobs_app.hold.enqueue(str(journal), str(release))
        eventually(lambda: lines(journal), "the neighbour runs")
        app.inspect.pause("default")
        job = jobs_app.hold.enqueue(str(journal), str(release))
        suspect(server, app, job, offers=SUSPECT_OFFERS)
        app.inspect.resume("default")
        eventually(lambda: job.refresh().state == "running", "it waits in the worker")
        worker.send(signal.SIGKILL)
        worker.wait()
    with running_scheduler(app):
        eventually(
            lambda: job.refresh().state == "ready" and neighbour.refresh().state == "ready", "both are recovered"
        )
    assert (job.record.crashes, neighbour.record.crashes) == (SUSPECT_CRASHES, 1)
    with running(tmp_path / "log", app.url, "worker", APP, ALONE, "--concurrency=4"), running_scheduler(app):
        eventually(lambda: len(lines(journal)) == 2, "one of them runs")
        release.touch()
        assert {neighbour.result(timeout=20), job.result(timeout=20)} >= {"attempt 2"}
    assert len(lines(journal)) == 3


def test_a_suspect_that_runs_alone_is_blamed(app: Tidemill, server: Server, tmp_path: Path) -> None:
    journal, release = tmp_path / "journal", tmp_path / "release"
    with running(tmp_path / "log", app.url, "worker", APP, ALONE, LEASE, "--concurrency=4") as worker:
        first = jobs_app.hold.enqueue(str(journal), str(release))
        eventually(lambda: lines(journal), "the neighbour runs")
        app.inspect.pause("default")
        job = jobs_app.hold.enqueue(str(journal), str(tmp_path / "never"))
        suspect(server, app, job, offers=SUSPECT_OFFERS)
        app.inspect.resume("default")
        eventually(lambda: job.refresh().state == "running", "it waits in the worker")
        release.touch()
        first.result(timeout=20)
        eventually(lambda: len(lines(journal)) == 2, "it runs")
        worker.send(signal.SIGKILL)
        worker.wait()
    with running_scheduler(app):
        eventually(lambda: job.refresh().state == "ready", "it is recovered")
    assert job.record.crashes == SUSPECT_CRASHES + 1
