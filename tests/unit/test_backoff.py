"""While the server is away it is asked again in pauses that follow from how long it has been away."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from tidemill import backoff, lifecycle, settings
from tidemill.backoff import Backoff
from tidemill.errors import ServerUnavailable
from tidemill.lifecycle import Outage

pytestmark = pytest.mark.once


class Clock:
    """Stands still, but for pauses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        self.pauses: list[float] = []
        for module in (backoff, lifecycle):
            monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now))

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_pause_is_at_most_a_quarter_of_the_outage_so_far_and_at_most_a_second(clock: Clock) -> None:
    away, began = Backoff(), clock.now
    for _ in range(100):
        most = max(settings.RETRY_BASE_SECONDS, settings.RETRY_PART * (clock.now - began))
        seconds = away.next_seconds()
        assert 0 < seconds <= min(most, settings.RETRY_CAP_SECONDS)
        clock.pause(seconds)
    assert clock.now - began > 30, "a long outage costs few tries"


def test_the_next_outage_begins_with_short_pauses_again(clock: Clock) -> None:
    away = Backoff()
    away.next_seconds()
    clock.now += 60
    assert away.next_seconds() > settings.RETRY_BASE_SECONDS
    away.over()
    assert away.next_seconds() <= settings.RETRY_BASE_SECONDS


def test_two_that_lost_the_same_server_do_not_knock_in_step(clock: Clock) -> None:
    assert len({Backoff().next_seconds() for _ in range(10)}) > 1


def test_an_outage_is_logged_once_a_second_and_when_it_is_over(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    outage, began = Outage("the server", clock.pause), clock.now
    with caplog.at_level(logging.INFO, "tidemill"):
        while clock.now < began + 10:
            outage.failed(ServerUnavailable("it is gone"))
        outage.over()
    *told, back = [record.getMessage() for record in caplog.records if record.name.startswith("tidemill")]
    assert len(clock.pauses) > len(told)
    assert 5 < len(told) <= 11
    assert all("it is gone" in message for message in told)
    assert "answers again" in back


def test_a_single_failure_is_not_logged(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage("the server", clock.pause)
    with caplog.at_level(logging.INFO, "tidemill"):
        outage.failed(ServerUnavailable("the connection was closed"))
        outage.over()
    assert not [record for record in caplog.records if record.name.startswith("tidemill")]
