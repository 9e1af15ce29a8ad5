"""`tidemill worker` as a process: how it ends, and what it logs."""

from __future__ import annotations

import gc
import json
import signal
from functools import partial
from pathlib import Path

import pytest

from conditions import eventually
from tidemill import Tidemill
from tidemill.lifecycle import collect_less_often
from tidemill.task import Task
from tidemill_consumers.settings import WorkerSettings
from worker import jobs_app
from worker.processes import ALONE, APP, is_alive, lines, running


def workers(mill: Tidemill) -> dict[int, str]:
    """The fleet: pid → incarnation."""
    return {int(info.description["pid"]): info.incarnation for info in mill.inspect.workers()}


def test_sigterm_lets_running_jobs_finish_and_hands_back_the_rest_at_once(app: Tidemill, tmp_path: Path) -> None:
    journal, release = tmp_path / "journal", tmp_path / "release"
    with running(tmp_path / "log", app.url, "worker", APP, ALONE, "--concurrency=1", "--grace=20") as worker:
        job = jobs_app.hold.enqueue(str(journal), str(release))
        eventually(lambda: lines(journal), "it runs")
        waiting = jobs_app.add.enqueue(1, 2)
        worker.send(signal.SIGTERM)
        eventually(lambda: "worker.stopping" in worker.output, "it stops")
        eventually(lambda: waiting.refresh().state == "ready", "what has not started waits for others")
        assert job.refresh().state == "running"
        release.touch()
        assert job.result(timeout=10) == "attempt 1"
        assert worker.wait() == 0
    assert app.inspect.workers() == []
    assert app.inspect.queue("default").running == 0


def test_the_garbage_collector_leaves_alone_what_was_loaded_at_the_start(app: Tidemill, tmp_path: Path) -> None:
    with running(tmp_path / "log", app.url, "worker", APP, ALONE):
        eventually(lambda: jobs_app.count_exempt.enqueue().result(timeout=20) > 10_000, "the worker's is exempt")
        assert jobs_app.count_exempt_in_child.enqueue().result(timeout=20) > 10_000
        eventually(lambda: jobs_app.young_containers.enqueue().result(timeout=20) == 10_000, "and it looks less often")
        assert jobs_app.young_containers_in_child.enqueue().result(timeout=20) == 10_000


def test_what_an_application_tells_the_garbage_collector_stays(request: pytest.FixtureRequest) -> None:
    request.addfinalizer(partial(gc.set_threshold, *gc.get_threshold()))
    gc.set_threshold(5_000, 7, 9)
    collect_less_often()
    assert gc.get_threshold() == (5_000, 7, 9)


@pytest.mark.interrupts
def test_what_outlives_the_grace_is_handed_back_at_once(app: Tidemill, tmp_path: Path) -> None:
    journals = [tmp_path / f"journal-{number}" for number in range(3)]
    with running(tmp_path / "log", app.url, "worker", APP, ALONE, "--grace=0.2") as worker:
        jobs = [
            jobs_app.hold.enqueue(str(journals[0]), str(tmp_path / "never")),
            jobs_app.stubborn.enqueue(str(journals[1])),
            jobs_app.never_ends.using(timeout=60).enqueue(str(journals[2])),
        ]
        eventually(lambda: all(map(lines, journals)), "they run")
        worker.send(signal.SIGINT)
        assert worker.wait() == 0
        for job in jobs:
            assert job.refresh().state == "ready"
            assert (job.attempt, job.record.crashes) == (0, 0), "it costs them nothing"
    assert "JobCancelled" in lines(journals[1]), "it was told to stop"
    eventually(lambda: not is_alive(int(lines(journals[2])[0])), "the child is gone")
    assert app.inspect.workers() == []


