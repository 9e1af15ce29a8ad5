"""(new) → SCHEDULED | READY."""

from __future__ import annotations

from typing import Any

from script_state import NOW, Call, Case, State, after, job, tickets
from tidemill.wire.scripts import Enqueued, Full, Fullness, NewJob, NewJobs, Unconfirmed, Unprepared

A = ("a", "", b"body")
SHARED: dict[str, Any] = {"queue": "q", "task": "t"}
KNOWN: State = {"queues": {"q"}, "queue:q": {"known": "1"}}
SYNCED: State = {"queues": {"q"}, "queue:q": {"known": "1", "durability": "fsync"}}
# A first refusal notes how many jobs have ended so far, and when that was: the next one knows their rate.
NOTED = {"drained": "0", "drained_ms": str(NOW)}


def _enqueue(*jobs: tuple[str, str, bytes], **shared: Any) -> Call:
    new = [NewJob(*one) for one in jobs]
    return lambda world: world.scripts.enqueue(NewJobs(**{**SHARED, **shared}), new, now_ms=NOW)


def _enqueue_keeping(*keeps: str, **shared: Any) -> Call:
    return lambda world: world.scripts.enqueue(NewJobs(**SHARED, **shared), [NewJob(*A)], now_ms=NOW, keeps=keeps)


def _new(state: str, **fields: object) -> dict[str, str]:
    return job(state, c=NOW, **fields)


READY = {"job:a": _new("ready"), "ready:q:normal": tickets("a", group=False)}

