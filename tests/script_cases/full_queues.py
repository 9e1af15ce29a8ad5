"""A queue that is full: what gets in, what is refused, and when there will be room."""

from __future__ import annotations

from typing import Any

from script_cases.enqueue import NOTED, READY, SHARED, A
from script_state import NOW, Call, Case, State, after, job, tickets
from tidemill.wire.scripts import Enqueued, Full, Fullness, Limit, NewJob, NewJobs, Pressed

LIMITED: State = {"queues": {"q"}, "queue:q": {"known": "1", "limit": "2"}}
REFUSED: State = {"queues": {"q"}, "queue:q": {"known": "1", "limit": "2", **NOTED}}
# Full, and one job ends in a second.
RATED = {"known": "1", "limit": "2", "drained": "0", "drained_ms": str(NOW - 5), "drain_rate": "1000"}


def enqueue(*jobs: tuple[str, str, bytes], **shared: Any) -> Call:
    made = [NewJob(*one) for one in jobs]
    return lambda world: world.scripts.enqueue(NewJobs(**{**SHARED, **shared}), made, now_ms=NOW)


def _enqueue_partially(*jobs: tuple[str, str, bytes], **shared: Any) -> Call:
    made = [NewJob(*one) for one in jobs]
    return lambda world: world.scripts.enqueue(NewJobs(**SHARED, **shared), made, now_ms=NOW, when_full="partial")


def new(state: str, **fields: object) -> dict[str, str]:
    return job(state, c=NOW, **fields)


def full(thousandths: int, of: Limit, used: int, limit: int, until_room_ms: int | None = None) -> Full:
    return Full(Fullness(thousandths, of, used, limit, until_room_ms))


