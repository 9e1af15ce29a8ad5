"""Calls that are made again when they fail, within one attempt of a job or outside of any: `retry_call`, `aretry_call`.

They are for what passes in a moment: a connection that was reset, a service that is busy. What takes longer is for the
job's own `Retry`: its next attempt waits in Redis and holds no worker.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from tidemill import telemetry
from tidemill.context import CURRENT
from tidemill.errors import InvalidInput
from tidemill.names import type_name
from tidemill.options import retry_policy
from tidemill.retry import Retry
from tidemill.retry_after import retry_after_seconds
from tidemill.telemetry import Event

R = TypeVar("R")

# Doubled from 100 ms, for 5 s in all: with the delays halved by chance that is eight calls at most, so `max_attempts`
# decides nothing.
CALL_RETRY: Final = Retry(max_attempts=10, base=0.1, factor=2.0, cap=5.0, until=timedelta(seconds=5))


def retry_call(function: Callable[..., R], /, *args: Any, retry: Retry = CALL_RETRY, **kwargs: Any) -> R:
    """Calls `function(*args, **kwargs)`, again while it raises what the policy retries; returns what it returns.

    retry: by default 100 ms × 2.0, with jitter, and no call that begins later than 5 s after the first. `until` counts
        from the first call. A call that is under way is not interrupted.
    A failed call that says when to come again (`Retry-After`) is believed, if that is before the end. Inside a job no
    call is made again when the job is to stop (`should_stop`, also while this waits), or would have run into its
    timeout by then.
    Raises what the last call raised; InvalidInput for a wrong policy or an async function, which `aretry_call` is for.
    """
    series = _Series(function, retry)
    if inspect.iscoroutinefunction(function):
        raise _wrong_kind(function)
    while True:
        try:
            result = function(*args, **kwargs)
        except Exception as error:
            delay_seconds = series.delay_seconds(error)
            if delay_seconds is None or _sleep(delay_seconds):
                raise
        else:
            if inspect.iscoroutine(result):
                result.close()
                raise _wrong_kind(function)
            return result


async def aretry_call(
    function: Callable[..., Awaitable[R]], /, *args: Any, retry: Retry = CALL_RETRY, **kwargs: Any
) -> R:
    """`retry_call` for async code. A cancellation ends it at once."""
    series = _Series(function, retry)
    while True:
        try:
            result = function(*args, **kwargs)
            if inspect.isawaitable(result):
                return await result
        except Exception as error:
            delay_seconds = series.delay_seconds(error)
            if delay_seconds is None:
                raise
            await asyncio.sleep(delay_seconds)
            if _is_to_stop():
                raise
        else:
            raise InvalidInput(f"aretry_call was given {_name(function)}, which is not async: use `retry_call(...)`")


def _wrong_kind(function: object) -> InvalidInput:
    return InvalidInput(f"retry_call was given {_name(function)}, which is async: use `await aretry_call(...)`")


class _Series:
    """The calls that belong together: counts them, and decides after each."""

    def __init__(self, function: object, retry: Retry) -> None:
        if not callable(function):
            raise InvalidInput(f"a function is called again, not {function!r}")
        self._retry = retry_policy(retry)
        self._name = _name(function)
        self._began_at = time.monotonic()
        self._calls = 0
        self._seed = str(random.getrandbits(64))  # of decorrelated delays

    def delay_seconds(self, error: Exception) -> float | None:
        """How long to wait before the next call; None: there is none."""
        self._calls += 1
        asked = retry_after_seconds(error)
        reason, delay_seconds = "retry_after", asked
        if delay_seconds is None:
            reason, delay_seconds = "failed", self._retry.delay_ms(self._calls, seed=self._seed) / 1000
        end = self._end(error, delay_seconds)
        if end:
            telemetry.event(
                Event.CALL_FAILED,
                function=self._name,
                attempt=self._calls,
                reason=end,
                error=type_name(type(error)),
            )
            return None
        telemetry.event(
            Event.CALL_RETRIED,
            function=self._name,
            attempt=self._calls,
            delay_ms=round(delay_seconds * 1000),
            reason=reason,
            error=type_name(type(error)),
        )
        return delay_seconds

    def _end(self, error: Exception, delay_seconds: float) -> str:
        """Why there is no other call after this delay; "": there is one."""
        # Asked first: what stops a thread's job is an exception too, and not the call's.
        if _is_to_stop():
            return "stop"
        if not self._retry.wants(error):
            return "final"
        if self._calls >= self._retry.max_attempts:
            return "attempts"
        if delay_seconds > self._left_seconds():
            return "until"
        job = CURRENT.get()
        remaining = None if job is None else job.remaining
        return "timeout" if remaining is not None and delay_seconds >= remaining else ""

    def _left_seconds(self) -> float:
        until = self._retry.until
        if until is None:
            return float("inf")
        if isinstance(until, datetime):
            return (until - datetime.now(UTC)).total_seconds()
        seconds = until.total_seconds() if isinstance(until, timedelta) else until
        return seconds - (time.monotonic() - self._began_at)


def _is_to_stop() -> bool:
    job = CURRENT.get()
    return job is not None and job.should_stop


def _sleep(seconds: float) -> bool:
    """True: the job is to stop."""
    job = CURRENT.get()
    if job is not None:
        return job.wait_for_stop(seconds)
    time.sleep(seconds)
    return False


def _name(function: object) -> str:
    name: str = getattr(function, "__qualname__", type(function).__qualname__)
    return name
