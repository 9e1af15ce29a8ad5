"""What the algorithms make of whole minutes, against the best fixed limit of each part. docs/concurrency.md has the
table of all; here are the bounds that must hold."""

from __future__ import annotations

from functools import cache

import pytest

from concurrency.scenarios import SCENARIOS, Scenario, scores
from tidemill_consumers.concurrency import make_limiter

pytestmark = pytest.mark.untraced

# Among these are the best of each scenario's sides; the full search takes minutes.
_CANDIDATES = (8, 32, 200)
_SEEDS = (1, 2)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


@cache
def fixed_goodputs(scenario: Scenario) -> list[list[float]]:
    """For each side, of each candidate."""
    found = [scores(scenario, limit, _SEEDS[:1]) for limit in _CANDIDATES]
    return [[of_limit[side].goodput for of_limit in found] for side in range(len(scenario.sides))]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_gradient_is_within_a_fifth_of_the_best_fixed_limit_on_every_side(scenario: Scenario) -> None:
    for fixed, adaptive in zip(fixed_goodputs(scenario), scores(scenario, "gradient", _SEEDS), strict=True):
        assert adaptive.goodput >= 0.8 * max(fixed)


def test_no_single_fixed_limit_does_that() -> None:
    """The reason for it all: the best limit of one dependency is a bad one of another."""
    goodputs = [fixed_goodputs(BY_NAME[name])[0] for name in ("free", "saturated")]
    shares = [[goodput / max(row) for goodput in row] for row in goodputs]
    assert all(min(both) < 0.8 for both in zip(*shares, strict=True))


def test_gradient_keeps_jobs_of_a_saturated_database_from_timing_out() -> None:
    scenario = BY_NAME["10x slower"]
    assert scenario.play(make_limiter("gradient", 200), 1).dropped == 0
    assert scenario.play(make_limiter("fixed", 200), 1).dropped > 1_000


def test_gradient2_is_within_a_tenth_where_nothing_changes() -> None:
    for name in ("saturated", "light"):
        scenario = BY_NAME[name]
        assert scores(scenario, "gradient2", _SEEDS)[0].goodput >= 0.9 * max(fixed_goodputs(scenario)[0])


def test_the_limit_settles_after_a_step() -> None:
    history = BY_NAME["10x slower"].play(make_limiter("gradient", 200), 1)
    late = [limit for when, limit in history.limits if 75 <= when < 90]
    assert max(late, default=0) <= 60, "twice the 30 that the database can do"


def test_a_seed_is_one_history() -> None:
    scenario = BY_NAME["bursts"]
    first, second = (scenario.play(make_limiter("gradient", 200), 7) for _ in range(2))
    assert (first.done, first.limits) == (second.done, second.limits)
