"""Who waits for a turn leaves the line, and what the doctor finds there."""

from __future__ import annotations

from script_cases.tenants import LOOK, NOBODY, NONE_WAIT, ONE_WAITS, SHARED, WAITING, A, B, counted, ready
from script_state import HOUR, NOW, Call, Case, after, but, job, tickets
from tidemill.wire.doctoring import CheckedRecords, NeedsTicket, Row
from tidemill.wire.scripts import (
    Hand,
    NewJobs,
    QueueFigures,
    Requeue,
)


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
                **counted(2, cancelled="3"),
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
                **counted(0, cancelled="1"),
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
                **counted(0, expired="1"),
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
            **counted(1),
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
            **counted(6),
            "queues": {"q"},
            "occurrences": {"daily": NOW + 5},
            "job:j1": ready(NOBODY),
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
        QueueFigures("q", 0, {"high": 0, "normal": 6, "low": 0}, 1, 0, 0, 2, counted(5)["queue:q"]),
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
            **counted(3),
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
        {**WAITING, **counted(9, turns_low="x")},
        lambda world: world.scripts.check_queues(["q"], repair=True, now_ms=NOW),
        {**WAITING, **counted(5, turns_low="x")},
        [Row("turns_miscounted", "normal", "9", True)],
    ),
]

CASES = [*STEERING, *DOCTORING]
