"""READY jobs of a queue that has seen a tenant: how they are let in by turn."""

from __future__ import annotations

from typing import Any

from script_cases.take import take, taken
from script_state import NOW, Case, State, World, after, job, tickets
from tidemill.wire.command import Command
from tidemill.wire.scripts import (
    Promoted,
    Takings,
)

A, B, NOBODY = "a" * 16, "b" * 16, "-"
SHARED: State = {"queues": {"q"}, "queue:q": {"known": "1", "tenants": "1"}}
LOOK = NOW + 2000
# A place in line behind another of the same call.
BEHIND = 1 / 2048


def counted(jobs: int, **more: str) -> State:
    return {"queue:q": {"known": "1", "tenants": "1", "turns_normal": str(jobs), **more}}


LEASE: State = {"workers": {"w1": NOW + 100}, "ready:q:high": tickets(), "ready:q:low": tickets()}


def ready(tenant: str, **fields: object) -> dict[str, str]:
    return job("ready", c=NOW, te=tenant, **fields)


def _lines(**lines: tuple[str, ...]) -> State:
    """Jobs in line, by tenant `a` and `b`, with their records."""
    state: State = {}
    for tenant, ids in lines.items():
        state[f"tenant:q:normal:{tenant * 16}"] = {one: NOW + place for place, one in enumerate(ids)}
        state |= {f"job:{one}": job("ready", te=tenant * 16) for one in ids}
    return state


def _running(*ids: str, tenant: str = A) -> State:
    return {f"job:{one}": job("running", te=tenant, l="w1", a=1, j=NOW) for one in ids}


WAITING: State = {
    **SHARED,
    **counted(5),
    **_lines(a=("a1", "a2", "a3"), b=("b1", "b2")),
    "turns:q:normal": {"": 7, B: 8, A: 8.5},
}

# Of these, the next two: the first of each tenant.
TWO_LET_IN: State = {
    **counted(3),
    "turns:q:normal": {"": 8.5, B: 9, A: 9.5},
    f"tenant:q:normal:{A}": {"a2": NOW + 1, "a3": NOW + 2},
    f"tenant:q:normal:{B}": {"b2": NOW + 1},
}

ONE_WAITS: State = {
    **SHARED,
    **counted(1),
    **_lines(a=("a1",)),
    "turns:q:normal": {"": 7, A: 8},
}

NONE_WAIT: State = {**counted(0), "turns:q:normal": None, f"tenant:q:normal:{A}": None}

TAKE = [
    Case(
        "take",
        "as many as are taken are let in by turn, and two tickets wait for who comes next",
        {**LEASE, **WAITING, "ready:q:normal": tickets("x"), "job:x": job("ready", te=A)},
        take(1),
        {
            **LEASE,
            **WAITING,
            **TWO_LET_IN,
            **_running("x"),
            "ready:q:normal": tickets("x@w1", "b1", "a1"),
        },
        Takings([taken("x", 1)], frozenset(), missing_groups=False),
    ),
    Case(
        "take",
        "the last one that is let in leaves no turn behind",
        {**LEASE, **ONE_WAITS, "ready:q:normal": tickets()},
        take(0),
        after({**LEASE, **ONE_WAITS}, {**NONE_WAIT, "ready:q:normal": tickets("a1")}),
        Takings([], frozenset(), missing_groups=False),
    ),
    Case(
        "take",
        "a heavier tenant gets more in a row, by weight",
        {
            **LEASE,
            **WAITING,
            "tenants:q": {A: "4.0"},
            "turns:q:normal": {"": 7, A: 7.25, B: 8},
            "ready:q:normal": tickets("x@w2"),
        },
        take(0),
        {
            **LEASE,
            **WAITING,
            **counted(3),
            "tenants:q": {A: "4.0"},
            "turns:q:normal": {"": 7.5, A: 7.75, B: 8},
            f"tenant:q:normal:{A}": {"a3": NOW + 2},
            "ready:q:normal": tickets("x@w2", "a1", "a2"),
        },
        Takings([], frozenset(), missing_groups=False),
    ),
    Case(
        "take",
        "a tenant whose line is gone is passed over, and nothing is charged",
        {**LEASE, **ONE_WAITS, "turns:q:normal": {"": 7, B: 7.5, A: 8, NOBODY: 9}, "ready:q:normal": tickets()},
        take(0),
        after({**LEASE, **ONE_WAITS}, {**NONE_WAIT, "ready:q:normal": tickets("a1")}),
        Takings([], frozenset(), missing_groups=False),
    ),
    Case(
        "take",
        "of a paused queue nobody is let in",
        {**LEASE, **ONE_WAITS, **counted(1, paused="1"), "ready:q:normal": tickets()},
        take(1),
        {**LEASE, **ONE_WAITS, **counted(1, paused="1"), "ready:q:normal": tickets()},
        Takings([], frozenset({"q"}), missing_groups=False),
    ),
]


