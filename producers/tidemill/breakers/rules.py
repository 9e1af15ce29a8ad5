"""When the calls of a process are enough to open a breaker: pybreaker's circuit breaker, and windows on top of it.

pybreaker counts consecutive failures and knows which errors count. It holds a lock while it calls, so one slow call
would keep all others waiting: here calls are made outside, and what came of each is told to it afterwards, by a call
that only returns or raises. Rates are counted by a listener, which opens the circuit as pybreaker itself does.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pybreaker

from tidemill.breakers.settings import BreakerSettings

# Parts of a window: it moves on in steps of a twentieth, and remembers three numbers for each.
_PARTS: Final = 20


@dataclass(slots=True)
class Counts:
    """Of calls: all, those that failed, those that were slow. `number`: of a part of a window."""

    number: int = 0
    calls: int = 0
    failures: int = 0
    slow: int = 0


class Window:
    """Calls of the last `window_ms`, give or take one of its parts."""

    def __init__(self, window_ms: int, clock: Callable[[], float]) -> None:
        self._part_s = window_ms / 1000 / _PARTS
        self._clock = clock
        self.clear()

    def add(self, *, failed: bool, slow: bool) -> None:
        number = int(self._clock() / self._part_s)
        if not self._parts or self._parts[-1].number != number:
            self._move_on(number)
        for counted in (self.total, self._parts[-1]):
            counted.calls += 1
            counted.failures += failed
            counted.slow += slow

    def _move_on(self, number: int) -> None:
        while self._parts and self._parts[0].number <= number - _PARTS:
            old = self._parts.popleft()
            self.total.calls -= old.calls
            self.total.failures -= old.failures
            self.total.slow -= old.slow
        self._parts.append(Counts(number))

    def clear(self) -> None:
        self.total = Counts()
        self._parts = deque[Counts]()


class _Rates(pybreaker.CircuitBreakerListener):
    """Opens the circuit when too many of the window's calls fail or are slow; notes why it was opened."""

    def __init__(self, settings: BreakerSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._window = Window(settings.window_ms, clock)
        self.seconds = 0.0  # that the call took, which is being told
        self.reason = ""

    def success(self, cb: pybreaker.CircuitBreaker) -> None:
        self._count(cb, failed=False)

    def failure(self, cb: pybreaker.CircuitBreaker, exc: BaseException) -> None:
        self._count(cb, failed=True)

    def state_change(self, cb: pybreaker.CircuitBreaker, old_state: Any, new_state: Any) -> None:
        if new_state.name == pybreaker.STATE_OPEN:
            self.reason = self.reason or "failures"
        else:
            self._window.clear()

    def _count(self, cb: pybreaker.CircuitBreaker, *, failed: bool) -> None:
        settings, slow_ms = self._settings, self._settings.slow_call_ms
        slow = slow_ms is not None and self.seconds * 1000 >= slow_ms
        self._window.add(failed=failed, slow=slow)
        total = self._window.total
        if total.calls < settings.min_calls:
            return
        if settings.error_rate is not None and failed and total.failures >= settings.error_rate * total.calls:
            self._open(cb, "error_rate")
        elif slow and total.slow >= settings.slow_rate * total.calls:
            self._open(cb, "slow_calls")

    def _open(self, cb: pybreaker.CircuitBreaker, reason: str) -> None:
        self.reason = reason
        cb.open()


class _Failed(Exception):
    """What a call that failed is told by."""


def _succeed() -> None:
    pass


def _fail() -> None:
    raise _Failed


class Rules:
    """Not locked: whoever calls it holds the breaker's lock."""

    def __init__(self, name: str, settings: BreakerSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._rates = _Rates(settings, clock)
        self._circuit = pybreaker.CircuitBreaker(
            fail_max=settings.fail_max or sys.maxsize,
            # One function: pybreaker calls a class whose metaclass is not `type`, as if it were one.
            exclude=[self._is_excluded],
            listeners=[self._rates],
            name=name,
        )

    def counts(self, error: BaseException) -> bool:
        """Does this error say that the dependency is ill?"""
        return self._circuit.is_system_error(error)

    def _is_excluded(self, error: BaseException) -> bool:
        if isinstance(error, _Failed):
            return False
        return any(
            isinstance(error, one) if isinstance(one, type) else bool(one(error)) for one in self._settings.exclude
        )

    def is_slow(self, seconds: float) -> bool:
        return self._settings.slow_call_ms is not None and seconds * 1000 >= self._settings.slow_call_ms

    def record(self, *, failed: bool, seconds: float) -> str:
        """A call of the closed breaker is over. Returns why it opens now; "": it does not."""
        self._rates.seconds, self._rates.reason = seconds, ""
        with contextlib.suppress(_Failed, pybreaker.CircuitBreakerError):
            self._circuit.call(_fail if failed else _succeed)
        return self._rates.reason

    def reset(self) -> None:
        """The breaker was closed: what was before does not count any more."""
        self._circuit.close()
