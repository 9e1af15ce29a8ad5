"""What the doctor finds and mends beside jobs: locks, leases, consumers, and what is known of a queue."""

from __future__ import annotations

from script_cases.doctoring import DIGEST
from script_state import HOUR, NOW, Call, Case, State, after, job, tickets

LOCKS: State = {
    "job:a": job("ready", u=DIGEST[::-1]),
    "job:b": job("dead", u=DIGEST),
    "dead:q": {"b": 1},
    "ready:q:normal": tickets("a"),
    f"unique:{DIGEST[::-1]}": "a",
    f"unique:{DIGEST}": "b",
}

CHECK_LOCKS = [
    Case(
        "check_locks",
        "the lock of a job that is over goes",
        LOCKS,
        lambda world: world.scripts.check_locks([DIGEST[::-1], DIGEST, "f" * 32], repair=True),
        after(LOCKS, {f"unique:{DIGEST}": None}),
        [("lock_without_job", DIGEST, "b", True)],
    ),
    Case(
        "check_locks",
        "looking changes nothing",
        LOCKS,
        lambda world: world.scripts.check_locks([DIGEST[::-1], DIGEST, "f" * 32], repair=False),
        LOCKS,
        [("lock_without_job", DIGEST, "b", False)],
    ),
]

WORKERS: State = {
    "workers": {"w1": NOW, "w2": NOW + 1, "over": NOW - 60, "w4": NOW - 61},
    "worker:w1": {"pid": "1"},
    "worker:w3": {"pid": "3"},
}

CHECK_WORKERS = [
    Case(
        "check_workers",
        "a lease gets its description, and a description that would stay for ever goes",
        WORKERS,
        lambda world: world.scripts.check_workers(
            ["w1", "w2", "w3", "over", "w4", "gone"], 61, 9_000, repair=True, now_ms=NOW
        ),
        after(
            WORKERS,
            {"worker:w2": {"lease_ms": "9000"}, "worker:w3": None, "worker:w4": {"lease_ms": "9000"}},
        ),
        [
            ("worker_not_described", "w2", "", True),
            ("worker_without_lease", "w3", "", True),
            ("worker_not_described", "w4", "", True),
        ],
    ),
]

CONSUMERS: State = {
    "job:a": job("running", l="w1", a=1),
    "job:b": job("running", l="w2", a=1),
    "workers": {"w1": NOW},
    "ready:q:normal": tickets("a@w1", "b@w2"),
}


def _consumers(idle_ms: int, *, repair: bool = True) -> Call:
    return lambda world: world.scripts.check_consumers("q", "normal", idle_ms, 9_000, repair=repair, now_ms=NOW)


CHECK_CONSUMERS = [
    Case(
        "check_consumers",
        "one without a lease, but with tickets, is handed to the reaper",
        CONSUMERS,
        _consumers(0),
        after(CONSUMERS, {"workers": {"w1": NOW, "w2": NOW + 9_000}, "worker:w2": {"lease_ms": "9000"}}),
        [("consumer_without_lease", "w2", "1", True)],
        ("alarm",),
    ),
    Case(
        "check_consumers",
        "one that was active just now may be a late read's",
        CONSUMERS,
        _consumers(HOUR),
        CONSUMERS,
        [],
    ),
]

QUEUES: State = {
    "queues": {"known", "empty"},
    "queue:known": {"known": "1"},
    "job:a": job("scheduled", d=NOW + 1),
    "job:b": job("scheduled", q="known", d=NOW + 1),
    "wheel:q": {"a": NOW + 1},
    "wheel:known": {"b": NOW + 1},
    "agenda": {"known": NOW + 2},
}

CHECK_QUEUES = [
    Case(
        "check_queues",
        "a queue that has keys is made known, and its wheel is looked at in time",
        QUEUES,
        lambda world: world.scripts.check_queues(["known", "empty", "q", "none"], repair=True, now_ms=NOW),
        after(QUEUES, {"queues": {"known", "empty", "q"}, "agenda": {"known": NOW + 1, "q": NOW + 1}}),
        [("agenda_late", "known", "", True), ("queue_unknown", "q", "", True), ("agenda_late", "q", "", True)],
        ("alarm",),
    ),
    Case(
        "check_queues",
        "a wheel that is looked at now, when more was due than the streams had room for, is fine",
        after(QUEUES, {"agenda": {"known": NOW, "q": NOW + 1}, "queues": {"known", "q"}}),
        lambda world: world.scripts.check_queues(["known", "q"], repair=True, now_ms=NOW + 5),
        after(QUEUES, {"agenda": {"known": NOW, "q": NOW + 1}, "queues": {"known", "q"}}),
        [],
    ),
]

CASES = [*CHECK_LOCKS, *CHECK_WORKERS, *CHECK_CONSUMERS, *CHECK_QUEUES]
