"""What `python -m scenarios` prints at the end."""

from __future__ import annotations

import pytest

from scenarios.__main__ import Row, table

pytestmark = pytest.mark.once


def test_each_scenario_has_a_line_and_what_failed_stands_below_it() -> None:
    rows = [Row("one", 40.2, 3, ()), Row("another", 59.6, 5, ("goodput ≥ 80%: 67%",))]
    assert list(table(rows)) == [
        "",
        "one         40 s  3/3  passed",
        "another     60 s  4/5  FAILED",
        "           goodput ≥ 80%: 67%",
        "all        100 s  of 360 s",
    ]
