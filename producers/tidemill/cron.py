"""Cron expressions in any zone: how they are read, and what daylight saving does to them.

**Cron** has five fields (minute, hour, day of month, month, day of week) or is a macro (`@yearly`,
`@annually`, `@monthly`, `@weekly`, `@daily`, `@midnight`, `@hourly`). A field is a list of `*`, `5`, `1-5`,
`*/15`, `10-30/5`, `5/15` (from 5 to the field's end by 15) and names (`JAN`, `MON`); Sunday is 0 or 7. A
range never wraps round: only `SUN` as its end means 7. Day of month also takes `?`, `L` (the last day) and
a lone `15W` (the weekday nearest the 15th and in its month; `31W` counts from a shorter month's last day);
day of week takes `?`, `1#2` (the second Monday) and `5L` (the last Friday). When both day fields restrict
the day, either is enough, as POSIX says. Spellings on which implementations disagree (`22-6`, `L5`, `W15`,
a field of seconds) are refused rather than guessed. croniter finds the dates; this module reads the fields,
so that an expression means the same under each croniter release, and maps wall-clock time to instants.

**Daylight saving** follows Debian's cron (cron(8), "Local time changes of less than three hours"), here for
gaps and repeats of any length:

- A job whose minute or hour field begins with `*` runs by the clock on the wall: times that the clock skips
  are not run, times that it shows twice are run twice. So `*/15 * * * *` keeps its real period.
- Any other job runs once for each scheduled time. If the clock skips that time, it runs at the first instant
  after the gap (several skipped times make one run); if the clock shows it twice, it runs the first time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING

from tidemill.errors import InvalidInput

if TYPE_CHECKING:
    from croniter import croniter

__all__ = ["Cron"]

# Room for every number of every field written out; a bound for what a record from Redis can make us do.
MAX_EXPRESSION_CHARS = 1_000
# Expressions, and zones, whose parsed form is kept; a scheduler with more of them parses some again.
CACHED_EXPRESSIONS = 4_096

_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_ITEM = re.compile(r"(?:\*|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>\d+))?", re.ASCII)
_LAST_WEEKDAY = re.compile(r"(\w+)L", re.ASCII)
_NTH_WEEKDAY = re.compile(r"(.+)#([1-5])", re.ASCII)
_NEAREST_WEEKDAY = re.compile(r"(\d+)W", re.ASCII)
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 -- wall-clock time has no zone


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


# --- zones: the clock on the wall is a number of seconds too, counted as if it showed UTC


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


def _next_fixed_time(calendar: _Calendar, zone: tzinfo, after_s: int) -> int:
    """Each wall time once: the first time that it is shown, or the end of the gap that swallows it."""
    wall_s = after_s + _offset_s(zone, after_s)
    while True:
        wall_s = calendar.next_wall_s(wall_s)
        first_s, second_s = _instants_s(zone, wall_s)
        instant_s = first_s if first_s <= second_s else _transition_s(zone, second_s, first_s)
        if instant_s > after_s:
            return instant_s


def _next_by_wall_clock(calendar: _Calendar, zone: tzinfo, after_s: int) -> int:
    """Each instant at which the clock shows a matching time."""
    wall_s = after_s + _offset_s(zone, after_s)
    starts_s = [wall_s]
    first_s, second_s = _instants_s(zone, wall_s)
    if first_s == after_s < second_s:  # the clock will go back and show earlier times than this one again
        turn_s = _transition_s(zone, first_s, second_s)
        starts_s.append(turn_s + _offset_s(zone, turn_s) - 1)
    found = (_next_shown(calendar, zone, start_s) for start_s in starts_s)
    return min(first_s if first_s > after_s else second_s for first_s, second_s in found)


def _next_shown(calendar: _Calendar, zone: tzinfo, wall_s: int) -> tuple[int, int]:
    """The instants of the first match after `wall_s` that the clock does not skip."""
    while True:
        first_s, second_s = _instants_s(zone, calendar.next_wall_s(wall_s))
        if first_s <= second_s:
            return first_s, second_s
        turn_s = _transition_s(zone, second_s, first_s)
        wall_s = turn_s + _offset_s(zone, turn_s) - 1


# --- expressions: read here, so that croniter is only handed plain lists of numbers


@dataclass(frozen=True, slots=True)
class _Calendar:
    """A compiled expression: the union of `searches`, on wall-clock seconds."""

    searches: tuple[croniter[float], ...]
    by_wall_clock: bool

    def next_wall_s(self, wall_s: int) -> int:
        # A croniter keeps its position, threads share the cache: each search gets a (shallow) copy.
        return min(int(copy(search).get_next(float, float(wall_s))) for search in self.searches)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    other_forms: str = ""

    def number(self, text: str) -> int:
        if text in self.names:
            return self.low + self.names.index(text)
        # Sunday may be written as 7 too, but `*` and `1/2` count the week from 0 to 6.
        highest = 7 if self.names is _WEEKDAYS else self.high
        if not (text.isdigit() and self.low <= int(text) <= highest):
            raise ValueError(f"{self.name} {text[:20]!r} is not {self.low} to {highest}{self.other_forms}")
        return int(text)

    def numbers(self, item: str) -> range:
        """What one item of a list (`*`, `5`, `1-5`, `MON-FRI/2`, `5/15`) stands for."""
        match = _ITEM.fullmatch(item)
        if match is None:
            raise ValueError(f"{self.name} {item[:20]!r} is malformed: use * 5 1-5 */15 1,2{self.other_forms}")
        step = int(match["step"] or 1)
        if step == 0:
            raise ValueError(f"{self.name} {item[:20]!r} has a step of 0: use 1 or more")
        low = self.low if match["low"] is None else self.number(match["low"])
        high = self.high_of(match["high"], low, alone=match["low"] is not None and match["step"] is None)
        if low > high:
            raise ValueError(f"{self.name} {item[:20]!r} runs backwards: write it as two ranges")
        return range(low, high + 1, step)

    def high_of(self, text: str | None, low: int, *, alone: bool) -> int:
        if text is None:
            return low if alone else max(low, self.high)
        return 7 if text == "SUN" and self.names is _WEEKDAYS and low > 0 else self.number(text)

    def union(self, items: list[str]) -> set[int]:
        return {number for item in items for number in self.numbers(item)}


_MINUTE = _Field("minute", 0, 59)
_HOUR = _Field("hour", 0, 23)
_DAY = _Field("day of month", 1, 31, other_forms=", L, or 15W as the whole field")
_MONTH = _Field("month", 1, 12, _MONTHS, " or JAN to DEC")
_WEEKDAY = _Field("day of week", 0, 6, _WEEKDAYS, " or SUN to SAT, 1#2, 5L")


@lru_cache(maxsize=CACHED_EXPRESSIONS)
def _compile(expression: str) -> _Calendar:
    """The calendar of an expression; `InvalidInput` if it is malformed or never fires."""
    try:
        return _calendar(_split(expression))
    except ValueError as error:
        raise InvalidInput(f"cron expression {expression[:100]!r}: {error}") from None


def _split(expression: str) -> list[str]:
    if len(expression) > MAX_EXPRESSION_CHARS:
        raise ValueError(f"{len(expression)} characters are too many: at most {MAX_EXPRESSION_CHARS}")
    if not expression.isascii():
        raise ValueError("it has characters that are not ASCII: write plain digits, letters and spaces")
    text = expression.strip()
    if text.startswith("@") and text.lower() not in _MACROS:
        raise ValueError(f"unknown macro: use one of {', '.join(_MACROS)}")
    fields = _MACROS.get(text.lower(), text).upper().split()
    if len(fields) != 5:
        raise ValueError(
            f"it has {len(fields)} fields, not 5: minute, hour, day of month, month, day of week"
            " (for seconds, pass a timedelta)"
        )
    return fields


def _calendar(fields: list[str]) -> _Calendar:
    from croniter import croniter

    minute, hour, day, month, weekday = fields
    times = [_listed(field.union(text.split(","))) for field, text in ((_MINUTE, minute), (_HOUR, hour))]
    months = _listed(_MONTH.union(month.split(",")))
    days = [(text, "*") for text in _days(day)] + [("*", text) for text in _weekdays(weekday)]
    searches = [
        croniter(" ".join([*times, day_text, months, weekday_text]), 0.0)
        for day_text, weekday_text in days or [("*", "*")]
    ]
    firing = tuple(search for search in searches if _fires(search.get_next))
    if not firing:
        raise ValueError("it never fires: none of its months has such a day")
    return _Calendar(firing, by_wall_clock=minute.startswith("*") or hour.startswith("*"))


def _fires(get_next: Callable[[], float]) -> bool:
    try:
        get_next()
    except ValueError:  # croniter looked at 50 years
        return False
    return True


def _listed(numbers: set[int]) -> str:
    return ",".join(map(str, sorted(numbers)))


def _unrestricted(field: _Field, text: str) -> bool:
    """`?`, or begins with `*` and names every day, as `*/1`: then the other day field decides alone."""
    if text == "?":
        return True
    return text.startswith("*") and len(field.union(text.split(","))) > field.high - field.low


def _days(text: str) -> list[str]:
    """The day of month as fields for croniter; none if every day matches."""
    items = text.split(",")
    nearest = _NEAREST_WEEKDAY.fullmatch(text)
    if nearest:
        return [f"{_DAY.number(nearest[1])}W"]
    plain = [item for item in items if item != "L"]
    if len(plain) == len(items) and _unrestricted(_DAY, text):
        return []
    last = [] if len(plain) == len(items) else ["L"]
    return [",".join([*map(str, sorted(_DAY.union(plain))), *last])]


def _weekdays(text: str) -> list[str]:
    """The day of week as fields for croniter, which can't mix `1#2` and `1`; none if every day matches."""
    items = text.split(",")
    special = [day for item in items for day in _special_weekdays(item)]
    plain = [item for item in items if not _special_weekdays(item)]
    if not special and _unrestricted(_WEEKDAY, text):
        return []
    numbers = _listed({number % 7 for number in _WEEKDAY.union(plain)})
    return [field for field in (numbers, ",".join(special)) if field]


def _special_weekdays(item: str) -> list[str]:
    """`5L` and `MON-FRI#1` as croniter writes them (`L5`; `1#1` to `5#1`); none for a plain item."""
    last, nth = _LAST_WEEKDAY.fullmatch(item), _NTH_WEEKDAY.fullmatch(item)
    if last:
        return [f"L{_WEEKDAY.number(last[1]) % 7}"]
    return [f"{number % 7}#{nth[2]}" for number in _WEEKDAY.numbers(nth[1])] if nth else []
