"""Keys that a foreign hand has changed: the scheduler says so, and everything else goes on."""

from __future__ import annotations

import pytest

from conditions import eventually
from fleet import running_scheduler, running_worker
from servers import Server
from tidemill import Tidemill
from tidemill_scheduler import settings


def test_a_damaged_wheel_does_not_keep_the_jobs_of_other_queues(
    mill: Tidemill, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    keys = mill.client.scripts.keys
    server.client.set(keys.wheel("bad"), "mine")
    server.client.zadd(keys.agenda, {"bad": 1})
    with running_scheduler(mill):
        job = mill.named("task").using(queue="good", delay=0.05).enqueue()
        eventually(lambda: job.refresh().state == "ready", "it was promoted")
    assert "promoter of queue bad" in caplog.text


def test_damaged_keys_of_a_queue_do_not_keep_a_dead_workers_jobs_in_others(
    mill: Tidemill, server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "FAILED_RETRY_MS", 50)
    link, scripts = mill.client.link, mill.client.scripts
    queues = ["bad", "good"]
    link.run(scripts.register("worker", 60_000, queues, {}, {"lease_ms": "1"}))
    jobs = [mill.named("task").using(queue=queue).enqueue() for queue in queues]
    takings = link.run(scripts.take("worker", queues, 2))
    assert takings is not None
    assert len(takings.jobs) == 2
    server.client.set(scripts.keys.dead("bad"), "mine")
    link.run(scripts.retire("worker", queues))  # its lease ends now
    with running_scheduler(mill):
        eventually(lambda: jobs[1].refresh().state == "ready", "the other queue's job was recovered")
        eventually(lambda: "reaper of queue bad" in caplog.text, "it was logged")
        assert [info.incarnation for info in mill.inspect.workers()] == ["worker"], "it is not forgotten"
        server.client.delete(scripts.keys.dead("bad"))
        eventually(lambda: jobs[0].refresh().state == "ready", "mended, it is recovered too")
        eventually(lambda: not mill.inspect.workers(), "and the worker is forgotten")


def test_damaged_records_of_retention_do_not_keep_the_rest_from_working(
    mill: Tidemill, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    keys = mill.client.scripts.keys
    server.client.sadd(keys.queues, "default")
    server.client.set(keys.done("default"), "mine")
    server.client.zadd(keys.expiring, {"nobody": 1})
    with running_scheduler(mill):
        job = mill.named("task").using(queue="good", delay=0.05).enqueue()
        eventually(lambda: job.refresh().state == "ready", "it was promoted")
        eventually(lambda: "role=janitor" in caplog.text, "it is said")
    server.client.delete(keys.done("default"))


def test_a_worker_of_a_damaged_queue_waits_and_goes_on_when_it_is_mended(
    mill: Tidemill, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    @mill.task()
    def add(a: int, b: int) -> int:
        return a + b

    stream = mill.client.scripts.keys.ready("default", "low")
    with running_worker(mill):
        assert add.enqueue(1, 2).result(timeout=10) == 3
        server.client.delete(stream)
        server.client.set(stream, "mine")
        server.client.client_kill_filter(_type="normal", skipme=True)
        eventually(lambda: "WRONGTYPE" in caplog.text, "it is said")
        server.client.delete(stream)
        assert add.enqueue(3, 4).result(timeout=10) == 7
