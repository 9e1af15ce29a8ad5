"""The rule against starvation, and how much a worker takes."""

from __future__ import annotations

import threading
from typing import Final
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conditions import eventually
from fleet import running_worker
from tidemill import Tidemill
from tidemill.options import Priority
from tidemill.wire.scripts import Taken
from tidemill_consumers import settings
from tidemill_consumers.concurrency.gradient import GradientLimit
from tidemill_consumers.concurrency.limiter import FixedLimit
from tidemill_consumers.intake import Intake
from tidemill_consumers.lanes import LOW_IN, NORMAL_IN, Reserves
from tidemill_consumers.pace import Pace
from tidemill_consumers.settings import WorkerSettings

PRIORITIES: Final[tuple[Priority, ...]] = ("low", "normal", "high")


@given(st.lists(st.integers(1, 500), min_size=1, max_size=60))
def test_however_the_slots_come_each_lane_is_offered_its_part(takes: list[int]) -> None:
    reserves = Reserves()
    low = normal = slots = 0
    for take in takes:
        reserved_low, reserved_normal = reserves.next(take)
        assert 0 <= reserved_low <= take
        assert 0 <= reserved_normal <= take
        low, normal, slots = low + reserved_low, normal + reserved_normal, slots + take
    assert low == slots // LOW_IN
    assert normal == slots // NORMAL_IN


def test_high_goes_first_and_the_others_still_move(mill: Tidemill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "PREFETCH_MS", 0)  # one job is taken at a time
    order: list[str] = []

    @mill.task()
    def run(lane: str) -> None:
        order.append(lane)

    for lane in PRIORITIES:
        for _ in range(60):
            run.using(priority=lane).enqueue(lane)
    with running_worker(mill, WorkerSettings(concurrency=1)):
        last = run.using(priority="low").enqueue("low")
        last.result(timeout=20)
    while_flooded = order[:40]
    assert while_flooded.count("high") >= 28
    assert while_flooded.count("normal") >= 6
    assert while_flooded.count("low") >= 1
    assert len(order) == 181


def test_within_a_batch_of_short_jobs_high_goes_first(mill: Tidemill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pace, "prefetch", Mock(return_value=100))  # all of them are taken at once
    monkeypatch.setattr(settings, "HAND_BACK_MS", 60_000)
    order: list[str] = []

    @mill.task()
    def run(lane: str) -> None:
        order.append(lane)

    jobs = [run.using(priority=lane).enqueue(lane) for lane in PRIORITIES for _ in range(20)]
    with running_worker(mill, WorkerSettings(concurrency=1)):
        for job in jobs:
            job.result(timeout=10)
    assert order == ["high"] * 20 + ["normal"] * 20 + ["low"] * 20


def test_a_worker_holds_what_it_would_finish_in_one_round_trip() -> None:
    pace = Pace(FixedLimit(10))
    assert pace.prefetch() == 0, "before the first job nothing is known"
    pace.observe("thread", 1)
    assert pace.prefetch() == 10 * settings.PREFETCH_MS
    pace.observe("thread", 0.001)
    assert pace.prefetch() > 10 * settings.PREFETCH_MS
    for _ in range(1_000):
        pace.observe("thread", 0)
    assert pace.prefetch() == settings.MAX_PREFETCH
    pace.observe("thread", 60_000)
    assert pace.prefetch() == 0, "one slow job is enough: others could start what is held"


def test_the_slowest_executor_that_was_busy_lately_decides_what_is_held() -> None:
    now_seconds = 0.0
    pace = Pace(FixedLimit(10), clock=lambda: now_seconds)
    pace.observe("thread", 0.001)
    assert pace.prefetch() > 0
    pace.observe("process", 1_000)
    pace.observe("thread", 0.001)
    assert pace.prefetch() == 0, "many fast jobs do not hide that another executor is slow"
    now_seconds = 60.0
    pace.observe("thread", 0.001)
    assert pace.prefetch() > 0, "nothing slow has come for a minute"


def test_no_worker_holds_long_jobs_that_another_could_start(mill: Tidemill) -> None:
    release, running = threading.Event(), threading.Semaphore(0)

    @mill.task(queue="a")
    def wait_a() -> None:
        running.release()
        release.wait(20)

    @mill.task(queue="b")
    def wait_b() -> None:
        running.release()
        release.wait(20)

    jobs = [task.using(priority=lane).enqueue() for task in (wait_a, wait_b) for lane in PRIORITIES]
    with running_worker(mill, WorkerSettings(concurrency=1)):
        assert running.acquire(timeout=10)
        states = sorted(str(job.refresh().state) for job in jobs)
        release.set()
        assert states == ["ready"] * 5 + ["running"]
        for job in jobs:
            job.result(timeout=10)


def test_jobs_that_wait_too_long_behind_others_are_handed_back(mill: Tidemill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pace, "prefetch", Mock(return_value=5))  # jobs were short until now
    release, running = threading.Event(), threading.Semaphore(0)

    @mill.task()
    def wait() -> None:
        running.release()
        release.wait(20)

    jobs = [wait.enqueue() for _ in range(4)]
    with running_worker(mill, WorkerSettings(concurrency=1)) as first:
        assert running.acquire(timeout=10)
        eventually(lambda: mill.inspect.queue("default").ready["normal"] == 3, "the others wait for any worker")
        assert first.intake.wait_for_room(0.2) is None, "it does not take them again"
        with running_worker(mill, WorkerSettings(concurrency=3)):
            assert all(running.acquire(timeout=10) for _ in range(3)), "another one has started them"
            release.set()
            for job in jobs:
                job.result(timeout=10)


def test_a_worker_that_handed_back_takes_more_again_as_soon_as_jobs_are_short() -> None:
    intake = Intake(("q",), FixedLimit(4), Pace(FixedLimit(4)), lambda: False)
    jobs = [Taken(f"j{n}", "q", 1, f"{n}-1", 1, 0, "t", b"", b"", 0, 0, 0, "", b"", "w") for n in range(4)]
    intake.hold(jobs)
    intake.handed_back(3)
    intake.settled(jobs[1:])
    assert intake.wait_for_room(0.01) is None, "one runs, and no more are taken"
    intake.settled(jobs[:1])
    intake.ran([2_000])
    assert intake.wait_for_room() == 1, "one for one"
    intake.ran([1])
    assert intake.wait_for_room() == 4


class _Adaptive(GradientLimit):
    """Of which a test says what the limit is."""

    now = 4

    @property
    def limit(self) -> int:
        return self.now


def test_slots_that_an_adaptive_limit_gives_back_are_filled_at_once() -> None:
    """It measures with a quarter of them, what waits then is handed back, and the jobs are long."""
    limiter = _Adaptive(100)
    intake = Intake(("q",), limiter, Pace(limiter), lambda: False)
    jobs = [Taken(f"j{n}", "q", 1, f"{n}-1", 1, 0, "t", b"", b"", 0, 0, 0, "", b"", "w") for n in range(6)]
    intake.hold(jobs)
    intake.handed_back(2)
    intake.settled(jobs[4:])
    assert intake.wait_for_room(0.01) is None
    limiter.now = 16
    assert intake.wait_for_room(5) == 12
