"""What is planned of runs that were missed."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.errors import InvalidInput
from tidemill.schedule import (
    MISSED_AFTER_MS,
    Cron,
    Interval,
    MissedRuns,
    Schedule,
    plan,
)
from unit.instants import CHANGES, DAY_MS, HOUR_MS, MINUTE_MS, NEW_YEAR_MS, daily, ms, zones

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