CASES = [
    Case(
        "enqueue",
        "the first job of a queue is ready, and the queue is known",
        {},
        _enqueue(A),
        {**KNOWN, **READY},
        [Enqueued("ready", "", "ready")],
    ),
    Case(
        "enqueue",
        "a job in a stream that workers read gets its ticket behind the others",
        {**KNOWN, "job:b": job("ready"), "ready:q:normal": tickets("b")},
        _enqueue(A),
        {**KNOWN, "job:a": _new("ready"), "job:b": job("ready"), "ready:q:normal": tickets("b", "a")},
        [Enqueued("ready", "", "ready")],
    ),
    Case(
        "enqueue",
        "a delayed job waits in the wheel, and schedulers wake for it",
        KNOWN,
        _enqueue(A, delay_ms=500),
        {
            **KNOWN,
            "job:a": _new("scheduled", d=NOW + 500),
            "wheel:q": {"a": NOW + 500},
            "agenda": {"q": NOW + 500},
        },
        [Enqueued("scheduled", "", "scheduled")],
        ("alarm",),
    ),
    Case(
        "enqueue",
        "a job that is due later than another of its queue wakes nobody",
        {**KNOWN, "job:b": job("scheduled", d=NOW + 1), "wheel:q": {"b": NOW + 1}, "agenda": {"q": NOW + 1}},
        _enqueue(A, due_ms=NOW + 100_000_000),
        {
            **KNOWN,
            "job:a": _new("scheduled", d=NOW + 100_000_000),
            "job:b": job("scheduled", d=NOW + 1),
            "wheel:q": {"a": NOW + 100_000_000, "b": NOW + 1},
            "agenda": {"q": NOW + 1},
        },
        [Enqueued("scheduled", "", "scheduled")],
    ),
    Case(
        "enqueue",
        "a job that is due later than another queue's wakes nobody, and has its place in the agenda",
        {**KNOWN, "agenda": {"other": NOW + 1}},
        _enqueue(A, due_ms=NOW + 2),
        {
            **KNOWN,
            "job:a": _new("scheduled", d=NOW + 2),
            "wheel:q": {"a": NOW + 2},
            "agenda": {"other": NOW + 1, "q": NOW + 2},
        },
        [Enqueued("scheduled", "", "scheduled")],
    ),
    Case(
        "enqueue",
        "a due time in the past means now",
        KNOWN,
        _enqueue(A, due_ms=5),
        {**KNOWN, **READY},
        [Enqueued("ready", "", "ready")],
    ),
    Case(
        "enqueue",
        "every option is carried in the record",
        KNOWN,
        _enqueue(
            ("a", "digest", b"body"),
            priority="high",
            expires_ms=9,
            result_ttl_ms=0,
            options=b"options",
            trace="trace",
        ),
        {
            **KNOWN,
            "job:a": _new("ready", p="high", n=NOW + 9, z=0, o="options", g="trace", u="digest"),
            "ready:q:high": tickets("a", group=False),
            "expiring": {"a": NOW + 9},
            "unique:digest": "a",
        },
        [Enqueued("ready", "", "ready")],
        ("alarm",),
    ),
    Case(
        "enqueue",
        "an expiry behind another one wakes nobody",
        {**KNOWN, "expiring": {"b": NOW + 8}},
        _enqueue(A, expires_ms=9),
        {
            **KNOWN,
            "job:a": _new("ready", n=NOW + 9),
            "ready:q:normal": tickets("a", group=False),
            "expiring": {"a": NOW + 9, "b": NOW + 8},
        },
        [Enqueued("ready", "", "ready")],
    ),
    Case(
        "enqueue",
        "a body of up to 240 bytes is split into short parts",
        KNOWN,
        _enqueue(("a", "", b"1" * 60 + b"2" * 60 + b"3" * 60 + b"4")),
        {
            **KNOWN,
            "job:a": _new("ready", b="1" * 60, b1="2" * 60, b2="3" * 60, b3="4"),
            "ready:q:normal": tickets("a", group=False),
        },
        [Enqueued("ready", "", "ready")],
    ),
    Case(
        "enqueue",
        "a longer body stays whole",
        KNOWN,
        _enqueue(("a", "", b"1" * 241)),
        {**KNOWN, "job:a": _new("ready", b="1" * 241), "ready:q:normal": tickets("a", group=False)},
        [Enqueued("ready", "", "ready")],
    ),
    Case(
        "enqueue",
        "an id that exists answers its state, and nothing changes",
        {**KNOWN, "job:a": job("succeeded")},
        _enqueue(A, delay_ms=1, expires_ms=1),
        {**KNOWN, "job:a": job("succeeded")},
        [Enqueued("exists", "", "succeeded")],
    ),
    Case(
        "enqueue",
        "an id whose record no Tidemill wrote answers as a dead letter",
        {**KNOWN, "job:a": {"s": "flying"}},
        _enqueue(A),
        {**KNOWN, "job:a": {"s": "flying"}},
        [Enqueued("exists", "", "dead")],
    ),
    Case(
        "enqueue",
        "a unique key that is held answers its holder and its state",
        {**KNOWN, "job:b": job("scheduled", u="digest"), "unique:digest": "b"},
        _enqueue(("a", "digest", b"body")),
        {**KNOWN, "job:b": job("scheduled", u="digest"), "unique:digest": "b"},
        [Enqueued("conflict", "b", "scheduled")],
    ),
    Case(
        "enqueue",
        "a unique key whose job is gone is free",
        {**KNOWN, "unique:digest": "b"},
        _enqueue(("a", "digest", b"body")),
        {**KNOWN, **READY, "job:a": _new("ready", u="digest"), "unique:digest": "a"},
        [Enqueued("ready", "", "ready")],
    ),
    Case(
        "enqueue",
        "a unique key whose job is over is free",
        {**KNOWN, "unique:digest": "b", "job:b": job("dead", u="digest")},
        _enqueue(("a", "digest", b"body")),
        {**KNOWN, **READY, "job:a": _new("ready", u="digest"), "job:b": job("dead", u="digest"), "unique:digest": "a"},
        [Enqueued("ready", "", "ready")],
    ),
    Case(
        "enqueue",
        "the jobs of a chunk have what they share, and nothing of each other",
        {},
        _enqueue(("a", "k1", b"1" * 130), ("b", "", b"short"), ("c", "k2", b""), options=b"options", trace="trace"),
        {
            **KNOWN,
            "job:a": _new("ready", o="options", g="trace", b="1" * 60, b1="1" * 60, b2="1" * 10, u="k1"),
            "job:b": _new("ready", o="options", g="trace", b="short"),
            "job:c": _new("ready", o="options", g="trace", b="", u="k2"),
            "ready:q:normal": tickets("a", "b", "c", group=False),
            "unique:k1": "a",
            "unique:k2": "c",
        },
        [Enqueued("ready", "", "ready")] * 3,
    ),
    Case(
        "enqueue",
        "a chunk answers for each of its jobs in order",
        {**KNOWN, "job:b": job("running"), "job:d": job("ready", u="digest"), "unique:digest": "d"},
        _enqueue(A, ("b", "", b"body"), ("c", "digest", b"body"), ("a", "", b"body"), ("e", "", b"body")),
        {
            **KNOWN,
            "job:a": _new("ready"),
            "job:b": job("running"),
            "job:d": job("ready", u="digest"),
            "job:e": _new("ready"),
            "ready:q:normal": tickets("a", "e", group=False),
            "unique:digest": "d",
        },
        [
            Enqueued("ready", "", "ready"),
            Enqueued("exists", "", "running"),
            Enqueued("conflict", "d", "ready"),
            Enqueued("exists", "", "ready"),
            Enqueued("ready", "", "ready"),
        ],
    ),
    Case(
        "enqueue",
        "a unique key that is taken in the same chunk is held",
        KNOWN,
        _enqueue(("a", "digest", b"body"), ("b", "digest", b"body")),
        {**KNOWN, **READY, "job:a": _new("ready", u="digest"), "unique:digest": "a"},
        [Enqueued("ready", "", "ready"), Enqueued("conflict", "a", "ready")],
    ),
    Case(
        "enqueue",
        "a queue with a durability that the caller does not claim to keep takes nothing",
        SYNCED,
        _enqueue_keeping("replicated", "fsync-of-another-kind"),
        SYNCED,
        Unprepared("fsync"),
    ),
    Case(
        "enqueue",
        "nor does one whose durability this release does not know",
        after(SYNCED, {"queue:q": {"known": "1", "durability": "paper"}}),
        _enqueue_keeping("replicated", "fsync"),
        after(SYNCED, {"queue:q": {"known": "1", "durability": "paper"}}),
        Unprepared("paper"),
    ),
    Case(
        "enqueue",
        "a queue with a durability says so to a caller that keeps it",
        SYNCED,
        _enqueue_keeping("replicated", "fsync"),
        {**SYNCED, **READY},
        Unconfirmed("fsync", 0, [Enqueued("ready", "", "ready")]),
    ),
    Case(
        "enqueue",
        "also for a job that exists, since the reply to a call that made it may have been lost",
        {**SYNCED, "job:a": job("running")},
        _enqueue_keeping("fsync"),
        {**SYNCED, "job:a": job("running")},
        Unconfirmed("fsync", 0, [Enqueued("exists", "", "running")]),
    ),
    Case(
        "enqueue",
        "a full queue is full whatever its durability",
        {**SYNCED, "queue:q": {"known": "1", "durability": "fsync", "limit": "2"}, "wheel:q": {"x": 1, "y": 2}},
        _enqueue_keeping("fsync"),
        {
            **SYNCED,
            "queue:q": {"known": "1", "durability": "fsync", "limit": "2", **NOTED},
            "wheel:q": {"x": 1, "y": 2},
        },
        Full(Fullness(1500, "jobs", 2, 2, None)),
    ),
    Case(
        "enqueue",
        "a queue without one does not care what the caller keeps",
        KNOWN,
        _enqueue_keeping("fsync"),
        {**KNOWN, **READY},
        [Enqueued("ready", "", "ready")],
    ),
]
