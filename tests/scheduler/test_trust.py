"""When a lease that is over is believed: times are seconds of a made clock."""

from __future__ import annotations

import pytest

from tidemill_scheduler.trust import Trust

pytestmark = pytest.mark.once

LEASE = 10.0


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def trust(clock: Clock) -> Trust:
    return Trust(clock)


def test_without_an_outage_a_worker_is_dead_when_its_lease_is_over(trust: Trust, clock: Clock) -> None:
    assert trust.grace_seconds(renewed_at=90.5, lease_seconds=LEASE, now=clock.now) == pytest.approx(0.5)
    assert trust.grace_seconds(renewed_at=90.0, lease_seconds=LEASE, now=clock.now) == pytest.approx(0)


def test_the_time_of_an_outage_does_not_count_and_reconnecting_gets_a_little_more(trust: Trust, clock: Clock) -> None:
    clock.now = 99.0
    trust.outage(96.0)  # three seconds
    clock.now = 100.0
    assert trust.grace_seconds(renewed_at=90.0, lease_seconds=LEASE, now=clock.now) == pytest.approx(
        10 * 1.25 - (10 - 3)
    )


def test_short_outages_add_up(trust: Trust, clock: Clock) -> None:
    for began in (94.0, 96.0, 98.0):
        clock.now = began + 1
        trust.outage(began)
    clock.now = 100.0
    assert trust.grace_seconds(renewed_at=90.0, lease_seconds=LEASE, now=clock.now) == pytest.approx(
        10 * 1.25 - (10 - 3)
    )


def test_of_an_outage_only_what_came_after_the_renewal_counts(trust: Trust, clock: Clock) -> None:
    clock.now = 96.0
    trust.outage(80.0)
    clock.now = 100.0
    assert trust.grace_seconds(renewed_at=91.0, lease_seconds=LEASE, now=clock.now) == pytest.approx(6), (
        "a lease from its end is less"
    )
    assert trust.grace_seconds(renewed_at=86.0, lease_seconds=LEASE, now=clock.now) == pytest.approx(6)
    assert trust.grace_seconds(renewed_at=95.9, lease_seconds=LEASE, now=clock.now) == pytest.approx(6)


def test_an_outage_before_the_renewal_changes_nothing(trust: Trust, clock: Clock) -> None:
    clock.now = 85.0
    trust.outage(80.0)
    clock.now = 100.0
    assert trust.grace_seconds(renewed_at=90.0, lease_seconds=LEASE, now=clock.now) <= 0


def test_nobody_is_waited_for_longer_than_a_lease_from_the_end_of_the_last_outage(trust: Trust, clock: Clock) -> None:
    clock.now = 98.0
    trust.outage(None)
    clock.now = 100.0
    assert trust.grace_seconds(renewed_at=20.0, lease_seconds=LEASE, now=clock.now) == pytest.approx(8)
    clock.now = 108.0
    assert trust.grace_seconds(renewed_at=20.0, lease_seconds=LEASE, now=clock.now) == pytest.approx(0)


def test_a_server_that_has_started_was_away_and_its_uptime_is_known_to_the_second_only(
    trust: Trust, clock: Clock
) -> None:
    trust.server_started(97.0)
    trust.server_started(97.9)
    assert trust.grace_seconds(renewed_at=80.0, lease_seconds=LEASE, now=clock.now) == pytest.approx(7)
    trust.server_started(99.0)
    assert trust.grace_seconds(renewed_at=80.0, lease_seconds=LEASE, now=clock.now) == pytest.approx(9)
