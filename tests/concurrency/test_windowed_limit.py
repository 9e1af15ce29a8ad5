"""The windowed rule, as tables: response times in, limit out."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import Mock

import pytest

from tidemill import InvalidInput
from tidemill_consumers.concurrency import make_limiter
from tidemill_consumers.concurrency.limiter import Sample
from tidemill_consumers.concurrency.windowed import WINDOW, WindowedLimit, base_limit, correction_step, queue_bound


def feed(limiter: WindowedLimit, response_ms: float, *, now: float, count: int = WINDOW, may_grow: bool = True) -> int:
    """So many runs end at this moment. Returns the limit."""
    for _ in range(count):
        limiter.observe(Sample(now, response_ms / 1000, 1, may_grow=may_grow))
    return limiter.limit


def feed_for(limiter: WindowedLimit, response_ms: float, start: float, seconds: int) -> Iterator[int]:
    """A full window at each second."""
    for second in range(seconds):
        yield feed(limiter, response_ms, now=start + second)


@pytest.mark.parametrize(
    ("mean_ms", "limit"),
    [
        (4.9, None),
        (5, 200),
        (7, 142),
        (30, 33),
        (100, 10),
        (150, 6),
        (199, 5),
        (200, 5),
        (200.1, None),
        (0, None),
    ],
)
def test_from_5_to_200_ms_the_base_is_1000_by_the_mean(mean_ms: float, limit: int | None) -> None:
    assert base_limit(mean_ms) == limit


@pytest.mark.parametrize(("mean_ms", "step"), [(150.1, 2), (1_000, 2), (150, 0), (30, 0), (29.9, -1), (0, -1)])
def test_slow_jobs_ask_for_two_more_and_fast_ones_for_one_fewer(mean_ms: float, step: int) -> None:
    assert correction_step(mean_ms) == step


@pytest.mark.parametrize(
    ("p95_ms", "jobs"), [(0, 0), (1, 2), (50, 128), (100, 256), (399, 1021), (400, 1024), (9_000, 1024)]
)
def test_the_queue_bound_follows_the_95th_percentile(p95_ms: float, jobs: int) -> None:
    assert queue_bound(p95_ms) == jobs


def test_before_the_window_is_full_nothing_changes() -> None:
    limiter = WindowedLimit(100)
    assert feed(limiter, 100, now=0, count=WINDOW - 1) == 20
    assert limiter.queue_bound is None
    assert feed(limiter, 100, now=0, count=1) == 10
    assert limiter.queue_bound == 256


@pytest.mark.parametrize(("response_ms", "limit"), [(30, 33), (40, 25), (100, 10), (150, 6)])
def test_between_30_and_150_ms_the_base_alone_counts(response_ms: float, limit: int) -> None:
    assert list(feed_for(WindowedLimit(100), response_ms, 0, 3)) == [limit] * 3


@pytest.mark.parametrize(
    ("response_ms", "limits"),
    [
        (160, [8, 10, 12, 14]),  # from 6
        (500, [22, 24, 26, 28]),  # no base: from where the limit begins
        (20, [49, 48, 47, 46]),  # from 50
        (1, [19, 18, 17, 16]),
    ],
)
def test_outside_of_that_the_limit_moves_by_a_step_each_second(response_ms: float, limits: list[int]) -> None:
    assert list(feed_for(WindowedLimit(100), response_ms, 0, 4)) == limits


def test_within_a_second_there_is_one_step() -> None:
    limiter = WindowedLimit(100)
    limits = [feed(limiter, 500, now=now) for now in (0, 0.5, 0.99, 1.0, 1.5)]
    assert limits == [22, 22, 22, 24, 24]


def test_back_between_30_and_150_ms_the_correction_is_gone_at_once() -> None:
    limiter = WindowedLimit(100)
    list(feed_for(limiter, 160, 0, 10))
    assert feed(limiter, 50, now=10.1) == 20
    list(feed_for(limiter, 151, 11, 10))
    assert feed(limiter, 1, now=20.1, count=1) == 6, "the mean is 148.7 ms"
    assert feed(limiter, 160, now=20.2) == 6, "and the next step is a second after the last"


def test_the_window_forgets_all_but_the_last_64() -> None:
    limiter = WindowedLimit(200)
    assert feed(limiter, 100, now=0) == 10
    assert feed(limiter, 40, now=0.1, count=32) == 14, "the mean is 70 ms"
    assert feed(limiter, 40, now=0.2, count=32) == 25


@pytest.mark.parametrize(("response_ms", "last"), [(1, 4), (20, 4), (160, 30), (500, 30)])
def test_the_limit_stays_between_4_and_the_upper_bound(response_ms: float, last: int) -> None:
    limits = list(feed_for(WindowedLimit(30), response_ms, 0, 60))
    assert min(limits) >= 4
    assert max(limits) <= 30
    assert limits[-1] == last


def test_an_upper_bound_below_4_wins() -> None:
    assert set(feed_for(WindowedLimit(2), 1, 0, 9)) == {2}


def test_a_correction_that_could_not_be_made_is_not_remembered() -> None:
    limiter = WindowedLimit(30)
    assert list(feed_for(limiter, 500, 0, 60))[-1] == 30, "10 more than the base, and not 120"
    assert feed(limiter, 160, now=60) == 6 + 10


def test_while_it_must_not_grow_it_only_shrinks() -> None:
    limiter = WindowedLimit(100)
    assert feed(limiter, 100, now=0) == 10
    assert feed(limiter, 40, now=1, may_grow=False) == 10
    assert [feed(limiter, 500, now=now, may_grow=False) for now in (2, 3)] == [5, 5], "the base at 200 ms"
    assert feed(limiter, 140, now=4, may_grow=False) == 5
    assert feed(limiter, 140, now=5) == 7


def test_failures_do_not_count_but_timeouts_do() -> None:
    limiter = WindowedLimit(100)
    for _ in range(WINDOW):
        limiter.observe(Sample(0, 0.1, 1, failed=True))
    assert limiter.limit == 20
    for _ in range(WINDOW):
        limiter.observe(Sample(0, 0.1, 1, failed=True, dropped=True))
    assert limiter.limit == 10


def test_without_the_library_for_quantiles_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill_consumers.concurrency.quantiles.find_spec", Mock(return_value=None))
    with pytest.raises(InvalidInput, match=r"pip install 'tidemill\[adaptive\]'"):
        make_limiter("windowed", 20)


@pytest.mark.parametrize(
    ("algorithm", "most", "rule"),
    [("vegas", 20, "one of fixed, gradient, gradient2, windowed"), ("gradient", 0, "at least one job")],
)
def test_what_does_not_exist_is_refused_with_the_rule(algorithm: str, most: int, rule: str) -> None:
    with pytest.raises(InvalidInput, match=rule):
        make_limiter(algorithm, most)
