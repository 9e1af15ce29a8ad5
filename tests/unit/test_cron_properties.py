"""Cron against minutes and days that are counted one by one."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.errors import InvalidInput
from tidemill.schedule import (
    MIN_INTERVAL_MS,
    Cron,
    Interval,
    Schedule,
)
from unit.instants import CHANGES, DAY_MS, HOUR_MS, MINUTE_MS, daily, first, ms, zones

# --- properties: against minutes and days counted one by one

minutes = st.sampled_from(["*", "*/7", "*/30", "0", "30", "59", "0,15,45", "10-50/20", "5/25"])

hours = st.sampled_from(["*", "*/2", "*/6", "0", "1", "2", "3", "1-3", "0,2,23", "1/2"])

schedules = st.one_of(
    st.builds(Interval, st.integers(MIN_INTERVAL_MS, 3 * DAY_MS)),
    st.builds(daily, minutes, hours, zones),
)

moments = st.integers(0, 4 * 10**12)


def shown_by(zone: tzinfo, instant_ms: int) -> datetime:
    return datetime.fromtimestamp(instant_ms / 1000, zone).replace(tzinfo=None)


def numbers(field: str, high: int) -> set[int]:
    """The numbers of a minute or hour field, read a second time and more simply."""
    listed: set[int] = set()
    for item in field.split(","):
        span, _, step = item.partition("/")
        low, _, end = span.partition("-")
        start = 0 if low == "*" else int(low)
        stop = int(end) if end else high if step or low == "*" else start
        listed |= set(range(start, stop + 1, int(step or 1)))
    return listed


def runs_by_counting(minute: str, hour: str, zone: tzinfo, start_ms: int, end_ms: int) -> list[int]:
    """The rules of daylight saving applied to each minute of (start, end]."""
    at = {(h, m) for h in numbers(hour, 23) for m in numbers(minute, 59)}
    by_wall_clock = minute.startswith("*") or hour.startswith("*")
    found: list[int] = []
    for now_ms in range(start_ms + MINUTE_MS, end_ms + 1, MINUTE_MS):
        wall, before = shown_by(zone, now_ms), shown_by(zone, now_ms - MINUTE_MS)
        due = (wall.hour, wall.minute) in at
        if not by_wall_clock:
            lost = (before + timedelta(minutes=k) for k in range(1, (wall - before) // timedelta(minutes=1)))
            due = (due and not wall.fold) or any((skipped.hour, skipped.minute) in at for skipped in lost)
        if due:
            found.append(now_ms)
    return found


@settings(deadline=None, max_examples=150)
@given(change=st.sampled_from(CHANGES), minute=minutes, hour=hours, start_min=st.integers(0, 5 * 60))
def test_occurrences_around_a_change_of_the_clock_are_those_of_counting(
    change: tuple[str, str], minute: str, hour: str, start_min: int
) -> None:
    zone, around = change
    start_ms = ms(around) + start_min * MINUTE_MS
    end_ms = start_ms + 30 * HOUR_MS
    cron = daily(minute, hour, zone)
    expected = runs_by_counting(minute, hour, ZoneInfo(zone), start_ms, end_ms)
    found = first(len(expected) + 1, cron, start_ms)
    assert found[:-1] == expected
    assert found[-1] > end_ms


@settings(deadline=None, max_examples=150)
@given(
    day=st.sampled_from(["*", "?", "1", "31", "30,31", "13", "L", "1,L", "28-31,L", "*/9", "5/10"]),
    month=st.sampled_from(["*", "2", "JAN,FEB", "*/3", "4,6,9,11", "11-12"]),
    weekday=st.sampled_from(["*", "?", "0", "7", "MON-FRI", "SAT-SUN", "5L", "1#1", "2,5#5", "*/3", "0L,1#2"]),
    start=st.dates(date(2019, 1, 1), date(2031, 1, 1)),
)
def test_the_days_of_an_expression_are_those_of_counting(day: str, month: str, weekday: str, start: date) -> None:
    days = [start + timedelta(days=k) for k in range(1, 801)]
    expected = [shown for shown in days if matches_day(shown, day, month, weekday)]
    try:
        cron = Cron(f"0 0 {day} {month} {weekday}")
    except InvalidInput:
        assert expected == []
        return
    start_ms = ms(f"{start}T00:00+00:00")
    found = [shown_by(UTC, found_ms).date() for found_ms in first(len(expected), cron, start_ms)]
    assert found == expected


MONTHS = {
    "*": range(1, 13),
    "2": [2],
    "JAN,FEB": [1, 2],
    "*/3": [1, 4, 7, 10],
    "4,6,9,11": [4, 6, 9, 11],
    "11-12": [11, 12],
}

DAYS = {
    "1": [1],
    "31": [31],
    "30,31": [30, 31],
    "13": [13],
    "1,L": [1],
    "28-31,L": [28, 29, 30, 31],
    "*/9": [1, 10, 19, 28],
    "5/10": [5, 15, 25],
}

WEEKDAYS = {
    "0": [0],
    "7": [0],
    "MON-FRI": [1, 2, 3, 4, 5],
    "SAT-SUN": [6, 0],
    "2,5#5": [2],
    "*/3": [0, 3, 6],
}

NTH_WEEKDAYS = {"1#1": [(1, 1)], "2,5#5": [(5, 5)], "0L,1#2": [(1, 2)]}
LAST_WEEKDAYS = {"5L": [5], "0L,1#2": [0]}


def matches_day(shown: date, day: str, month: str, weekday: str) -> bool:
    last = monthrange(shown.year, shown.month)[1]
    of_week, nth = shown.isoweekday() % 7, (shown.day - 1) // 7 + 1
    by_day = shown.day in DAYS.get(day, []) or ("L" in day and shown.day == last)
    by_weekday = (
        of_week in WEEKDAYS.get(weekday, [])
        or (of_week, nth) in NTH_WEEKDAYS.get(weekday, [])
        or (of_week in LAST_WEEKDAYS.get(weekday, []) and shown.day > last - 7)
    )
    any_day, any_weekday = day in "*?", weekday in "*?"
    matches = (any_day and any_weekday) or (by_day and not any_day) or (by_weekday and not any_weekday)
    return matches and shown.month in MONTHS[month]


@settings(deadline=None)
@given(schedule=schedules, one_ms=moments, other_ms=moments)
def test_the_next_occurrence_is_later_and_time_never_runs_backwards(
    schedule: Schedule, one_ms: int, other_ms: int
) -> None:
    earlier_ms, later_ms = sorted([one_ms, other_ms])
    assert earlier_ms < schedule.next_after_ms(earlier_ms) <= schedule.next_after_ms(later_ms)


@settings(deadline=None)
@given(schedule=schedules, after_ms=moments, part=st.floats(0, 1, exclude_max=True))
def test_there_is_no_occurrence_between_a_moment_and_the_next_occurrence(
    schedule: Schedule, after_ms: int, part: float
) -> None:
    next_ms = schedule.next_after_ms(after_ms)
    between_ms = after_ms + int((next_ms - after_ms) * part)
    assert schedule.next_after_ms(between_ms) == next_ms
