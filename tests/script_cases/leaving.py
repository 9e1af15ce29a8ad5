"""A worker goes: it says so, or its supervisor has seen how it died."""

from __future__ import annotations

from script_cases.worker import ALIVE, EMPTY
from script_state import NOW, Call, Case, tickets


def _retire(queues: tuple[str, ...] = ("q",)) -> Call:
    return lambda world: world.scripts.retire("w1", queues, now_ms=NOW)


END_LEASE = [
    Case(
        "end_lease",
        "the lease of a process that was seen to die ends now, and the reaper is woken and told how",
        {**ALIVE, "worker:w1": {"pid": "7"}, **EMPTY, "ready:q:low": tickets("a@w1")},
        lambda world: world.scripts.end_lease("w1", "killed", now_ms=NOW),
        {
            **ALIVE,
            "workers": {"w1": NOW},
            "worker:w1": {"pid": "7", "ended": "killed"},
            **EMPTY,
            "ready:q:low": tickets("a@w1"),
        },
        1,
        ("alarm",),
    ),
    Case(
        "end_lease",
        "a description that has ended is not made again",
        {"workers": {"w1": NOW - 5}},
        lambda world: world.scripts.end_lease("w1", "killed", now_ms=NOW),
        {"workers": {"w1": NOW - 5}},
        1,
        ("alarm",),
    ),
    Case(
        "end_lease",
        "a worker that was recovered already is not brought back",
        {"workers": {"w2": NOW}},
        lambda world: world.scripts.end_lease("w1", "killed", now_ms=NOW),
        {"workers": {"w2": NOW}},
        0,
    ),
]

RETIRE = [
    Case(
        "retire",
        "a worker that holds nothing departs",
        {**ALIVE, **EMPTY, "ready:q:high": tickets("a@w2", "b"), "workers": {"w1": NOW + 5, "w2": NOW}},
        _retire(),
        {**EMPTY, "ready:q:high": tickets("a@w2", "b"), "workers": {"w2": NOW}, "departed": {"w1": NOW}},
        0,
    ),
    Case(
        "retire",
        "with tickets that are pending its lease ends now, and the reaper is woken",
        {**ALIVE, **EMPTY, "ready:q:high": tickets("a@w1"), "ready:q:low": tickets("b@w1", "c@w1")},
        _retire(),
        {
            **ALIVE,
            **EMPTY,
            "ready:q:high": tickets("a@w1"),
            "ready:q:low": tickets("b@w1", "c@w1"),
            "workers": {"w1": NOW},
        },
        2,
        ("alarm",),
    ),
    Case(
        "retire",
        "a lease that ended before stays ended",
        {"workers": {"w1": NOW - 5}, **EMPTY, "ready:q:high": tickets("a@w1")},
        _retire(),
        {"workers": {"w1": NOW - 5}, **EMPTY, "ready:q:high": tickets("a@w1")},
        1,
        ("alarm",),
    ),
    Case(
        "retire",
        "streams without a group hold nothing up",
        {**ALIVE, "ready:q:high": tickets("a", group=False)},
        _retire(),
        {"ready:q:high": tickets("a", group=False), "departed": {"w1": NOW}},
        0,
    ),
    Case(
        "retire",
        "the reaper does not retire a worker that has renewed its lease meanwhile",
        {"workers": {"w1": NOW + 5}, **EMPTY},
        lambda world: world.scripts.retire("w1", ["q"], if_over=True, now_ms=NOW),
        {"workers": {"w1": NOW + 5}, **EMPTY},
        -1,
    ),
    Case(
        "retire",
        "the reaper retires a worker whose lease is over",
        {"workers": {"w1": NOW}, **EMPTY},
        lambda world: world.scripts.retire("w1", ["q"], if_over=True, now_ms=NOW),
        {**EMPTY, "departed": {"w1": NOW}},
        0,
    ),
    Case(
        "retire",
        "a lease that was renewed since it was judged is not over, whatever the clock says after a jump",
        {"workers": {"w1": NOW - 5}, **EMPTY},
        lambda world: world.scripts.retire("w1", ["q"], if_over=True, judged_ms=NOW - 9, now_ms=NOW),
        {"workers": {"w1": NOW - 5}, **EMPTY},
        -1,
    ),
    Case(
        "retire",
        "the lease that was judged is over",
        {"workers": {"w1": NOW - 5}, **EMPTY},
        lambda world: world.scripts.retire("w1", ["q"], if_over=True, judged_ms=NOW - 5, now_ms=NOW),
        {**EMPTY, "departed": {"w1": NOW}},
        0,
    ),
    Case(
        "retire",
        "after the last look nothing is left of it",
        {**EMPTY, "departed": {"w1": NOW - 70_000, "w2": NOW - 9}},
        lambda world: world.scripts.retire("w1", ["q"], if_over=True, forget=True, now_ms=NOW),
        {**EMPTY, "departed": {"w2": NOW - 9}},
        0,
    ),
    Case(
        "retire",
        "one that was served a ticket at the last moment is not forgotten",
        {**EMPTY, "ready:q:high": tickets("a@w1"), "departed": {"w1": NOW - 70_000}},
        lambda world: world.scripts.retire("w1", ["q"], if_over=True, forget=True, now_ms=NOW),
        {**EMPTY, "ready:q:high": tickets("a@w1"), "departed": {"w1": NOW - 70_000}},
        1,
        ("alarm",),
    ),
    Case("retire", "a repeated call changes nothing", EMPTY, _retire(), EMPTY, 0),
]

CASES = [*END_LEASE, *RETIRE]
