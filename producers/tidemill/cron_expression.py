"""Cron expressions: what a text means, as a calendar that finds the next match on the wall clock.

An expression has five fields (minute, hour, day of month, month, day of week) or is a macro (`@yearly`,
`@annually`, `@monthly`, `@weekly`, `@daily`, `@midnight`, `@hourly`). A field is a list of `*`, `5`, `1-5`,
`*/15`, `10-30/5`, `5/15` (from 5 to the field's end by 15) and names (`JAN`, `MON`); Sunday is 0 or 7. A
range never wraps round: only `SUN` as its end means 7. Day of month also takes `?`, `L` (the last day) and
a lone `15W` (the weekday nearest the 15th and in its month; `31W` counts from a shorter month's last day);
day of week takes `?`, `1#2` (the second Monday) and `5L` (the last Friday). When both day fields restrict
the day, either is enough, as POSIX says. Spellings on which implementations disagree (`22-6`, `L5`, `W15`,
a field of seconds) are refused rather than guessed. croniter finds the dates, and is only handed plain lists of
numbers; this module reads the fields, so that an expression means the same under each croniter release.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from croniter import croniter

# Room for every number of every field written out; a bound for what a record from Redis can make us do.
MAX_EXPRESSION_CHARS = 1_000

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


@dataclass(frozen=True, slots=True)
class Calendar:
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


def read(expression: str) -> Calendar:
    """ValueError if it is malformed or never fires."""
    return _calendar(_split(expression))


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


def _calendar(fields: list[str]) -> Calendar:
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
    return Calendar(firing, by_wall_clock=minute.startswith("*") or hour.startswith("*"))


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
