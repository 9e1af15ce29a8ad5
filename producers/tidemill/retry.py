"""When a failed attempt is made again: exponential backoff, capped, with jitter.

Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 (equal jitter: part of the delay is
kept, part is random, so that no retry comes at once).
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from tidemill import validation
from tidemill.errors import InvalidInput

Backoff = Literal["constant", "linear", "exponential"]


@dataclass(frozen=True, slots=True)
class Retry:
    """A retry policy.

    max_attempts: how often the job is tried in all, the first time included.
    backoff, base, factor, cap: the delay before attempt n+1 is base × factor^(n-1) (exponential), base × n (linear) or
        base (constant), at most cap; in seconds.
    jitter: the part of the delay that is random, 0 to 1: 0.5 means between half the delay and all of it.
    retry_on, dont_retry_on: exception classes; an error that is none of the first, or one of the second, is final.
    """

    max_attempts: int = 5
    backoff: Backoff = "exponential"
    base: float = 1.0
    factor: float = 2.0
    cap: float = 300.0
    jitter: float = 0.5
    retry_on: tuple[type[BaseException], ...] = (Exception,)
    dont_retry_on: tuple[type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        validation.whole("Retry.max_attempts", self.max_attempts, 1, 1000)
        validation.one_of("Retry.backoff", self.backoff, ("constant", "linear", "exponential"))
        for name, least, most in (
            ("base", 0, 86_400),
            ("factor", 1, 100),
            ("cap", 0, 30 * 86_400),
            ("jitter", 0, 1),
        ):
            value = getattr(self, name)
            if not least <= validation.number(f"Retry.{name}", value) <= most:
                raise InvalidInput(f"Retry.{name} must be {least} to {most}, not {value!r}")
        _check_classes("Retry.retry_on", self.retry_on)
        _check_classes("Retry.dont_retry_on", self.dont_retry_on)

    def applies(self, error: BaseException, tries: int) -> bool:
        """Is another attempt to be made after this one, the `tries`-th, failed with `error`?"""
        wanted = isinstance(error, self.retry_on) and not isinstance(error, self.dont_retry_on)
        return wanted and tries < self.max_attempts

    def delay_ms(self, tries: int, chance: float | None = None) -> int:
        """Milliseconds to wait after attempt `tries` failed. `chance` (0 to 1) replaces the random draw in tests."""
        if self.backoff == "exponential":
            # Beyond this exponent any factor above 1 is past any cap; it keeps the power from overflowing.
            delay = self.base * self.factor ** min(tries - 1, 100)
        else:
            delay = self.base * (tries if self.backoff == "linear" else 1)
        delay = min(delay, self.cap)
        draw = random.random() if chance is None else chance
        return math.ceil(1000 * delay * (1 - self.jitter * draw))

    def to_wire(self) -> dict[str, object]:
        """What a job carries of its own policy; exception classes stay with the task."""
        return {name: getattr(self, name) for name in ("max_attempts", "backoff", "base", "factor", "cap", "jitter")}

    @classmethod
    def from_wire(cls, fields: Mapping[str, object], task: Retry) -> Retry:
        """The policy that a job carries, with the exception classes of its task's."""
        values = dict(fields)
        return cls(**values, retry_on=task.retry_on, dont_retry_on=task.dont_retry_on)  # type: ignore[arg-type] # checked by __post_init__


def _check_classes(name: str, classes: object) -> None:
    found = cast(tuple[object, ...], classes) if isinstance(classes, tuple) else ()
    if found != classes or not all(isinstance(item, type) and issubclass(item, BaseException) for item in found):
        raise InvalidInput(f"{name} must be a tuple of exception classes, as (OSError,), not {classes!r}")


NO_RETRY = Retry(max_attempts=1)
