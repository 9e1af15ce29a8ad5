"""Jobs with a tenant come: their place in line, and the limits of tenants."""

from __future__ import annotations

from typing import Any

from script_cases.tenants import BEHIND, LOOK, NOBODY, SHARED, A, B, counted, ready
from script_state import NOW, Call, Case, State, job, tickets
from tidemill.wire.scripts import (
    Enqueued,
    Full,
    Fullness,
    NewJob,
    NewJobs,
    Pressed,
)


def _enqueue(*ids: str, tenants: str, **shared: Any) -> Call:
    new = [NewJob(one, "", b"body") for one in ids]
    return lambda world: world.scripts.enqueue(NewJobs("q", "t", tenants=tenants, **shared), new, now_ms=NOW)


def _entered(*states: str) -> list[Enqueued]:
    return [Enqueued(state, "", state) for state in states]


ENQUEUE = [
    Case(
        "enqueue",
        "the first tenant of a queue shares it from then on, and nobody waits yet",
        {},
        _enqueue("j1", tenants=A),
        {**SHARED, "job:j1": ready(A), "ready:q:normal": tickets("j1", group=False)},
        _entered("ready"),
    ),
    Case(
        "enqueue",
        "what comes when two tickets wait stands in line, in its order, and a scheduler will look",
        SHARED,
        _enqueue("j3", "j1", "j2", "j4", tenants=A),
        {
            **SHARED,
            **counted(2),
            **{f"job:j{number}": ready(A) for number in (1, 2, 3, 4)},
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
        {**SHARED, "job:j1": ready(A), "ready:q:normal": tickets("x@w1", "y@w1", "z", "j1")},
        _entered("ready"),
    ),
    Case(
        "enqueue",
        "where one waits for a turn, all do: a newcomer behind now, a known one in its line, each by its weight",
        {
            **SHARED,
            **counted(1),
            "tenants:q": {B: "4.0"},
            "turns:q:normal": {"": 7, A: 9},
            f"tenant:q:normal:{A}": {"j1": NOW - 5},
            "agenda": {"q": LOOK},
        },
        _enqueue("j2", "j3", "j4", tenants=A + B + "-" * 16),
        {
            **SHARED,
            **counted(4),
            "tenants:q": {B: "4.0"},
            "job:j2": ready(A),
            "job:j3": ready(B),
            "job:j4": ready(NOBODY),
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
            **counted(1),
            "turns:q:normal": {"": 7, A: 9},
            f"tenant:q:normal:{A}": {"j1": NOW - 5},
            "agenda": {"q": LOOK},
        },
        _enqueue("j2", tenants=A, priority="high"),
        {
            **SHARED,
            **counted(1),
            "job:j2": ready(A, p="high"),
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
            "job:j1": ready(A),
            "job:j2": ready(B),
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
            "job:j1": ready(A),
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

CASES = [*ENQUEUE, *LIMITS]
