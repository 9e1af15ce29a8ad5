"""Retention, expiry, the high-water mark, the grace after a restart, and the gauges."""

from __future__ import annotations

import pytest

from conditions import eventually
from fleet import running_fleet, running_scheduler, running_worker
from servers import Server
from tidemill import JobExpired, Tidemill, call
from tidemill.connection import Link
from tidemill.telemetry import QueueSample
from tidemill_scheduler import settings
from tidemill_scheduler.reaper import Reaper
from tidemill_scheduler.sampler import Sampler


def _records(server: Server) -> list[str]:
    return [key for key in server.all_keys() if ":job:" in key]


def test_finished_records_go_when_their_time_is_over(
    mill: Tidemill, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "SWEEP_EVERY_MS", 50)

    @mill.task()
    def add(a: int, b: int) -> int:
        return a + b

    kept = add.enqueue(1, 2)
    with running_fleet(mill):
        assert kept.result(timeout=10) == 3
        add.using(result_ttl=0.2).enqueue(3, 4)
        eventually(lambda: _records(server) == [f"tm:{{0}}:job:{kept.id}"], "the short-lived record is dropped")


def test_dead_letters_go_when_their_time_is_over(
    mill: Tidemill, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "SWEEP_EVERY_MS", 50)

    @mill.task()
    def fail() -> None:
        raise ValueError("no")

    job = fail.enqueue()
    with running_fleet(mill):
        eventually(lambda: job.refresh().state == "dead", "it is a dead letter")
        server.client.zadd("tm:{0}:dead:default", {job.id: 1})
        eventually(lambda: not _records(server), "an old dead letter is dropped")


def test_a_job_that_nobody_starts_in_time_expires_and_its_waiter_is_told(mill: Tidemill) -> None:
    @mill.task()
    def add(a: int, b: int) -> int:
        return a + b

    ready = add.using(expires=0.2).enqueue(1, 2)
    delayed = add.using(expires=0.2, delay=60).enqueue(1, 2)
    with running_scheduler(mill):
        for job in (ready, delayed):
            with pytest.raises(JobExpired):
                job.result(timeout=10)
            assert job.state == "expired"
    with running_worker(mill):
        assert add.enqueue(3, 4).result(timeout=10) == 7
    assert ready.refresh().state == "expired"


def test_a_burst_waits_in_the_wheel_until_the_stream_has_room(mill: Tidemill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "HIGH_WATER_JOBS", 5)

    @mill.task()
    def add(a: int, b: int) -> int:
        return a + b

    jobs = add.using(delay=0.05).enqueue_many(call(number, 1) for number in range(40))
    with running_scheduler(mill):
        eventually(lambda: mill.inspect.queue("default").waiting == 5, "the stream is full")
        assert mill.inspect.queue("default").scheduled == 35
        with running_worker(mill):
            assert [job.result(timeout=10) for job in jobs] == [number + 1 for number in range(40)]


def test_a_lease_that_ran_out_while_the_server_was_down_does_not_count(mill: Tidemill, server: Server) -> None:
    link = Link(mill.client.target)
    scripts = mill.client.scripts
    about = {"lease_ms": str(10_000_000_000)}
    link.run(scripts.register("w1", 10, ["default"], {}, about, now_ms=1_000))
    reaper = Reaper(link, scripts)
    now_ms = link.run(scripts.server_time())
    wait_ms = reaper.run(now_ms)
    assert wait_ms is not None, "the server has not been up for the length of that lease"
    assert wait_ms > 0
    assert [incarnation for incarnation, _ in link.run(scripts.workers())] == ["w1"]
    link.close()


def test_the_gauges_show_where_the_jobs_of_each_queue_are(mill: Tidemill) -> None:
    @mill.task()
    def add(a: int, b: int) -> int:
        return a + b

    add.enqueue(1, 2)
    add.using(delay=60).enqueue(1, 2)
    (sample,) = Sampler(mill)()
    assert sample.oldest_age_s is not None
    assert sample._replace(oldest_age_s=0.0) == QueueSample("default", 1, 1, 0, 0, 0.0)


def test_without_a_server_there_is_no_sample(tmp_path: object) -> None:
    lost = Tidemill(f"unix://{tmp_path}/nothing", deadline=0.01)
    assert list(Sampler(lost)()) == []