def test_a_second_signal_ends_it_at_once_and_what_ran_can_be_recovered(app: Tidemill, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with running(tmp_path / "log", app.url, "worker", APP, ALONE, "--grace=60", "--lease=1") as worker:
        job = jobs_app.stubborn.enqueue(str(journal))
        eventually(lambda: lines(journal), "it runs")
        worker.send(signal.SIGTERM)
        eventually(lambda: "worker.stopping" in worker.output, "it stops")
        worker.send(signal.SIGTERM)
        assert worker.wait() == 128 + signal.SIGTERM
        assert job.refresh().state == "running"
    assert app.inspect.queue("default").running == 1


def test_a_signal_during_start_up_is_kept(app: Tidemill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_app.py").write_text(
        "import pathlib, threading\n"
        "from tidemill import Tidemill\n"
        "pathlib.Path('importing').touch()\n"
        "while not pathlib.Path('go on').exists(): threading.Event().wait(0.01)\n"
        "mill = Tidemill()\n"
        "@mill.task()\n"
        "def add() -> None: ...\n"
    )
    monkeypatch.chdir(tmp_path)
    with running(tmp_path / "log", app.url, "worker", "slow_app", ALONE) as worker:
        eventually((tmp_path / "importing").exists, "it imports the application")
        worker.send(signal.SIGTERM)
        (tmp_path / "go on").touch()
        assert worker.wait() == 0
    assert "Traceback" not in worker.output
    assert app.inspect.workers() == []


def test_a_worker_that_was_paused_and_continued_hears_the_signal_that_came_meanwhile(
    app: Tidemill, tmp_path: Path
) -> None:
    with running(tmp_path / "log", app.url, "worker", APP, ALONE) as worker:
        eventually(app.inspect.workers, "it is there")
        for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGCONT):
            worker.send(number)
        assert worker.wait() == 0


@pytest.mark.interrupts
@pytest.mark.parametrize("role", ["settlement", "reader", "lease"])
def test_a_worker_whose_thread_has_died_ends_with_an_error_and_hands_back_what_it_can(
    app: Tidemill, tmp_path: Path, role: str
) -> None:
    command = ("worker", APP, ALONE, "--lease=1", "--concurrency=2")
    with running(tmp_path / "log", app.url, *command) as worker:
        assert jobs_app.add.enqueue(1, 2).result(timeout=20) == 3
        jobs_app.end_thread.enqueue(role)

        def has_ended() -> bool:
            jobs_app.add.enqueue(1, 2)  # the exception is raised when the thread wakes up
            return worker.process.poll() is not None

        eventually(has_ended, "it has ended")
        assert worker.wait() == 1
    assert "worker.failed" in worker.output
    assert f"role={role}" in worker.output
    assert "SystemExit" in worker.output


@pytest.mark.parametrize("task", [jobs_app.say, jobs_app.say_in_child])
def test_a_job_prints_and_logs_with_the_labels_of_its_job(
    app: Tidemill, tmp_path: Path, task: Task[[str], None]
) -> None:
    with running(tmp_path / "log", app.url, "worker", APP, ALONE, "--log-format=json", "--log-level=debug") as worker:
        job = task.enqueue("hello")
        job.result(timeout=20)
        eventually(lambda: "printed hello" in worker.output, "what it printed can be seen")
        (line,) = [line for line in worker.output.splitlines() if '"logged hello"' in line]
    record = json.loads(line)
    assert (record["job"], record["task"], record["attempt"]) == (job.id, task.name, 1)
    assert record["logger"] == "user"


def test_the_settings_of_a_fleet_reach_its_workers() -> None:
    settings = WorkerSettings(
        queues=("a", "b"),
        concurrency=3,
        concurrency_limiter="gradient",
        lease_ms=1_500,
        grace_seconds=0.5,
        server_deadline_seconds=90,
        child_processes=2,
        child_max_jobs=7,
        child_max_megabytes=99,
        template_cache_entries=77,
        template_cache_bytes=8_888,
        template_warming=False,
        app_path=APP,
    )
    assert settings.arguments() == [
        APP,
        "--queues=a,b",
        "--concurrency=3",
        "--concurrency-limiter=gradient",
        "--grace=0.5",
        "--lease=1.5",
        "--server-deadline=90",
        "--child-processes=2",
        "--child-max-jobs=7",
        "--child-max-megabytes=99",
        "--template-cache-entries=77",
        "--template-cache-bytes=8888",
        "--no-template-warming",
    ]
