"""When jobs are due that a worker parks for an open breaker, and what it tells the breaker."""

from __future__ import annotations

import pytest

from tidemill import Tidemill
from tidemill.breakers.breaker import Call
from tidemill.errors import RemoteError
from tidemill.retry import NO_RETRY
from tidemill.task import Definition
from tidemill.wire.scripts import News, Taken
from tidemill_consumers.guards import Guard
from tidemill_consumers.outcomes import Parked, Retried
from tidemill_consumers.run import Run

pytestmark = pytest.mark.once


@pytest.fixture
def guard() -> Guard:
    breaker = Tidemill("redis://nowhere.invalid").breaker("pay", half_open_max=3, reset_timeout=10)
    return Guard(breaker)


def run_of(guard: Guard) -> Run:
    definition = Definition("t", print, "q", breaker=guard.breaker)
    taken = Taken("a", "q", 1, "1-0", 1, 0, "t", b"", b"", 0, 0, 0, "", b"", "w1")
    return Run(taken, definition, NO_RETRY, None)


def park(guard: Guard, count: int) -> list[int]:
    """For how many whole seconds each of so many jobs is put off."""
    found = [guard.admit(run_of(guard)) for _ in range(count)]
    return [round(parked.delay_ms / 1000) for parked in found if isinstance(parked, Parked)]


def test_as_many_are_due_at_a_time_as_there_are_permits(guard: Guard) -> None:
    guard.breaker.hear(News(5, "open", 10_000, "failures"))
    assert park(guard, 7) == [10, 10, 10, 20, 20, 20, 30]


def test_who_is_parked_again_after_a_failed_probe_waits_behind_the_others(guard: Guard) -> None:
    guard.breaker.hear(News(5, "open", 10_000, "failures"))
    park(guard, 7)
    guard.breaker.hear(News(6, "open", 12_000, "probe"))
    assert park(guard, 3) == [30, 30, 40]


@pytest.mark.parametrize("reason", ["failures", "hand"])
def test_a_new_opening_has_its_own_turns(guard: Guard, reason: str) -> None:
    guard.breaker.hear(News(5, "open", 10_000, "failures"))
    park(guard, 100)
    guard.breaker.hear(News(6, "closed", 0, "probe"))
    guard.breaker.hear(News(7, "open", 5_000, reason))
    assert park(guard, 4) == [5, 5, 5, 15]


def test_no_job_is_put_off_for_longer_than_ten_minutes_or_the_breakers_own_time(guard: Guard) -> None:
    guard.breaker.hear(News(5, "open", 10_000, "failures"))
    assert max(park(guard, 1_000)) == 600
    guard.breaker.hear(News(6, "open", 3_600_000, "hand"))
    assert park(guard, 4) == [3600, 3600, 3600, 3600]


def test_while_it_is_closed_nothing_is_parked(guard: Guard) -> None:
    assert park(guard, 3) == []


def test_a_job_that_a_child_has_given_back_has_its_permit(guard: Guard) -> None:
    run = run_of(guard)
    run.call = given = Call(guard.breaker, 5, "permit")
    assert guard.enter(run) is None
    assert run.call is given


def test_what_a_worker_says_whose_lease_is_lost_does_not_count(guard: Guard) -> None:
    for _ in range(20):
        run = run_of(guard)
        run.call, run.verdict = Call(guard.breaker, 0), "failed"
        guard.ended(run, Retried(RemoteError("Down", ""), 0), is_void=True)
    assert guard.breaker.state == "closed"
