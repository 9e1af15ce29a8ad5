"""A short run of chaos. `python tests/chaos/run.py` runs a long one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chaos import figures
from chaos.session import Plan, Session

# Enough for about a dozen faults; a long run reaches every kind several times.
SECONDS = 12.0


@pytest.mark.timeout(300)
@pytest.mark.interrupts
def test_a_fleet_that_is_disturbed_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    seed = int(os.environ.get("CHAOS_SEED", "7"))
    plan = Plan(SECONDS, seed, tmp_path / "history", workers=1, jobs_per_second=20, least_faults=6)
    outcome = Session(plan).run()
    told = "\n".join(figures.report(outcome))
    assert not outcome.violations, told
    assert not outcome.remarks, told
    assert sum(outcome.faults.values()) >= 6, told
    assert sum(order.is_acked for order in outcome.history.orders.values()) > 50, told
    assert not outcome.missed_events, told
