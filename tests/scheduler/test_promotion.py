"""SCHEDULED → READY: on time, never early, and no more than the ready streams have room for."""

from __future__ import annotations

import pytest

from conditions import eventually
from fleet import running_scheduler, running_worker
from servers import Server
from tidemill import Tidemill, call
from tidemill_scheduler import settings
from tidemill_scheduler.promoter import Promoter


def test_a_scheduler_that_sleeps_is_woken_by_a_job_that_is_due_earlier(mill: Tidemill) -> None:
    @mill.task()
    def when() -> int:
        return mill.client.link.run(mill.client.scripts.server_time())

    with running_scheduler(mill), running_worker(mill):
        assert when.enqueue_in(0.05).result(timeout=10) > 0
        later, sooner = when.enqueue_in(3_600), when.enqueue_in(0.2)
        assert sooner.result(timeout=10) >= sooner.record.due_ms
        assert later.refresh().state == "scheduled"


def test_no_job_starts_early_and_all_start_soon(mill: Tidemill) -> None:
    @mill.task()
    def when() -> int:
        return mill.client.link.run(mill.client.scripts.server_time())

    with running_scheduler(mill), running_scheduler(mill), running_worker(mill):
        jobs = [when.enqueue_in(0.01 * number) for number in range(40)]
        late_ms = [job.result(timeout=10) - job.refresh().record.due_ms for job in jobs]
    assert min(late_ms) >= 0
    assert sorted(late_ms)[len(late_ms) // 2] < 200


def test_a_burst_waits_in_the_wheel_until_the_streams_have_room(
    mill: Tidemill, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "HIGH_WATER_JOBS", 10)
    ran: list[int] = []

    @mill.task()
    def run(number: int) -> None:
        ran.append(number)

    run.using(delay=0.001).enqueue_many(call(number) for number in range(50))
    with running_scheduler(mill):
        stream = mill.client.scripts.keys.ready("default", "normal")
        eventually(lambda: server.client.xlen(stream) == 10, "the stream is full")
        figures = mill.inspect.queue("default")
        assert (figures.scheduled, figures.waiting) == (40, 10)
        with running_worker(mill):
            eventually(lambda: len(ran) == 50, "all have run")
    assert sorted(ran) == list(range(50))


def test_a_full_queue_does_not_keep_another_from_its_due_jobs(mill: Tidemill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "HIGH_WATER_JOBS", 5)

    @mill.task(queue="busy")
    def busy() -> None: ...

    @mill.task(queue="quiet")
    def quiet() -> None: ...

    busy.using(delay=0.001).enqueue_many(call() for _ in range(50))
    with running_scheduler(mill):
        job = quiet.enqueue_in(0.05)
        eventually(lambda: job.refresh().state == "ready", "the other queue goes on")
    assert mill.inspect.queue("busy").scheduled == 45


def test_a_batch_after_the_other_is_promoted_without_a_pause(mill: Tidemill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "PROMOTE_BATCH", 3)

    @mill.task()
    def run() -> None: ...

    run.using(delay=0.001).enqueue_many(call() for _ in range(20))
    eventually(lambda: mill.client.link.run(mill.client.scripts.survey()).due_queues == ["default"], "they are due")
    promoter = Promoter(mill.client.link, mill.client.scripts)
    now_ms = mill.client.link.run(mill.client.scripts.server_time())
    waits = [promoter.run(["default"], now_ms) for _ in range(7)]
    assert waits[:6] == [0] * 6
    assert waits[6] == settings.IDLE_MS
    assert mill.inspect.queue("default").waiting == 20
