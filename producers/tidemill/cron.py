"""Cron in any zone: when an expression (`cron_expression`) is due, and what daylight saving does to it.

**Daylight saving** follows Debian's cron (cron(8), "Local time changes of less than three hours"), here for
gaps and repeats of any length:

- A job whose minute or hour field begins with `*` runs by the clock on the wall: times that the clock skips
  are not run, times that it shows twice are run twice. So `*/15 * * * *` keeps its real period.
- Any other job runs once for each scheduled time. If the clock skips that time, it runs at the first instant
  after the gap (several skipped times make one run); if the clock shows it twice, it runs the first time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

from tidemill import cron_expression
from tidemill.cron_expression import Calendar
from tidemill.errors import InvalidInput

__all__ = ["Cron"]

# Expressions, and zones, whose parsed form is kept; a scheduler with more of them parses some again.
CACHED_EXPRESSIONS = 4_096

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - wall-clock time has no zone


@dataclass(frozen=True, slots=True)
class Cron:
    """Due when the clock in the IANA zone `tz` matches `expression`; `InvalidInput` if either is wrong."""

    expression: str
    tz: str = "UTC"

    def __post_init__(self) -> None:
        _zone(self.tz)
        _compile(self.expression)

    def next_after_ms(self, after_ms: int) -> int:
        """The first occurrence strictly after `after_ms`, unix ms; `InvalidInput` past the year 9999."""
        calendar, zone = _compile(self.expression), _zone(self.tz)
        find = _next_by_wall_clock if calendar.by_wall_clock else _next_fixed_time
        try:
            return find(calendar, zone, after_ms // 1000) * 1000
        except (ValueError, OverflowError):
            raise InvalidInput(
                f"cron {self.expression!r} has no occurrence after {after_ms} ms: "
                "calendars end with the year 9999; pass unix milliseconds"
            ) from None


@lru_cache(maxsize=CACHED_EXPRESSIONS)
def _compile(expression: str) -> Calendar:
    """The calendar of an expression; `InvalidInput` if it is malformed or never fires."""
    try:
        return cron_expression.read(expression)
    except ValueError as error:
        raise InvalidInput(f"cron expression {expression[:100]!r}: {error}") from None


# The clock on the wall is a number of seconds too, counted as if it showed UTC


@lru_cache(maxsize=CACHED_EXPRESSIONS)
def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo

    if name == "UTC":
        return UTC  # known even where no zone database is installed
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not found, not a name, a folder
        raise InvalidInput(
            f"unknown time zone {name[:100]!r}: use an IANA name such as 'Europe/Berlin'; "
            "if the name is right, this machine lacks it: install the tzdata package"
        ) from None


def _offset_s(zone: tzinfo, instant_s: int) -> int:
    return _seconds(datetime.fromtimestamp(instant_s, zone).utcoffset())


def _seconds(offset: timedelta | None) -> int:
    return 0 if offset is None else offset // timedelta(seconds=1)


def _instants_s(zone: tzinfo, wall_s: int) -> tuple[int, int]:
    """When the clock shows `wall_s` (PEP 495): equal if once, rising if twice, falling if it is skipped."""
    wall = (_EPOCH + timedelta(seconds=wall_s)).replace(tzinfo=zone)
    return wall_s - _seconds(wall.utcoffset()), wall_s - _seconds(wall.replace(fold=1).utcoffset())


def _transition_s(zone: tzinfo, before_s: int, after_s: int) -> int:
    """The instant in (before_s, after_s] at which the offset changes, given that it changes once."""
    offset_s = _offset_s(zone, after_s)
    while after_s - before_s > 1:
        middle_s = (before_s + after_s) // 2
        if _offset_s(zone, middle_s) == offset_s:
            after_s = middle_s
        else:
            before_s = middle_s
    return after_s


def _next_fixed_time(calendar: Calendar, zone: tzinfo, after_s: int) -> int:
    """Each wall time once: the first time that it is shown, or the end of the gap that swallows it."""
    wall_s = after_s + _offset_s(zone, after_s)
    while True:
        wall_s = calendar.next_wall_s(wall_s)
        first_s, second_s = _instants_s(zone, wall_s)
        instant_s = first_s if first_s <= second_s else _transition_s(zone, second_s, first_s)
        if instant_s > after_s:
            return instant_s


def _next_by_wall_clock(calendar: Calendar, zone: tzinfo, after_s: int) -> int:
    """Each instant at which the clock shows a matching time."""
    wall_s = after_s + _offset_s(zone, after_s)
    starts_s = [wall_s]
    first_s, second_s = _instants_s(zone, wall_s)
    if first_s == after_s < second_s:  # the clock will go back and show earlier times than this one again
        turn_s = _transition_s(zone, first_s, second_s)
        starts_s.append(turn_s + _offset_s(zone, turn_s) - 1)
    found = (_next_shown(calendar, zone, start_s) for start_s in starts_s)
    return min(first_s if first_s > after_s else second_s for first_s, second_s in found)


def _next_shown(calendar: Calendar, zone: tzinfo, wall_s: int) -> tuple[int, int]:
    """The instants of the first match after `wall_s` that the clock does not skip."""
    while True:
        first_s, second_s = _instants_s(zone, calendar.next_wall_s(wall_s))
        if first_s <= second_s:
            return first_s, second_s
        turn_s = _transition_s(zone, second_s, first_s)
        wall_s = turn_s + _offset_s(zone, turn_s) - 1
