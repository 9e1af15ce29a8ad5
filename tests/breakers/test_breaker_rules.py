"""When the calls of one process open a breaker, on a clock that the test turns."""

from __future__ import annotations

from typing import Unpack

import pytest

from tidemill.breakers.rules import Rules
from tidemill.breakers.settings import BreakerOptions, settings_of

pytestmark = pytest.mark.once


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Calls:
    """The rules of a breaker, and calls that are told to them."""

    def __init__(self, **options: Unpack[BreakerOptions]) -> None:
        self.clock = Clock()
        self.rules = Rules("pay", settings_of(options), self.clock)

    def tell(self, calls: str, seconds: float = 0.0) -> str:
        """One for each letter: `f` failed, `s` succeeded, `S` took a second. The first reason to open."""
        for call in calls:
            took = 1.0 if call == "S" else seconds
            reason = self.rules.record(failed=call == "f", seconds=took)
            if reason:
                return reason
        return ""


def test_failures_in_a_row_open_it_and_a_success_begins_a_new_row() -> None:
    calls = Calls(fail_max=3, error_rate=None)
    assert calls.tell("ffsffs") == ""
    assert calls.tell("ff") == ""
    assert calls.tell("f") == "failures"


def test_after_it_was_closed_nothing_that_was_before_counts() -> None:
    calls = Calls(fail_max=3, min_calls=4)
    assert calls.tell("fff") == "failures"
    calls.rules.reset()
    assert calls.tell("ff") == ""
    assert calls.tell("f") == "failures"


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("sfsfsfsfs", ""),
        ("sfsfsfsfsf", "error_rate"),
        ("ssssssssff", ""),
        ("fsssssssssf", ""),
        ("sssssfsfsfffff", "error_rate"),
    ],
)
def test_a_rate_of_errors_opens_it_when_there_are_enough_calls(told: str, reason: str) -> None:
    assert Calls(fail_max=None, error_rate=0.5, min_calls=10).tell(told) == reason


def test_calls_leave_the_window() -> None:
    calls = Calls(fail_max=None, error_rate=0.5, min_calls=4, window=10)
    assert calls.tell("ff") == ""
    calls.clock.now += 11
    assert calls.tell("sssf") == ""
    assert calls.tell("ff") == "error_rate"


def test_the_window_moves_on_in_steps() -> None:
    calls = Calls(fail_max=None, error_rate=1.0, min_calls=12, window=10)
    for _ in range(60):
        calls.clock.now += 1
        assert calls.tell("f") == ""  # of the last ten seconds there are ten calls, or eleven
    calls.clock.now += 0.1
    assert calls.tell("fff") == "error_rate"


def test_slow_calls_open_it_though_they_succeed() -> None:
    calls = Calls(slow_call=1.0, slow_rate=0.5, min_calls=4)
    assert calls.tell("sssSS") == ""
    assert calls.tell("S") == "slow_calls"
    assert calls.rules.is_slow(1.0)
    assert not calls.rules.is_slow(0.999)


def test_slow_calls_leave_the_window_too() -> None:
    calls = Calls(slow_call=1.0, slow_rate=0.5, min_calls=4, window=10)
    assert calls.tell("SSS") == ""
    calls.clock.now += 11
    assert calls.tell("sssS") == ""
    assert calls.tell("SS") == "slow_calls"


def test_slow_calls_are_like_others_unless_it_is_said_what_is_slow() -> None:
    assert Calls(min_calls=1).tell("SSSS") == ""


class _Meta(type):
    """A metaclass of an error: pybreaker would call such a class."""


class _Refused(Exception, metaclass=_Meta):
    pass


def test_errors_are_excluded_by_class_or_by_a_function() -> None:
    def is_wrong_input(error: BaseException) -> bool:
        return str(error) == "400"

    rules = Calls(exclude=[KeyError, _Refused, is_wrong_input]).rules
    assert rules.counts(ValueError("500"))
    assert not rules.counts(ValueError("400"))
    assert not rules.counts(KeyError("key"))
    assert not rules.counts(_Refused())
