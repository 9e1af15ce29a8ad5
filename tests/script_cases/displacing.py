"""Enqueues into a queue over a limit that take the place of others, and queues that are too old."""

from __future__ import annotations

from typing import Any

from script_cases.shed import limited, ready
from script_state import NOW, Call, Case, State, after, job, tickets
from tidemill.wire.scripts import Enqueued, Full, Fullness, NewJob, NewJobs, Pressed


def _enqueue(*ids: str, **shared: Any) -> Call:
    new = [NewJob(one, "", b"body") for one in ids]
    return lambda world: world.scripts.enqueue(NewJobs("q", "t", **shared), new, now_ms=NOW, when_full="shed")


def _aged(age_ms: int, seen_ms: int = NOW) -> State:
    return limited(limit_age_ms=1000, oldest=f"{age_ms} {seen_ms}")


def _drain(rate: int) -> dict[str, int]:
    """So many jobs of a million end in a second."""
    return {"drained": 0, "drained_ms": NOW - 5, "drain_rate": rate}


FULL = {**limited(limit=2), "wheel:q": {"x": 1}, **ready("b"), "ready:q:normal": tickets("b")}

ENQUEUE = [
    Case(
        "enqueue",
        "a job that may take another's place gets in, and the scheduler hears of it",
        FULL,
        _enqueue("a", priority="low"),
        {
            **FULL,
            **limited(limit=2, displace_low=1),
            "watched": {"q": 0},
            "job:a": job("ready", c=NOW, p="low"),
            "ready:q:low": tickets("a", group=False),
        },
        Pressed(Fullness(1500, "jobs", 2, 2, None), [Enqueued("ready", "", "ready")]),
        published=("alarm",),
    ),
    Case(
        "enqueue",
        "once, however many do so",
        {**FULL, **limited(limit=2, displace_normal=1), "watched": {"q": 0}},
        _enqueue("a", "c"),
        {
            **FULL,
            **limited(limit=2, displace_normal=3),
            "watched": {"q": 0},
            "job:a": job("ready", c=NOW),
            "job:c": job("ready", c=NOW),
            "ready:q:normal": tickets("b", "a", "c"),
        },
        Pressed(Fullness(2000, "jobs", 2, 2, None), 2 * [Enqueued("ready", "", "ready")]),
    ),
    Case(
        "enqueue",
        "in the place of others as well no more than twice the limit",
        FULL,
        _enqueue("a", "c", "d"),
        {**FULL, **limited(limit=2, drained=0, drained_ms=NOW)},
        Full(Fullness(2500, "jobs", 2, 2, None)),
    ),
    Case(
        "enqueue",
        "and a job that is delayed takes nobody's place",
        FULL,
        _enqueue("a", delay_ms=5),
        {**FULL, **limited(limit=2, drained=0, drained_ms=NOW)},
        Full(Fullness(1500, "jobs", 2, 2, None)),
    ),
    Case(
        "enqueue",
        "a queue whose oldest job has waited for too long is full",
        _aged(1001),
        lambda world: world.scripts.enqueue(NewJobs("q", "t"), [NewJob("a", "", b"body")], now_ms=NOW),
        after(_aged(1001), limited(limit_age_ms=1000, oldest=f"1001 {NOW}", drained=0, drained_ms=NOW)),
        Full(Fullness(1001, "age", 1001, 1000, None)),
    ),
    Case(
        "enqueue",
        "what was seen a while ago is not believed",
        _aged(9000, NOW - 5001),
        _enqueue("a"),
        {**_aged(9000, NOW - 5001), "job:a": job("ready", c=NOW), "ready:q:normal": tickets("a", group=False)},
        [Enqueued("ready", "", "ready")],
    ),
    Case(
        "enqueue",
        "from 85 % of the age on it says so",
        _aged(850),
        _enqueue("a"),
        {**_aged(850), "job:a": job("ready", c=NOW), "ready:q:normal": tickets("a", group=False)},
        Pressed(Fullness(850, "age", 850, 1000, None), [Enqueued("ready", "", "ready")]),
    ),
    *(
        Case(
            "enqueue",
            f"it is young again {when}",
            {**limited(limit_age_ms=1000, oldest=f"1100 {NOW}", **_drain(rate)), "wheel:q": dict.fromkeys("wxyz", 1)},
            lambda world: world.scripts.enqueue(NewJobs("q", "t"), [NewJob("a", "", b"body")], now_ms=NOW),
            {**limited(limit_age_ms=1000, oldest=f"1100 {NOW}", **_drain(rate)), "wheel:q": dict.fromkeys("wxyz", 1)},
            Full(Fullness(1100, "age", 1100, 1000, until_room_ms)),
        )
        for when, rate, until_room_ms in (
            ("when all is done, if that takes as long", 4_000, 1_000),
            ("when its share of what waits is done", 10_000, 143),
        )
    ),
]

CASES = [*ENQUEUE]
