"""Finished records and dead letters are kept for a time and up to a number; what was not started in time expires."""

from __future__ import annotations

import pytest

from conditions import eventually
from fleet import running_fleet, running_scheduler, running_worker
from servers import Server
from tidemill import JobNotFound, Tidemill, call
from tidemill import settings as client_settings
from tidemill.wire.scripts import Kept
from tidemill_scheduler import settings
from tidemill_scheduler.janitor import Janitor


@pytest.fixture(autouse=True)
def _sweep_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SWEEP_EVERY_MS", 50)


def records(server: Server, mill: Tidemill) -> int:
    return len(list(server.client.scan_iter(match=f"{mill.client.scripts.keys.root}job:*")))


def test_finished_records_are_dropped_when_their_time_is_over(mill: Tidemill, server: Server) -> None:
    @mill.task(result_ttl=0.2)
    def add(a: int, b: int) -> int:
        return a + b

    with running_fleet(mill):
        jobs = add.enqueue_many(call(1, 2) for _ in range(10))
        kept = add.using(result_ttl=60).enqueue(3, 4)
        eventually(lambda: mill.inspect.queue("default").counters.get("succeeded") == "11", "all are over")
        eventually(lambda: records(server, mill) == 1, "they were dropped")
        assert kept.result(timeout=10) == 7
        with pytest.raises(JobNotFound):
            jobs[0].refresh()
    assert mill.inspect.queue("default").finished == 1


def test_of_finished_records_only_the_newest_are_kept(mill: Tidemill, server: Server) -> None:
    mill.client.scripts.kept = Kept(most=5)

    @mill.task()
    def add(a: int, b: int) -> int:
        return a + b

    with running_fleet(mill):
        jobs = {add.enqueue(number, 0).id for number in range(30)}
        eventually(lambda: mill.inspect.queue("default").counters.get("succeeded") == "30", "all are over")
        eventually(lambda: records(server, mill) == 5, "the others were dropped")
        kept = mill.inspect.jobs("default", "succeeded")
        assert len(kept) == 5
        assert {job.id for job in kept} < jobs


@pytest.mark.parametrize(("ttl_ms", "most", "left"), [(50, 100, 0), (60_000, 3, 3)])
def test_dead_letters_are_kept_for_a_time_and_up_to_a_number(
    mill: Tidemill, server: Server, monkeypatch: pytest.MonkeyPatch, ttl_ms: int, most: int, left: int
) -> None:
    monkeypatch.setattr(client_settings, "DEAD_TTL_MS", ttl_ms)
    monkeypatch.setattr(client_settings, "MAX_DEAD", most)

    @mill.task()
    def fail() -> None:
        raise ValueError

    fail.enqueue_many(call() for _ in range(10))
    with running_worker(mill):
        eventually(lambda: mill.inspect.queue("default").dead == 10, "all are dead letters")
    with running_scheduler(mill):
        eventually(lambda: mill.inspect.queue("default").dead == left, "what is too much was dropped")
    assert records(server, mill) == left


def test_what_is_more_than_a_page_is_dropped_page_after_page(
    mill: Tidemill, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "SWEEP_PAGE", 4)
    monkeypatch.setattr(settings, "EXPIRE_PAGE", 3)
    monkeypatch.setattr(settings, "SWEEP_EVERY_MS", 60_000)

    @mill.task(result_ttl=0.05)
    def late() -> None: ...

    late.using(expires=0.02).enqueue_many(call() for _ in range(20))
    with running_scheduler(mill):
        eventually(lambda: mill.inspect.queue("default").counters.get("expired") == "20", "all have expired")
    assert mill.inspect.queue("default").waiting == 20, "a ticket stays until a worker reads it"
    janitor = Janitor(mill.client.link, mill.client.scripts)
    eventually(janitor.sweep, "nothing is left to sweep")
    eventually(lambda: janitor.sweep() and records(server, mill) == 0, "all were dropped")
    with running_worker(mill):
        eventually(lambda: mill.inspect.queue("default").waiting == 0, "the tickets are gone")
