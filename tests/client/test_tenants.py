"""Tenants as applications and operators see them: naming them, weighing them, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from fleet import running_worker
from servers import Server
from tidemill import InvalidInput, JobState, QueueFull, Tidemill, call
from tidemill.wire.keys import Keys

QUEUE = "default"


def _tenant(server: Server, job: Any) -> str | None:
    """What the record of a job says."""
    found = server.client.hget(f"tm:{{0}}:job:{job.id}", "te")
    return None if found is None else found.decode()


def test_a_queue_that_sees_no_tenant_knows_nothing_of_them(mill: Tidemill, server: Server) -> None:
    jobs = [mill.enqueue("a.task") for _ in range(5)]
    assert [_tenant(server, job) for job in jobs] == [None] * 5
    assert not [key for key in server.all_keys() if any(word in key for word in ("turns", "line", "tenants"))]
    assert server.client.hgetall(f"tm:{{0}}:queue:{QUEUE}") == {b"known": b"1"}


def test_a_tenant_is_named_by_an_option(mill: Tidemill, server: Server) -> None:
    task = mill.named("a.task")
    found = [_tenant(server, task.using(tenant=name).enqueue()) for name in ("acme", "acme", 7, None)]
    assert found == [Keys.tenant("acme")] * 2 + [Keys.tenant("7"), "-"]
    job = task.using(tenant="acme").enqueue()
    record = mill.client.link.run(mill.client.scripts.read(job.id))
    assert record is not None
    assert record.tenant == Keys.tenant("acme")


def test_a_tenant_is_read_from_an_argument_however_that_is_given(mill: Tidemill, server: Server) -> None:
    @mill.task(tenant_key="account")
    def bill(amount: int, account: str | int | UUID | None = "house", /, *, note: str = "") -> None:
        del amount, account, note

    @mill.task(tenant_key="account")
    def send(text: str, *, account: UUID | None = None) -> None:
        del text, account

    number = UUID(int=5)
    jobs = [
        bill.enqueue(1, "acme"),
        bill.enqueue(1),
        bill.enqueue(1, None),
        send.enqueue("hello", account=number),
        send.enqueue("hello"),
        send.using(tenant="acme").enqueue("hello", account=number),
    ]
    names = ["acme", "house", "", str(number), "", "acme"]
    assert [_tenant(server, job) for job in jobs] == [Keys.tenant(name) for name in names]


def test_the_jobs_of_one_call_may_have_tenants_of_their_own(mill: Tidemill, server: Server) -> None:
    @mill.task(tenant_key="account")
    def bill(account: str | None) -> None:
        del account

    names = [f"t{number % 7}" if number % 8 else None for number in range(450)]
    jobs = bill.enqueue_many([call(name) for name in names])
    assert [_tenant(server, job) for job in jobs] == [Keys.tenant(name or "") for name in names]
    figures = mill.inspect.tenants(QUEUE)
    assert sum(one.waiting for one in figures) == 448, "two have tickets"
    assert {one.digest for one in figures} == {Keys.tenant(name or "") for name in names}
    assert mill.inspect.queue(QUEUE).ready == {"high": 0, "normal": 450, "low": 0}


def test_no_text_of_a_tenant_stands_in_a_key(mill: Tidemill, server: Server) -> None:
    mill.named("a.task").using(tenant="sécret{1}:x").enqueue_many([call() for _ in range(9)])
    mill.inspect.weight(QUEUE, "sécret{1}:x", 2)
    assert not [key for key in server.all_keys() if "cret" in key]


@pytest.mark.parametrize("value", ["", "x" * 257, True, 1.5, b"acme", ["acme"]], ids=repr)
def test_what_is_no_tenant_is_refused(mill: Tidemill, server: Server, value: Any) -> None:
    @mill.task(tenant_key="account")
    def bill(account: Any) -> None:
        del account

    rule = "a text of 1 to 256 characters, a whole number, a UUID, or None"
    with pytest.raises(InvalidInput, match=f"tenant must be {rule}"):
        bill.using(tenant=value)
    with pytest.raises(InvalidInput, match=rf"its argument 'account', must be {rule}"):
        bill.enqueue_many([call("acme"), call(value)])
    with pytest.raises(InvalidInput, match="tenant must be"):
        mill.inspect.weight(QUEUE, value, 2)
    assert not server.all_keys()


def test_a_tenant_key_that_names_no_argument_is_refused_where_it_is_declared(mill: Tidemill) -> None:
    def bill(account: str, *rest: str, **more: str) -> None:
        del account, rest, more

    for key in ("acount", "rest", "more", 5):
        with pytest.raises(InvalidInput, match=rf"tenant_key={key!r} names no argument; these are: account"):
            mill.task(tenant_key=key)(bill)  # type: ignore[arg-type] # as untyped code would

    def send(account: float = 1.5) -> None:
        del account

    with pytest.raises(InvalidInput, match=r"not '1\.5'"):
        mill.task(tenant_key="account")(send)


@pytest.mark.parametrize("weight", [0, -1, 0.009, 101, "2", True, float("nan")], ids=repr)
def test_an_absurd_weight_is_refused(mill: Tidemill, weight: Any) -> None:
    with pytest.raises(InvalidInput, match="weight must be"):
        mill.inspect.weight(QUEUE, "acme", weight)


def test_a_recurring_job_has_no_tenant(mill: Tidemill) -> None:
    @mill.task()
    def bill() -> None: ...

    with pytest.raises(InvalidInput, match="a recurring job has no tenant"):
        mill.every(timedelta(minutes=1), bill.using(tenant="acme"))


async def test_weights_are_seen_with_their_names_until_they_are_taken_back(mill: Tidemill) -> None:
    mill.inspect.weight(QUEUE, "acme", 3)
    await mill.inspect.aweight(QUEUE, None, 0.5)
    mill.named("a.task").using(tenant="acme").enqueue_many([call() for _ in range(5)])
    found = await mill.inspect.atenants(QUEUE)
    assert [(one.name, one.weight, one.waiting) for one in found] == [("acme", 3.0, 3), ("", 0.5, 0)]
    assert mill.inspect.tenants(QUEUE, limit=1) == found[:1]
    mill.inspect.weight(QUEUE, "acme", None)
    await mill.inspect.aweight(QUEUE, None, None)
    assert [(one.waiting, one.weight) for one in mill.inspect.tenants(QUEUE)] == [(3, 1.0)]
    await mill.aclose()


def test_who_waits_for_a_turn_is_listed_and_purged(mill: Tidemill, server: Server) -> None:
    task = mill.named("a.task")
    jobs = [task.using(tenant=f"t{number % 3}", priority="low").enqueue() for number in range(230)]
    assert {job.id for job in mill.inspect.jobs(QUEUE, JobState.READY, limit=1000)} == {job.id for job in jobs}
    assert mill.inspect.purge(QUEUE) == 230
    assert mill.inspect.queue(QUEUE).ready["low"] == 2, "tickets stay until they are read"
    assert not [key for key in server.all_keys() if ":tenant:" in key or ":turns:" in key]


def test_who_waits_for_a_turn_counts_against_the_queues_limit(mill: Tidemill) -> None:
    mill.inspect.limit(QUEUE, 100)
    task: Any = mill.named("a.task").using(tenant="acme")
    assert task.enqueue_many([call() for _ in range(90)])[0].pressure == 0.9
    with pytest.raises(Exception, match="90 jobs are in it, its limit is 100"):
        task.enqueue_many([call() for _ in range(11)])


def test_a_tenant_at_its_limit_is_refused_by_name_and_others_are_not(mill: Tidemill) -> None:
    mill.inspect.tenant_limit(QUEUE, 10)

    @mill.task(tenant_key="account")
    def bill(account: str | None) -> None:
        del account

    for jobs in (10, 2):  # two have tickets, and do not wait for a turn
        bill.enqueue_many([call("acme")] * jobs)
    full = "queue 'default' has no room for tenant 'acme': 10 of them wait for their turn, the limit is 10"
    with pytest.raises(QueueFull, match=full) as caught:
        bill.enqueue("acme")
    assert caught.value.retry_after == 1.0
    with pytest.raises(QueueFull, match="tenant 'bolt'"):
        bill.enqueue_many([call("bolt")] * 11)
    with pytest.raises(QueueFull, match="jobs without a tenant") as partly:
        bill.enqueue_many([call(None)] * 11, partial=True)
    assert len(partly.value.enqueued) == 10
    bill.enqueue("bolt")
    bill.using(delay=60).enqueue("acme")


def test_a_tenants_own_limit_goes_before_that_of_each_until_it_is_taken_back(mill: Tidemill) -> None:
    task: Any = mill.named("a.task").using(tenant="acme")
    mill.inspect.tenant_limit(QUEUE, 5)
    mill.inspect.tenant_limit(QUEUE, 20, "acme")
    for jobs in (20, 2):
        task.enqueue_many([call()] * jobs)
    assert [(one.name, one.waiting, one.limit) for one in mill.inspect.tenants(QUEUE)] == [("acme", 20, 20)]
    with pytest.raises(QueueFull, match="the limit is 20"):
        task.enqueue()
    mill.inspect.tenant_limit(QUEUE, None, "acme")
    with pytest.raises(QueueFull, match="the limit is 5"):
        task.enqueue()
    mill.inspect.tenant_limit(QUEUE, None)
    task.enqueue()


def test_who_waits_for_room_of_its_tenant_gets_in_when_jobs_have_been_let_in(mill: Tidemill) -> None:
    mill.inspect.tenant_limit(QUEUE, 10)

    @mill.task()
    def nothing() -> None: ...

    with running_worker(mill):
        jobs = nothing.using(tenant="acme", on_full="block").enqueue_many([nothing.call() for _ in range(100)])
        for job in jobs:
            job.result(timeout=60)


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "5"], ids=repr)
def test_an_absurd_limit_of_a_tenant_is_refused(mill: Tidemill, limit: Any) -> None:
    with pytest.raises(InvalidInput, match="limit must be a whole number from 1"):
        mill.inspect.tenant_limit(QUEUE, limit)