CASES = [
    Case(
        "enqueue",
        "a full queue takes nothing of a chunk that has no room as a whole",
        {**LIMITED, "job:b": job("ready"), "ready:q:low": tickets("b@w1")},
        enqueue(A, ("c", "", b"body")),
        {**REFUSED, "job:b": job("ready"), "ready:q:low": tickets("b@w1")},
        full(1500, "jobs", 1, 2),
    ),
    Case(
        "enqueue",
        "what waits in the wheel counts for the limit",
        {**LIMITED, "wheel:q": {"x": 1, "y": 2}},
        enqueue(A),
        {**REFUSED, "wheel:q": {"x": 1, "y": 2}},
        full(1500, "jobs", 2, 2),
    ),
    Case(
        "enqueue",
        "a queue takes jobs up to its limit",
        {**LIMITED, "wheel:q": {"x": 1}},
        enqueue(A),
        {**LIMITED, **READY, "wheel:q": {"x": 1}},
        Pressed(Fullness(1000, "jobs", 1, 2, None), [Enqueued("ready", "", "ready")]),
    ),
    Case(
        "enqueue",
        "what exists already needs no room, so a repeated call is never refused as full",
        {**LIMITED, "wheel:q": {"a": 1, "b": 2}, "job:a": job("scheduled"), "job:b": job("scheduled")},
        enqueue(A, ("b", "", b"body")),
        {**LIMITED, "wheel:q": {"a": 1, "b": 2}, "job:a": job("scheduled"), "job:b": job("scheduled")},
        [Enqueued("exists", "", "scheduled"), Enqueued("exists", "", "scheduled")],
    ),
    Case(
        "enqueue",
        "a full queue does not let new jobs in behind one that exists",
        {**LIMITED, "wheel:q": {"a": 1, "b": 2}, "job:a": job("scheduled"), "job:b": job("scheduled")},
        enqueue(A, ("c", "", b"body")),
        {**REFUSED, "wheel:q": {"a": 1, "b": 2}, "job:a": job("scheduled"), "job:b": job("scheduled")},
        full(1500, "jobs", 2, 2),
    ),
    Case(
        "enqueue",
        "a limit that is no number limits nothing",
        after(LIMITED, {"queue:q": {"known": "1", "limit": "many"}}),
        enqueue(A),
        after(LIMITED, {"queue:q": {"known": "1", "limit": "many"}, **READY}),
        [Enqueued("ready", "", "ready")],
    ),
    Case(
        "enqueue",
        "below 85 % of its limit a queue says nothing",
        {"queues": {"q"}, "queue:q": {"known": "1", "limit": "7"}, "wheel:q": dict.fromkeys("vwxy", 1)},
        enqueue(A),
        {"queues": {"q"}, "queue:q": {"known": "1", "limit": "7"}, "wheel:q": dict.fromkeys("vwxy", 1), **READY},
        [Enqueued("ready", "", "ready")],
    ),
    Case(
        "enqueue",
        "of a chunk without room its first jobs get in, if the caller asks for that",
        {**LIMITED, "wheel:q": {"x": 1}},
        _enqueue_partially(A, ("b", "", b"body"), ("c", "", b"")),
        {**REFUSED, **READY, "wheel:q": {"x": 1}},
        Pressed(
            Fullness(2000, "jobs", 1, 2, None),
            [Enqueued("ready", "", "ready"), Enqueued("full", "", ""), Enqueued("full", "", "")],
        ),
    ),
    Case(
        "enqueue",
        "perhaps none of them, and what exists is there all the same",
        {**LIMITED, "wheel:q": {"x": 1, "b": 2}, "job:b": job("scheduled")},
        _enqueue_partially(A, ("b", "", b"body"), delay_ms=5),
        {**REFUSED, "wheel:q": {"x": 1, "b": 2}, "job:b": job("scheduled")},
        Pressed(Fullness(1500, "jobs", 2, 2, None), [Enqueued("full", "", ""), Enqueued("exists", "", "scheduled")]),
    ),
    Case(
        "enqueue",
        "a limit in bytes counts the arguments, by the mean of those that came",
        {"queues": {"q"}, "queue:q": {"known": "1", "limit_bytes": "100", "mean_bytes": "30"}, "wheel:q": {"x": 1}},
        enqueue(A),
        {
            "queues": {"q"},
            "queue:q": {"known": "1", "limit_bytes": "100", "mean_bytes": "17"},
            "wheel:q": {"x": 1},
            **READY,
        },
        [Enqueued("ready", "", "ready")],
    ),
    Case(
        "enqueue",
        "and refuses what is larger than the room that is left",
        {
            "queues": {"q"},
            "queue:q": {"known": "1", "limit_bytes": "100", "mean_bytes": "49"},
            "wheel:q": {"x": 1, "y": 1},
        },
        enqueue(A),
        {
            "queues": {"q"},
            "queue:q": {"known": "1", "limit_bytes": "100", "mean_bytes": "49", **NOTED},
            "wheel:q": {"x": 1, "y": 1},
        },
        full(1020, "bytes", 98, 100),
    ),
    Case(
        "enqueue",
        "a small job does not overtake a large one of its chunk",
        {"queues": {"q"}, "queue:q": {"known": "1", "limit_bytes": "3"}},
        _enqueue_partially(A, ("c", "", b"")),
        {"queues": {"q"}, "queue:q": {"known": "1", "limit_bytes": "3", **NOTED}},
        Pressed(Fullness(1333, "bytes", 0, 3, None), [Enqueued("full", "", ""), Enqueued("full", "", "")]),
    ),
    Case(
        "enqueue",
        "in an empty queue the mean begins anew",
        {"queues": {"q"}, "queue:q": {"known": "1", "limit_bytes": "100", "mean_bytes": "49"}},
        enqueue(A, ("c", "", b"")),
        {
            "queues": {"q"},
            "queue:q": {"known": "1", "limit_bytes": "100", "mean_bytes": "2"},
            "job:a": new("ready"),
            "job:c": {**new("ready"), "b": ""},
            "ready:q:normal": tickets("a", "c", group=False),
        },
        [Enqueued("ready", "", "ready"), Enqueued("ready", "", "ready")],
    ),
    Case(
        "enqueue",
        "a refusal that knows the rate says when there will be room",
        {
            "queues": {"q"},
            # 40 jobs in two seconds: 20 a second.
            "queue:q": {
                "known": "1",
                "limit": "2",
                "succeeded": "45",
                "dead": "5",
                "drained": "10",
                "drained_ms": str(NOW - 2000),
            },
            "wheel:q": {"x": 1, "y": 2},
        },
        enqueue(A),
        {
            "queues": {"q"},
            "queue:q": {
                "known": "1",
                "limit": "2",
                "succeeded": "45",
                "dead": "5",
                "drained": "50",
                "drained_ms": str(NOW),
                "drain_rate": "20000",
            },
            "wheel:q": {"x": 1, "y": 2},
        },
        full(1500, "jobs", 2, 2, 50),
    ),
    Case(
        "enqueue",
        "those that did get in have to go first",
        {"queues": {"q"}, "queue:q": {**RATED, "limit": "1"}},
        _enqueue_partially(A, ("b", "", b"body"), ("c", "", b"body")),
        {"queues": {"q"}, "queue:q": {**RATED, "limit": "1"}, **READY},
        Pressed(
            Fullness(3000, "jobs", 0, 1, 2000),
            [Enqueued("ready", "", "ready"), Enqueued("full", "", ""), Enqueued("full", "", "")],
        ),
    ),
    Case(
        "enqueue",
        "few jobs are no rate yet",
        {
            "queues": {"q"},
            "queue:q": {"known": "1", "limit": "2", "succeeded": "9", "drained": "0", "drained_ms": str(NOW - 2000)},
            "wheel:q": {"x": 1, "y": 2},
        },
        enqueue(A),
        {
            "queues": {"q"},
            "queue:q": {"known": "1", "limit": "2", "succeeded": "9", "drained": "0", "drained_ms": str(NOW - 2000)},
            "wheel:q": {"x": 1, "y": 2},
        },
        full(1500, "jobs", 2, 2),
    ),
    Case(
        "enqueue",
        "a rate that was seen too long ago is forgotten",
        {
            "queues": {"q"},
            "queue:q": {
                "known": "1",
                "limit": "2",
                "succeeded": "50",
                "drained": "10",
                "drained_ms": str(NOW - 60_001),
                "drain_rate": "5",
            },
            "wheel:q": {"x": 1, "y": 2},
        },
        enqueue(A),
        {
            "queues": {"q"},
            "queue:q": {
                "known": "1",
                "limit": "2",
                "succeeded": "50",
                "drained": "50",
                "drained_ms": str(NOW),
                "drain_rate": "",
            },
            "wheel:q": {"x": 1, "y": 2},
        },
        full(1500, "jobs", 2, 2),
    ),
]
