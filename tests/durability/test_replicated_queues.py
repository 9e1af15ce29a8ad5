"""Queues whose enqueue waits for every replica: a primary and its replicas, as real processes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import pytest

from conditions import eventually
from fleet import running_scheduler
from proxy import Proxy
from replication import CLUSTER_REASON, IS_CLUSTER, Replicated
from servers import Server
from tidemill import EnqueueUnknown, Job, JobNotFound, ServerUnavailable, ServerUnsuitable, Tidemill, call
from tidemill.settings import ENQUEUE_CHUNK_JOBS

pytestmark = pytest.mark.skipif(IS_CLUSTER, reason=CLUSTER_REASON)

QUEUE = "payments"


@pytest.fixture(scope="module")
def topology() -> Iterator[Replicated]:
    with Replicated(2) as found:
        yield found


@pytest.fixture
def servers(topology: Replicated) -> Iterator[Replicated]:
    """Empty, all replicas awake."""
    topology.flush()
    yield topology
    for number in range(len(topology.replicas)):
        topology.resume(number)


@pytest.fixture
def mill(servers: Replicated) -> Iterator[Tidemill]:
    """An application whose queue is replicated."""
    with Tidemill(servers.url) as found:
        found.inspect.durability(QUEUE, "replicated")
        yield found


def hasty(servers: Replicated) -> Tidemill:
    """An application that waits a short time."""
    return Tidemill(servers.url, deadline=1.5)


def jobs_on(server: Server) -> int:
    return len([key for key in server.all_keys() if ":job:" in key])


def test_every_replica_has_a_job_whose_enqueue_returned(servers: Replicated, mill: Tidemill) -> None:
    named = mill.named("a.task").using(queue=QUEUE)
    for number in range(50):
        job = named.enqueue(number) if number % 2 else named.enqueue_in(60, number)
        key = f"tm:{{0}}:job:{job.id}"
        assert [replica.client.exists(key) for replica in servers.replicas] == [1, 1]


async def test_async_code_waits_too(servers: Replicated, mill: Tidemill) -> None:
    named = mill.named("a.task").using(queue=QUEUE)
    jobs = await named.aenqueue_many([call(number) for number in range(30)])
    jobs += await asyncio.gather(*(named.aenqueue(number) for number in range(30)))
    assert jobs_on(servers.replicas[0]) == jobs_on(servers.replicas[1]) == len({job.id for job in jobs}) == 60
    await mill.aclose()


def test_a_replica_that_does_not_answer_makes_the_outcome_unknown(servers: Replicated, mill: Tidemill) -> None:
    servers.pause(1)
    with hasty(servers) as producer:
        named = producer.named("a.task").using(queue=QUEUE)
        message = rf"whether job \S+ is enqueued is not known: queue '{QUEUE}' is replicated, and 1 of 2 replicas"
        with pytest.raises(EnqueueUnknown, match=message) as caught:
            named.enqueue("once")
        assert isinstance(caught.value, ServerUnavailable)
        lost: Job[object] = caught.value.job
        assert (lost.state, lost.refresh().state) == ("ready", "ready")

        # The job is there, so the script changes nothing: the wait must not be for nothing.
        with pytest.raises(EnqueueUnknown, match="1 of 2 replicas") as again:
            named.using(job_id=lost.id).enqueue("once")
        assert again.value.job == lost

        servers.resume(1)
        with Tidemill(servers.url) as patient:
            found = patient.named("a.task").using(queue=QUEUE, job_id=lost.id).enqueue("once")
        assert found == lost
        assert [jobs_on(server) for server in (servers.primary, *servers.replicas)] == [1, 1, 1]


async def test_a_replica_that_does_not_answer_makes_the_outcome_unknown_in_async_code(
    servers: Replicated, mill: Tidemill
) -> None:
    servers.pause(0)
    async with hasty(servers) as producer:
        with pytest.raises(EnqueueUnknown, match="1 of 2 replicas") as caught:
            await producer.named("a.task").using(queue=QUEUE, delay=60).aenqueue()
        assert caught.value.job.state == "scheduled"
        assert (await caught.value.job.arefresh()).state == "scheduled"


def test_a_repeat_on_a_new_connection_waits_for_what_another_one_wrote(servers: Replicated, mill: Tidemill) -> None:
    """WAIT answers for the writes of its own connection: a connection that has written nothing gets an answer at once,
    though the job is on no replica. Steps: the enqueue is applied, its reply is lost; the repeat finds the job.
    """
    servers.pause(0)
    with Proxy(servers.primary) as proxy, Tidemill(proxy.url, deadline=1) as producer:
        producer.inspect.queues()
        proxy.lose_replies(1)
        with pytest.raises(EnqueueUnknown, match="1 of 2 replicas"):
            producer.named("a.task").using(queue=QUEUE).enqueue()
        assert jobs_on(servers.primary) == 1


def test_a_wait_that_is_lost_is_asked_for_again(servers: Replicated, mill: Tidemill) -> None:
    with Proxy(servers.primary, marker=b"WAIT") as proxy, Tidemill(proxy.url) as producer:
        proxy.lose_replies(2)
        job = producer.named("a.task").using(queue=QUEUE).enqueue()
        assert proxy.requests == 3
        assert job.refresh().state == "ready"
        assert jobs_on(servers.primary) == 1


def test_many_jobs_wait_once_a_chunk_and_say_which_are_unknown(servers: Replicated, mill: Tidemill) -> None:
    calls = [call(number) for number in range(2 * ENQUEUE_CHUNK_JOBS + 1)]
    with Proxy(servers.primary, marker=b"WAIT") as proxy, Tidemill(proxy.url, deadline=30) as producer:
        assert len(producer.named("a.task").using(queue=QUEUE).enqueue_many(calls)) == len(calls)
        assert proxy.requests == 3
    servers.pause(0)
    with hasty(servers) as producer, pytest.raises(EnqueueUnknown, match=f"these {ENQUEUE_CHUNK_JOBS} jobs") as caught:
        producer.named("a.task").using(queue=QUEUE).enqueue_many(calls)
    assert caught.value.enqueued == ()
    assert len(caught.value.jobs) == ENQUEUE_CHUNK_JOBS
    assert {job.refresh().state for job in caught.value.jobs} == {"ready"}


def test_a_unique_job_that_exists_is_waited_for(servers: Replicated, mill: Tidemill) -> None:
    servers.pause(0)
    with hasty(servers) as producer:
        unique = producer.named("a.task").using(queue=QUEUE, unique="key")
        for _ in range(2):
            with pytest.raises(EnqueueUnknown):
                unique.enqueue()
    servers.resume(0)
    with Tidemill(servers.url) as patient:
        unique = patient.named("a.task").using(queue=QUEUE, unique="key")
        assert unique.enqueue() == unique.enqueue()
    assert jobs_on(servers.primary) == 1


def test_other_queues_do_not_wait(servers: Replicated, mill: Tidemill) -> None:
    servers.pause(0)
    assert mill.enqueue("a.task").state == "ready"
    mill.inspect.durability(QUEUE, None)
    assert mill.named("a.task").using(queue=QUEUE).enqueue().state == "ready"


def test_a_queue_is_not_made_replicated_without_a_replica(mill: Tidemill) -> None:
    with Replicated(0) as alone, Tidemill(alone.url) as lonely:
        with pytest.raises(ServerUnsuitable, match=f"queue '{QUEUE}' can't be replicated: the server has no replica"):
            lonely.inspect.durability(QUEUE, "replicated")
        assert "durability" not in lonely.inspect.queue(QUEUE).counters
        assert lonely.named("a.task").using(queue=QUEUE).enqueue().state == "ready"


async def test_an_enqueue_waits_for_a_replica_and_is_refused_without_one() -> None:
    """As between a failover and the first replica that follows the new primary: nothing is written meanwhile."""
    with Replicated(1) as servers:
        with Tidemill(servers.url) as mill:
            mill.inspect.durability(QUEUE, "replicated")
        servers.replicas.pop().close()
        with hasty(servers) as producer:
            refusal = re.escape(f"NOREPLICAS queue {QUEUE} is to be replicated, but no replica is connected")
            named = producer.named("a.task").using(queue=QUEUE)
            with pytest.raises(ServerUnavailable, match=refusal) as refused:
                named.using(job_id="a-job").enqueue()
            with pytest.raises(ServerUnavailable, match=refusal) as arefused:
                await named.using(job_id="a-job").aenqueue()
            await producer.aclose()
            assert not isinstance(refused.value, EnqueueUnknown)
            assert not isinstance(arefused.value, EnqueueUnknown)
            with pytest.raises(JobNotFound):
                producer.job("a-job")
        async with Tidemill(servers.url, deadline=60) as patient:
            waiting = asyncio.create_task(patient.named("a.task").using(queue=QUEUE).aenqueue())
            await asyncio.to_thread(servers.add)
            assert (await waiting).state == "ready"
            assert jobs_on(servers.replicas[0]) == 1


def test_a_primary_without_a_least_number_of_replicas_is_warned_of(
    servers: Replicated, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("WARNING"), Tidemill(servers.url) as producer:
        producer.enqueue("a.task")
        assert caplog.text.count("min-replicas-to-write is 0 though it has replicas") == 1
        servers.primary.client.config_set("min-replicas-to-write", 1)
        caplog.clear()
        with Tidemill(servers.url) as again:
            again.enqueue("a.task")
        servers.primary.client.config_set("min-replicas-to-write", 0)
    assert "min-replicas" not in caplog.text


def test_a_scheduler_warns_of_queues_that_the_server_cant_keep(caplog: pytest.LogCaptureFixture) -> None:
    warning = f"queue '{QUEUE}' can't be replicated: the server has no replica"
    with Replicated(1) as servers, Tidemill(servers.url) as mill, caplog.at_level("INFO"):
        mill.inspect.durability(QUEUE, "replicated")
        job = mill.named("a.task").using(queue=QUEUE, delay=0.01).enqueue()
        with running_scheduler(mill):
            eventually(lambda: job.refresh().state == "ready", "the scheduler runs")
        assert warning not in caplog.text
        servers.replicas.pop().close()
        with running_scheduler(mill):
            eventually(lambda: warning in caplog.text, "the scheduler warns")
