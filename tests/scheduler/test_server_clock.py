"""When a look has to leave so that the server makes it at a given time."""

from __future__ import annotations

import pytest

from tidemill_scheduler import settings
from tidemill_scheduler.server_clock import ServerClock

pytestmark = pytest.mark.once

# The server's clock says so when ours says 0.
OFFSET_SECONDS = 1_000.0
WAY_SECONDS = 0.0001
MILLISECOND = 0.001


def _heard(clock: ServerClock, sent_at: float, way_seconds: float, offset_seconds: float = OFFSET_SECONDS) -> None:
    clock.heard(sent_at, round((sent_at + way_seconds + offset_seconds) * 1e6))


def _late_seconds(clock: ServerClock, due_seconds: float, offset_seconds: float = OFFSET_SECONDS) -> float:
    """By how much a look for that time is late, if its way is the fastest."""
    return clock.send_at(round(due_seconds * 1000)) + WAY_SECONDS + offset_seconds - due_seconds


def test_a_look_arrives_at_its_time_whatever_the_clocks_and_the_way() -> None:
    clock = ServerClock()
    _heard(clock, 5.0, WAY_SECONDS)
    assert _late_seconds(clock, 1_010.0) == pytest.approx(0, abs=2e-6)


def test_a_look_that_was_held_up_does_not_bring_the_next_forward() -> None:
    clock = ServerClock()
    _heard(clock, 5.0, WAY_SECONDS)
    _heard(clock, 5.1, WAY_SECONDS + 2 * MILLISECOND)
    late_seconds = _late_seconds(clock, 1_010.0)
    assert late_seconds == pytest.approx(-0.1 * settings.CLOCK_DRIFT, abs=2e-6)


def test_a_faster_way_is_believed_at_once() -> None:
    clock = ServerClock()
    _heard(clock, 5.0, WAY_SECONDS + 2 * MILLISECOND)
    _heard(clock, 5.1, WAY_SECONDS)
    assert _late_seconds(clock, 1_010.0) == pytest.approx(0, abs=2e-6)


@pytest.mark.parametrize("step_seconds", [-3_600.0, -0.02, 0.02, 3_600.0])
def test_a_step_of_the_servers_clock_is_followed_at_once(step_seconds: float) -> None:
    clock = ServerClock()
    _heard(clock, 5.0, WAY_SECONDS)
    _heard(clock, 5.1, WAY_SECONDS, OFFSET_SECONDS + step_seconds)
    late_seconds = _late_seconds(clock, 1_010.0, OFFSET_SECONDS + step_seconds)
    assert late_seconds == pytest.approx(0, abs=2e-6)


def test_clocks_that_drift_apart_are_followed() -> None:
    clock = ServerClock()
    for second in range(600):
        offset_seconds = OFFSET_SECONDS + second * 50e-6
        _heard(clock, float(second), WAY_SECONDS, offset_seconds)
        assert abs(_late_seconds(clock, OFFSET_SECONDS + second + 1, offset_seconds)) < 60e-6
