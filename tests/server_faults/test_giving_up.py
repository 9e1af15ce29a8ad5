"""A worker that can't reach its server any more ends with an error, once it has waited for its deadline."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conditions import eventually
from proxy import Proxy
from servers import Server
from tidemill import Tidemill
from tidemill.errors import ServerUnavailable
from tidemill_consumers.contact import Contact
from worker import jobs_app
from worker.processes import ALONE, APP, TESTS, lines, running

SHORT = ("--lease=2", "--server-deadline=3", "--grace=1")


@pytest.fixture
def app(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tidemill]:
    """The application of the worker processes, which reaches the server directly."""
    monkeypatch.setenv("TIDEMILL_URL", url)
    monkeypatch.setenv("PYTHONPATH", f"{TESTS}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    yield jobs_app.mill
    jobs_app.mill.close()


def _started(app: Tidemill) -> None:
    assert jobs_app.add.enqueue(1, 2).result(timeout=40) == 3


def test_a_worker_whose_server_is_gone_for_its_deadline_ends_with_an_error(
    app: Tidemill, server: Server, tmp_path: Path
) -> None:
    with Proxy(server) as proxy, running(tmp_path / "log", proxy.url, "worker", APP, ALONE, *SHORT) as worker:
        _started(app)
        proxy.close()
        assert worker.wait(60) == 1
        assert "was not answered by the server for" in worker.output
        assert "worker.failed" in worker.output


def test_a_worker_whose_server_swallows_everything_ends_with_an_error(
    app: Tidemill, server: Server, tmp_path: Path
) -> None:
    with Proxy(server) as proxy, running(tmp_path / "log", proxy.url, "worker", APP, ALONE, *SHORT) as worker:
        _started(app)
        proxy.swallow()
        assert worker.wait(60) == 1
        assert "was not answered by the server for" in worker.output


def test_a_worker_whose_server_is_back_within_the_deadline_goes_on(
    app: Tidemill, server: Server, tmp_path: Path
) -> None:
    arguments = ("worker", APP, ALONE, "--lease=2", "--server-deadline=60")
    with Proxy(server) as proxy, running(tmp_path / "log", proxy.url, *arguments) as worker:
        _started(app)
        proxy.swallow()
        eventually(lambda: "lease.lost" in worker.output, "it has noticed", 40)
        proxy.heal()
        assert jobs_app.add.enqueue(3, 4).result(timeout=60) == 7


def test_a_job_that_runs_goes_on_without_the_server_and_is_settled_when_it_is_back(
    app: Tidemill, server: Server, tmp_path: Path
) -> None:
    journal, release = tmp_path / "journal", tmp_path / "release"
    with Proxy(server) as proxy, running(tmp_path / "log", proxy.url, "worker", APP, ALONE, *SHORT) as worker:
        job = jobs_app.hold.enqueue(str(journal), str(release))
        eventually(lambda: lines(journal), "it runs", 40)
        began = time.monotonic()
        proxy.swallow()
        eventually(lambda: time.monotonic() - began > 8 and worker.output.count("server.unavailable") > 5, "long", 60)
        assert worker.process.poll() is None, "it waits for its job, though the deadline is over"
        proxy.heal()
        release.touch()
        assert job.result(timeout=40) == "attempt 1"


def test_a_result_that_can_not_be_settled_keeps_the_worker_for_the_deadline_only(
    app: Tidemill, server: Server, tmp_path: Path
) -> None:
    journal, release = tmp_path / "journal", tmp_path / "release"
    with Proxy(server) as proxy, running(tmp_path / "log", proxy.url, "worker", APP, ALONE, *SHORT) as worker:
        jobs_app.hold.enqueue(str(journal), str(release))
        eventually(lambda: lines(journal), "it runs", 40)
        proxy.swallow()
        release.touch()
        assert worker.wait(60) == 1


def test_a_worker_whose_permissions_were_taken_away_ends_with_an_error(
    own_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acl = own_server.client.execute_command
    acl("ACL", "SETUSER", "worker", "on", ">pw", "~*", "&*", "+@all")
    url = own_server.url.replace("://", "://worker:pw@")
    with running(tmp_path / "log", url, "worker", APP, ALONE, *SHORT) as worker:
        with Tidemill(own_server.url) as mill:
            assert mill.named("worker.jobs_app.add").enqueue(1, 2).result(timeout=40) == 3
        acl("ACL", "SETUSER", "worker", "-xreadgroup")
        acl("CLIENT", "KILL", "USER", "worker")
        assert worker.wait(60) == 1
        assert "reader was not answered by the server for" in worker.output


class Clock:
    """A clock that stands still, unless it is moved on."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr("tidemill_consumers.contact.time", found)
    return found


def test_the_deadline_counts_from_the_end_of_the_last_job(clock: Clock) -> None:
    gave_up: list[tuple[str, str]] = []
    busy = threading.Event()
    contact = Contact(0.2, busy.is_set, lambda part, error: gave_up.append((part, str(error))))
    error = ServerUnavailable("no answer")

    def after(seconds: float) -> None:
        clock.seconds += seconds
        contact.failed("reader", error)

    busy.set()
    contact.failed("reader", error)
    after(0.3)
    busy.clear()
    after(0.1)
    assert gave_up == []
    after(0.15)
    assert [part for part, _ in gave_up] == ["reader"]
    assert re.fullmatch(r"reader was not answered by the server for \d+ s, and no job runs: no answer", gave_up[0][1])
    after(0.3)
    assert len(gave_up) == 1, "it is said once"


def test_an_answer_begins_the_deadline_anew_for_its_part_alone(clock: Clock) -> None:
    gave_up: list[str] = []
    contact = Contact(0.1, lambda: False, lambda part, error: gave_up.append(part))
    error = ServerUnavailable("no answer")
    contact.failed("reader", error)
    contact.failed("lease", error)
    clock.seconds += 0.15
    contact.answered("reader")
    contact.failed("reader", error)
    assert gave_up == []
    contact.failed("lease", error)
    assert gave_up == ["lease"]
