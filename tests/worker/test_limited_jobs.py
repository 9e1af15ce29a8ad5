"""Limits with real workers: what is kept, who waits, and that nothing of it stays behind."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from conditions import eventually
from fleet import running_fleet, running_scheduler, running_worker
from servers import Server
from tidemill import Job, Limit, Tidemill, call
from tidemill_consumers.settings import WorkerSettings
from tidemill_scheduler import settings as scheduler_settings
from worker.limits_app import hold
from worker.limits_app import mill as limits_mill
from worker.processes import ALONE, lines, running

# What has no end of its own, or one that is not far.
STAYS = ("limits", "limit:", "tasks", "queue", "done:", "ready:", "events", "departed", "workers", "worker:", "job:")


class Gauge:
    """How many are inside at once, and who came in which order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self.most = 0
        self.order: list[object] = []
        self.opened = threading.Event()

    def enter(self, who: object, until: Callable[[], bool] = lambda: True) -> None:
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
            self.order.append(who)
        eventually(until, "it may leave")
        with self._lock:
            self._inside -= 1


def results(jobs: list[Job[None]]) -> None:
    for job in jobs:
        job.result(timeout=60)


def left_behind(server: Server, mill: Tidemill) -> list[str]:
    names = [key.removeprefix(mill.client.scripts.keys.root) for key in server.all_keys()]
    return [name for name in names if not name.startswith(STAYS)]


@pytest.fixture
def gauge() -> Gauge:
    return Gauge()


def test_no_more_run_at_once_than_a_concurrency_allows_in_the_whole_fleet(
    mill: Tidemill, server: Server, gauge: Gauge
) -> None:
    @mill.task(concurrency=3)
    def limited(number: int) -> None:
        seen = len(gauge.order)
        gauge.enter(number, lambda: gauge.most == 3 or len(gauge.order) > seen + 5)

    with running_scheduler(mill), running_worker(mill), running_worker(mill):
        results(limited.enqueue_many([call(number) for number in range(60)]))
    assert gauge.most == 3
    assert mill.doctor().healthy
    eventually(lambda: not left_behind(server, mill), f"nothing is left: {left_behind(server, mill)}")


def test_those_that_wait_run_in_the_order_in_which_they_came(mill: Tidemill, gauge: Gauge) -> None:
    @mill.task(concurrency=1)
    def limited(number: int) -> None:
        gauge.enter(number)

    jobs = limited.enqueue_many([call(number) for number in range(30)])
    with running_fleet(mill):
        eventually(lambda: gauge.order, "the first one runs")
        jobs += [limited.enqueue(number) for number in range(30, 40)]
        results(jobs)
    assert gauge.order == list(range(40)), gauge.order
    assert gauge.most == 1


def test_who_waits_for_a_limit_holds_no_slot(mill: Tidemill) -> None:
    release = threading.Event()

    @mill.task(concurrency=1)
    def limited() -> None:
        assert release.wait(60)

    @mill.task()
    def free() -> str:
        return "done"

    with running_fleet(mill, WorkerSettings(concurrency=2, lease_ms=4_000)):
        jobs = limited.enqueue_many([call() for _ in range(20)])
        assert free.enqueue().result(timeout=30) == "done"
        eventually(lambda: mill.inspect.queue("default").scheduled == 19, "all others wait in line")
        waiting = [job.refresh() for job in jobs if job.refresh().state == "scheduled"]
        assert {job.record.parked for job in waiting} == {f"it waits for its turn: concurrency of {limited.name}"}
        release.set()
        results(jobs)


def test_each_key_has_a_limit_of_its_own(mill: Tidemill, gauge: Gauge) -> None:
    release = threading.Event()

    @mill.task(concurrency=1, concurrency_key="customer")
    def limited(customer: str) -> None:
        gauge.enter(customer, lambda: customer != "busy" or release.is_set())

    with running_fleet(mill):
        busy = limited.enqueue_many([call("busy") for _ in range(10)])
        results([limited.enqueue(str(number)) for number in range(10)])
        assert gauge.order.count("busy") == 1
        release.set()
        results(busy)
    assert mill.doctor().healthy


def test_tasks_share_a_limit_by_its_name(mill: Tidemill, gauge: Gauge) -> None:
    shared = Limit("api", concurrency=1)

    @mill.task(limits=[shared])
    def one() -> None:
        gauge.enter("one")

    @mill.task(limits=[shared], queue="other")
    def two() -> None:
        gauge.enter("two")

    with running_fleet(mill):
        results([task.enqueue() for _ in range(15) for task in (one, two)])
    assert gauge.most == 1


