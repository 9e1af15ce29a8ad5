"""Connections that fall silent without being closed: each of a worker's is given up within a bounded time, and made
anew."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from conditions import eventually
from fleet import running_scheduler, running_worker
from proxy import Proxy
from servers import Server
from tidemill import Tidemill, current_job
from tidemill.job import Job
from tidemill.wire.script import load
from tidemill_consumers import settings
from tidemill_consumers.settings import WorkerSettings

SHORT_LEASE = WorkerSettings(concurrency=2, lease_ms=2_000)


@pytest.fixture
def proxy(server: Server, url: str) -> Iterator[Proxy]:
    with Proxy(server, marker=b"BLOCK") as found:
        yield found


@pytest.fixture
def behind(proxy: Proxy) -> Iterator[Tidemill]:
    """An application whose workers reach the server through the proxy."""
    with Tidemill(proxy.url) as found:
        yield found


def _reads(proxy: Proxy, more_than: int = 0) -> None:
    eventually(lambda: proxy.requests > more_than, "the reader waits for jobs", 60)


def test_a_reader_whose_connection_is_silent_is_noticed_by_the_jobs_that_it_does_not_get(
    mill: Tidemill, behind: Tidemill, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "DEAF_SECONDS", 0.5)

    @behind.task(name="a.task")
    def work(number: int) -> int:
        return number

    with running_worker(behind, SHORT_LEASE):
        _reads(proxy)
        assert proxy.silence(b"BLOCK") == 1
        # The server gives the first to a connection that nobody hears, and keeps the others, until the read is over.
        first: Job[int] = mill.named("a.task").enqueue(1)
        assert first.result(timeout=20) == 1
        _reads(proxy, 1)
        assert proxy.silence(b"BLOCK") >= 1
        jobs = [mill.named("a.task").enqueue(number) for number in range(5)]
        assert [job.result(timeout=20) for job in jobs] == list(range(5))


def test_a_reader_whose_connection_is_silent_reads_anew_after_its_time(
    behind: Tidemill, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "BLOCK_MS", 500)

    @behind.task()
    def work() -> None: ...

    with running_worker(behind, SHORT_LEASE):
        _reads(proxy)
        eventually(lambda: proxy.silence(b"BLOCK"), "a read was caught under way")
        silenced_at = proxy.requests
        _reads(proxy, silenced_at + 1)


def test_a_read_that_waits_for_jobs_in_vain_is_left_alone_while_there_are_none(
    server: Server, behind: Tidemill, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "DEAF_SECONDS", 0.4)  # so that the second look decides
    release = threading.Event()

    @behind.task()
    def work() -> None:
        release.wait(30)

    @behind.task(queue="paused")
    def paused() -> None: ...

    renew = load("renew").sha.encode()
    with running_worker(behind, WorkerSettings(concurrency=2, lease_ms=4_000)):
        held = work.enqueue()
        eventually(lambda: held.refresh().state == "running", "a job is held")
        behind.inspect.pause("paused")
        job = paused.enqueue()
        reads = eventually(lambda: proxy.requests, "the reader waits for jobs")
        eventually(lambda: any("P" in one["flags"] for one in server.client.client_list()), "the worker has subscribed")
        proxy.marker, proxy.requests = renew, 0
        before = eventually(lambda: proxy.requests, "the lease was renewed")
        connections = proxy.connections
        eventually(lambda: proxy.requests > before + 3, "the lease was renewed a few times")
        proxy.marker = b"BLOCK"
        assert proxy.connections == connections
        assert job.refresh().state == "ready"
        release.set()
        behind.inspect.resume("paused")
        job.result(timeout=20)
        assert reads


def test_a_silent_lease_connection_is_replaced_before_the_lease_is_over(
    mill: Tidemill, behind: Tidemill, proxy: Proxy
) -> None:
    started, release = threading.Event(), threading.Event()

    @behind.task()
    def work() -> str:
        started.set()
        release.wait(60)
        return "done"

    with running_scheduler(mill), running_worker(behind, WorkerSettings(concurrency=2, lease_ms=4_000)) as worker:
        first = worker.incarnation
        job = work.enqueue()
        assert started.wait(20)
        proxy.marker = load("renew").sha.encode()
        before = eventually(lambda: proxy.requests, "the lease was renewed")
        # The script may just be on its way to a server that does not have it: that is another request.
        eventually(lambda: proxy.silence(proxy.marker) == 1, "its connection has fallen silent")
        eventually(lambda: proxy.requests > before + 4, "it is renewed again", 30)
        release.set()
        assert job.result(timeout=20) == "done"
        assert worker.incarnation == first


def test_a_result_is_settled_though_the_settlements_connection_is_silent(
    mill: Tidemill, behind: Tidemill, proxy: Proxy
) -> None:
    runs: list[int] = []

    @behind.task()
    def work(number: int) -> int:
        runs.append(number)
        return number

    with running_worker(behind, SHORT_LEASE):
        # The settlement shares its connection, so that of a first job it may not be the last that was said there.
        eventually(
            lambda: work.enqueue(1).result(timeout=20) == 1 and proxy.silence(load("complete").sha.encode()),
            "the settlement's connection has fallen silent",
        )
        assert mill.job(work.enqueue(2).id).result(timeout=30) == 2
    assert runs.count(2) == 1


@pytest.mark.interrupts
def test_a_silent_subscription_is_replaced_and_cancellations_are_prompt_again(
    mill: Tidemill, behind: Tidemill, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "BLOCK_MS", 500)
    started, pause = threading.Event(), threading.Event()

    @behind.task()
    def work() -> None:
        started.set()
        while not current_job().should_stop:
            pause.wait(0.01)

    proxy.marker = b"control"
    with running_worker(behind, WorkerSettings(concurrency=2, lease_ms=60_000)):
        before = eventually(lambda: proxy.requests, "it is subscribed")
        connections = proxy.connections
        assert proxy.silence(b"control") == 1
        eventually(lambda: proxy.connections > connections and proxy.requests > before, "it is subscribed anew", 30)
        job = mill.job(work.enqueue().id)
        assert started.wait(20)
        subscribed = proxy.requests
        eventually(lambda: proxy.requests > subscribed, "the new subscription is heard")
        assert job.cancel() is True
        # The lease thread alone would look after 15 s.
        eventually(lambda: job.refresh().state == "cancelled", "it was cancelled", 10)


def test_who_waits_for_a_result_notices_a_silent_subscription(
    mill: Tidemill, behind: Tidemill, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.waiter._LISTEN_SECONDS", 0.5)
    release = threading.Event()

    @mill.task(name="a.task")
    def work() -> str:
        release.wait(60)
        return "done"

    proxy.marker = b"waiter"
    with running_worker(mill, SHORT_LEASE):
        job: Job[str] = behind.named("a.task").enqueue()
        results: list[str] = []
        waiting = threading.Thread(target=lambda: results.append(job.result(timeout=60)))
        waiting.start()
        eventually(lambda: proxy.silence(b"SSUBSCRIBE"), "it listens")
        release.set()
        waiting.join(40)
        assert results == ["done"]
