"""What a breaker is declared with, and what is refused there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypedDict, cast

from tidemill import validation
from tidemill.errors import InvalidInput
from tidemill.wire.scripts import Reopening

Duration = timedelta | float
# Errors that say nothing about the dependency: classes, or functions that are given the error.
Exclusion = type[BaseException] | Callable[[BaseException], bool]

# As pybreaker: few enough to react within a second of a busy task.
FAIL_MAX: Final = 5
# Long enough to hold `min_calls` of a task that runs every few seconds, short enough to forget what was mended.
WINDOW_MS: Final = 60_000
RATE: Final = 0.5
# With fewer calls a rate is chance: of ten calls to a dependency with 10 % errors, none is half of them by bad luck.
MIN_CALLS: Final = 20
# How long a restart of a service takes, or a failover of a database.
RESET_TIMEOUT_MS: Final = 30_000
# One success may be luck; three cost a dependency that is down three calls a reset timeout.
HALF_OPEN_MAX: Final = 3
# Jobs that come back a second when a breaker closes: a backlog of a minute at this rate must not knock over what has
# just got up.
RELEASE_RATE: Final = 100.0

_MOST_CALLS: Final = 1_000_000
_MOST_PROBES: Final = 100
_MOST_MS: Final = 86_400_000
# Shorter ones are a busy loop of probes, and a window of the machine's noise.
_LEAST_RESET_MS: Final = 100
_LEAST_WINDOW_MS: Final = 1_000
_RELEASE_RATES: Final = (0.01, 100_000.0)


class BreakerOptions(TypedDict, total=False):
    """What `mill.breaker` takes beside the name: see there."""

    fail_max: int | None
    window: Duration
    error_rate: float | None
    min_calls: int
    slow_call: Duration | None
    slow_rate: float
    reset_timeout: Duration
    max_reset_timeout: Duration
    half_open_max: int
    release_rate: float
    exclude: Iterable[Exclusion]


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """None switches a rule off."""

    fail_max: int | None = FAIL_MAX
    window_ms: int = WINDOW_MS
    error_rate: float | None = RATE
    min_calls: int = MIN_CALLS
    slow_call_ms: int | None = None
    slow_rate: float = RATE
    reset_timeout_ms: int = RESET_TIMEOUT_MS
    max_reset_timeout_ms: int = RESET_TIMEOUT_MS
    half_open_max: int = HALF_OPEN_MAX
    release_rate: float = RELEASE_RATE
    exclude: tuple[Exclusion, ...] = ()

    @property
    def reopening(self) -> Reopening:
        return Reopening(self.reset_timeout_ms, self.max_reset_timeout_ms)


def settings_of(options: BreakerOptions) -> BreakerSettings:
    """Raises InvalidInput for what is no option, absurd, or contradicts another one."""
    unknown = sorted(set(options) - set(BreakerOptions.__annotations__))
    if unknown:
        known = ", ".join(BreakerOptions.__annotations__)
        raise InvalidInput(f"breaker: {', '.join(unknown)} is not an option: one of {known}")
    reset_ms = _between("reset_timeout", options.get("reset_timeout", RESET_TIMEOUT_MS / 1000), _LEAST_RESET_MS)
    found = BreakerSettings(
        fail_max=_optional("fail_max", options.get("fail_max", FAIL_MAX), _calls),
        window_ms=_between("window", options.get("window", WINDOW_MS / 1000), _LEAST_WINDOW_MS),
        error_rate=_optional("error_rate", options.get("error_rate", RATE), _rate),
        min_calls=_calls("min_calls", options.get("min_calls", MIN_CALLS)),
        slow_call_ms=_optional("slow_call", options.get("slow_call"), _between),
        slow_rate=_rate("slow_rate", options.get("slow_rate", RATE)),
        reset_timeout_ms=reset_ms,
        max_reset_timeout_ms=_between("max_reset_timeout", options.get("max_reset_timeout", reset_ms / 1000)),
        half_open_max=validation.whole("half_open_max", options.get("half_open_max", HALF_OPEN_MAX), 1, _MOST_PROBES),
        release_rate=_release_rate(options.get("release_rate", RELEASE_RATE)),
        exclude=_exclusions(options.get("exclude", ())),
    )
    _refuse_contradictions(found, options)
    return found


def _refuse_contradictions(found: BreakerSettings, options: BreakerOptions) -> None:
    if found.fail_max is None and found.error_rate is None and found.slow_call_ms is None:
        raise InvalidInput("fail_max, error_rate and slow_call are all None: nothing would ever open this breaker")
    if found.slow_call_ms is None and "slow_rate" in options:
        raise InvalidInput("slow_rate without slow_call: say how long a slow call takes")
    if found.slow_call_ms is not None and found.slow_call_ms >= found.window_ms:
        raise InvalidInput(
            f"slow_call is {found.slow_call_ms / 1000:g} s, and the window that it is counted in "
            f"{found.window_ms / 1000:g} s: the window has to be longer"
        )
    if found.max_reset_timeout_ms < found.reset_timeout_ms:
        raise InvalidInput(
            f"max_reset_timeout of {found.max_reset_timeout_ms / 1000:g} s is less than reset_timeout, "
            f"{found.reset_timeout_ms / 1000:g} s: it is what that grows to"
        )


def _optional(name: str, value: Any, check: Callable[[str, Any], Any]) -> Any:
    return None if value is None else check(name, value)


def _calls(name: str, value: object) -> int:
    return validation.whole(name, value, 1, _MOST_CALLS)


def _between(name: str, value: object, least_ms: int = 1) -> int:
    found = validation.duration_ms(name, value, zero=False)
    if least_ms <= found <= _MOST_MS:
        return found
    raise InvalidInput(f"{name} must be {least_ms / 1000:g} s to {_MOST_MS / 3_600_000:g} h, not {value!r}")


def _rate(name: str, value: object) -> float:
    found = validation.number(name, value)
    if 0 < found <= 1:
        return found
    raise InvalidInput(f"{name} must be a part of all calls, more than 0 and at most 1, not {value!r}")


def _release_rate(value: object) -> float:
    found, (least, most) = validation.number("release_rate", value), _RELEASE_RATES
    if least <= found <= most:
        return found
    raise InvalidInput(f"release_rate must be {least:g} to {most:,.0f} jobs a second, not {value!r}")


def _exclusions(value: object) -> tuple[Exclusion, ...]:
    if isinstance(value, type) or not isinstance(value, Iterable):
        raise InvalidInput(f"exclude must be a list of exception classes or functions, not {value!r}")
    found: tuple[Any, ...] = tuple(cast(Any, value))
    for one in found:
        if not (issubclass(one, BaseException) if isinstance(one, type) else callable(one)):
            raise InvalidInput(f"exclude takes exception classes and functions that are given the error, not {one!r}")
    return found
