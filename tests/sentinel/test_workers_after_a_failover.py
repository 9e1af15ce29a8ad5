"""What the new primary does not know, or knows only from before: leases, and whole workers."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conditions import eventually
from fleet import running_scheduler, running_worker
from sentinel.topology import Topology
from servers import Server
from tidemill import Job, Tidemill
from worker import jobs_app
from worker.processes import APP, lines, running

pytestmark = pytest.mark.timeout(240)

DEADLINE_SECONDS = 60
# Longer than a failover.
LEASE_SECONDS = 4
HOLD = jobs_app.hold.definition.name


def test_a_lease_that_nobody_could_renew_during_a_failover_is_not_taken_for_over(
    topology: Topology, tmp_path: Path
) -> None:
    """A scheduler waits for one lease after it: here the worker stands still in that time, and then goes on."""
    journal, release = tmp_path / "journal", tmp_path / "release"
    command = ("worker", APP, "--no-supervisor", f"--lease={LEASE_SECONDS}")
    with (
        Tidemill(topology.url, deadline=DEADLINE_SECONDS) as mill,
        running_scheduler(mill),
        running(tmp_path / "log", topology.url, *command) as worker,
    ):
        job = mill.named(HOLD).enqueue(str(journal), str(release))
        eventually(lambda: lines(journal), "it runs", DEADLINE_SECONDS)
        worker.send(signal.SIGSTOP)
        former = topology.primary_port
        topology.servers[former].kill()
        new = topology.servers[topology.await_switch(former)]
        _one_round_of_the_scheduler(mill)
        eventually(lambda: _leases_are_over(new), "the lease is over", DEADLINE_SECONDS)
        _one_round_of_the_scheduler(mill)
        worker.send(signal.SIGCONT)
        release.touch()
        assert job.result(timeout=DEADLINE_SECONDS) == "attempt 1"
        assert len(lines(journal)) == 1


def _one_round_of_the_scheduler(mill: Tidemill) -> None:
    """What it does after the second was promoted, it has done after the first."""
    for _ in range(2):
        job = mill.named("nobody.knows").using(queue="elsewhere").enqueue_in(0.01)
        eventually(partial(_is_ready, job), "it was promoted", DEADLINE_SECONDS)


def _is_ready(job: Job[Any]) -> bool:
    return job.refresh().state == "ready"


def _leases_are_over(server: Server) -> bool:
    now = server.client.time()[0]
    return all(end_ms < now * 1000 for _, end_ms in server.client.zrange("tm:{0}:workers", 0, -1, withscores=True))


def test_a_worker_that_the_new_primary_does_not_know_begins_anew(topology: Topology, tmp_path: Path) -> None:
    journal, release = tmp_path / "journal", tmp_path / "release"
    release.touch()
    with Tidemill(topology.url, deadline=DEADLINE_SECONDS) as mill, running_scheduler(mill):
        mill.task(name="some.task")(lambda: None)
        with running_worker(mill):
            pass  # the queue is known before
        topology.await_replicas()
        topology.cut_off_replicas()
        with running(tmp_path / "log", topology.url, "worker", APP, "--queues=default", "--lease=2") as worker:
            hold = mill.named(HOLD)
            assert hold.enqueue(str(journal), str(release)).result(timeout=DEADLINE_SECONDS) == "attempt 1"
            former = topology.primary_port
            topology.servers[former].kill()
            topology.resume_replicas()
            topology.await_switch(former)
            assert hold.enqueue(str(journal), str(release)).result(timeout=DEADLINE_SECONDS) == "attempt 1"
            assert len({line.split()[0] for line in lines(journal)}) == 1, "in one process, without a restart"
            assert worker.process.poll() is None
            assert "lease.lost" in worker.output
