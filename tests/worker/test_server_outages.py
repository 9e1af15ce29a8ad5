"""The server goes away, and comes back: nothing is lost, and the workers go on."""

from __future__ import annotations

import threading

import pytest

from conditions import eventually
from fleet import running_fleet, running_scheduler, running_worker
from servers import Server
from tidemill import Tidemill, call
from tidemill_consumers.settings import WorkerSettings


def test_a_server_that_is_killed_and_started_again_costs_no_job(
    own_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    mill = Tidemill(own_server.url)
    lock = threading.Lock()
    ran: list[int] = []

    @mill.task()
    def count(number: int) -> int:
        with lock:
            ran.append(number)
        return number

    with mill, running_fleet(mill, WorkerSettings(concurrency=4, lease_ms=2_000)):
        jobs = count.enqueue_many(call(number) for number in range(300))
        jobs += [count.enqueue_in(0.5, number) for number in range(300, 320)]
        eventually(lambda: len(ran) > 20, "some have run")
        own_server.kill()
        own_server.start()
        assert [job.result(timeout=30) for job in jobs] == list(range(320))
        assert set(ran) == set(range(320))


def test_what_ends_while_the_server_is_away_is_settled_when_it_is_back(own_server: Server) -> None:
    mill = Tidemill(own_server.url)
    started, release = threading.Event(), threading.Event()
    runs: list[int] = []

    @mill.task()
    def work() -> str:
        runs.append(1)
        started.set()
        release.wait(30)
        return "done"

    with mill, running_worker(mill, WorkerSettings(concurrency=2, lease_ms=5_000)):
        job = work.enqueue()
        assert started.wait(10)
        own_server.kill()
        release.set()
        own_server.start()
        assert job.result(timeout=20) == "done"
        assert work.enqueue().result(timeout=20) == "done"
    assert len(runs) == 2


def test_a_worker_can_be_stopped_while_the_server_is_away(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill_consumers.worker._LAST_WORDS_SECONDS", 0.2)
    mill = Tidemill(own_server.url)
    started, release = threading.Event(), threading.Event()

    @mill.task()
    def work() -> None:
        started.set()
        release.wait(30)

    with mill:
        with running_worker(mill, WorkerSettings(concurrency=2, lease_ms=1_000)):
            job = work.enqueue()
            assert started.wait(10)
            own_server.kill()
            release.set()
        own_server.start()
        with running_worker(mill), running_scheduler(mill):
            job.result(timeout=20)  # settled in the last moment, or recovered
