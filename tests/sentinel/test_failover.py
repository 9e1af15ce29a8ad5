"""A failover: producers, workers and schedulers follow the new primary without a restart."""

from __future__ import annotations

import asyncio
import itertools
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from conditions import eventually
from fleet import running_fleet
from sentinel.topology import NAME, Topology
from tidemill import Job, ServerUnavailable, Tidemill
from tidemill.connection import open_line
from tidemill_consumers.settings import WorkerSettings

pytestmark = pytest.mark.timeout(240)

SETTINGS = WorkerSettings(concurrency=8, lease_ms=3_000)
# Longer than a failover on a machine that is busy.
DEADLINE_SECONDS = 60


class Producers:
    """A thread and an event loop that enqueue until `stop`."""

    def __init__(self, mill: Tidemill) -> None:
        self._mill = mill
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor()
        self._numbers = itertools.count()
        self.acknowledged: dict[int, Job[None]] = {}
        self._running = [self._pool.submit(self._enqueue), self._pool.submit(asyncio.run, self._aenqueue())]

    def _enqueue(self) -> None:
        while not self._stop.wait(0.005):
            number = next(self._numbers)
            self.acknowledged[number] = self._mill.enqueue("load.note", number)

    async def _aenqueue(self) -> None:
        while not self._stop.is_set():
            number = next(self._numbers)
            self.acknowledged[number] = await self._mill.aenqueue("load.note", number)
            await asyncio.sleep(0.005)
        await self._mill.aclose()

    def go_on(self) -> None:
        """Returns when both have enqueued more."""
        enough = len(self.acknowledged) + 50
        eventually(lambda: len(self.acknowledged) > enough, "the producers go on", DEADLINE_SECONDS)

    def stop(self) -> None:
        self._stop.set()
        for running in self._running:
            running.result(DEADLINE_SECONDS)
        self._pool.shutdown()


def test_a_primary_that_is_killed_under_load_costs_no_job_and_no_restart(topology: Topology) -> None:
    mill = Tidemill(topology.url, deadline=DEADLINE_SECONDS)
    ran: set[int] = set()

    @mill.task(name="load.note")
    def note(number: int) -> str:
        ran.add(number)
        return "noted"

    with mill, running_fleet(mill, SETTINGS), ThreadPoolExecutor() as threads:
        waited_for = note.enqueue_in(6, -1)
        result = threads.submit(waited_for.result, DEADLINE_SECONDS)  # listens on the old primary
        producers = Producers(mill)
        producers.go_on()
        former = topology.primary_port
        topology.servers[former].kill()
        topology.await_switch(former)
        producers.go_on()
        producers.stop()
        assert result.result(DEADLINE_SECONDS) == "noted"
        jobs = [mill.job(job.id) for job in producers.acknowledged.values()]
        eventually(lambda: all(job.refresh().state == "succeeded" for job in jobs), "all ran", DEADLINE_SECONDS)
        assert ran >= set(producers.acknowledged)


def test_a_primary_that_freezes_is_left_in_the_middle_of_a_call(topology: Topology) -> None:
    mill = Tidemill(topology.url, deadline=DEADLINE_SECONDS)
    with mill, ThreadPoolExecutor() as threads:
        mill.enqueue("a.task")
        line = open_line(mill.client.target)
        line.subscribe([mill.client.scripts.keys.alarm])
        listening = threads.submit(line.messages, DEADLINE_SECONDS)
        former = topology.primary_port
        topology.servers[former].process.send_signal(signal.SIGSTOP)
        waiting = threads.submit(mill.enqueue, "a.task")
        new = topology.servers[topology.await_switch(former)]
        with pytest.raises(ServerUnavailable):
            listening.result(20)
        line.close()
        job = waiting.result(DEADLINE_SECONDS)
        topology.servers[former].process.send_signal(signal.SIGCONT)
        after = mill.enqueue("a.task")
        assert new.client.exists(f"tm:{{0}}:job:{job.id}", f"tm:{{0}}:job:{after.id}") == 2


def test_a_connection_is_cut_while_the_former_primary_still_accepts_writes(topology: Topology) -> None:
    with Tidemill(topology.url) as mill, ThreadPoolExecutor() as threads:
        mill.enqueue("a.task")
        line = open_line(mill.client.target)
        line.subscribe([mill.client.scripts.keys.alarm])
        listening = threads.submit(line.messages, 30)
        former = topology.primary_port
        topology.sentinels[0].ask("FAILOVER", NAME)
        with pytest.raises(ServerUnavailable):
            listening.result(20)
        line.close()
        # Sentinel makes it a replica, and closes its connections, some 8 s after it has named another primary.
        assert topology.servers[former].client.execute_command("ROLE")[0] == b"master"
        began = time.monotonic()
        job = mill.enqueue("a.task")
        assert time.monotonic() - began < 8
        assert topology.servers[former].client.execute_command("ROLE")[0] == b"master"
        assert not topology.servers[former].client.exists(f"tm:{{0}}:job:{job.id}")
        assert mill.job(job.id).state == "ready"


def _enqueue_for_a_while(mill: Tidemill) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        mill.enqueue("a.task")


def test_nothing_is_written_while_a_healthy_primary_is_being_replaced(topology: Topology) -> None:
    """What it acknowledges after the promotion, before anybody is told of it, would be lost."""
    with Tidemill(topology.url, deadline=3) as mill:
        mill.enqueue("a.task")
        eventually(lambda: all(one.listeners() for one in topology.sentinels), "it listens to all sentinels")
        former = topology.primary_port
        topology.pause_replicas()  # so that the promotion takes its time
        topology.sentinels[0].ask("FAILOVER", NAME)
        with pytest.raises(ServerUnavailable, match="a failover of 'tide' is under way"):
            _enqueue_for_a_while(mill)
        topology.resume_replicas()
        new = topology.servers[topology.await_switch(former)]
    with Tidemill(topology.url, deadline=DEADLINE_SECONDS) as mill:
        job = mill.enqueue("a.task")
        assert new.client.exists(f"tm:{{0}}:job:{job.id}")


def test_a_failover_that_gets_stuck_stops_nobody_for_long(topology: Topology) -> None:
    for sentinel in topology.sentinels:
        sentinel.ask("SET", NAME, "failover-timeout", 1000 * DEADLINE_SECONDS)
    with Tidemill(topology.url, deadline=3) as impatient, Tidemill(topology.url, deadline=DEADLINE_SECONDS) as patient:
        impatient.enqueue("a.task")
        eventually(lambda: all(one.listeners() for one in topology.sentinels), "it listens to all sentinels")
        former = topology.primary
        topology.pause_replicas()
        topology.sentinels[0].ask("FAILOVER", NAME)
        with pytest.raises(ServerUnavailable, match="a failover of 'tide' is under way"):
            _enqueue_for_a_while(impatient)
        job = patient.enqueue("a.task")
        assert "failover_in_progress" in topology.sentinels[0].described()["flags"]
        assert former.client.exists(f"tm:{{0}}:job:{job.id}")
        topology.resume_replicas()
