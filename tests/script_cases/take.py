"""READY → RUNNING, and what a ticket comes to when its job is not to run."""

from __future__ import annotations

from typing import Any

from script_state import NOW, Call, Case, State, but, job, tickets
from tidemill.wire.scripts import Taken, Takings

LEASE: State = {"workers": {"w1": NOW + 100}}
LANES = ("high", "normal", "low")


def take(slots: int = 9, reserved: tuple[int, int] = (0, 0), *, queues: tuple[str, ...] = ("q",)) -> Call:
    return lambda world: world.scripts.take("w1", queues, slots, reserved, now_ms=NOW)


def taken(name: str, number: int = 1, lane: str = "normal", **changes: Any) -> Taken:
    """A job as `take` returns it; `number`: of its ticket in its stream."""
    usual: dict[str, Any] = {
        "id": name,
        "queue": "q",
        "lane": LANES.index(lane),
        "entry": f"{number}-0",
        "attempt": 1,
        "uncounted": 0,
        "task": "t",
        "body": b"body",
        "options": b"",
        "crashes": 0,
        "created_ms": 7,
        "due_ms": 0,
        "trace": "",
        "error": b"",
        "incarnation": "w1",
        "taken_ms": NOW,
    }
    return Taken(**{**usual, **changes})


READY = job("ready")
RUNNING = job("running", l="w1", a=1, j=NOW)
EMPTY = {f"ready:q:{lane}": tickets() for lane in LANES}


def streams(**lanes: object) -> State:
    return {**EMPTY, **{f"ready:q:{lane}": found for lane, found in lanes.items()}}


CASES = [
    Case(
        "take",
        "a worker without a lease takes nothing",
        {"workers": {"w2": NOW + 100}, **streams(normal=tickets("a")), "job:a": READY},
        take(),
        {"workers": {"w2": NOW + 100}, **streams(normal=tickets("a")), "job:a": READY},
        None,
    ),
    Case("take", "nothing is there", {**LEASE, **EMPTY}, take(), {**LEASE, **EMPTY}, Takings([])),
    Case(
        "take",
        "the fence is written, and everything that the run needs is handed out",
        {
            **LEASE,
            **streams(normal=tickets("a")),
            "job:a": job(
                "ready",
                a=2,
                v=1,
                l="w0",
                j=3,
                b1="1",
                b2="2",
                b3="3",
                o="options",
                k=1,
                d=8,
                g="trace",
                e="error",
                n=NOW + 1,
            ),
            "expiring": {"a": NOW + 1, "x": 1},
        },
        take(),
        {
            **LEASE,
            **streams(normal=tickets("a@w1")),
            "job:a": job(
                "running",
                a=3,
                v=1,
                l="w1",
                j=NOW,
                b1="1",
                b2="2",
                b3="3",
                o="options",
                k=1,
                h=1,
                d=8,
                g="trace",
                e="error",
                n=NOW + 1,
            ),
            "expiring": {"x": 1},
        },
        Takings(
            [
                taken(
                    "a",
                    attempt=3,
                    uncounted=1,
                    body=b"body123",
                    options=b"options",
                    crashes=1,
                    due_ms=8,
                    trace="trace",
                    error=b"error",
                    expires_ms=NOW + 1,
                )
            ]
        ),
    ),
    Case(
        "take",
        "no more than the slots are taken, high before normal before low",
        {
            **LEASE,
            **streams(high=tickets("a"), normal=tickets("b", "c"), low=tickets("d")),
            **{f"job:{name}": READY for name in "abcd"},
        },
        take(2),
        {
            **LEASE,
            **streams(high=tickets("a@w1"), normal=tickets("b@w1", "c"), low=tickets("d")),
            "job:a": RUNNING,
            "job:b": RUNNING,
            "job:c": READY,
            "job:d": READY,
        },
        Takings([taken("a", lane="high"), taken("b")]),
    ),
    Case(
        "take",
        "reserved slots go to low and to normal, though high would fill them",
        {
            **LEASE,
            **streams(high=tickets("a", "b", "c"), normal=tickets("d", "e"), low=tickets("f", "g")),
            **{f"job:{name}": READY for name in "abcdefg"},
        },
        take(3, (1, 1)),
        {
            **LEASE,
            **streams(high=tickets("a@w1", "b", "c"), normal=tickets("d@w1", "e"), low=tickets("f@w1", "g")),
            **{f"job:{name}": RUNNING for name in "adf"},
            **{f"job:{name}": READY for name in "bceg"},
        },
        Takings([taken("f", lane="low"), taken("d"), taken("a", lane="high")]),
    ),
    Case(
        "take",
        "a reserve that its lane can't use falls through",
        {**LEASE, **streams(high=tickets("a", "b")), "job:a": READY, "job:b": READY},
        take(2, (1, 1)),
        {**LEASE, **streams(high=tickets("a@w1", "b@w1")), "job:a": RUNNING, "job:b": RUNNING},
        Takings([taken("a", lane="high"), taken("b", 2, lane="high")]),
    ),
    Case(
        "take",
        "more reserved than there are slots takes no more than the slots",
        {**LEASE, **streams(normal=tickets("a"), low=tickets("b")), "job:a": READY, "job:b": READY},
        take(1, (1, 1)),
        {**LEASE, **streams(normal=tickets("a"), low=tickets("b@w1")), "job:a": READY, "job:b": RUNNING},
        Takings([taken("b", lane="low")]),
    ),
    Case(
        "take",
        "a reserve counts once, however many queues there are",
        {
            **LEASE,
            **streams(high=tickets("a"), low=tickets("b")),
            "ready:other:high": tickets("d"),
            "ready:other:normal": tickets(),
            "ready:other:low": tickets("c"),
            **{f"job:{name}": READY for name in "abc"},
            "job:d": but(READY, q="other"),
        },
        take(3, (1, 0), queues=("q", "other")),
        {
            **LEASE,
            **streams(high=tickets("a@w1"), low=tickets("b@w1")),
            "ready:other:high": tickets("d@w1"),
            "ready:other:normal": tickets(),
            "ready:other:low": tickets("c"),
            **{f"job:{name}": RUNNING for name in "ab"},
            "job:d": but(RUNNING, q="other"),
            "job:c": READY,
        },
        Takings([taken("b", lane="low"), taken("a", lane="high"), taken("d", lane="high", queue="other")]),
    ),
    Case(
        "take",
        "a paused queue keeps its tickets, and the others are read",
        {
            **LEASE,
            **streams(normal=tickets("a")),
            **{f"ready:other:{lane}": tickets() for lane in LANES},
            "ready:other:low": tickets("c"),
            "queue:q": {"paused": "1"},
            "job:a": READY,
            "job:c": but(READY, q="other"),
        },
        take(queues=("q", "other")),
        {
            **LEASE,
            **streams(normal=tickets("a")),
            **{f"ready:other:{lane}": tickets() for lane in LANES},
            "ready:other:low": tickets("c@w1"),
            "queue:q": {"paused": "1"},
            "job:a": READY,
            "job:c": but(RUNNING, q="other"),
        },
        Takings([taken("c", lane="low", queue="other")], frozenset({"q"})),
    ),
    Case(
        "take",
        "a stream without its group is reported, and the others are read",
        {**LEASE, **streams(normal=tickets("a"), high=tickets("b", group=False)), "job:a": READY, "job:b": READY},
        take(),
        {**LEASE, **streams(normal=tickets("a@w1"), high=tickets("b", group=False)), "job:a": RUNNING, "job:b": READY},
        Takings([taken("a")], missing_groups=True),
    ),
]
