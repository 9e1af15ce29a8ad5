"""`retry_call` and `aretry_call` outside of any job. The delays are short, and no test measures them."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, cast

import pytest

from tidemill import InvalidInput, Retry, aretry_call, retry_call
from tidemill.retry_calls import CALL_RETRY
from tidemill.telemetry import Event, EventFields

QUICK = Retry(max_attempts=3, base=0.001, cap=0.01, until=10)


class Flaky:
    """A function that fails some times, then returns its arguments."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.left = failures
        self.calls: list[float] = []
        self.error = error or ConnectionError("reset")

    def __call__(self, *args: object, **kwargs: object) -> tuple[object, object]:
        self.calls.append(time.monotonic())
        if self.left:
            self.left -= 1
            raise self.error
        return args, kwargs

    async def later(self, *args: object, **kwargs: object) -> tuple[object, object]:
        await asyncio.sleep(0)
        return self(*args, **kwargs)


class Busy(Exception):
    """It says when to come again."""

    def __init__(self, retry_after: float) -> None:
        super().__init__()
        self.retry_after = retry_after


def called(flaky: Flaky, kind: str, *args: Any, **kwargs: Any) -> Any:
    if kind == "plain":
        return retry_call(flaky, *args, **kwargs)
    return asyncio.run(aretry_call(flaky.later, *args, **kwargs))


both = pytest.mark.parametrize("kind", ["plain", "async"])


@both
def test_a_call_is_made_again_until_it_succeeds(kind: str) -> None:
    flaky = Flaky(2)
    assert called(flaky, kind, 1, retry=QUICK, size=2) == ((1,), {"size": 2})
    assert len(flaky.calls) == 3


@both
def test_the_last_error_is_raised_when_the_calls_are_over(kind: str) -> None:
    flaky = Flaky(99)
    with pytest.raises(ConnectionError, match="reset"):
        called(flaky, kind, retry=QUICK)
    assert len(flaky.calls) == 3


@both
def test_a_final_error_is_raised_at_once(kind: str) -> None:
    for retry in (Retry(base=0.001, retry_on=(TimeoutError,)), Retry(base=0.001, dont_retry_on=(OSError,))):
        flaky = Flaky(99)
        with pytest.raises(ConnectionError):
            called(flaky, kind, retry=retry)
        assert len(flaky.calls) == 1


def test_the_default_is_a_tenth_of_a_second_doubled_for_five_seconds_in_all() -> None:
    assert (CALL_RETRY.base, CALL_RETRY.factor, CALL_RETRY.until) == (0.1, 2.0, timedelta(seconds=5))
    waited = [CALL_RETRY.delay_ms(calls, chance=1) for calls in range(1, 12)]
    fitting = max(count for count in range(12) if sum(waited[:count]) <= 5_000)
    assert fitting + 1 < CALL_RETRY.max_attempts, "the five seconds decide, and not the number of calls"
    flaky = Flaky(2)
    assert retry_call(flaky) == ((), {})
    gaps = [later - earlier for earlier, later in pairwise(flaky.calls)]
    assert all(gap >= 0.05 * 2**n for n, gap in enumerate(gaps)), "a part of each delay is kept"


@both
@pytest.mark.parametrize("until", [timedelta(milliseconds=200), 0.2, None], ids=["timedelta", "seconds", "datetime"])
def test_no_call_begins_after_the_deadline(kind: str, until: timedelta | float | None) -> None:
    flaky = Flaky(10_000)
    retry = Retry(1000, "constant", 0.02, jitter=0, until=until or datetime.now(UTC) + timedelta(seconds=0.2))
    with pytest.raises(ConnectionError):
        called(flaky, kind, retry=retry)
    # Ten waits fit in; a loop's clock may be a little fast.
    assert 1 <= len(flaky.calls) <= 12


@both
def test_a_failed_call_that_says_when_to_come_again_is_believed(kind: str) -> None:
    flaky = Flaky(1, Busy(0.1))
    called(flaky, kind, retry=Retry(base=60, cap=60))  # would be a minute
    assert flaky.calls[1] - flaky.calls[0] >= 0.1
    flaky = Flaky(1, Busy(6))
    with pytest.raises(Busy):
        called(flaky, kind)  # that is behind the end: there is nothing to wait for
    assert len(flaky.calls) == 1


@both
def test_each_decision_is_an_event_with_its_reason(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tidemill.call")

    def told() -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        for record in caplog.records:
            assert isinstance(record.args, tuple)
            assert isinstance(record.args[0], EventFields)
            values = record.args[0].values
            found.append((cast(Any, record).tidemill_event, values["attempt"], values["reason"], values["error"]))
        caplog.clear()
        return found

    error = "ConnectionError"
    with pytest.raises(ConnectionError):
        called(Flaky(99), kind, retry=Retry(max_attempts=2, base=0.001))
    assert told() == [(Event.CALL_RETRIED, 1, "failed", error), (Event.CALL_FAILED, 2, "attempts", error)]
    with pytest.raises(ConnectionError):
        called(Flaky(99), kind, retry=Retry(retry_on=(TimeoutError,)))
    assert told() == [(Event.CALL_FAILED, 1, "final", error)]
    with pytest.raises(Busy):
        called(Flaky(99, Busy(6)), kind)
    assert told() == [(Event.CALL_FAILED, 1, "until", f"{__name__}.Busy")]
    called(Flaky(1, Busy(0)), kind)
    assert told() == [(Event.CALL_RETRIED, 1, "retry_after", f"{__name__}.Busy")]


def test_an_interrupt_from_the_keyboard_is_not_retried() -> None:
    calls: list[int] = []

    def interrupted() -> None:
        calls.append(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        retry_call(interrupted, retry=Retry(base=0.001, retry_on=(BaseException,)))
    assert len(calls) == 1


async def test_a_cancellation_ends_the_waiting() -> None:
    called = asyncio.Event()

    async def fail() -> None:
        await asyncio.sleep(0)
        assert not called.is_set(), "it was called again"
        called.set()
        raise ConnectionError

    waiting = asyncio.create_task(aretry_call(fail, retry=Retry(base=3_600, cap=3_600)))
    await called.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def anything(*args: object) -> object:
    await asyncio.sleep(0)
    return args


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (anything, {}, "retry_call was given anything, which is async: use `await aretry_call(...)`"),
        (lambda: anything(1), {}, "which is async: use `await aretry_call(...)`"),
        ("print", {}, "a function is called again, not 'print'"),
        (print, {"retry": 3}, "retry must be a Retry, as Retry(max_attempts=5), not 3"),
    ],
    ids=["async", "lambda", "text", "number"],
)
def test_what_can_not_be_called_again_is_refused(function: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(message)):
        retry_call(function, **options)


def test_a_plain_function_is_not_awaited() -> None:
    with pytest.raises(
        InvalidInput, match=r"aretry_call was given Flaky, which is not async: use `retry_call\(\.\.\.\)`"
    ):
        asyncio.run(aretry_call(cast(Any, Flaky(0))))
