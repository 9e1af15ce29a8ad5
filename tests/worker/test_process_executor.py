"""Tasks in child processes: killed, crashing, growing, sent ahead, and what they share with their worker."""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from conditions import eventually
from fleet import running_fleet, running_worker
from tidemill import Job, JobCancelled, JobFailed, Retry, Tidemill
from tidemill.retry import NO_RETRY
from tidemill.task import Definition
from tidemill.wire.scripts import Taken
from tidemill_consumers import settings
from tidemill_consumers.executors import process
from tidemill_consumers.executors.frames import Channel, Frame, encode
from tidemill_consumers.executors.mailbox import Mailbox
from tidemill_consumers.executors.permits import PermitReader, Permits
from tidemill_consumers.executors.process import ProcessExecutor
from tidemill_consumers.run import Run
from tidemill_consumers.settings import WorkerSettings
from tidemill_consumers.worker import Worker
from worker import children_app, jobs_app
from worker.processes import APP, is_alive, lines, running

ONE_CHILD = WorkerSettings(concurrency=4, lease_ms=2_000, child_processes=1, app_path=APP)


AHEAD = "worker.children_app:mill"
# More than the children: so there are jobs to send ahead.
ONE_AHEAD = WorkerSettings(concurrency=20, lease_ms=2_000, child_processes=1, app_path=AHEAD)
TWO_AHEAD = WorkerSettings(concurrency=20, lease_ms=2_000, child_processes=2, app_path=AHEAD)


@pytest.fixture(autouse=True)
def _keep_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The executor alone: jobs that wait behind a long one are not handed back to the server."""
    monkeypatch.setattr(settings, "HAND_BACK_MS", 60_000)


@pytest.fixture
def ahead(app: Tidemill) -> Iterator[Tidemill]:
    """The application whose jobs are sent ahead, on the same empty server."""
    yield children_app.mill
    children_app.mill.close()


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
        with pytest.raises(JobFailed, match=r"timeout of 0\.5 s"):
            jobs_app.never_ends.enqueue(str(journal)).result(timeout=20)
        (first,) = lines(journal)
        assert not is_alive(int(first))
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
        job = jobs_app.never_ends.enqueue(str(journal))
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
        assert not is_alive(int(lines(journal)[0]))


def test_the_logger_is_quiet_about_children_that_did_well(app: Tidemill, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "tidemill"), running_worker(app, ONE_CHILD):
        jobs_app.multiply.enqueue(6, 7).result(timeout=20)
    assert not caplog.records


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
        with pytest.raises(JobFailed, match=r"timeout of 0\.3 s"):
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


def test_a_permit_is_the_childs_or_comes_back() -> None:
    permits = Permits()
    reader = PermitReader(os.dup(permits.descriptor))
    permits.give([1, 2, 3])
    assert reader.next() == 1
    assert permits.take_back() == [2, 3]
    assert permits.take_back() == []
    permits.give([3])
    permits.end()
    assert reader.next() == 3
    assert reader.next() is None
    assert permits.take_back() == []
    permits.close()
    reader.close()


def test_frames_are_sent_as_there_is_room_and_read_in_parts() -> None:
    ours, theirs = (Channel(end) for end in socket.socketpair())
    large = Frame({"n": 1}, bytes(1_000_000))
    assert not ours.send_soon([encode({"n": 1}, large.payload), encode({}, b"x")])
    received: list[Frame] = []
    is_sent = False
    while len(received) < 2:
        frames, is_there = theirs.receive_all()
        received += frames
        assert is_there
        is_sent = ours.send_soon([])
    assert received == [large, Frame({}, b"x")]
    assert is_sent
    assert theirs.receive_all() == ([], True)
    ours.close()
    assert theirs.receive_all() == ([], False)
    theirs.close()


def test_a_mailbox_is_heard_once_while_it_is_watched() -> None:
    mailbox = Mailbox()
    called: list[int] = []
    mailbox.post(lambda: called.append(1))
    assert not _is_readable(mailbox)
    mailbox.watch()
    mailbox.post(lambda: called.append(2))
    mailbox.post(lambda: called.append(3))
    assert _is_readable(mailbox)
    mailbox.read()
    assert called == [1, 2, 3]
    assert not _is_readable(mailbox)
    mailbox.watch()
    mailbox.close()
    mailbox.wake()


def _is_readable(mailbox: Mailbox) -> bool:
    return bool(select.select([mailbox], [], [], 0)[0])
