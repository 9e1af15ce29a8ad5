"""What a breaker is declared with: contradictions and absurd numbers are refused, with the rule."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tidemill import InvalidInput, Tidemill

pytestmark = pytest.mark.once


@pytest.fixture
def nowhere() -> Tidemill:
    """Declaring needs no server."""
    return Tidemill("redis://nowhere.invalid")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fail_max": 0}, "fail_max must be a whole number from 1 to 1000000, not 0"),
        ({"fail_max": 2.5}, "fail_max must be a whole number"),
        ({"fail_max": True}, "fail_max must be a whole number"),
        ({"error_rate": 0}, "error_rate must be a part of all calls, more than 0 and at most 1, not 0"),
        ({"error_rate": 50}, "more than 0 and at most 1, not 50"),
        ({"error_rate": float("nan")}, "more than 0 and at most 1, not nan"),
        ({"slow_rate": 0.5}, "slow_rate without slow_call: say how long a slow call takes"),
        ({"slow_call": 1, "slow_rate": 1.5}, "slow_rate must be a part"),
        ({"min_calls": 0}, "min_calls must be a whole number from 1"),
        ({"window": 0.5}, "window must be 1 s to 24 h, not 0.5"),
        ({"window": -1}, "window must be more than 0"),
        ({"window": "60"}, "window must be a timedelta or a number of seconds, not '60'"),
        ({"slow_call": 60, "window": 60}, "the window has to be longer"),
        ({"reset_timeout": 0.01}, "reset_timeout must be 0.1 s to 24 h, not 0.01"),
        ({"reset_timeout": timedelta(days=2)}, "reset_timeout must be 0.1 s to 24 h"),
        ({"reset_timeout": 60, "max_reset_timeout": 30}, "max_reset_timeout of 30 s is less than reset_timeout, 60 s"),
        ({"half_open_max": 0}, "half_open_max must be a whole number from 1 to 100, not 0"),
        ({"half_open_max": 101}, "from 1 to 100, not 101"),
        ({"release_rate": 0}, "release_rate must be 0.01 to 100,000 jobs a second, not 0"),
        ({"exclude": ValueError}, "exclude must be a list of exception classes or functions, not <class 'ValueError'>"),
        (
            {"exclude": [int]},
            "exclude takes exception classes and functions that are given the error, not <class 'int'>",
        ),
        ({"exclude": ["ValueError"]}, "not 'ValueError'"),
        ({"fail_max": None, "error_rate": None}, "all None: nothing would ever open this breaker"),
        ({"failures": 3}, "breaker: failures is not an option: one of fail_max, window"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_declared(
    nowhere: Tidemill, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput) as raised:
        nowhere.breaker("pay", **options)
    assert message in str(raised.value)
    assert nowhere.breaker("pay").settings.fail_max == 5  # nothing was declared


@pytest.mark.parametrize("name", ["", "Pay", "pay ments", "a" * 65, 7])
def test_a_name_that_is_none_is_refused(nowhere: Tidemill, name: Any) -> None:
    with pytest.raises(InvalidInput, match=r"breaker name .* is not valid: 1 to 64 of a-z"):
        nowhere.breaker(name)


def test_a_name_stands_for_one_breaker_and_one_set_of_options(nowhere: Tidemill) -> None:
    breaker = nowhere.breaker("pay", fail_max=3, reset_timeout=10)
    assert nowhere.breaker("pay") is breaker
    assert nowhere.breaker("pay", fail_max=3, reset_timeout=timedelta(seconds=10)) is breaker
    with pytest.raises(InvalidInput, match="'pay' is declared already, with fail_max 3 and not 5, reset_timeout_ms 10"):
        nowhere.breaker("pay", fail_max=5)


def test_a_task_names_a_breaker_that_is_declared_here(nowhere: Tidemill) -> None:
    breaker = nowhere.breaker("pay")
    elsewhere = Tidemill("redis://nowhere.invalid").breaker("pay")
    for wrong in ("pya", elsewhere):
        with pytest.raises(InvalidInput, match=r"is not declared \(pay\): do it before the task"):
            nowhere.task(breaker=wrong)
    with pytest.raises(InvalidInput, match="breaker name 7 is not valid"):
        nowhere.task(breaker=7)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - as untyped callers do

    @nowhere.task(breaker="pay")
    def work() -> None: ...

    assert work.definition.breaker is breaker
