"""The arithmetic of the benchmarks, and which runs count."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.arithmetic import (
    arrivals_ns,
    cost_percent,
    latencies_ms,
    middle,
    percentile,
    rate_with,
    starts_per_second,
)
from benchmarks.bench import Bench
from benchmarks.delay import dues_ms, groups
from benchmarks.durations import durations_ms
from benchmarks.figure import Failure, Figure, Goal, at_least, at_most, no_peer_below, share_of_limit, times_best_peer
from benchmarks.measurements.growth import grown_most
from benchmarks.measurements.mixed import Held, longest_idle_ms
from benchmarks.recorder import Start
from benchmarks.report import BEGIN, END, REASONS, Report, anchor, number
from benchmarks.server_cpu import Spent
from benchmarks.spin import clock_ns, pauses_ms
from benchmarks.stage import NEVER, STAGES, of_stage, row
from benchmarks.verification import DoesNotCount, each_once

SECOND = 1_000_000_000
PAGE = Path(__file__).resolve().parents[2] / "docs" / "performance.md"


def test_a_percentile_is_a_value_that_was_measured() -> None:
    hundred = [float(value) for value in range(100, 0, -1)]
    assert [percentile(hundred, percent) for percent in (0, 50, 99, 99.5, 100)] == [1, 50, 99, 100, 100]
    assert percentile([7.0], 99) == 7


def test_a_percentile_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="of nothing"):
        percentile([], 50)


@given(st.lists(st.floats(0, 1e9), min_size=1), st.floats(0, 100))
def test_so_many_percent_of_the_values_do_not_exceed_a_percentile(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    assert sum(value <= found for value in values) >= len(values) * percent / 100 - 1e-6
    assert found in values


def test_the_arrivals_of_an_open_loop_are_fixed_and_even() -> None:
    assert arrivals_ns(4, 1.5) == [0, SECOND // 4, SECOND // 2, 3 * SECOND // 4, SECOND, 5 * SECOND // 4]
    assert len(arrivals_ns(23_000, 30)) == 690_000


def test_a_latency_counts_from_the_intended_time_and_leaves_out_the_warm_up() -> None:
    intended = [0, SECOND, 2 * SECOND, 3 * SECOND, 4 * SECOND]
    starts = [Start(number, at_ns + 2_500_000) for number, at_ns in enumerate(intended)]
    starts[0] = Start(0, SECOND)
    assert latencies_ms(starts, intended, 0.2) == [2.5, 2.5, 2.5, 2.5]


def test_a_rate_leaves_out_the_warm_up() -> None:
    slow_first = [Start(0, 0), *(Start(number, 10 * SECOND + number * SECOND // 10) for number in range(1, 11))]
    assert starts_per_second(slow_first, 0.2) == pytest.approx(10)


def test_the_middle_run_is_one_of_the_runs() -> None:
    assert middle([3.0, 1.0, 2.0], float) == 2
    assert middle([4.0, 1.0, 2.0, 3.0], float) == 2


def test_a_run_in_which_each_job_ran_once_counts() -> None:
    each_once([Start(2, 5), Start(0, 6), Start(1, 7)], 3)


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        ((0, 2), r"of 3 jobs 1 never ran \(the first: 1\)"),
        ((0, 1, 1, 2), r"1 ran more than once \(the first: 1\)"),
        ((0, 1, 2, 3), r"1 nobody enqueued \(the first: 3\)"),
        ((0, 0, 1), r"1 never ran \(the first: 2\), 1 ran more than once \(the first: 0\)"),
    ],
)
def test_a_run_with_a_lost_a_doubled_or_an_unknown_job_does_not_count(numbers: tuple[int, ...], why: str) -> None:
    with pytest.raises(DoesNotCount, match=why):
        each_once([Start(number, 0) for number in numbers], 3)


def test_a_run_that_does_not_count_is_made_again_once() -> None:
    outcomes: Iterator[DoesNotCount | int] = iter([DoesNotCount("lost"), 7])

    def run() -> int:
        found = next(outcomes)
        if isinstance(found, DoesNotCount):
            raise found
        return found

    bench = Bench()
    assert bench.counted(run) == 7
    assert bench.messages == ["does not count: lost"]


def test_a_run_that_never_counts_gives_no_figure() -> None:
    def run() -> int:
        raise DoesNotCount("lost")

    with pytest.raises(DoesNotCount, match="lost"):
        Bench().counted(run)


def test_a_peer_that_can_not_be_measured_is_left_out_and_named() -> None:
    def measure(name: str) -> float:
        if name == "rq":
            raise DoesNotCount("one of 3 jobs never ran")
        return 5.0

    bench = Bench(peers=("rq", "huey"))
    assert bench.of_peers(measure) == {"huey": 5.0}
    assert bench.messages == ["rq is left out: one of 3 jobs never ran"]


def test_goals_compare_with_a_value_the_limit_and_the_peers() -> None:
    peers = {"huey": 6_000.0, "rq": 400.0}
    assert at_least(60_000, 60_000) == Goal("≥ 60,000", True)
    assert not at_most(1.01, 1).is_met
    assert share_of_limit(50, 100, 0.5).is_met
    assert not share_of_limit(49, 100, 0.5).is_met
    assert [goal.is_met for goal in times_best_peer(47_999, peers, 8)] == [False]
    assert [goal.is_met for goal in no_peer_below(400, peers)] == [True]
    assert [goal.is_met for goal in no_peer_below(401, peers)] == [False]
    assert times_best_peer(1, {}, 8) == no_peer_below(1, {}) == []


def test_a_figure_meets_its_goals_only_together() -> None:
    assert Figure("a", "ms", 1, (Goal("x", True), Goal("y", False))).is_met is False
    assert Figure("a", "ms", 1).is_met is None


def test_a_pause_is_a_gap_of_more_than_a_millisecond_between_two_readings() -> None:
    assert pauses_ms([0, 100, 1_000_000, 3_500_000, 3_500_100, 8_500_100]) == [2.5, 5]
    assert pauses_ms([0, 1_000_000]) == pauses_ms([]) == []


def test_the_clock_is_read_until_the_time_is_over() -> None:
    readings = list(clock_ns(0.01))
    assert readings == sorted(readings)
    assert readings[-1] - readings[0] >= 10_000_000
    assert readings[-2] - readings[0] < 10_000_000


def test_what_is_added_to_each_job_lowers_the_rate() -> None:
    assert rate_with(100, 100) == pytest.approx(50)
    assert cost_percent(40_000, rate_with(40_000, 120_000)) == pytest.approx(25)
    assert cost_percent(40_000, 40_000) == 0


def test_each_stage_of_each_job_has_a_row_of_its_own() -> None:
    rows = [row(number, stage) for number in (-1, 0, 1) for stage in STAGES]
    assert rows == list(range(-3, 6))
    starts = [Start(one, 10 * one) for one in rows]
    assert of_stage(starts, "taken") == [Start(-1, -20), Start(0, 10), Start(1, 40)]


def test_a_stage_that_a_job_was_not_through_is_left_out() -> None:
    starts = [Start(row(0, "delivered"), NEVER), Start(row(1, "delivered"), 5)]
    assert of_stage(starts, "delivered") == [Start(1, 5)]


def test_what_a_job_took_is_what_the_server_spent_since_then() -> None:
    before = Spent(100, {"evalsha": 50, "hset": 20, "info": 10})
    each = Spent(500, {"evalsha": 250, "hset": 120, "zadd": 40, "info": 900}).for_each(100, before)
    assert each.main_thread_us == 4
    assert each.most() == ["scripts 2.0", "hset 1.0", "zadd 0.4"]


def test_what_grew_most_with_a_backlog_is_named_first() -> None:
    small, large = (
        {"cpu": 4.0, "zadd": 1.0, "hset": 1.5, "lua": 1.0},
        {"cpu": 9.0, "zadd": 2.0, "hset": 4.0, "lua": 1.0},
    )
    assert grown_most(small, large) == ["hset 1.5 to 4.0", "zadd 1.0 to 2.0", "lua 1.0 to 1.0"]


def test_delayed_jobs_are_grouped_by_the_millisecond_at_which_they_are_due() -> None:
    dues = dues_ms("steady", 6, 0.003)
    assert dues == [0, 0, 1, 1, 2, 2]
    assert list(groups(dues)) == [(0, [0, 1]), (1, [2, 3]), (2, [4, 5])]
    assert dues_ms("random", 100, 2) == dues_ms("random", 100, 2)
    assert dues_ms("random", 100, 2) == sorted(dues_ms("random", 100, 2))


def test_the_mixed_durations_are_the_same_in_producer_and_judge() -> None:
    assert durations_ms(40) == durations_ms(40)
    assert sorted(durations_ms(10)) == [1] * 6 + [100] * 3 + [2_000]


def test_a_worker_idles_while_another_holds_a_job_that_it_has_not_started() -> None:
    busy = [Held("a", 0, 0, 1_000), Held("a", 0, 1_000, 2_000)]
    assert longest_idle_ms([*busy, Held("b", 0, 0, 400)], 1) == 600
    assert longest_idle_ms([*busy, Held("b", 0, 0, 1_000)], 1) == 0
    # Its own jobs are no reason: it is about to start them.
    assert longest_idle_ms(busy, 2) == 0
    # With a second slot the other job still waits beside it.
    assert longest_idle_ms([*busy, Held("b", 0, 0, 400)], 2) == 1_000


def test_a_page_gets_the_table_between_its_marks_and_keeps_the_rest(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    report = Report.of(Bench(), [Figure("drain", "jobs/s", 31_234, (at_least(31_234, 60_000),), 60_000)])
    report.replace_in(page)
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "| drain | 31,200 jobs/s | ≥ 60,000 | 60,000 | 0.52 |   | [NO](#drain) |" in text
    assert "0 of 1 figures with a goal meet it." in text
    assert "old" not in text


def test_the_page_has_a_reason_for_each_goal_that_may_be_missed() -> None:
    headings = re.findall(r"^### (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {heading for _, heading in REASONS} <= set(headings)
    assert anchor("23,000 jobs a second") == "23000-jobs-a-second"


def test_a_page_without_marks_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing here")
    with pytest.raises(ValueError, match="has no line"):
        Report.of(Bench(), []).replace_in(page)


def test_a_measurement_that_failed_stands_in_the_table() -> None:
    report = Report.of(Bench(), [Failure("drain", "DoesNotCount: lost")])
    assert "drain failed: DoesNotCount: lost" in report.table()
    assert report.rows() == [("drain", "failed", "", "", "", "", "no")]


def test_a_report_says_how_long_the_run_took_and_each_measurement_of_it() -> None:
    bench = Bench()
    bench.seconds.update(drain=60.4, idle=34.2)
    assert Report.of(bench, []).duration() == "the run took 95 s: drain 60, idle 34"
    assert "- the run took 95 s: drain 60, idle 34" in Report.of(bench, []).markdown()


@pytest.mark.parametrize(
    ("value", "text"), [(31_234, "31,200"), (999.6, "1,000"), (0.12345, "0.123"), (265, "265"), (0, "0")]
)
def test_a_number_has_three_digits(value: float, text: str) -> None:
    assert number(value) == text
