"""The arithmetic of periodic jobs: occurrences, zones, intervals, missed runs."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, timedelta, timezone, tzinfo
from threading import Thread
from timeit import repeat
from typing import cast
from zoneinfo import ZoneInfo

import pytest

from tidemill.errors import CorruptRecord, InvalidInput
from tidemill.schedule import (
    MAX_INTERVAL_MS,
    MIN_INTERVAL_MS,
    Cron,
    Interval,
    from_wire,
    parse,
    to_wire,
)
from unit.instants import DAY_MS, NEW_YEAR_MS, first, ms

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
    # By the time of this thread: how busy the machine is does not count.
    runs = repeat(lambda: cron.next_after_ms(NEW_YEAR_MS), timer=time.thread_time, number=100, repeat=3)
    assert min(runs) / 100 < 0.001


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
