"""When a worker has come up to its steady pace."""

from __future__ import annotations

import pytest

from scenarios.pace import Pace, pace_of


def test_the_pace_is_reached_at_the_end_of_the_first_window_that_has_it() -> None:
    pace = Pace([0, 0, 20, 40, 40, 40, 40, 40, *[40] * 12], steady_from=1.0)
    assert pace.steady == 40
    assert pace.reached_after(0.95) == pytest.approx(0.8)
    assert pace.reached_after(0.5) == pytest.approx(0.5), "no sooner than a window is long"
    assert pace.share_within(0.5) == pytest.approx(100 / 200)


def test_a_pace_that_is_never_reached_takes_for_ever() -> None:
    assert Pace([1, 1, 1, 1, 1, 1, *[1, 9] * 5], steady_from=0.6).reached_after(1.2) == float("inf")


def test_jobs_fall_into_slices_from_the_first_one_on() -> None:
    assert pace_of([7.31, 7.05, 7.0, 7.12, 9.9], 0.5, 0.2).counts == [2, 1, 0, 1, 0]