def _promote(world: World) -> Command[Any]:
    return world.scripts.promote("q", 10, 100, now_ms=NOW)


PROMOTE = [
    Case(
        "promote",
        "due jobs with a tenant go by turn, and the queue is looked at again while any wait",
        {
            **SHARED,
            **{f"job:{one}": job("scheduled", d=NOW, te=A) for one in ("j1", "j2", "j3")},
            "wheel:q": {"j1": NOW - 2, "j2": NOW - 1, "j3": NOW},
            "agenda": {"q": NOW - 2},
        },
        _promote,
        {
            **SHARED,
            **counted(1),
            **{f"job:{one}": job("ready", d=NOW, te=A) for one in ("j1", "j2", "j3")},
            "ready:q:normal": tickets("j1", "j2", group=False),
            "turns:q:normal": {"": 0, A: 1},
            f"tenant:q:normal:{A}": {"j3": NOW},
            "agenda": {"q": LOOK},
        },
        Promoted(3, None, more_due=False, full=False),
    ),
    Case(
        "promote",
        "tickets that were lost do not hold up who waits for a turn",
        {**WAITING, "ready:q:normal": tickets("x@w1"), "agenda": {"q": NOW}},
        _promote,
        {**WAITING, **TWO_LET_IN, "ready:q:normal": tickets("x@w1", "b1", "a1"), "agenda": {"q": LOOK}},
        Promoted(0, None, more_due=False, full=False),
    ),
    Case(
        "promote",
        "when nobody waits any more, the queue leaves the agenda",
        {**ONE_WAITS, "agenda": {"q": NOW}},
        _promote,
        after(ONE_WAITS, {**NONE_WAIT, "ready:q:normal": tickets("a1", group=False)}),
        Promoted(0, None, more_due=False, full=False),
    ),
    Case(
        "promote",
        "tickets that were lost hold up nobody in any lane",
        {
            "queue:q": {"known": "1", "tenants": "1", "turns_high": "1", "turns_low": "1"},
            **{f"job:{lane}": job("ready", te=A) for lane in ("high", "low")},
            **{f"turns:q:{lane}": {"": 7, A: 8} for lane in ("high", "low")},
            **{f"tenant:q:{lane}:{A}": {lane: NOW} for lane in ("high", "low")},
            "agenda": {"q": NOW},
        },
        _promote,
        {
            "queue:q": {"known": "1", "tenants": "1", "turns_high": "0", "turns_low": "0"},
            **{f"job:{lane}": job("ready", te=A) for lane in ("high", "low")},
            **{f"ready:q:{lane}": tickets(lane, group=False) for lane in ("high", "low")},
        },
        Promoted(0, None, more_due=False, full=False),
    ),
    Case(
        "promote",
        "a delayed job that is due before then is looked at in time",
        {
            **WAITING,
            "ready:q:normal": tickets("x", "y"),
            "job:d": job("scheduled", d=NOW + 9, te=B),
            "wheel:q": {"d": NOW + 9},
            "agenda": {"q": NOW},
        },
        _promote,
        {
            **WAITING,
            "ready:q:normal": tickets("x", "y"),
            "job:d": job("scheduled", d=NOW + 9, te=B),
            "wheel:q": {"d": NOW + 9},
            "agenda": {"q": NOW + 9},
        },
        Promoted(0, NOW + 9, more_due=False, full=False),
    ),
]

CASES = [*TAKE, *PROMOTE]
