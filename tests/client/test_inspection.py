"""`mill.inspect`: what Redis holds, and steering it."""

from __future__ import annotations

import re

import pytest

from proxy import Proxy
from servers import Server
from tidemill import InvalidInput, Tidemill, call
from tidemill.wire.command import Command


def test_queues_have_figures(mill: Tidemill) -> None:
    assert mill.inspect.queues() == []
    mill.named("a.task").using(queue="images", priority="high").enqueue()
    mill.named("a.task").using(queue="images", delay=60).enqueue()
    mill.named("a.task").using(queue="mails").enqueue()
    images, mails = mill.inspect.queues()
    assert (images.queue, images.scheduled, images.ready) == ("images", 1, {"high": 1, "normal": 0, "low": 0})
    assert (mails.queue, mails.waiting, mails.running, mails.dead) == ("mails", 1, 0, 0)
    assert mill.inspect.queue("mails") == mails or mails.oldest_ready_ms is not None
    with pytest.raises(InvalidInput, match="queue name 'No' is not valid"):
        mill.inspect.queue("No")


def test_jobs_are_listed_by_state_and_page(mill: Tidemill) -> None:
    named = mill.named("a.task")
    ready = named.enqueue_many(call(number) for number in range(230))
    scheduled = [named.using(delay=60 + number).enqueue() for number in range(3)]
    ready[5].cancel()
    listed = mill.inspect.jobs("default", "ready", limit=1000)
    assert [job.id for job in listed] == [job.id for job in ready if job != ready[5]]
    assert mill.inspect.jobs("default", "ready", offset=200, limit=20) == listed[200:220]
    assert mill.inspect.jobs("default", "scheduled") == scheduled
    assert mill.inspect.jobs("default", "cancelled") == [ready[5]]
    assert mill.inspect.jobs("default", "running") == mill.inspect.jobs("default", "dead") == []
    assert {str(job.state) for job in mill.inspect.jobs("default", limit=1000)} == {"ready", "scheduled", "cancelled"}
    with pytest.raises(InvalidInput, match="state 'lost' is not valid: one of 'scheduled', 'ready'"):
        mill.inspect.jobs("default", "lost")
    with pytest.raises(InvalidInput, match="limit must be a whole number from 1"):
        mill.inspect.jobs("default", limit=0)


def test_a_page_of_jobs_takes_two_round_trips(server: Server, url: str) -> None:
    with Proxy(server, marker=b"HGETALL") as proxy, Tidemill(proxy.url) as mill:
        mill.named("a.task").enqueue_many(call(number) for number in range(50))
        before = proxy.requests
        assert len(mill.inspect.jobs("default", "ready")) == 50
        assert proxy.requests - before == 1


def test_a_record_that_no_tidemill_wrote_does_not_hide_the_others(mill: Tidemill) -> None:
    good, bad = mill.enqueue("a.task"), mill.enqueue("a.task")
    mill.client.link.run(Command(("HSET", mill.client.scripts.keys.job(bad.id), "f", "noon"), int))
    listed = {job.id: job for job in mill.inspect.jobs("default")}
    assert set(listed) == {good.id, bad.id}
    assert (listed[good.id].state, listed[bad.id].state) == ("ready", "dead")
    error = listed[bad.id].error
    assert error is not None
    assert (error.type, "no number" in error.message) == ("CorruptRecord", True)
    mill.client.link.run(Command(("HSET", mill.client.scripts.keys.job(good.id), "s", "asleep"), int))
    assert good.refresh().state == "dead"


def test_a_purge_cancels_what_has_not_started(mill: Tidemill) -> None:
    named = mill.named("a.task")
    named.enqueue_many(call(number) for number in range(150))
    named.using(delay=60).enqueue_many(call(number) for number in range(150))
    named.using(priority="low").enqueue()
    cancelled = named.enqueue()
    cancelled.cancel()
    other = named.using(queue="other").enqueue()
    assert mill.inspect.purge("default") == 301
    assert mill.inspect.purge("default") == 0
    assert other.refresh().state == "ready"
    assert {job.state for job in mill.inspect.jobs("default", limit=1000)} == {"cancelled"}


def test_a_limit_must_be_a_number(mill: Tidemill) -> None:
    for wrong in (0, -1, 1.5, "many"):
        with pytest.raises(
            InvalidInput, match=re.escape(f"limit must be a whole number from 1 to 1000000000, not {wrong!r}")
        ):
            mill.inspect.limit("default", wrong)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - as untyped callers do


async def test_everything_has_a_twin_for_async_code(mill: Tidemill) -> None:
    inspect = mill.inspect
    await mill.aenqueue("a.task")
    register = mill.client.scripts.register
    await mill.client.async_link.run(register("a-worker", 5_000, ["default"], {}, {"host": "here"}))
    await inspect.apause("default")
    assert "paused" in (await inspect.aqueue("default")).counters
    await inspect.aresume("default")
    await inspect.alimit("default", 5)
    (queue,) = await inspect.aqueues()
    assert ("paused" in queue.counters, queue.counters["limit"]) == (False, "5")
    (worker,) = await inspect.aworkers()
    assert (worker.incarnation, worker.description["host"]) == ("a-worker", "here")
    assert inspect.workers() == [worker]
    assert len(await inspect.ajobs("default", "ready", limit=1)) == 1
    assert await inspect.apurge("default") == 1
    await mill.aclose()
    assert await inspect.apurge("default") == 0
    await mill.aclose()
