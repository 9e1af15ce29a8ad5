"""Tenants that share a queue, with real workers: who waits behind whom, and that nobody waits for ever."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from conditions import eventually, eventually_each
from fleet import running_fleet, running_scheduler, running_worker
from servers import Server
from tidemill import Retry, Tidemill, call
from tidemill.wire.scripts import NewJob, NewJobs
from tidemill_consumers import settings
from tidemill_consumers.settings import WorkerSettings

QUEUE = "default"
ONE_AT_A_TIME = WorkerSettings(concurrency=1, lease_ms=5_000)


@pytest.fixture(autouse=True)
def _no_prefetch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "PREFETCH_MS", 0)


class _Order:
    """A task that notes whose jobs ran, in their order. The first one waits until it is let go."""

    def __init__(self, mill: Tidemill) -> None:
        self.ran: list[str] = []
        self.go = threading.Event()

        @mill.task(tenant_key="account")
        def run(account: str | None) -> None:
            self.go.wait(60)
            self.ran.append(account or "")

        self.task: Any = run

    def flood(self, account: str | None, jobs: int) -> list[Any]:
        found: list[Any] = self.task.enqueue_many([call(account) for _ in range(jobs)])
        return found


def test_a_tenant_waits_behind_few_of_anothers_flood(mill: Tidemill) -> None:
    order = _Order(mill)
    with running_fleet(mill, ONE_AT_A_TIME):
        flood = order.flood("greedy", 300)
        small = order.flood("small", 5)
        order.go.set()
        for job in small:
            job.result(timeout=60)
        place = max(index for index, account in enumerate(order.ran) if account == "small")
        assert place <= 2 * 5 + 5, "one of each in turn, behind what was let in or taken before"
        flood[-1].result(timeout=60)
    assert sorted(order.ran) == ["greedy"] * 300 + ["small"] * 5


def test_a_weight_counts_from_when_it_is_set_for_who_waits_already(mill: Tidemill) -> None:
    order = _Order(mill)
    with running_fleet(mill, ONE_AT_A_TIME):
        order.flood("a", 200)
        order.flood("b", 200)
        mill.inspect.weight(QUEUE, "b", 3)
        order.go.set()
        eventually(lambda: len(order.ran) == 400, "all have run", 60)
    both = order.ran[10:110]
    assert 3 * 25 - 4 <= both.count("b") <= 3 * 25 + 4


def test_jobs_without_a_tenant_are_one_more_tenant(mill: Tidemill) -> None:
    order = _Order(mill)
    with running_fleet(mill, ONE_AT_A_TIME):
        order.flood("a", 100)
        order.flood(None, 100)
        order.go.set()
        eventually(lambda: len(order.ran) == 200, "all have run", 60)
    assert 46 <= order.ran[10:110].count("") <= 54


def test_retries_and_delayed_jobs_of_a_tenant_take_their_turn(mill: Tidemill) -> None:
    ran: list[str] = []
    go = threading.Event()

    @mill.task(tenant_key="account", retry=Retry(max_attempts=2, backoff="constant", base=0.5, jitter=0))
    def run(account: str, fails: bool = False) -> None:
        if fails and "failed" not in ran:
            ran.append("failed")
            raise ValueError(account)
        go.wait(60)
        ran.append(account)

    with running_fleet(mill, ONE_AT_A_TIME):
        first = run.enqueue("small", True)
        eventually(lambda: ran == ["failed"], "it waits for its next attempt")
        delayed = run.enqueue_in(0.5, "small")
        run.enqueue_many([run.call("greedy") for _ in range(200)])
        eventually_each((first, delayed), lambda job: job.refresh().state != "scheduled", "it is due")
        go.set()
        eventually(lambda: len(ran) == 203, "all have run", 60)
    assert max(index for index, account in enumerate(ran) if account == "small") < 60


def test_several_workers_share_without_a_scheduler(mill: Tidemill) -> None:
    order = _Order(mill)
    order.go.set()
    with running_worker(mill), running_worker(mill), running_worker(mill):
        order.flood("a", 500)
        order.flood("b", 100)
        eventually(lambda: len(order.ran) == 600, "all have run", 60)
    assert not mill.inspect.tenants(QUEUE)


def test_a_scheduler_lets_in_who_waits_when_tickets_were_lost(mill: Tidemill, server: Server) -> None:
    """They were delivered to one that died before it took them, while the worker that lives waits for tickets."""
    order = _Order(mill)
    order.go.set()
    scripts = mill.client.scripts
    stream = scripts.keys.ready(QUEUE, "normal")
    body = mill.client.codec.encode_call(("a",), {})
    new = [NewJob(f"job-{number}", "", body) for number in range(50)]
    enqueue = scripts.enqueue(NewJobs(QUEUE, order.task.name, tenants=scripts.keys.tenant("a")), new)
    with running_scheduler(mill), running_worker(mill):
        order.task.enqueue("a").result(timeout=60)
        together = server.client.pipeline(transaction=True)
        together.execute_command(*enqueue.words)
        together.execute_command("XREADGROUP", "GROUP", "tidemill", "dead", "COUNT", 2, "STREAMS", stream, ">")
        together.execute()
        eventually(lambda: len(order.ran) == 1 + 48, "all but those two have run", 60)


def test_nothing_is_left_when_all_have_run(mill: Tidemill, server: Server) -> None:
    order = _Order(mill)
    order.go.set()
    with running_fleet(mill):
        for number in range(40):
            order.flood(f"tenant {number}", 5)
        eventually(lambda: len(order.ran) == 200, "all have run", 60)
        eventually(lambda: not server.client.exists("tm:{0}:agenda"), "the queue is not looked at any more", 30)
    assert mill.doctor().healthy
    assert not [key for key in server.all_keys() if ":tenant:" in key or ":turns:" in key]
