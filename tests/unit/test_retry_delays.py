"""How long a policy waits before each attempt, and what travels of it with a job."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill import InvalidInput, Retry
from tidemill.retry import Backoff

SHARED_DATA = Path(os.environ.get("TIDEMILL_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
TABLES = SHARED_DATA / "resilience" / "backoff_tables.json"

JITTERED: tuple[Backoff, ...] = ("constant", "linear", "exponential")
bases = st.floats(0, 3_600, allow_nan=False)
caps = st.floats(0, 86_400, allow_nan=False)
attempts = st.integers(1, 1_000)
chances = st.floats(0, 1, allow_nan=False)


@pytest.mark.parametrize(
    ("backoff", "expected"),
    [
        ("constant", [100, 100, 100, 100, 100, 100]),
        ("linear", [100, 200, 300, 400, 500, 500]),
        ("exponential", [100, 200, 400, 500, 500, 500]),
    ],
)
def test_the_delays_of_each_backoff_without_jitter(backoff: Backoff, expected: list[int]) -> None:
    retry = Retry(backoff=backoff, base=0.1, cap=0.5, jitter=0)
    assert [retry.delay_ms(tries) for tries in range(1, 7)] == expected


def test_a_decorrelated_delay_is_drawn_between_the_base_and_three_times_the_one_before() -> None:
    retry = Retry(backoff="decorrelated", base=0.1, cap=2)
    assert [retry.delay_ms(tries, chance=0) for tries in (1, 2, 9)] == [100, 100, 100]
    assert [retry.delay_ms(tries, chance=1) for tries in (1, 2, 3, 4)] == [300, 900, 2_000, 2_000]
    assert retry.delay_ms(2, chance=0.5) == 350  # 0.2 s, then half way from 0.1 to 0.6


@given(st.sampled_from(JITTERED), bases, st.floats(1, 100, allow_nan=False), caps, st.floats(0, 1), attempts, chances)
def test_a_delay_is_never_above_its_cap_and_jitter_only_takes_its_part(
    backoff: Backoff, base: float, factor: float, cap: float, jitter: float, tries: int, chance: float
) -> None:
    whole = Retry(backoff=backoff, base=base, factor=factor, cap=cap, jitter=0).delay_ms(tries)
    jittered = Retry(backoff=backoff, base=base, factor=factor, cap=cap, jitter=jitter)
    assert 0 <= whole <= 1000 * cap + 1
    for found in (jittered.delay_ms(tries, chance), jittered.delay_ms(tries)):
        assert whole * (1 - jitter) - 1 <= found <= whole


@given(st.sampled_from(JITTERED), bases, st.floats(1, 100, allow_nan=False), caps)
def test_delays_never_shrink_and_stay_at_the_cap(backoff: Backoff, base: float, factor: float, cap: float) -> None:
    retry = Retry(backoff=backoff, base=base, factor=factor, cap=cap, jitter=0)
    tries = (*range(1, 50), 100, 101, 999, 1_000)
    delays = [retry.delay_ms(one) for one in tries]
    assert all(earlier <= later for earlier, later in pairwise(delays))
    free = Retry(backoff=backoff, base=base, factor=factor, cap=30 * 86_400, jitter=0)
    assert all(delay <= free.delay_ms(one) for delay, one in zip(delays, tries, strict=True)), "a cap never lengthens"


@given(bases, caps, attempts, st.text(max_size=20))
def test_decorrelated_delays_stay_in_their_range_and_follow_from_the_one_before(
    base: float, cap: float, tries: int, seed: str
) -> None:
    retry = Retry(backoff="decorrelated", base=base, cap=cap)
    delay, later = retry.delay_ms(tries, seed=seed), retry.delay_ms(tries + 1, seed=seed)
    assert 1000 * min(base, cap) - 1 <= delay <= 1000 * cap + 1
    assert later <= 3 * delay + 1 or later <= 1000 * base + 1


def test_every_worker_finds_the_same_decorrelated_series_for_a_job_and_another_for_each_job() -> None:
    retry = Retry(backoff="decorrelated", base=1, cap=300)

    def series(job_id: str) -> list[int]:
        return [retry.delay_ms(tries, seed=job_id) for tries in range(1, 8)]

    assert series("a") == series("a") == [1545, 1245, 2641, 5458, 3695, 6952, 12_067]
    assert len({tuple(series(f"job-{number}")) for number in range(100)}) == 100
    assert len({retry.delay_ms(1) for _ in range(50)}) > 1, "without a seed they are random"


def test_the_delays_are_those_that_other_libraries_expect() -> None:
    if not TABLES.exists():
        pytest.skip(f"{TABLES} is not there: set TIDEMILL_SHARED_DATA to the folder that has resilience/")
    tables: dict[str, Any] = json.loads(TABLES.read_text())
    polly, resilience4j = tables["polly"], tables["resilience4j"]
    for backoff in JITTERED:
        for attempt, base, delay in polly[backoff]:
            assert Retry(backoff=backoff, base=base, jitter=0).delay_ms(attempt + 1) == 1000 * delay
        assert Retry(backoff=backoff, base=0).delay_ms(3) == 0
    for row in polly["cap"]:
        retry = Retry(backoff=cast(Backoff, row["kind"]), base=row["base"], cap=row["max"], jitter=0)
        assert retry.delay_ms(row["attempt"] + 1) == 1000 * row["delay"]
    day = 86_400
    assert Retry(base=day, cap=2 * day, jitter=0, max_attempts=1000).delay_ms(1000) == 2000 * day
    law = resilience4j["exponential"]
    growing = Retry(base=law["base_ms"] / 1000, factor=law["multiplier"], cap=30 * day, jitter=0)
    below_the_cap = [delay for tries in range(1, 50) if (delay := growing.delay_ms(tries)) < 30_000 * day]
    assert all(earlier < later for earlier, later in pairwise(below_the_cap))
    law = resilience4j["capped"]
    capped = Retry(base=law["base_ms"] / 1000, factor=law["multiplier"], cap=law["max_ms"] / 1000, jitter=0)
    delays = [capped.delay_ms(tries) for tries in range(1, 14)]
    assert all(earlier < later for earlier, later in pairwise(delays[:11]))
    assert delays[11:] == [law["max_ms"]] * 2


@pytest.mark.parametrize(
    "retry",
    [
        Retry(),
        Retry(max_attempts=9, backoff="linear", base=2, factor=3, cap=4, jitter=0.25),
        Retry(backoff="decorrelated", base=0.5),
        Retry(until=timedelta(hours=1)),
        Retry(until=90.5),
        Retry(until=datetime(2030, 1, 1, 12, tzinfo=UTC)),
    ],
    ids=repr,
)
def test_a_policy_that_travelled_is_the_same(retry: Retry) -> None:
    found = Retry.from_wire(retry.to_wire(), Retry(retry_on=(OSError,)))
    assert found.retry_on == (OSError,)
    assert found.deadline_ms(17) == retry.deadline_ms(17)
    for tries in (1, 2, 5):
        assert found.delay_ms(tries, 0.5, seed="a") == retry.delay_ms(tries, 0.5, seed="a")
    assert found.max_attempts == retry.max_attempts


def test_a_worker_that_knows_only_the_first_options_can_read_every_policy() -> None:
    known = {"max_attempts", "backoff", "base", "factor", "cap", "jitter"}
    first = {"max_attempts": 5, "backoff": "exponential", "base": 1.0, "factor": 2.0, "cap": 300.0, "jitter": 0.5}
    assert Retry().to_wire() == {"retry": first}, "what needs no more is what it always was"
    assert Retry(backoff="decorrelated", until=60).to_wire() == {
        "retry": first,
        "retry_backoff": "decorrelated",
        "retry_for_ms": 60_000,
    }
    assert set(first) == known


@pytest.mark.parametrize(
    "options",
    [
        {"retry": {"max_attempts": 0}},
        {"retry": {"backoff": "random"}},
        {"retry": {"colour": "red"}},
        {"retry": {"until": 5}},
        {"retry": {"retry_on": (OSError,)}},
        {"retry": 5},
        {"retry": {}, "retry_backoff": "random"},
        {"retry": {}, "retry_for_ms": -1},
        {"retry": {}, "retry_for_ms": 10**30},
        {"retry": {}, "retry_until_ms": "soon"},
        {"retry": {}, "retry_until_ms": 10**30},
    ],
    ids=repr,
)
def test_what_is_no_policy_is_refused_from_the_wire(options: dict[str, Any]) -> None:
    with pytest.raises((InvalidInput, TypeError, ValueError)):
        Retry.from_wire(options, Retry())


def test_until_counts_from_the_enqueue_or_names_an_instant() -> None:
    assert Retry().deadline_ms(1_000) is None
    assert Retry(until=2).deadline_ms(1_000) == 3_000
    assert Retry(until=timedelta(minutes=1)).deadline_ms(1_000) == 61_000
    assert Retry(until=datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)).deadline_ms(1_000) == 5_000