def test_within_any_time_no_more_start_than_its_rate_and_one_burst(mill: Tidemill) -> None:
    @mill.task(rate="100/s burst 3")
    def limited() -> None: ...

    jobs = limited.enqueue_many([call() for _ in range(60)])
    with running_fleet(mill):
        results(jobs)
    starts = sorted(job.refresh().record.started_ms for job in jobs)
    for index, first in enumerate(starts):
        for count, last in enumerate(starts[index:], 1):
            assert count <= (last - first) / 10 + 3 + 1e-6


def test_what_a_job_costs_is_taken_of_the_rate(mill: Tidemill) -> None:
    @mill.task(rate="100/s burst 10", cost="pages")
    def limited(pages: int) -> None: ...

    jobs = limited.enqueue_many([call(10) for _ in range(5)])
    with running_fleet(mill):
        results(jobs)
    starts = sorted(job.refresh().record.started_ms for job in jobs)
    assert all(later - earlier >= 100 for earlier, later in pairwise(starts))


def test_jobs_whose_producer_knows_the_task_by_name_only_are_limited_all_the_same(
    mill: Tidemill, url: str, gauge: Gauge
) -> None:
    @mill.task(name="limited", concurrency=1, concurrency_key="customer")
    def limited(customer: str) -> None:
        gauge.enter(customer)

    with Tidemill(url) as stranger, running_fleet(mill):
        jobs = stranger.named("limited").enqueue_many([call("ann") for _ in range(20)])
        results(jobs)
    assert gauge.most == 1
    assert {job.refresh().attempt for job in jobs} == {1}, "to be told apart costs no attempt"


def test_a_queue_can_be_throttled_and_set_free_while_it_works(mill: Tidemill, gauge: Gauge) -> None:
    @mill.task()
    def plain(number: int) -> None:
        gauge.enter(number, lambda: gauge.most > 1 or gauge.opened.is_set())

    with running_fleet(mill):
        mill.inspect.throttle("default", concurrency=1)
        gauge.opened.set()
        results([plain.enqueue(number) for number in range(20)])
        assert gauge.most == 1
        gauge.opened.clear()
        mill.inspect.throttle("default")
        results([plain.enqueue(number) for number in range(8)])
        assert gauge.most > 1


def test_who_is_cancelled_or_expires_in_line_leaves_it(mill: Tidemill, server: Server) -> None:
    release = threading.Event()

    @mill.task(concurrency=1)
    def limited() -> None:
        assert release.wait(60)

    with running_fleet(mill):
        holder = limited.enqueue()
        eventually(lambda: holder.refresh().state == "running", "it runs")
        cancelled, expired, last = limited.enqueue(), limited.using(expires=0.1).enqueue(), limited.enqueue()
        eventually(lambda: last.refresh().state == "scheduled", "it waits")
        assert cancelled.cancel()
        eventually(lambda: expired.refresh().state == "expired", "it expires")
        release.set()
        results([holder, last])
    assert mill.doctor().healthy
    eventually(lambda: not left_behind(server, mill), f"nothing is left: {left_behind(server, mill)}")


def test_the_permit_of_a_killed_worker_is_free_when_its_jobs_are_recovered(
    server: Server, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler_settings, "IDLE_MS", 200)
    monkeypatch.setenv("TIDEMILL_URL", url)
    journal, release = tmp_path / "journal", tmp_path / "release"
    app = "worker.limits_app:mill"
    with running(tmp_path / "log", url, "worker", app, ALONE, "--lease=1") as worker:
        first, second = (hold.enqueue(str(journal), str(release)) for _ in range(2))
        eventually(lambda: lines(journal), "it runs")
        eventually(lambda: second.refresh().state == "scheduled", "the other one waits")
        worker.send(signal.SIGKILL)
        worker.wait()
    assert server.client.keys("*permits:*"), "it may still run: its lease is not over"
    with running_scheduler(limits_mill), running_worker(limits_mill):
        eventually(lambda: len(lines(journal)) == 2, "it runs again", 60)
        assert sorted(job.refresh().state == "running" for job in (first, second)) == [False, True]
        release.touch()
        results([first, second])
    assert len(lines(journal)) == 3
    assert limits_mill.doctor().healthy
    limits_mill.close()


def test_a_worker_whose_tasks_have_limits_comes_to_drain_a_full_server(own_server: Server) -> None:
    with Tidemill(own_server.url) as mill:

        @mill.task(rate="1000/s", concurrency=2)
        def work() -> int:
            return 1

        jobs = [work.enqueue() for _ in range(5)]
        own_server.client.config_set("maxmemory", 1)
        with running_worker(mill):
            assert [job.result(timeout=30) for job in jobs] == [1] * 5
