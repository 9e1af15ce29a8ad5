"""Worker, scheduler and producer together, while the server is in a bad state: what is there goes on as far as it can,
and when the state is over everything has happened once."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from conditions import eventually
from fleet import running_fleet, running_scheduler, running_worker
from servers import Server
from tidemill import JobExpired, JobFailed, QueueFull, Retry, ServerUnavailable, Task, Tidemill
from tidemill_consumers.settings import WorkerSettings
from tidemill_scheduler import settings as scheduler_settings

LEASE = WorkerSettings(concurrency=4, lease_ms=2_000)
WAIT_SECONDS = 60


@contextmanager
def _replica(server: Server) -> Generator[None]:
    server.client.execute_command("REPLICAOF", "127.0.0.1", "1")
    yield
    server.client.execute_command("REPLICAOF", "NO", "ONE")


@contextmanager
def _short_of_replicas(server: Server) -> Generator[None]:
    server.client.config_set("min-replicas-to-write", 1)
    yield
    server.client.config_set("min-replicas-to-write", 0)


@contextmanager
def _unable_to_save(server: Server) -> Generator[None]:
    target = server.directory / "dump.rdb"
    target.mkdir()  # so that no snapshot can have this name
    server.client.config_set("save", "3600 1")
    server.client.execute_command("BGSAVE")
    eventually(lambda: server.client.info("persistence")["rdb_last_bgsave_status"] == "err", "a snapshot has failed")
    yield
    target.rmdir()
    server.client.config_set("save", "")


@contextmanager
def _paused_for_writes(server: Server) -> Generator[None]:
    server.client.execute_command("CLIENT", "PAUSE", 20_000, "WRITE")
    yield
    server.client.execute_command("CLIENT", "UNPAUSE")


@contextmanager
def _standing_still(server: Server) -> Generator[None]:
    server.process.send_signal(signal.SIGSTOP)
    yield
    server.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize(
    "state",
    [_replica, _short_of_replicas, _unable_to_save, _paused_for_writes, _standing_still],
    ids=["a replica", "short of replicas", "unable to save", "paused for writes", "standing still"],
)
def test_a_state_that_passes_costs_no_job(own_server: Server, state: Callable[..., Any]) -> None:
    if state is _replica and own_server.flavour == "cluster":
        pytest.skip("cluster nodes are no replicas by REPLICAOF, but by CLUSTER REPLICATE")
    mill = Tidemill(own_server.url)
    started, release, lock = threading.Semaphore(0), threading.Event(), threading.Lock()
    runs: Counter[str] = Counter()

    @mill.task()
    def held(number: int) -> int:
        with lock:
            runs[f"held {number}"] += 1
        started.release()
        release.wait(60)
        return number

    @mill.task()
    def quick(name: str) -> str:
        with lock:
            runs[name] += 1
        return name

    hasty = Tidemill(own_server.url, deadline=1)
    with mill, hasty, running_fleet(mill, WorkerSettings(concurrency=4, lease_ms=20_000)):
        assert hasty.inspect.queues()  # connects: who comes later is told that it is the wrong server
        jobs = [held.enqueue(number) for number in range(2)]
        assert all(started.acquire(timeout=20) for _ in jobs)
        due = quick.enqueue_in(0.5, "due")
        with state(own_server):
            with pytest.raises(ServerUnavailable):
                hasty.named(quick.name).enqueue("refused")
            release.set()  # their results can't be settled now
        assert [job.result(timeout=WAIT_SECONDS) for job in jobs] == [0, 1]
        assert due.result(timeout=WAIT_SECONDS) == "due"
        assert quick.using(job_id="again").enqueue("again").result(timeout=WAIT_SECONDS) == "again"
    del runs["refused"]  # it may have been, where no answer came
    assert runs == {"held 0": 1, "held 1": 1, "due": 1, "again": 1}


def _work(mill: Tidemill, runs: Counter[str], release: threading.Event) -> Task[[str], str]:
    """A task that counts its runs; its argument says how it ends."""
    lock = threading.Lock()

    @mill.task(retry=Retry(max_attempts=2, base=0.01))
    def work(name: str) -> str:
        with lock:
            runs[name] += 1
        if name == "running":
            release.wait(60)
        if name == "retried" and runs[name] == 1:
            raise ValueError(name)
        if name == "broken":
            raise ValueError(name)
        return name

    return work


def _take_and_die(mill: Tidemill, queue: str) -> None:
    """A worker takes a job of the queue, and is heard of no more."""
    scripts, link = mill.client.scripts, mill.client.link
    link.run(scripts.register("dead", 500, [queue], {}, {"lease_ms": "500"}))
    assert link.run(scripts.take("dead", (queue,), 1))


def test_a_server_without_memory_is_drained_to_the_last_job(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler_settings, "IDLE_MS", 200)
    mill = Tidemill(own_server.url)
    release = threading.Event()
    runs: Counter[str] = Counter()
    work = _work(mill, runs, release)
    with mill:
        own_server.client.config_set("maxmemory", "512mb")
        waiting = [work.enqueue(f"waiting {number}") for number in range(20)]
        delayed = work.enqueue_in(1, "delayed")
        retried, broken = work.enqueue("retried"), work.enqueue("broken")
        expiring = work.using(queue="nobody", expires=1).enqueue("expired")
        mill.every(timedelta(seconds=1), work, args=("often",), name="often")
        lost = work.using(queue="other").enqueue("recovered")
        _take_and_die(mill, "other")
        with running_worker(mill, WorkerSettings(concurrency=1, lease_ms=2_000)):
            running = work.using(priority="high").enqueue("running")
            eventually(lambda: runs["running"], "it runs")
            own_server.client.config_set("maxmemory", 1)
            release.set()
            assert running.result(timeout=WAIT_SECONDS) == "running"
        with running_scheduler(mill), running_worker(mill, WorkerSettings(queues=("default", "other"))):
            with pytest.raises(QueueFull, match="maxmemory"):
                work.enqueue("refused")
            for job in (*waiting, delayed, retried):
                assert job.result(timeout=WAIT_SECONDS)
            with pytest.raises(JobFailed):
                broken.result(timeout=WAIT_SECONDS)
            with pytest.raises(JobExpired):
                expiring.result(timeout=WAIT_SECONDS)
            assert lost.result(timeout=WAIT_SECONDS) == "recovered"
            own_server.client.config_set("maxmemory", "512mb")
            assert work.enqueue("afterwards").result(timeout=WAIT_SECONDS) == "afterwards"
            eventually(lambda: runs["often"], "the schedule has moved on", WAIT_SECONDS)
    twice = {name: count for name, count in runs.items() if count > 1 and name != "often"}
    assert twice == {"retried": 2, "broken": 2}


def test_scripts_that_are_flushed_and_connections_that_are_killed_all_the_time_cost_nothing(
    own_server: Server,
) -> None:
    mill = Tidemill(own_server.url)
    lock, ended = threading.Lock(), threading.Event()
    runs: Counter[int] = Counter()

    @mill.task()
    def work(number: int) -> int:
        with lock:
            runs[number] += 1
        return number

    def disturb() -> None:
        while not ended.wait(0.05):
            own_server.client.execute_command("SCRIPT", "FLUSH")
            own_server.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            own_server.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub", "SKIPME", "yes")

    disturbance = threading.Thread(target=disturb)
    with mill, running_fleet(mill, WorkerSettings(concurrency=4, lease_ms=10_000)):
        disturbance.start()
        try:
            jobs = [work.enqueue(number) for number in range(150)]
            jobs += [work.enqueue_in(0.2, number) for number in range(150, 200)]
            assert [job.result(timeout=WAIT_SECONDS) for job in jobs] == list(range(200))
        finally:
            ended.set()
            disturbance.join(20)
        assert work.enqueue(200).result(timeout=WAIT_SECONDS) == 200
    assert runs == dict.fromkeys(range(201), 1)


@pytest.mark.parametrize("deleted", ["group", "stream"])
def test_a_group_or_stream_that_is_deleted_is_made_again_from_the_beginning(
    server: Server, mill: Tidemill, deleted: str
) -> None:
    @mill.task()
    def work(number: int) -> int:
        return number

    stream = mill.client.scripts.keys.ready("default", "normal")
    with running_fleet(mill, LEASE):
        assert work.enqueue(0).result(timeout=WAIT_SECONDS) == 0
        for number in range(1, 4):
            together = server.client.pipeline(transaction=True)
            if deleted == "group":
                together.execute_command("XGROUP", "DESTROY", stream, "tidemill")
            else:
                together.delete(stream)
            together.execute()
            # Entries that were there when the group was made are given to it: it begins at 0.
            jobs = [work.enqueue(number * 10 + index) for index in range(3)]
            assert [job.result(timeout=WAIT_SECONDS) for job in jobs] == [number * 10 + index for index in range(3)]
        (group,) = server.client.xinfo_groups(stream)
        assert (group["pending"], server.client.xlen(stream)) == (0, 0)


def test_a_worker_starts_on_a_server_without_memory_and_publishes_its_recurring_jobs_later(own_server: Server) -> None:
    with Tidemill(own_server.url) as mill:

        @mill.task()
        def work(name: str) -> str:
            return name

        job = work.enqueue("waiting")
        own_server.client.config_set("maxmemory", 1)
        with pytest.raises(QueueFull):
            mill.every(timedelta(seconds=1), work, args=("often",), name="often")
        with running_fleet(mill, LEASE):
            assert job.result(timeout=WAIT_SECONDS) == "waiting"
            own_server.client.config_set("maxmemory", "512mb")
            eventually(lambda: mill.inspect.jobs("default", "succeeded")[1:], "the schedule is known", WAIT_SECONDS)
