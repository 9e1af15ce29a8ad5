"""SCHEDULED → READY: on time, never early, and no more than the ready streams have room for."""

from __future__ import annotations

from statistics import median

import pytest

from conditions import eventually
from fleet import running_scheduler, running_worker
from servers import Server
from tidemill import Tidemill, call
from tidemill_scheduler import settings
from tidemill_scheduler.promoter import Look, Promoter


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
        pairs = [(when.enqueue_in(0.01 * number), when.enqueue()) for number in range(1, 40)]
        late_ms = [job.result(timeout=20) - job.refresh().record.due_ms for job, _ in pairs]
        took_ms = [job.result(timeout=20) - job.refresh().record.created_ms for _, job in pairs]
    assert min(late_ms) >= 0
    # On a busy machine those take their time too that need not be promoted.
    assert median(late_ms) < 200 + 10 * median(took_ms)


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
    surveys = [promoter.run(["default"], now_ms) for _ in range(7)]
    assert [promoter.next_look(survey) for survey in surveys] == [
        *(Look(survey.now_ms, ["default"]) for survey in surveys[:6]),
        Look(None, []),
    ]
    assert mill.inspect.queue("default").waiting == 20


def test_a_look_promotes_and_says_what_comes_next_in_one_round_trip(mill: Tidemill, server: Server) -> None:
    link, scripts = mill.client.link, mill.client.scripts
    soon, later = (mill.named("task").using(delay=delay).enqueue() for delay in (0.001, 3_600))
    promoter = Promoter(link, scripts)
    eventually(lambda: link.run(scripts.survey()).due_queues == ["default"], "it is due")
    now_ms = link.run(scripts.server_time())
    promoter.run(["default"], now_ms)  # loads the scripts
    before = server.client.info("commandstats")["cmdstat_evalsha"]["calls"]
    survey = promoter.run(["default"], now_ms)
    assert server.client.info("commandstats")["cmdstat_evalsha"]["calls"] - before == 2
    assert soon.refresh().state == "ready"
    assert promoter.next_look(survey) == Look(later.record.due_ms, ["default"])


def test_a_full_queue_that_nobody_takes_from_is_looked_at_ever_less_often(
    mill: Tidemill, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "HIGH_WATER_JOBS", 5)
    monkeypatch.setattr(settings, "FULL_RETRY_MS", 50_000)
    monkeypatch.setattr(settings, "FULL_RETRY_MOST_MS", 500_000)
    monkeypatch.setattr(settings, "IDLE_MS", 1_000_000)
    mill.named("task").using(delay=0.001).enqueue_many(call() for _ in range(10))
    link, scripts = mill.client.link, mill.client.scripts
    eventually(lambda: link.run(scripts.survey()).due_queues == ["default"], "they are due")
    promoter = Promoter(link, scripts)
    waits_ms: list[int] = []
    for _ in range(6):
        now_ms = link.run(scripts.survey()).now_ms
        look = promoter.next_look(promoter.run(["default"], now_ms))
        assert look.at_ms is not None
        waits_ms.append(look.at_ms - now_ms)
    assert waits_ms == [50_000, 100_000, 200_000, 400_000, 500_000, 500_000]
    monkeypatch.setattr(settings, "FEW_TAKEN_JOBS", 1)
    server.client.xtrim(scripts.keys.ready("default", "normal"), maxlen=0)  # as if they had been taken
    survey = promoter.run(["default"], link.run(scripts.survey()).now_ms)
    assert promoter.next_look(survey).at_ms is None, "the rest had room"


def test_a_full_queue_does_not_put_off_a_look_at_another(mill: Tidemill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "HIGH_WATER_JOBS", 1)
    monkeypatch.setattr(settings, "FULL_RETRY_MS", 500_000)
    monkeypatch.setattr(settings, "IDLE_MS", 1_000_000)
    link, scripts = mill.client.link, mill.client.scripts
    mill.named("task").using(delay=0.001, queue="full").enqueue_many(call() for _ in range(3))
    eventually(lambda: link.run(scripts.survey()).due_queues == ["full"], "they are due")
    other = mill.named("task").using(delay=60, queue="other").enqueue()
    promoter = Promoter(link, scripts)
    survey = promoter.run(["full"], link.run(scripts.survey()).now_ms)
    assert survey.due_queues == ["full"]
    assert promoter.next_look(survey) == Look(other.record.due_ms, ["other"])


def test_behind_a_page_of_full_queues_others_have_their_turn(mill: Tidemill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "HIGH_WATER_JOBS", 0)
    monkeypatch.setattr(settings, "QUEUES_PAGE", 2)
    link, scripts = mill.client.link, mill.client.scripts
    for queue in ("a", "b", "c"):
        mill.named("task").using(delay=0.001, queue=queue).enqueue()
    eventually(lambda: len(link.run(scripts.survey()).due_queues) == 3, "they are due")
    promoter, looks = Promoter(link, scripts), [Look(0, [])]

    def look() -> Look:
        last = looks[-1]
        survey = promoter.run(last.queues, link.run(scripts.server_time()))
        looks.append(promoter.next_look(survey))
        assert (looks[-1].at_ms or 0) <= survey.now_ms + settings.FULL_RETRY_MS
        return looks[-1]

    eventually(lambda: "c" in look().queues, "the last has its turn")
    assert {queue for _ in range(10) for queue in look().queues} == {"a", "b", "c"}
