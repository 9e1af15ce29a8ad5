"""When a failed attempt is made again: a backoff, capped, with jitter, and a deadline.

Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: equal jitter (part of the delay is
kept, part is random, so that no retry comes at once) and decorrelated jitter (each delay is drawn between `base` and
three times the one before).

A decorrelated delay needs the one before it, and a job's attempts are made by different workers. Its record has no
field for that: the draws are those of a random generator that is seeded with the job's id, so every worker computes
the same series, and two jobs have different ones.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, cast, get_args

from tidemill import validation
from tidemill.errors import InvalidInput

Backoff = Literal["constant", "linear", "exponential", "decorrelated"]

_FACTOR: Final = 2.0
_JITTER: Final = 0.5
# How much larger than the delay before a decorrelated one may be: the article's figure.
_DECORRELATED_FACTOR: Final = 3
# Beyond this exponent any factor above 1 is past any cap; it keeps the power from overflowing.
_MAX_EXPONENT: Final = 100
_MAX_DURATION_MS: Final = validation.MAX_DELAY_DAYS * 86_400_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_INSTANT_MS: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
_NUMBERS: Final = (
    ("base", 0, 86_400),
    ("factor", 1, 100),
    ("cap", 0, 30 * 86_400),
    ("jitter", 0, 1),
)


@dataclass(frozen=True, slots=True)
class Retry:
    """A retry policy.

    max_attempts: how often the job is tried in all, the first time included.
    backoff, base, factor, cap: the delay before attempt n+1 is base × factor^(n-1) (exponential), base × n (linear),
        base (constant), or random between base and three times the delay before (decorrelated), at most cap; in
        seconds. A failed call that says when to come again is believed instead: see `retry_after`.
    jitter: the part of the delay that is random, 0 to 1: 0.5 means between half the delay and all of it. Decorrelated
        delays are random by themselves: neither jitter nor factor is for them.
    retry_on, dont_retry_on: exception classes; an error that is none of the first, or one of the second, is final.
    until: after this no further attempt is begun: a timedelta or seconds from the enqueue, or an aware datetime.
    """

    max_attempts: int = 5
    backoff: Backoff = "exponential"
    base: float = 1.0
    factor: float = _FACTOR
    cap: float = 300.0
    jitter: float = _JITTER
    retry_on: tuple[type[BaseException], ...] = (Exception,)
    dont_retry_on: tuple[type[BaseException], ...] = ()
    until: timedelta | float | datetime | None = None

    def __post_init__(self) -> None:
        validation.whole("Retry.max_attempts", self.max_attempts, 1, 1000)
        validation.one_of("Retry.backoff", self.backoff, get_args(Backoff))
        for name, least, most in _NUMBERS:
            value = getattr(self, name)
            if not least <= validation.number(f"Retry.{name}", value) <= most:
                raise InvalidInput(f"Retry.{name} must be {least} to {most}, not {value!r}")
        _check_classes("Retry.retry_on", self.retry_on)
        _check_classes("Retry.dont_retry_on", self.dont_retry_on)

        self._check_decorrelated()
        self._check_classes_agree()
        self._check_until()

    def _check_decorrelated(self) -> None:
        if self.backoff == "decorrelated" and (self.factor, self.jitter) != (_FACTOR, _JITTER):
            raise InvalidInput(
                f"Retry.factor {self.factor!r} and Retry.jitter {self.jitter!r} are not for backoff='decorrelated': "
                "its delays are random between base and three times the one before; leave both out"
            )

    def _check_classes_agree(self) -> None:
        if self.retry_on and all(issubclass(wanted, self.dont_retry_on) for wanted in self.retry_on):
            raise InvalidInput(
                f"Retry.dont_retry_on {self.dont_retry_on!r} excludes all of Retry.retry_on {self.retry_on!r}: "
                "nothing would be tried again; for one attempt say max_attempts=1"
            )

    def _check_until(self) -> None:
        if self.until is None:
            return
        if isinstance(self.until, datetime):
            validation.instant_ms("Retry.until", self.until)
            return
        until_ms = validation.duration_ms("Retry.until", self.until, zero=False)
        least_ms = self.delay_ms(1, chance=0 if self.backoff == "decorrelated" else 1)
        if self.max_attempts > 1 and until_ms <= least_ms:
            raise InvalidInput(
                f"Retry.until {self.until!r} is over before a second attempt can begin, which is {least_ms / 1000:g} s "
                "after the first at the earliest: choose a smaller base or a later until"
            )

    def wants(self, error: BaseException) -> bool:
        """Is this an error after which another attempt may help?"""
        return isinstance(error, self.retry_on) and not isinstance(error, self.dont_retry_on)

    def applies(self, error: BaseException, tries: int) -> bool:
        """Is another attempt to be made after this one, the `tries`-th, failed with `error`? `until` is not asked."""
        return self.wants(error) and tries < self.max_attempts

    def deadline_ms(self, enqueued_ms: int) -> int | None:
        """`until` in unix milliseconds, for a job that was enqueued then; None without one."""
        if self.until is None:
            return None
        if isinstance(self.until, datetime):
            return validation.instant_ms("Retry.until", self.until)
        return enqueued_ms + validation.duration_ms("Retry.until", self.until)

    def delay_ms(self, tries: int, chance: float | None = None, *, seed: str | None = None) -> int:
        """Milliseconds to wait after attempt `tries` failed.

        chance: 0 to 1; replaces the random draw in tests.
        seed: of decorrelated delays: the same one gives the same series. Without one the series is another each time.
        """
        if self.backoff == "decorrelated":
            return _whole_ms(self._decorrelated(tries, chance, seed))
        if self.backoff == "exponential":
            delay = self.base * self.factor ** min(tries - 1, _MAX_EXPONENT)
        else:
            delay = self.base * (tries if self.backoff == "linear" else 1)
        delay = min(delay, self.cap)
        draw = random.random() if chance is None else chance
        return _whole_ms(delay * (1 - self.jitter * draw))

    def _decorrelated(self, tries: int, chance: float | None, seed: str | None) -> float:
        """Seconds. As often drawn as there were attempts: the series starts at `base`."""
        draws = random.Random(seed)
        delay = self.base
        for _ in range(tries):
            draw = draws.random() if chance is None else chance
            delay = min(self.cap, self.base + (_DECORRELATED_FACTOR * delay - self.base) * draw)
        return delay

    def to_wire(self) -> dict[str, object]:
        """The options that a job carries of its own policy; exception classes stay with the task.

        `retry` holds what every worker reads. What came later stands beside it, and only where it is used: a worker
        that does not know it keeps the rest of the policy (and exponential delays for decorrelated ones).
        """
        fields = {name: getattr(self, name) for name in ("max_attempts", "backoff", "base", "factor", "cap", "jitter")}
        wire: dict[str, object] = {"retry": fields}
        if self.backoff == "decorrelated":
            fields["backoff"] = "exponential"
            wire["retry_backoff"] = "decorrelated"
        if isinstance(self.until, datetime):
            wire["retry_until_ms"] = self.deadline_ms(0)
        elif self.until is not None:
            wire["retry_for_ms"] = self.deadline_ms(0)
        return wire

    @classmethod
    def from_wire(cls, options: Mapping[str, Any], task: Retry) -> Retry:
        """The policy among the options that a job carries, with the exception classes of its task's.

        Raises InvalidInput, TypeError or ValueError for what is none.
        """
        values = dict(options["retry"])
        if "retry_backoff" in options:
            values["backoff"] = options["retry_backoff"]
        return cls(**values, retry_on=task.retry_on, dont_retry_on=task.dont_retry_on, until=_until_from_wire(options))


def _until_from_wire(options: Mapping[str, Any]) -> timedelta | datetime | None:
    if "retry_for_ms" in options:
        return timedelta(milliseconds=validation.whole("retry_for_ms", options["retry_for_ms"], 1, _MAX_DURATION_MS))
    if "retry_until_ms" in options:
        until_ms = validation.whole("retry_until_ms", options["retry_until_ms"], 0, _MAX_INSTANT_MS)
        return _EPOCH + timedelta(milliseconds=until_ms)
    return None


WIRE_KEYS: Final = ("retry", "retry_backoff", "retry_for_ms", "retry_until_ms")
"""The options of a job that `Retry.to_wire` may write."""


def _whole_ms(seconds: float) -> int:
    """Rounded up, but for what is only the error of a float: 3 × 0.1 s is 300 ms."""
    return math.ceil(round(1000 * seconds, 6))


def _check_classes(name: str, classes: object) -> None:
    found = cast(tuple[object, ...], classes) if isinstance(classes, tuple) else ()
    if found != classes or not all(isinstance(item, type) and issubclass(item, BaseException) for item in found):
        raise InvalidInput(f"{name} must be a tuple of exception classes, as (OSError,), not {classes!r}")


NO_RETRY = Retry(max_attempts=1)
