"""Jobs that a child is sent before it can run them: they run once, in order, and come back when they have to."""

from __future__ import annotations

import logging
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from conditions import eventually
from fleet import running_worker
from tidemill import Job, JobCancelled, JobFailed, Retry, Tidemill
from tidemill_consumers.settings import WorkerSettings
from worker import children_app
from worker.processes import is_alive, lines, running

pytestmark = pytest.mark.usefixtures("keep_what_waits")

AHEAD = "worker.children_app:mill"
# More than the children: so there are jobs to send ahead.
ONE_AHEAD = WorkerSettings(concurrency=20, lease_ms=4_000, child_processes=1, app_path=AHEAD)
TWO_AHEAD = WorkerSettings(concurrency=20, lease_ms=4_000, child_processes=2, app_path=AHEAD)


@pytest.fixture
def ahead(app: Tidemill) -> Iterator[Tidemill]:
    """The application whose jobs are sent ahead, on the same empty server."""
    yield children_app.mill
    children_app.mill.close()


def test_jobs_that_were_sent_ahead_run_once_and_in_order(ahead: Tidemill, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    jobs = children_app.mark.enqueue_many(children_app.mark.call(str(journal), number) for number in range(300))
    with running_worker(ahead, ONE_AHEAD):
        assert len({job.result(timeout=40) for job in jobs}) == 1
    assert lines(journal) == [str(number) for number in range(300)]


def test_no_job_waits_behind_a_long_one_while_another_child_is_free(ahead: Tidemill, tmp_path: Path) -> None:
    journal, release = tmp_path / "journal", tmp_path / "release"
    long = children_app.hold.enqueue(str(journal), str(release))
    short = [children_app.mark.enqueue(str(journal), number) for number in range(12)]
    with running_worker(ahead, TWO_AHEAD):
        children = {job.result(timeout=40) for job in short}
        assert long.refresh().state == "running"
        release.touch()
        assert long.result(timeout=20) not in children
    assert sorted(lines(journal)) == sorted(["held", *map(str, range(12))])


def test_a_timeout_kills_its_job_and_those_behind_it_run_elsewhere(ahead: Tidemill, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    hanging = children_app.hang.enqueue(str(journal))
    behind = [children_app.mark.enqueue(str(journal), number) for number in range(8)]
    with running_worker(ahead, ONE_AHEAD):
        assert len({job.result(timeout=40) for job in behind}) == 1
        with pytest.raises(JobFailed, match="timeout of 1 s"):
            hanging.result(timeout=20)
    assert lines(journal) == ["hangs", *map(str, range(8))]
    assert [(job.refresh().attempt, job.record.crashes) for job in behind] == [(1, 0)] * 8


def test_a_child_that_dies_fails_its_job_and_those_behind_it_run_elsewhere(ahead: Tidemill, tmp_path: Path) -> None:
    journal, release = tmp_path / "journal", tmp_path / "release"
    dying = children_app.die_when_told.enqueue(str(journal), str(release))
    behind = [children_app.mark.enqueue(str(journal), number) for number in range(8)]
    with running_worker(ahead, ONE_AHEAD):
        eventually(lambda: lines(journal), "it runs", 40)
        release.touch()
        assert len({job.result(timeout=40) for job in behind}) == 1
        with pytest.raises(JobFailed, match="ended with exit code 7"):
            dying.result(timeout=20)
    assert lines(journal) == ["held", *map(str, range(8))]
    assert [(job.refresh().attempt, job.record.crashes) for job in behind] == [(1, 0)] * 8


def test_cancelling_a_job_that_was_sent_ahead_leaves_the_running_one_alone(ahead: Tidemill, tmp_path: Path) -> None:
    journal, release = tmp_path / "journal", tmp_path / "release"
    long = children_app.hold.enqueue(str(journal), str(release))
    cancelled, kept = (children_app.mark.enqueue(str(journal), name) for name in ("cancelled", "kept"))
    with running_worker(ahead, ONE_AHEAD):
        eventually(lambda: lines(journal), "it runs", 40)
        cancelled.cancel()
        with pytest.raises(JobCancelled):
            cancelled.result(timeout=20)
        assert long.refresh().state == "running"
        release.touch()
        assert long.result(timeout=20) == kept.result(timeout=20)
    assert lines(journal) == ["held", "kept"]


def test_a_job_that_ends_as_it_is_to_be_killed_takes_no_other_with_it(ahead: Tidemill, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    mark, risky = children_app.mark, children_app.take_as_long_as_allowed
    with running_worker(ahead, TWO_AHEAD):
        others: list[Job[int]] = []
        for number in range(12):
            risky.using(retry=Retry(max_attempts=1)).enqueue(str(journal), f"risky {number}")
            others += [mark.enqueue(str(journal), f"{number} {index}") for index in range(10)]
        for job in others:
            job.result(timeout=60)
    found = Counter(line for line in lines(journal) if not line.startswith("risky"))
    assert found == Counter(f"{number} {index}" for number in range(12) for index in range(10))
    assert {job.refresh().attempt for job in others} == {1}


def test_a_worker_that_stops_hands_back_at_once_what_was_sent_ahead(ahead: Tidemill, tmp_path: Path) -> None:
    journal, release = tmp_path / "journal", tmp_path / "release"
    long = children_app.hold.enqueue(str(journal), str(release))
    behind = [children_app.mark.enqueue(str(journal), number) for number in range(8)]
    with running_worker(ahead, ONE_AHEAD) as worker:
        eventually(lambda: lines(journal), "it runs", 40)
        stopping = threading.Thread(target=worker.stop, args=(60,))
        stopping.start()
        eventually(lambda: all(job.refresh().state == "ready" for job in behind), "the others are back")
        assert long.refresh().state == "running"
        release.touch()
        stopping.join(20)
        long.result(timeout=20)
    assert lines(journal) == ["held"]
    assert {job.refresh().attempt for job in behind} == {0}


def test_a_successor_is_there_before_a_child_has_run_its_last_job(
    ahead: Tidemill, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal, release = tmp_path / "journal", tmp_path / "release"
    settings = WorkerSettings(concurrency=2, child_processes=1, child_max_jobs=2, app_path=AHEAD)
    with caplog.at_level(logging.DEBUG, "tidemill"), running_worker(ahead, settings):
        first = children_app.mark.enqueue(str(journal), "first").result(timeout=40)
        last = children_app.hold.enqueue(str(journal), str(release))
        eventually(lambda: "child process started" in caplog.text, "a child was started")
        eventually(lambda: caplog.text.count("child process started") == 2, "its successor, too", 40)
        assert last.refresh().state == "running"
        release.touch()
        assert last.result(timeout=20) == first
        assert children_app.mark.enqueue(str(journal), "next").result(timeout=20) != first


def test_no_child_runs_more_jobs_than_it_may(ahead: Tidemill, tmp_path: Path) -> None:
    settings = WorkerSettings(concurrency=20, child_processes=2, child_max_jobs=40, app_path=AHEAD)
    jobs = children_app.mark.enqueue_many(children_app.mark.call(str(tmp_path / "journal"), n) for n in range(200))
    with running_worker(ahead, settings):
        counts = Counter(job.result(timeout=60) for job in jobs)
    assert max(counts.values()) <= 40
    assert len(counts) >= 5


def test_the_death_of_a_child_is_seen_though_what_it_forked_lives_on(ahead: Tidemill, tmp_path: Path) -> None:
    journal, release = tmp_path / "journal", tmp_path / "release"
    with running_worker(ahead, ONE_AHEAD):
        try:
            with pytest.raises(JobFailed, match="SIGKILL"):
                children_app.fork_and_die.enqueue(str(journal), str(release)).result(timeout=40)
            (forked,) = eventually(lambda: lines(journal), "it was forked")
            assert is_alive(int(forked))
        finally:
            release.touch()


def test_a_child_in_a_job_ends_with_its_worker(ahead: Tidemill, url: str, tmp_path: Path) -> None:
    journal, release = tmp_path / "journal", tmp_path / "release"
    with running(tmp_path / "log", url, "worker", AHEAD, "--no-supervisor", "--child-processes=1") as worker:
        child = children_app.mark.enqueue(str(journal), "first").result(timeout=40)
        children_app.hold.enqueue(str(journal), str(release))
        eventually(lambda: "held" in lines(journal), "it runs")
        worker.send(signal.SIGKILL)
        eventually(lambda: not is_alive(child), "the child is gone")
