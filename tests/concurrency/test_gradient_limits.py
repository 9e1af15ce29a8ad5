"""Both gradients, step by step: response times in, limit out. What comes of it in a world is the simulation's."""

from __future__ import annotations

import pytest

from tidemill_consumers.concurrency import make_limiter
from tidemill_consumers.concurrency.gradient import LEAST, GradientLimit
from tidemill_consumers.concurrency.gradient2 import Gradient2Limit
from tidemill_consumers.concurrency.limiter import Limiter, Sample


class Worker:
    """Its jobs end one after the other, so that `limit` of them ran at any time; all take equally long."""

    def __init__(self, limiter: Limiter) -> None:
        self.limiter = limiter
        self.now = 100.0

    def windows(self, seconds: float, count: int, *, running: int | None = None, may_grow: bool = True) -> list[int]:
        """The limits after so many changes of it, or windows in which it stayed."""
        limits: list[int] = []
        for _ in range(count):
            before, until = self.limiter.limit, self.now + max(1.05, 2.2 * seconds)
            while self.now < until and self.limiter.limit == before:
                self.run(seconds, running=running, may_grow=may_grow)
            limits.append(self.limiter.limit)
        return limits

    def run(self, seconds: float, *, running: int | None = None, may_grow: bool = True, failed: bool = False) -> None:
        now_running = self.limiter.limit if running is None else running
        self.now += seconds / max(now_running, 1)
        self.limiter.observe(Sample(self.now, seconds, now_running, failed=failed, may_grow=may_grow))


def measured(seconds: float, most: int = 200) -> Worker:
    """A gradient limiter that has just measured its baseline, and is at 20."""
    worker = Worker(GradientLimit(most))
    while worker.limiter.limit != min(20, most):
        worker.run(seconds)
    return worker


def test_gradient_begins_by_measuring_with_few() -> None:
    limiter = GradientLimit(200)
    assert limiter.limit == 5, "a quarter of 20"
    assert GradientLimit(8).limit == LEAST
    assert GradientLimit(1).limit == 1
    assert measured(0.1).limiter.limit == 20


@pytest.mark.parametrize(
    ("seconds", "limit"),
    [
        (0.1, 30),  # gradient 1.25: 25 + 5
        (0.125, 24),  # 1: 20 + 4.47
        (0.19, 16),  # 0.66: 13.2 + 3.6
    ],
)
def test_gradient_compares_with_the_baseline(seconds: float, limit: int) -> None:
    assert measured(0.1).windows(seconds, 1) == [limit]


def test_gradient_grows_to_its_upper_bound_while_jobs_stay_as_fast() -> None:
    limits = measured(0.1, most=100).windows(0.1, 12)
    assert limits == sorted(limits)
    assert limits[-1] == 100


def test_gradient_does_not_grow_while_half_of_its_slots_are_empty() -> None:
    worker = measured(0.1)
    assert worker.windows(0.1, 3, running=9) == [20, 20, 20]
    assert worker.windows(0.1, 1, running=10) == [30]


def test_gradient_measures_nothing_while_half_of_its_slots_are_empty() -> None:
    worker = measured(0.1)
    worker.windows(0.1, 1, running=9)
    assert worker.windows(1.0, 2, running=9) == [20, 20]
    assert worker.windows(0.01, 2, running=9) == [20, 20]


def test_gradient_takes_what_is_slower_because_more_run_for_load() -> None:
    worker = measured(0.1)
    for _ in range(20):  # one window
        worker.run(0.1, running=5)
    assert worker.windows(0.25, 1) == [13], "and measures nothing: 10 + 3.2"


def test_gradient_does_not_grow_when_memory_or_loop_forbid_it_but_shrinks() -> None:
    worker = measured(0.1)
    assert worker.windows(0.1, 2, may_grow=False) == [20, 20]
    assert worker.windows(0.19, 1, may_grow=False) == [16]


@pytest.mark.parametrize("seconds", [1.0, 0.05])
def test_gradient_measures_again_at_once_when_the_times_contradict_its_baseline(seconds: float) -> None:
    worker = measured(0.1)
    before = worker.windows(0.1, 1)[0]
    assert worker.windows(seconds, 1) == [before // 4]
    while worker.limiter.limit == before // 4:
        worker.run(seconds)
    assert worker.limiter.limit == before, "where it was before"
    assert worker.windows(seconds, 1)[0] > before, "and as slow as it is now is normal"


def test_gradient_measures_again_after_a_minute() -> None:
    worker = measured(0.1, most=20)
    began, measurements = worker.now, 0
    while worker.now < began + 130:
        before = worker.limiter.limit
        worker.run(0.1)
        measurements += before == 20 > worker.limiter.limit
    assert measurements == 2


def test_gradient_does_not_take_failures_for_fast_jobs() -> None:
    worker = measured(0.1)
    for _ in range(500):
        worker.run(0.001, failed=True)
    assert worker.limiter.limit == 20
    assert worker.windows(0.1, 1) == [30]


def test_gradient2_follows_the_published_formula() -> None:
    worker = Worker(Gradient2Limit(200))
    assert worker.windows(0.1, 3) == [20, 21, 22], "0.2 * 4 more each window"
    # long 0.1 → (3 * 0.1 + 0.2) / 4 = 0.125; gradient 0.625; 22.4 * 0.8 + 0.2 * (0.625 * 22.4 + 4) = 21.52
    assert worker.windows(0.2, 1) == [21]
    # short 2: gradient 0.5, no lower; 21.52 * 0.9 + 0.8 = 20.168
    assert worker.windows(2.0, 1) == [20]


def test_gradient2_does_not_grow_while_half_of_its_slots_are_empty_or_it_must_not() -> None:
    worker = Worker(Gradient2Limit(200))
    assert worker.windows(0.1, 3, running=9) == [20, 20, 20]
    assert worker.windows(0.1, 3, may_grow=False) == [20, 20, 20]
    assert worker.windows(0.1, 3)[-1] == 21


def test_gradient2_forgets_a_high_baseline_faster_than_its_mean() -> None:
    slow_then_fast = Worker(Gradient2Limit(20))
    slow_then_fast.windows(1.0, 12)
    slow_then_fast.windows(0.1, 30)
    assert slow_then_fast.windows(0.4, 2)[-1] < 20, "after 30 fast windows of 600, four times as slow is slow again"


@pytest.mark.parametrize("algorithm", ["gradient", "gradient2"])
def test_no_gradient_goes_below_one_or_above_its_bound(algorithm: str) -> None:
    for most in (1, 2, 5):
        worker = Worker(make_limiter(algorithm, most))
        for seconds in (0.01, 1.0, 0.001, 0.0, 5.0):
            for _ in range(60):
                worker.run(seconds)
                assert 1 <= worker.limiter.limit <= most
