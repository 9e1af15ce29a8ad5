"""When the reaper believes a lease, and when it does not."""

from __future__ import annotations

import threading
import time
from typing import Any
from unittest.mock import Mock

import pytest

from conditions import eventually
from fleet import running_scheduler, running_worker
from servers import Server
from tidemill import Tidemill, current_job
from tidemill.wire.command import Command
from tidemill.wire.scripts import Recovered, Scripts
from tidemill_consumers.settings import WorkerSettings
from tidemill_scheduler import settings
from tidemill_scheduler.reaper import Reaper


def register(mill: Tidemill, name: str, lease_ms: int = 100, told_ms: str = "100") -> None:
    scripts = mill.client.scripts
    mill.client.link.run(scripts.register(name, lease_ms, ["default"], {}, {"lease_ms": told_ms}))


def names(mill: Tidemill) -> list[str]:
    return [info.incarnation for info in mill.inspect.workers()]


def now_ms(mill: Tidemill) -> int:
    return mill.client.link.run(mill.client.scripts.server_time())


def server_is_up_for(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    command = Command(("ECHO", seconds), int)
    monkeypatch.setattr(Scripts, "uptime_seconds", Mock(return_value=command))


def test_a_lease_that_is_over_is_not_believed_before_the_server_is_up_for_as_long(
    mill: Tidemill, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(mill, "worker", lease_ms=200, told_ms="5000")
    reaper = Reaper(mill.client.link, mill.client.scripts)
    eventually(lambda: mill.inspect.workers()[0].lease_end_ms < now_ms(mill), "its lease is over")
    server_is_up_for(monkeypatch, seconds=1)
    assert reaper.run(now_ms(mill)) == 4_000
    assert names(mill) == ["worker"]
    server_is_up_for(monkeypatch, seconds=6)
    assert Reaper(mill.client.link, mill.client.scripts).run(now_ms(mill)) is None
    assert names(mill) == []


@pytest.mark.parametrize("told_ms", ["", "soon", "-5", "1e9"])
def test_a_worker_that_says_nothing_sensible_of_its_lease_has_the_default_one(
    mill: Tidemill, monkeypatch: pytest.MonkeyPatch, told_ms: str
) -> None:
    register(mill, "worker", lease_ms=1, told_ms=told_ms)
    eventually(lambda: mill.inspect.workers()[0].lease_end_ms < now_ms(mill), "its lease is over")
    server_is_up_for(monkeypatch, seconds=settings.DEFAULT_LEASE_MS // 1000 - 5)
    assert Reaper(mill.client.link, mill.client.scripts).run(now_ms(mill)) == 5_000
    server_is_up_for(monkeypatch, seconds=settings.DEFAULT_LEASE_MS // 1000)
    assert Reaper(mill.client.link, mill.client.scripts).run(now_ms(mill)) is None


def test_after_a_jump_of_the_clock_no_lease_is_believed_for_its_own_length(
    mill: Tidemill, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server_is_up_for(monkeypatch, seconds=100)
    register(mill, "worker", lease_ms=1, told_ms="5000")
    reaper = Reaper(mill.client.link, mill.client.scripts, lambda: 100.0)  # it does not go on while this is done
    server_ms = now_ms(mill)
    reaper.look_at_clock(server_ms)
    reaper.look_at_clock(server_ms + 10)
    assert "clock jumped" not in caplog.text
    reaper.look_at_clock(server_ms + 3_600_000)
    assert "clock jumped" in caplog.text
    assert reaper.run(server_ms + 3_600_000) == 5_000
    assert names(mill) == ["worker"]


def test_an_answer_that_was_long_under_way_is_no_jump_of_the_clock(
    mill: Tidemill, caplog: pytest.LogCaptureFixture
) -> None:
    now_seconds = 100.0
    reaper = Reaper(mill.client.link, mill.client.scripts, lambda: now_seconds)
    reaper.look_at_clock(1_000_000, asked_at=now_seconds)
    now_seconds = 105.0  # the server answered at once, or only just now: it is heard five seconds after the question
    reaper.look_at_clock(1_000_010, asked_at=100.0)
    reaper.look_at_clock(1_005_000, asked_at=105.0)
    assert "clock jumped" not in caplog.text
    reaper.look_at_clock(1_010_000, asked_at=104.0)
    assert "clock jumped" in caplog.text


def test_a_worker_that_renews_its_lease_in_the_last_moment_keeps_it(
    mill: Tidemill, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(mill, "worker")
    register(mill, "another")
    link, scripts = mill.client.link, mill.client.scripts
    eventually(
        lambda: all(worker.lease_end_ms < now_ms(mill) for worker in mill.inspect.workers()), "their leases are over"
    )
    recover = Scripts.recover

    def renew_first(self: Scripts, incarnation: str, *rest: Any, **named: Any) -> object:
        link.run(scripts.renew("worker", 60_000, ["default"], []))
        return recover(self, incarnation, *rest, **named)

    monkeypatch.setattr(Scripts, "recover", renew_first)
    server_is_up_for(monkeypatch, seconds=100)
    Reaper(link, scripts).run(now_ms(mill))
    assert names(mill) == ["worker"]


def test_a_lease_that_was_renewed_and_looks_over_after_a_jump_of_the_clock_is_not_the_one_that_was_judged(
    mill: Tidemill, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scheduler that stands still between its judgement and its act: the jump makes the new lease look old."""
    register(mill, "worker")
    link, scripts = mill.client.link, mill.client.scripts
    eventually(lambda: mill.inspect.workers()[0].lease_end_ms < now_ms(mill), "its lease is over")
    recover = Scripts.recover

    def renew_first(self: Scripts, incarnation: str, *rest: Any, **named: Any) -> object:
        link.run(scripts.renew("worker", 1, ["default"], []))
        eventually(lambda: mill.inspect.workers()[0].lease_end_ms < now_ms(mill), "it looks over")
        return recover(self, incarnation, *rest, **named)

    monkeypatch.setattr(Scripts, "recover", renew_first)
    server_is_up_for(monkeypatch, seconds=100)
    Reaper(link, scripts).run(now_ms(mill))
    assert names(mill) == ["worker"]


def test_a_server_that_was_away_for_longer_than_a_lease_costs_no_running_job_its_worker(own_server: Server) -> None:
    mill = Tidemill(own_server.url)
    release, started = threading.Event(), threading.Event()

    @mill.task()
    def work() -> int:
        started.set()
        release.wait(30)
        return current_job().fence.attempt

    settings_of_worker = WorkerSettings(concurrency=2, lease_ms=4_000)
    with mill, running_worker(mill, settings_of_worker) as worker, running_scheduler(mill):
        incarnation = worker.incarnation
        job = work.enqueue()
        assert started.wait(20)
        own_server.kill()
        down_until = time.monotonic() + 4.5
        eventually(lambda: time.monotonic() > down_until, "it is down for longer than the lease")
        own_server.start()
        eventually(lambda: mill.inspect.workers()[0].lease_end_ms > now_ms(mill), "the worker has renewed")
        release.set()
        assert job.result(timeout=20) == 1
        assert worker.incarnation == incarnation


def test_after_the_server_was_away_no_lease_is_believed_for_its_own_length(mill: Tidemill) -> None:
    register(mill, "worker", lease_ms=50, told_ms="150")
    now_seconds = 100.0
    reaper = Reaper(mill.client.link, mill.client.scripts, lambda: now_seconds)
    eventually(lambda: mill.inspect.workers()[0].lease_end_ms <= now_ms(mill), "its lease is over")
    reaper.distrust_leases()
    assert reaper.run(now_ms(mill)) == 150
    now_seconds += 0.2
    assert reaper.run(now_ms(mill)) is None
    assert names(mill) == [], "then it is taken for dead"


def test_pages_are_gone_through_to_the_end(mill: Tidemill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "RECOVER_PAGE", 3)
    register(mill, "worker", lease_ms=60_000)
    jobs = [mill.enqueue("task") for _ in range(10)]
    link, scripts = mill.client.link, mill.client.scripts
    takings = link.run(scripts.take("worker", ["default"], 10))
    assert takings is not None
    assert len(takings.jobs) == 10
    assert isinstance(link.run(scripts.recover("worker", "default", 3, 3, b"")), Recovered)
    link.run(scripts.retire("worker", ["default"]))  # its lease ends now, since it holds jobs
    server_is_up_for(monkeypatch, seconds=100)
    Reaper(link, scripts).run(now_ms(mill))
    assert names(mill) == []
    assert {str(job.refresh().state) for job in jobs} == {"ready"}
    assert {job.record.crashes for job in jobs} == {1}
