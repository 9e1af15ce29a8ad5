"""READY jobs of a queue that has seen a tenant: how they come to their turn, are let in, and leave before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from script_state import HOUR, NOW, Case, State, World, after, but, job, tickets
from tidemill.wire.command import Command
from tidemill.wire.doctoring import CheckedRecords, NeedsTicket, Row
from tidemill.wire.scripts import (
    Enqueued,
    Full,
    Fullness,
    Hand,
    NewJob,
    NewJobs,
    Pressed,
    Promoted,
    QueueFigures,
    Requeue,
    Taken,
    Takings,
)

Call = Callable[[World], Command[Any]]

A, B, NOBODY = "a" * 16, "b" * 16, "-"
SHARED: State = {"queues": {"q"}, "queue:q": {"known": "1", "tenants": "1"}}
LOOK = NOW + 2000
# A place in line behind another of the same call.
BEHIND = 1 / 2048


def _counted(jobs: int, **more: str) -> State:
    return {"queue:q": {"known": "1", "tenants": "1", "turns_normal": str(jobs), **more}}


def _enqueue(*ids: str, tenants: str, **shared: Any) -> Call:
    new = [NewJob(one, "", b"body") for one in ids]
    return lambda world: world.scripts.enqueue(NewJobs("q", "t", tenants=tenants, **shared), new, now_ms=NOW)


def _ready(tenant: str, **fields: object) -> dict[str, str]:
    return job("ready", c=NOW, te=tenant, **fields)


def _entered(*states: str) -> list[Enqueued]:
    return [Enqueued(state, "", state) for state in states]


ENQUEUE = [
    Case(
        "enqueue",
        "the first tenant of a queue shares it from then on, and nobody waits yet",
        {},
        _enqueue("j1", tenants=A),
        {**SHARED, "job:j1": _ready(A), "ready:q:normal": tickets("j1", group=False)},
        _entered("ready"),
    ),
    Case(
        "enqueue",
        "what comes when two tickets wait stands in line, in its order, and a scheduler will look",
        SHARED,
        _enqueue("j3", "j1", "j2", "j4", tenants=A),
        {
            **SHARED,
            **_counted(2),
            **{f"job:j{number}": _ready(A) for number in (1, 2, 3, 4)},
            "ready:q:normal": tickets("j3", "j1", group=False),
            "turns:q:normal": {"": 0, A: 1},
            f"tenant:q:normal:{A}": {"j2": NOW, "j4": NOW + BEHIND},
            "agenda": {"q": LOOK},
        },
        _entered(*["ready"] * 4),
        ("alarm",),
    ),
    Case(
        "enqueue",
        "what is delivered does not count as waiting",
        {**SHARED, "ready:q:normal": tickets("x@w1", "y@w1", "z")},
        _enqueue("j1", tenants=A),
        {**SHARED, "job:j1": _ready(A), "ready:q:normal": tickets("x@w1", "y@w1", "z", "j1")},
        _entered("ready"),
    ),
    Case(
        "enqueue",
        "where one waits for a turn, all do: a newcomer behind now, a known one in its line, each by its weight",
        {
            **SHARED,
            **_counted(1),
            "tenants:q": {B: "4.0"},
            "turns:q:normal": {"": 7, A: 9},
            f"tenant:q:normal:{A}": {"j1": NOW - 5},
            "agenda": {"q": LOOK},
        },
        _enqueue("j2", "j3", "j4", tenants=A + B + "-" * 16),
        {
            **SHARED,
            **_counted(4),
            "tenants:q": {B: "4.0"},
            "job:j2": _ready(A),
            "job:j3": _ready(B),
            "job:j4": _ready(NOBODY),
            "turns:q:normal": {"": 7, B: 7.25, NOBODY: 8, A: 9},
            f"tenant:q:normal:{A}": {"j1": NOW - 5, "j2": NOW},
            f"tenant:q:normal:{B}": {"j3": NOW + BEHIND},
            f"tenant:q:normal:{NOBODY}": {"j4": NOW + 2 * BEHIND},
            "agenda": {"q": LOOK},
        },
        _entered(*["ready"] * 3),
    ),
    Case(
        "enqueue",
        "each lane has turns of its own",
        {
            **SHARED,
            **_counted(1),
            "turns:q:normal": {"": 7, A: 9},
            f"tenant:q:normal:{A}": {"j1": NOW - 5},
            "agenda": {"q": LOOK},
        },
        _enqueue("j2", tenants=A, priority="high"),
        {
            **SHARED,
            **_counted(1),
            "job:j2": _ready(A, p="high"),
            "turns:q:normal": {"": 7, A: 9},
            f"tenant:q:normal:{A}": {"j1": NOW - 5},
            "ready:q:high": tickets("j2", group=False),
            "agenda": {"q": LOOK},
        },
        _entered("ready"),
    ),
    Case(
        "enqueue",
        "a delayed job keeps its tenant for when it is due, and one without a tenant shares as nobody's",
        SHARED,
        _enqueue("j1", tenants="", delay_ms=5),
        {
            **SHARED,
            "job:j1": job("scheduled", c=NOW, d=NOW + 5, te=NOBODY),
            "wheel:q": {"j1": NOW + 5},
            "agenda": {"q": NOW + 5},
        },
        _entered("scheduled"),
        ("alarm",),
    ),
]


def _limited(jobs: int, **limits: str) -> State:
    """So many jobs of A wait, in two lanes; `each`, `a`, `b`: limits."""
    named = {"each": "limit", "a": f"limit:{A}", "b": f"limit:{B}"}
    return {
        **SHARED,
        "queue:q": {
            "known": "1",
            "tenants": "1",
            "tenant_limits": "1",
            "turns_normal": str(jobs - 1),
            "turns_high": "1",
        },
        "tenants:q": {named[name]: limit for name, limit in limits.items()},
        "turns:q:normal": {"": 0, A: 1},
        "turns:q:high": {"": 0, A: 1},
        f"tenant:q:normal:{A}": {f"w{number}": NOW - 9 + number for number in range(jobs - 1)},
        f"tenant:q:high:{A}": {"h": NOW - 9},
        "agenda": {"q": LOOK},
    }


def _full(used: int, limit: int, thousandths: int, tenant: str = A) -> Fullness:
    return Fullness(thousandths, "tenant", used, limit, None, tenant)


def _partially(*ids: str, tenants: str) -> Call:
    new = [NewJob(one, "", b"body") for one in ids]
    shared = NewJobs("q", "t", tenants=tenants)
    return lambda world: world.scripts.enqueue(shared, new, now_ms=NOW, when_full="partial")


LIMITS = [
    Case(
        "enqueue",
        "a tenant at its limit has no room, whatever lanes its jobs wait in",
        _limited(4, each="4"),
        _enqueue("j1", tenants=A),
        _limited(4, each="4"),
        Full(_full(4, 4, 1250)),
    ),
    Case(
        "enqueue",
        "a chunk in which one tenant has no room gets in as a whole or not at all",
        _limited(4, each="5"),
        _enqueue("j1", "j2", "j3", tenants=A + B + A),
        _limited(4, each="5"),
        Full(_full(4, 5, 1200)),
    ),
    Case(
        "enqueue",
        "the first jobs of a chunk, for whose tenants there is room",
        _limited(4, each="5", b="1"),
        _partially("j1", "j2", "j3", "j4", tenants=A + B + A + B),
        {
            **_limited(4, each="5", b="1"),
            "queue:q": {**_limited(6)["queue:q"]},
            "job:j1": _ready(A),
            "job:j2": _ready(B),
            "turns:q:normal": {"": 0, A: 1, B: 1},
            f"tenant:q:normal:{A}": {**_limited(4)[f"tenant:q:normal:{A}"], "j1": NOW},
            f"tenant:q:normal:{B}": {"j2": NOW + BEHIND},
        },
        Pressed(_full(4, 5, 1200), [*_entered("ready", "ready"), *[Enqueued("full", "", "")] * 2]),
    ),
    Case(
        "enqueue",
        "a limit of its own goes before that of each, and what is delayed does not wait yet",
        _limited(4, each="4", a="5"),
        _enqueue("j1", tenants=A),
        {
            **_limited(4, each="4", a="5"),
            "queue:q": {**_limited(5)["queue:q"]},
            "job:j1": _ready(A),
            f"tenant:q:normal:{A}": {**_limited(4)[f"tenant:q:normal:{A}"], "j1": NOW},
        },
        _entered("ready"),
    ),
    Case(
        "enqueue",
        "a delayed job needs no room: it does not wait for a turn yet",
        {**_limited(4, each="1"), "agenda": {"q": 1}},
        _enqueue("j1", tenants=A, delay_ms=5),
        {
            **_limited(4, each="1"),
            "job:j1": job("scheduled", c=NOW, d=NOW + 5, te=A),
            "wheel:q": {"j1": NOW + 5},
            "agenda": {"q": 1},
        },
        _entered("scheduled"),
    ),
]

LEASE: State = {"workers": {"w1": NOW + 100}, "ready:q:high": tickets(), "ready:q:low": tickets()}


def _take(slots: int) -> Call:
    return lambda world: world.scripts.take("w1", ("q",), slots, now_ms=NOW)


def _taken(name: str, number: int) -> Taken:
    return Taken(name, "q", 1, f"{number}-0", 1, 0, "t", b"body", b"", 0, 7, 0, "", b"", "w1", 0, NOW)


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
    **_counted(5),
    **_lines(a=("a1", "a2", "a3"), b=("b1", "b2")),
    "turns:q:normal": {"": 7, B: 8, A: 8.5},
}
# Of these, the next two: the first of each tenant.
TWO_LET_IN: State = {
    **_counted(3),
    "turns:q:normal": {"": 8.5, B: 9, A: 9.5},
    f"tenant:q:normal:{A}": {"a2": NOW + 1, "a3": NOW + 2},
    f"tenant:q:normal:{B}": {"b2": NOW + 1},
}
ONE_WAITS: State = {
    **SHARED,
    **_counted(1),
    **_lines(a=("a1",)),
    "turns:q:normal": {"": 7, A: 8},
}
NONE_WAIT: State = {**_counted(0), "turns:q:normal": None, f"tenant:q:normal:{A}": None}

TAKE = [
    Case(
        "take",
        "as many as are taken are let in by turn, and two tickets wait for who comes next",
        {**LEASE, **WAITING, "ready:q:normal": tickets("x"), "job:x": job("ready", te=A)},
        _take(1),
        {
            **LEASE,
            **WAITING,
            **TWO_LET_IN,
            **_running("x"),
            "ready:q:normal": tickets("x@w1", "b1", "a1"),
        },
        Takings([_taken("x", 1)], frozenset(), missing_groups=False),
    ),
    Case(
        "take",
        "the last one that is let in leaves no turn behind",
        {**LEASE, **ONE_WAITS, "ready:q:normal": tickets()},
        _take(0),
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
        _take(0),
        {
            **LEASE,
            **WAITING,
            **_counted(3),
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
        _take(0),
        after({**LEASE, **ONE_WAITS}, {**NONE_WAIT, "ready:q:normal": tickets("a1")}),
        Takings([], frozenset(), missing_groups=False),
    ),
    Case(
        "take",
        "of a paused queue nobody is let in",
        {**LEASE, **ONE_WAITS, **_counted(1, paused="1"), "ready:q:normal": tickets()},
        _take(1),
        {**LEASE, **ONE_WAITS, **_counted(1, paused="1"), "ready:q:normal": tickets()},
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
            **_counted(1),
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


def _over(state: str, tenant: str, **fields: object) -> dict[str, str]:
    return but(job(state, te=tenant, f=NOW), b=None, **fields)


def _cancel(*ids: str) -> Call:
    return lambda world: world.scripts.cancel(ids, now_ms=NOW)


STEERING = [
    Case(
        "cancel",
        "who waits for a turn leaves the line, and the last of a tenant takes its turn along",
        WAITING,
        _cancel("b1", "a2", "b2"),
        after(
            WAITING,
            {
                **_counted(2, cancelled="3"),
                **{f"job:b{number}": _over("cancelled", B) for number in (1, 2)},
                "job:a2": _over("cancelled", A),
                f"tenant:q:normal:{A}": {"a1": NOW, "a3": NOW + 2},
                f"tenant:q:normal:{B}": None,
                "turns:q:normal": {"": 7, A: 8.5},
                "done:q": dict.fromkeys(("a2", "b1", "b2"), NOW + HOUR),
                "events": ["cancel b1 a2 b2"],
            },
        ),
        ["cancelled"] * 3,
    ),
    Case(
        "cancel",
        "the last of all leaves nothing",
        ONE_WAITS,
        _cancel("a1"),
        after(
            ONE_WAITS,
            {
                **NONE_WAIT,
                **_counted(0, cancelled="1"),
                "job:a1": _over("cancelled", A),
                "done:q": {"a1": NOW + HOUR},
                "events": ["cancel a1"],
            },
        ),
        ["cancelled"],
    ),
    Case(
        "expire",
        "whose time is over leaves its line",
        {**ONE_WAITS, "job:a1": job("ready", te=A, n=NOW - 1), "expiring": {"a1": NOW - 1}},
        lambda world: world.scripts.expire(9, now_ms=NOW),
        after(
            ONE_WAITS,
            {
                **NONE_WAIT,
                **_counted(0, expired="1"),
                "job:a1": _over("expired", A, n=NOW - 1),
                "done:q": {"a1": NOW + HOUR},
                "events": ["expire a1"],
            },
        ),
        (1, 1),
    ),
    Case(
        "requeue",
        "dead letters of a tenant come back by turn",
        {
            **SHARED,
            **{f"job:j{number}": job("dead", te=A) for number in (1, 2, 3)},
            "dead:q": {"j1": 1, "j2": 2, "j3": 3},
        },
        lambda world: world.scripts.requeue(
            [Requeue("j1"), Requeue("j2"), Requeue("j3")], Hand("ann", "why", "op1", "all"), now_ms=NOW
        ),
        {
            **SHARED,
            **_counted(1),
            **{f"job:j{number}": job("ready", c=NOW, v=0, te=A) for number in (1, 2, 3)},
            "ready:q:normal": tickets("j1", "j2", group=False),
            "turns:q:normal": {"": 0, A: 1},
            f"tenant:q:normal:{A}": {"j3": NOW},
            "agenda": {"q": LOOK},
            "events": ["requeue j1 j2 j3"],
            "audit": [f"retry, {NOW}, ann, why, op1, all, j1 j2 j3"],
        },
        [["ready"]] * 3,
        ("alarm",),
    ),
    Case(
        "tick",
        "an occurrence in a queue that has seen a tenant is nobody's, and shares",
        {**WAITING, "occurrences": {"daily": NOW}},
        lambda world: world.scripts.tick("daily", NOW, NOW + 5, NewJobs("q", "t"), b"body", ["j1"], now_ms=NOW),
        {
            **WAITING,
            **_counted(6),
            "queues": {"q"},
            "occurrences": {"daily": NOW + 5},
            "job:j1": _ready(NOBODY),
            "turns:q:normal": {"": 7, B: 8, NOBODY: 8, A: 8.5},
            f"tenant:q:normal:{NOBODY}": {"j1": NOW},
        },
        1,
    ),
    Case(
        "measure",
        "what waits for a turn is ready, and the oldest of it has come first",
        {**WAITING, "ready:q:normal": tickets("x@w1", "y")},
        lambda world: world.scripts.measure("q"),
        {**WAITING, "ready:q:normal": tickets("x@w1", "y")},
        QueueFigures("q", 0, {"high": 0, "normal": 6, "low": 0}, 1, 0, 0, 2, _counted(5)["queue:q"]),
    ),
]


def _line(*, repair: bool = True) -> Call:
    return lambda world: world.scripts.check_line("q", "normal", A, "0", 100, repair=repair)


NOTHING: list[Row] = []

DOCTORING = [
    Case(
        "check_line",
        "a healthy line is left as it is",
        WAITING,
        _line(),
        WAITING,
        ("0", NOTHING),
    ),
    Case(
        "check_line",
        "who does not wait there is taken out, and a line gets its turn",
        {
            **WAITING,
            "turns:q:normal": {"": 7, B: 8},
            "job:a1": job("running", te=A),
            "job:a2": job("ready", te=A, q="other"),
            "ready:other:normal": tickets("a2"),
        },
        _line(),
        {
            **WAITING,
            **_counted(3),
            "turns:q:normal": {"": 7, B: 8, A: 8},
            "job:a1": job("running", te=A),
            "job:a2": job("ready", te=A, q="other"),
            "ready:other:normal": tickets("a2"),
            f"tenant:q:normal:{A}": {"a3": NOW + 2},
        },
        (
            "0",
            [
                Row("misplaced", "a1", "running", True),
                Row("misplaced", "a2", "ready", True),
                Row("line_without_turn", A, "", True),
            ],
        ),
    ),
    Case(
        "check_line",
        "looking changes nothing",
        {**WAITING, "turns:q:normal": {"": 7, B: 8}},
        _line(repair=False),
        {**WAITING, "turns:q:normal": {"": 7, B: 8}},
        ("0", [Row("line_without_turn", A, "", False)]),
    ),
    Case(
        "check_records",
        "who stands in line needs no ticket",
        {**WAITING, "job:x": job("ready", te=A)},
        lambda world: world.scripts.check_records(["a1", "x"], repair=True, now_ms=NOW),
        {**WAITING, "job:x": job("ready", te=A)},
        CheckedRecords([], [NeedsTicket("x", "q", "", b"ready    7")]),
    ),
    Case(
        "check_queues",
        "what waits for a turn is counted anew",
        {**WAITING, **_counted(9, turns_low="x")},
        lambda world: world.scripts.check_queues(["q"], repair=True, now_ms=NOW),
        {**WAITING, **_counted(5, turns_low="x")},
        [Row("turns_miscounted", "normal", "9", True)],
    ),
]

CASES = [*ENQUEUE, *LIMITS, *TAKE, *PROMOTE, *STEERING, *DOCTORING]
