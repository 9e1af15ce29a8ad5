"""The arithmetic of periodic jobs: occurrences, zones, intervals, missed runs."""

from __future__ import annotations

import subprocess
import sys
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from threading import Thread
from timeit import repeat
from typing import cast
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.errors import CorruptRecord, InvalidInput
from tidemill.schedule import (
    MAX_INTERVAL_MS,
    MIN_INTERVAL_MS,
    MISSED_AFTER_MS,
    Cron,
    Interval,
    MissedRuns,
    Schedule,
    from_wire,
    parse,
    plan,
    to_wire,
)

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
# 2026-01-01 00:00 UTC, a Thursday.
NEW_YEAR_MS = 1_767_225_600_000

# An instant shortly before a change of the clock, and its zone: gaps and repeats of 30 minutes to a day.
CHANGES = [
    ("Europe/Berlin", "2026-03-28T22:00+00:00"),
    ("Europe/Berlin", "2026-10-24T22:00+00:00"),
    ("America/New_York", "2026-03-08T04:00+00:00"),
    ("America/New_York", "2026-11-01T03:00+00:00"),
    ("Australia/Lord_Howe", "2026-10-03T13:00+00:00"),
    ("Australia/Lord_Howe", "2026-04-04T13:00+00:00"),
    ("America/Sao_Paulo", "2017-10-15T01:00+00:00"),
    ("America/Sao_Paulo", "2018-02-18T00:00+00:00"),
    ("Asia/Kathmandu", "1985-12-31T17:00+00:00"),
    ("Pacific/Apia", "2011-12-30T08:00+00:00"),
    ("UTC", "2026-03-08T00:00+00:00"),
]


