"""A full queue whose callers would rather wait: their jobs are put off until there is room."""

from __future__ import annotations

from typing import Any

from script_cases.enqueue import SHARED, A
from script_cases.full_queues import LIMITED, RATED, REFUSED, enqueue, full, new
from script_state import NOW, Call, Case, job, tickets
from tidemill.wire.scripts import Enqueued, Fullness, NewJob, NewJobs, Pressed


def _enqueue_deferring(*jobs: tuple[str, str, bytes], **shared: Any) -> Call:
    made = [NewJob(*one) for one in jobs]
    return lambda world: world.scripts.enqueue(NewJobs(**SHARED, **shared), made, now_ms=NOW, when_full="defer")


CASES = [
    Case(
        "enqueue",
        "a job that can be put off goes into the wheel until there is room",
        {"queues": {"q"}, "queue:q": RATED, "wheel:q": {"x": 1, "y": 2}, "agenda": {"q": 1}, "job:x": job("scheduled")},
        _enqueue_deferring(A, ("x", "", b"body")),
        {
            "queues": {"q"},
            "queue:q": RATED,
            "job:x": job("scheduled"),
            "wheel:q": {"x": 1, "y": 2, "a": NOW + 1000},
            "agenda": {"q": 1},
            "job:a": new("scheduled", d=NOW + 1000),
        },
        Pressed(
            Fullness(1500, "jobs", 2, 2, None),
            [Enqueued("scheduled", "", "scheduled"), Enqueued("exists", "", "scheduled")],
        ),
    ),
    Case(
        "enqueue",
        "but not beyond twice the limit",
        {"queues": {"q"}, "queue:q": RATED, "wheel:q": {"x": 1, "y": 2}, "agenda": {"q": 1}},
        _enqueue_deferring(A, ("b", "", b"body"), ("c", "", b"body")),
        {"queues": {"q"}, "queue:q": RATED, "wheel:q": {"x": 1, "y": 2}, "agenda": {"q": 1}},
        full(2500, "jobs", 2, 2, 3000),
    ),
    Case(
        "enqueue",
        "nor until it has expired",
        {"queues": {"q"}, "queue:q": RATED, "wheel:q": {"x": 1, "y": 2}, "agenda": {"q": 1}},
        _enqueue_deferring(A, expires_ms=1000),
        {"queues": {"q"}, "queue:q": RATED, "wheel:q": {"x": 1, "y": 2}, "agenda": {"q": 1}},
        full(1500, "jobs", 2, 2, 1000),
    ),
    Case(
        "enqueue",
        "without a rate it is put off for a second, and one that is delayed for longer stays so",
        {**LIMITED, "wheel:q": {"x": 1, "y": 2}, "agenda": {"q": 1}},
        _enqueue_deferring(A, delay_ms=1500),
        {
            **REFUSED,
            "wheel:q": {"x": 1, "y": 2, "a": NOW + 1500},
            "agenda": {"q": 1},
            "job:a": new("scheduled", d=NOW + 1500),
        },
        Pressed(Fullness(1500, "jobs", 2, 2, None), [Enqueued("scheduled", "", "scheduled")]),
    ),
    Case(
        "enqueue",
        "a job that would wait for longer than it is to live does not get in",
        {
            "queues": {"q"},
            "queue:q": {"known": "1", "limit": "9", "drained": "0", "drained_ms": str(NOW - 5), "drain_rate": "1000"},
            "job:b": job("ready"),
            "job:c": job("ready"),
            "ready:q:high": tickets("b"),
            "ready:q:normal": tickets("c"),
        },
        enqueue(A, expires_ms=1_999),
        {
            "queues": {"q"},
            "queue:q": {"known": "1", "limit": "9", "drained": "0", "drained_ms": str(NOW - 5), "drain_rate": "1000"},
            "job:b": job("ready"),
            "job:c": job("ready"),
            "ready:q:high": tickets("b"),
            "ready:q:normal": tickets("c"),
        },
        full(0, "deadline", 2_000, 1_999, 1),
    ),
    Case(
        "enqueue",
        "one of a higher priority waits for fewer",
        {
            "queues": {"q"},
            "queue:q": {"known": "1", "limit": "9", "drained": "0", "drained_ms": str(NOW - 5), "drain_rate": "1000"},
            "job:c": job("ready"),
            "ready:q:normal": tickets("c"),
        },
        enqueue(A, expires_ms=999, priority="high"),
        {
            "queues": {"q"},
            "queue:q": {"known": "1", "limit": "9", "drained": "0", "drained_ms": str(NOW - 5), "drain_rate": "1000"},
            "job:c": job("ready"),
            "ready:q:normal": tickets("c"),
            "job:a": new("ready", p="high", n=NOW + 999),
            "ready:q:high": tickets("a", group=False),
            "expiring": {"a": NOW + 999},
        },
        [Enqueued("ready", "", "ready")],
        published=("alarm",),
    ),
]