def ms(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def first(count: int, schedule: Schedule, after_ms: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        after_ms = schedule.next_after_ms(after_ms)
        found.append(after_ms)
    return found


# --- parse


@pytest.mark.parametrize(
    ("when", "tz", "says"),
    [
        ("often", None, "it has 1 fields, not 5"),
        ("* * * * * *", None, "for seconds, pass a timedelta"),
        ("@reboot", None, "unknown macro: use one of @yearly"),
        ("61 * * * *", None, "minute '61' is not 0 to 59"),
        ("0 0 LW * *", None, "day of month 'LW' is not 1 to 31, L, or 15W"),
        ("0 0 * * FOO", None, "day of week 'FOO' is not 0 to 7 or SUN to SAT"),
        ("22-6 * * * *", None, "minute '22-6' runs backwards: write it as two ranges"),
        ("*/0 * * * *", None, "minute '*/0' has a step of 0"),
        ("1-2-3 * * * *", None, "minute '1-2-3' is malformed"),
        ("1," * 600 + "1 * * * *", None, "characters are too many: at most 1000"),
        ("０ * * * *", None, "not ASCII"),  # noqa: RUF001 -- a full-width digit is the point
        ("0 0 30 2 *", None, "it never fires"),
        ("0 0 * * *", "Europe/Berln", "unknown time zone 'Europe/Berln': use an IANA name"),
        ("0 0 * * *", "../../etc/passwd", "unknown time zone"),
        ("0 0 * * *", "Europe", "unknown time zone"),
        ("0 0 * * *", "", "unknown time zone"),
        ("0 0 * * *", timezone(timedelta(hours=2)), "has no IANA name that could be stored"),
        (timedelta(seconds=30), "UTC", "an interval has no time zone"),
        (timedelta(milliseconds=999), None, "an interval of 999 ms is out of bounds"),
        (timedelta(seconds=-30), None, "an interval of -30000 ms is out of bounds"),
        (timedelta(days=367), None, "use 1000 ms to 31622400000 ms"),
        (timedelta(seconds=1, microseconds=1), None, "is not whole milliseconds"),
        (30, None, "a schedule can't be 30: pass a cron expression"),
        (None, None, "a schedule can't be None"),
    ],
)
def test_a_wrong_schedule_is_refused_in_words_that_say_why(when: object, tz: object, says: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse(cast(str, when), cast(str, tz))
    assert says in str(refusal.value)


def test_a_long_wrong_text_is_not_repeated_in_full() -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse("* * * * " + "9" * 900)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    ("tz", "name"),
    [(None, "UTC"), (UTC, "UTC"), ("Asia/Tokyo", "Asia/Tokyo"), (ZoneInfo("Europe/Berlin"), "Europe/Berlin")],
)
def test_a_zone_is_a_name_or_a_zoneinfo_and_utc_by_default(tz: str | tzinfo | None, name: str) -> None:
    assert parse("0 0 * * *", tz) == Cron("0 0 * * *", name)


@pytest.mark.parametrize("every_ms", [MIN_INTERVAL_MS, 1_500, MAX_INTERVAL_MS])
def test_an_interval_may_be_from_a_second_to_a_year(every_ms: int) -> None:
    assert parse(timedelta(milliseconds=every_ms)) == Interval(every_ms)


def test_spaces_and_case_do_not_matter() -> None:
    spellings = [Cron("0 9 * jan MON"), Cron("  0\t9  * Jan mon "), Cron("0 9 * JAN Mon")]
    assert len({schedule.next_after_ms(NEW_YEAR_MS) for schedule in spellings}) == 1
    assert Cron("@Daily").next_after_ms(NEW_YEAR_MS) == NEW_YEAR_MS + DAY_MS


# --- the wire


@pytest.mark.parametrize("schedule", [Cron("*/5 * * * *", "Europe/Berlin"), Cron("@daily"), Interval(30_000)])
def test_a_schedule_survives_the_wire(schedule: Cron | Interval) -> None:
    assert from_wire(to_wire(schedule)) == schedule


@pytest.mark.parametrize(
    "wire",
    [
        {},
        {"kind": "lunar"},
        {"kind": "cron", "expression": "0 0 * * *"},
        {"kind": "cron", "expression": 5, "tz": "UTC"},
        {"kind": "interval", "every_ms": "30000"},
    ],
)
def test_a_map_that_is_no_schedule_is_a_corrupt_record(wire: dict[str, object]) -> None:
    with pytest.raises(CorruptRecord, match="no Tidemill wrote this schedule"):
        from_wire(wire)


def test_a_zone_that_this_machine_lacks_is_named_when_read_from_the_wire() -> None:
    with pytest.raises(InvalidInput, match="install the tzdata package"):
        from_wire({"kind": "cron", "expression": "0 0 * * *", "tz": "Mars/Olympus_Mons"})


# --- occurrences


def test_intervals_are_counted_from_the_epoch_so_that_all_schedulers_agree() -> None:
    every_7_s = Interval(7_000)
    assert every_7_s.next_after_ms(0) == 7_000
    assert every_7_s.next_after_ms(6_999) == 7_000
    assert every_7_s.next_after_ms(7_000) == 14_000
    assert every_7_s.next_after_ms(-1) == 0


def test_an_expression_that_outlives_the_calendar_is_refused_not_crashed() -> None:
    with pytest.raises(InvalidInput, match="year 9999"):
        Cron("0 0 1 1 *").next_after_ms(ms("9999-06-01T00:00+00:00"))
    with pytest.raises(InvalidInput, match="pass unix milliseconds"):
        Cron("0 0 1 1 *").next_after_ms(10**18)


def test_threads_that_share_an_expression_do_not_disturb_each_other() -> None:
    cron = Cron("*/7 3 * * *", "Europe/Berlin")
    starts_ms = [NEW_YEAR_MS + k * 30 * DAY_MS for k in range(8)]
    alone = {start_ms: first(100, cron, start_ms) for start_ms in starts_ms}
    together: dict[int, list[int]] = {}

    def follow(start_ms: int) -> None:
        together[start_ms] = first(100, cron, start_ms)

    switch_interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [Thread(target=follow, args=[start_ms]) for start_ms in starts_ms]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch_interval_s)
    assert together == alone


@pytest.mark.parametrize("expression", ["*/5 * * * *", "30 2 * * *", "0 9 * * 1-5", "0 0 29 2 *", "0 0 1 * 5L"])
def test_the_next_occurrence_takes_less_than_a_millisecond(expression: str) -> None:
    cron = Cron(expression, "Europe/Berlin")
    assert min(repeat(lambda: cron.next_after_ms(NEW_YEAR_MS), number=100, repeat=3)) / 100 < 0.001


def test_importing_schedules_loads_neither_croniter_nor_zones() -> None:
    code = "import sys, tidemill.schedule; print({'croniter', 'zoneinfo'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_utc_is_known_even_without_a_zone_database() -> None:
    code = """
import sys, zoneinfo
zoneinfo.reset_tzpath(to=[])
sys.modules["tzdata"] = None
from tidemill.errors import InvalidInput
from tidemill.schedule import Cron
print(Cron("0 0 * * *").next_after_ms(0))
try:
    Cron("0 0 * * *", "Europe/Berlin")
except InvalidInput:
    print("no Berlin")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(DAY_MS), "no Berlin"]


# --- properties: against minutes and days counted one by one

minutes = st.sampled_from(["*", "*/7", "*/30", "0", "30", "59", "0,15,45", "10-50/20", "5/25"])
hours = st.sampled_from(["*", "*/2", "*/6", "0", "1", "2", "3", "1-3", "0,2,23", "1/2"])
zones = st.sampled_from(sorted({zone for zone, _ in CHANGES}))


def daily(minute: str, hour: str, zone: str) -> Cron:
    return Cron(f"{minute} {hour} * * *", zone)


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


# --- missed runs

EVERY_MINUTE = Cron("* * * * *")


def test_nothing_is_planned_before_it_is_due() -> None:
    for missed in MissedRuns:
        planned = plan(EVERY_MINUTE, missed, NEW_YEAR_MS, NEW_YEAR_MS - 1)
        assert (planned.run_ms, planned.next_due_ms) == ((), NEW_YEAR_MS)


@pytest.mark.parametrize("missed", list(MissedRuns))
@pytest.mark.parametrize("late_ms", [0, 1, MISSED_AFTER_MS])
def test_a_run_that_is_hardly_late_is_run_whatever_the_rule(missed: MissedRuns, late_ms: int) -> None:
    planned = plan(Cron("@daily"), missed, NEW_YEAR_MS, NEW_YEAR_MS + late_ms)
    assert (planned.run_ms, planned.next_due_ms) == ((NEW_YEAR_MS,), NEW_YEAR_MS + DAY_MS)


def test_skip_drops_a_run_as_soon_as_it_is_missed() -> None:
    planned = plan(Cron("@daily"), MissedRuns.SKIP, NEW_YEAR_MS, NEW_YEAR_MS + MISSED_AFTER_MS + 1)
    assert (planned.run_ms, planned.next_due_ms) == ((), NEW_YEAR_MS + DAY_MS)


def test_skip_drops_what_was_missed_and_keeps_the_newest_that_is_in_time() -> None:
    planned = plan(EVERY_MINUTE, MissedRuns.SKIP, NEW_YEAR_MS, NEW_YEAR_MS + HOUR_MS + 5_000)
    assert planned.run_ms == (NEW_YEAR_MS + HOUR_MS,)


def test_one_run_stands_for_all_that_were_missed_and_bears_the_newest_time() -> None:
    now_ms = NEW_YEAR_MS + 10 * DAY_MS + 5 * HOUR_MS
    planned = plan(Cron("@daily"), MissedRuns.RUN_ONCE, NEW_YEAR_MS, now_ms)
    assert (planned.run_ms, planned.next_due_ms) == ((NEW_YEAR_MS + 10 * DAY_MS,), NEW_YEAR_MS + 11 * DAY_MS)


def test_a_year_of_missed_minutes_is_planned_at_once() -> None:
    counted = CountingSchedule(EVERY_MINUTE)
    planned = plan(counted, MissedRuns.RUN_ONCE, NEW_YEAR_MS, NEW_YEAR_MS + 365 * DAY_MS + 1)
    assert planned.run_ms == (NEW_YEAR_MS + 365 * DAY_MS,)
    assert counted.asked < 100


class Timetable:
    """A schedule of given times, however irregular; after the last it is due a day later."""

    def __init__(self, times_ms: set[int]) -> None:
        self.times_ms = times_ms

    def next_after_ms(self, after_ms: int) -> int:
        return min((time_ms for time_ms in self.times_ms if time_ms > after_ms), default=after_ms + DAY_MS)


@given(times_ms=st.sets(st.integers(0, 40), min_size=1), late_ms=st.integers(0, 40))
def test_the_newest_due_time_is_found_however_irregular_the_times(times_ms: set[int], late_ms: int) -> None:
    due_ms = min(times_ms)
    now_ms = due_ms + late_ms
    planned = plan(Timetable(times_ms), MissedRuns.RUN_ONCE, due_ms, now_ms)
    assert planned.run_ms == (max(time_ms for time_ms in times_ms if time_ms <= now_ms),)
    assert planned.next_due_ms > now_ms


class CountingSchedule:
    """A schedule that counts how often it is asked."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.asked = 0

    def next_after_ms(self, after_ms: int) -> int:
        self.asked += 1
        return self.schedule.next_after_ms(after_ms)


def test_all_missed_runs_come_oldest_first_in_pages() -> None:
    now_ms = NEW_YEAR_MS + 5 * MINUTE_MS
    page = plan(EVERY_MINUTE, MissedRuns.RUN_ALL, NEW_YEAR_MS, now_ms, limit=4)
    assert page.run_ms == tuple(NEW_YEAR_MS + k * MINUTE_MS for k in range(4))
    assert page.next_due_ms == NEW_YEAR_MS + 4 * MINUTE_MS
    rest = plan(EVERY_MINUTE, MissedRuns.RUN_ALL, page.next_due_ms, now_ms, limit=4)
    assert rest.run_ms == (NEW_YEAR_MS + 4 * MINUTE_MS, now_ms)
    assert rest.next_due_ms == NEW_YEAR_MS + 6 * MINUTE_MS


def test_a_rule_read_from_the_wire_is_as_good_as_the_member() -> None:
    now_ms = NEW_YEAR_MS + 5 * MINUTE_MS
    for missed in MissedRuns:
        from_text = cast(MissedRuns, missed.value)
        assert plan(EVERY_MINUTE, from_text, NEW_YEAR_MS, now_ms) == plan(EVERY_MINUTE, missed, NEW_YEAR_MS, now_ms)


def test_a_plan_without_room_is_refused() -> None:
    with pytest.raises(InvalidInput, match="limit is 0"):
        plan(EVERY_MINUTE, MissedRuns.RUN_ALL, NEW_YEAR_MS, NEW_YEAR_MS, limit=0)


# How long nobody looks at the schedule: from a moment to three days, so both outages and late wake-ups.
outages_ms = st.lists(st.integers(1, 5 * MINUTE_MS) | st.integers(1, 3 * DAY_MS), min_size=1, max_size=8)
frequent = st.one_of(
    st.builds(Interval, st.integers(10 * MINUTE_MS, 2 * DAY_MS)),
    st.builds(daily, st.just("*/30"), st.just("*"), zones),
    st.builds(daily, st.just("30"), st.just("1,2,3"), zones),
)


def run_through(
    schedule: Schedule, missed: MissedRuns, start_ms: int, outages: list[int], limit: int
) -> tuple[list[int], list[int]]:
    """What a scheduler that is down for each of `outages` runs, and at which times it looked."""
    now_ms, due_ms = start_ms, schedule.next_after_ms(start_ms)
    runs: list[int] = []
    looked: list[int] = []
    for outage_ms in outages:
        now_ms += outage_ms
        while due_ms <= now_ms:
            planned = plan(schedule, missed, due_ms, now_ms, limit=limit)
            assert planned.next_due_ms > due_ms
            assert len(planned.run_ms) <= limit
            runs += planned.run_ms
            looked += [now_ms] * len(planned.run_ms)
            due_ms = planned.next_due_ms
    return runs, looked


@settings(deadline=None, max_examples=60)
@given(
    schedule=frequent,
    change=st.sampled_from(CHANGES),
    missed=st.sampled_from(list(MissedRuns)),
    outages=outages_ms,
    limit=st.integers(1, 9),
)
def test_through_any_outages_no_occurrence_runs_twice_and_run_all_skips_none(
    schedule: Schedule, change: tuple[str, str], missed: MissedRuns, outages: list[int], limit: int
) -> None:
    start_ms = ms(change[1])
    end_ms = start_ms + sum(outages)
    runs, looked = run_through(schedule, missed, start_ms, outages, limit)
    occurrences = [start_ms]
    while occurrences[-1] <= end_ms:
        occurrences.append(schedule.next_after_ms(occurrences[-1]))
    occurrences = occurrences[1:-1]

    assert all(one < other for one, other in pairwise(runs))
    assert set(runs) <= set(occurrences)
    if missed is MissedRuns.RUN_ALL:
        assert runs == occurrences
    if missed is MissedRuns.RUN_ONCE:
        assert runs[-1:] == occurrences[-1:]
        assert len(set(looked)) == len(looked)
    if missed is MissedRuns.SKIP:
        assert all(now_ms - run_ms <= MISSED_AFTER_MS for run_ms, now_ms in zip(runs, looked, strict=True))
