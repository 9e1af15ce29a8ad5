"""What the doctor's checks find and mend. More kinds of damage, those that a table can't show, are in tests/doctor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from script_state import HOUR, NOW, Case, State, World, after, but, job, tickets
from tidemill.wire.command import Command

Call = Callable[[World], Command[Any]]

DIGEST = "0123456789abcdef0123456789abcdef"


def _records(*ids: str, repair: bool = True) -> Call:
    return lambda world: world.scripts.check_records(ids, repair=repair, now_ms=NOW)


def _places(kind: str, place: str, queue: str = "q", *, repair: bool = True) -> Call:
    return lambda world: world.scripts.check_places(
        kind, world.keys.root + place, queue, cursor="0", page=100, repair=repair
    )


def _tickets(*, repair: bool = True, moved_on_ms: int = -1_000) -> Call:
    """Every worker counts as one that has read again, unless `moved_on_ms` says otherwise."""
    return lambda world: world.scripts.check_tickets(
        "q", "normal", cursor="", page=100, moved_on_ms=moved_on_ms, repair=repair
    )


def _reinstate(*jobs: tuple[str, str], repair: bool = True) -> Call:
    return lambda world: world.scripts.reinstate([(one, mark.encode()) for one, mark in jobs], repair=repair)


NOWHERE: State = {
    "job:a": job("scheduled", d=NOW + 5, n=NOW + 9, u=DIGEST),
    "job:b": job("scheduled"),
    "job:c": job("dead", f=NOW - 7),
    "job:d": job("succeeded"),
    "job:e": job("expired", z=60_000),
}
NOWHERE_FOUND = (
    ("not_in_wheel", "a"),
    ("not_expiring", "a"),
    ("lock_missing", "a"),
    ("not_in_wheel", "b"),
    ("not_among_dead", "c"),
    ("not_among_finished", "d"),
    ("not_among_finished", "e"),
)
# What a check that finds nothing answers.
NOTHING: list[object] = []

CHECK_RECORDS = [
    Case(
        "check_records",
        "a record without its place is put there",
        NOWHERE,
        _records("a", "b", "c", "d", "e"),
        after(
            NOWHERE,
            {
                "wheel:q": {"a": NOW + 5, "b": NOW},
                "agenda": {"q": NOW},
                "expiring": {"a": NOW + 9},
                f"unique:{DIGEST}": "a",
                "dead:q": {"c": NOW - 7},
                "done:q": {"d": NOW + HOUR, "e": NOW + 60_000},
            },
        ),
        ([(kind, one, "", True) for kind, one in NOWHERE_FOUND], NOTHING),
        ("alarm", "alarm", "alarm"),
    ),
    Case(
        "check_records",
        "looking changes nothing",
        NOWHERE,
        _records("a", "b", "c", "d", "e", repair=False),
        NOWHERE,
        ([(kind, one, "", False) for kind, one in NOWHERE_FOUND], NOTHING),
    ),
    Case(
        "check_records",
        "those in their places are fine, and those with tickets are returned with their marks",
        {
            "job:a": job("scheduled", d=NOW + 5),
            "job:b": job("dead"),
            "job:c": job("cancelled"),
            "job:d": job("ready", a=2, v=1),
            "job:e": job("running", l="w1", a=3),
            "wheel:q": {"a": NOW + 5},
            "agenda": {"q": NOW + 5},
            "dead:q": {"b": 1},
            "done:q": {"c": 1},
            "ready:q:normal": tickets("e@w1", "d"),
        },
        _records("a", "b", "c", "d", "e", "gone"),
        {
            "job:a": job("scheduled", d=NOW + 5),
            "job:b": job("dead"),
            "job:c": job("cancelled"),
            "job:d": job("ready", a=2, v=1),
            "job:e": job("running", l="w1", a=3),
            "wheel:q": {"a": NOW + 5},
            "agenda": {"q": NOW + 5},
            "dead:q": {"b": 1},
            "done:q": {"c": 1},
            "ready:q:normal": tickets("e@w1", "d"),
        },
        (NOTHING, [("d", "q", "", b"ready  2 1 7"), ("e", "q", "w1", b"running w1 3  7")]),
    ),
    Case(
        "check_records",
        "a unique key that another job holds, which is not over, stays with that",
        {
            "job:a": job("ready", u=DIGEST),
            "job:b": job("ready", u=DIGEST),
            f"unique:{DIGEST}": "b",
            "ready:q:normal": tickets("a", "b"),
        },
        _records("a", "b"),
        {
            "job:a": job("ready", u=DIGEST),
            "job:b": job("ready", u=DIGEST),
            f"unique:{DIGEST}": "b",
            "ready:q:normal": tickets("a", "b"),
        },
        ([("lock_missing", "a", "b", False)], [("a", "q", "", b"ready    7"), ("b", "q", "", b"ready    7")]),
    ),
    Case(
        "check_records",
        "a record that no Tidemill wrote is said to be so, and needs a ticket if it is nowhere",
        {"job:a": job("dancing"), "job:b": job("flying"), "job:c": {"s": "ready"}, "done:q": {"b": 1}},
        _records("a", "b", "c"),
        {"job:a": job("dancing"), "job:b": job("flying"), "job:c": {"s": "ready"}, "done:q": {"b": 1}},
        (
            [
                ("corrupt_record", "a", "its state is dancing", False),
                ("corrupt_record", "b", "its state is flying", False),
                ("corrupt_record", "c", "its queue is missing", False),
            ],
            [("a", "q", "", b"its state is dancing    7")],
        ),
    ),
]

WHEEL: State = {
    "job:a": job("scheduled"),
    "job:b": job("ready"),
    "job:c": job("scheduled", q="other"),
    "job:d": job("dancing"),
    "ready:q:normal": tickets("b"),
    "wheel:other": {"c": 3},
    "agenda": {"q": 1, "other": 3},
    "wheel:q": {"a": 1, "b": 2, "c": 3, "d": 4, "gone": 5},
}
PARKED: State = {
    "job:a": job("scheduled", y="unknown task"),
    "job:b": job("scheduled"),
    "job:c": job("succeeded"),
    "wheel:q": {"a": 1, "b": 1},
    "agenda": {"q": 1},
    "done:q": {"c": 1},
    "parked:t": {"a": 1, "b": 2, "c": 3},
}

CHECK_PLACES = [
    Case(
        "check_places",
        "who does not belong into a wheel is taken out",
        WHEEL,
        _places("wheel", "wheel:q"),
        after(WHEEL, {"wheel:q": {"a": 1, "d": 4}}),
        (
            "0",
            [
                ("misplaced", "b", "ready", True),
                ("misplaced", "c", "scheduled", True),
                ("misplaced", "gone", "", True),
            ],
        ),
    ),
    Case(
        "check_places",
        "looking changes nothing",
        WHEEL,
        _places("wheel", "wheel:q", repair=False),
        WHEEL,
        (
            "0",
            [
                ("misplaced", "b", "ready", False),
                ("misplaced", "c", "scheduled", False),
                ("misplaced", "gone", "", False),
            ],
        ),
    ),
    Case(
        "check_places",
        "only parked jobs belong into the index of parked ones",
        PARKED,
        _places("parked", "parked:t", ""),
        after(PARKED, {"parked:t": {"a": 1}}),
        ("0", [("misplaced", "b", "scheduled", True), ("misplaced", "c", "succeeded", True)]),
    ),
    Case(
        "check_places",
        "what expires waits, in whichever queue",
        {"job:a": job("ready"), "ready:q:normal": tickets("a"), "expiring": {"a": 1, "gone": 2}},
        _places("expiring", "expiring", ""),
        {"job:a": job("ready"), "ready:q:normal": tickets("a"), "expiring": {"a": 1}},
        ("0", [("misplaced", "gone", "", True)]),
    ),
]

HELD: State = {
    "job:own": job("running", l="w1", a=1),
    "job:late": job("ready"),
    "job:other": job("running", l="w2", a=1),
    "job:over": job("cancelled"),
    "job:waits": job("cancelled"),
    "done:q": {"over": 1, "waits": 1},
    "workers": {"w1": NOW, "w2": NOW},
    "ready:q:normal": tickets("own@w1", "other@w2", "late@w1", "other@w1", "over@w1", "gone@w1", "over@dead", "waits"),
}
HELD_TICKETS = [("own", "w1"), ("other", "w2"), ("late", "w1"), ("over", "dead"), ("waits", "")]

REUSED: State = {
    "job:a": job("ready", q="other"),
    "job:b": job("running", q="other", l="w1", a=1),
    "ready:other:normal": tickets("b@w1", "a"),
    "workers": {"w1": NOW},
    "ready:q:normal": tickets("a@w1", "b@w1", "a"),
}

CHECK_TICKETS = [
    Case(
        "check_tickets",
        "a ticket of an earlier job, whose id another queue's job has now, is no ticket of that",
        REUSED,
        _tickets(),
        after(REUSED, {"ready:q:normal": tickets("a")}),
        ("", [("a", "")], [("ticket_without_job", "a", "w1", True), ("ticket_without_job", "b", "w1", True)]),
    ),
    Case(
        "check_tickets",
        "a worker that has read on has left these tickets behind",
        HELD,
        _tickets(),
        after(HELD, {"ready:q:normal": tickets("own@w1", "other@w2", "over@dead", "waits", "late")}),
        (
            "",
            HELD_TICKETS,
            [
                ("ticket_not_taken", "late", "w1", True),
                ("ticket_without_job", "other", "w1", True),
                ("ticket_without_job", "over", "w1", True),
                ("ticket_without_job", "gone", "w1", True),
            ],
        ),
    ),
    Case(
        "check_tickets",
        "one that has not read since may yet take them, or drop them",
        HELD,
        _tickets(moved_on_ms=60_000),
        HELD,
        ("", [*HELD_TICKETS[:3], ("other", "w1"), ("over", "w1"), ("gone", "w1"), *HELD_TICKETS[3:]], NOTHING),
    ),
    Case(
        "check_tickets",
        "what waits is fine, whatever became of its job",
        {"job:a": job("ready"), "ready:q:normal": tickets("a", "gone", group=False)},
        _tickets(),
        {"job:a": job("ready"), "ready:q:normal": tickets("a", "gone", group=False)},
        ("", [("a", ""), ("gone", "")], NOTHING),
    ),
]

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

LOST: State = {
    "job:a": job("ready", p="high"),
    "job:b": job("running", l="dead", a=2, n=NOW + 9, m="progress"),
    "job:e": job("running", l="dead", a=2, k=1, h=1),
    "job:c": job("running", l="w1", a=1),
    "job:d": job("ready", a=1),
    "workers": {"w1": NOW},
}

REINSTATE = [
    Case(
        "reinstate",
        "a ready job gets a ticket and a new fence; one that runs nowhere is ready again; a worker's own stays",
        LOST,
        _reinstate(
            ("a", "ready    7"),
            ("b", "running dead 2  7"),
            ("c", "running w1 1  7"),
            ("d", "ready    7"),
            ("e", "running dead 2  7"),
        ),
        after(
            LOST,
            {
                "job:a": job("ready", p="high", a=1, v=1),
                "job:b": but(job("running", l="dead", a=2, n=NOW + 9), s="ready", k=1, v=1, m=None),
                "ready:q:high": tickets("a", group=False),
                "job:e": job("ready", l="dead", a=2, k=1, v=1),
                "ready:q:normal": tickets("b", "e", group=False),
                "expiring": {"b": NOW + 9},
                "events": ["reinstate a b e"],
            },
        ),
        [
            ("ready_without_ticket", "a", "", True),
            ("running_without_ticket", "b", "", True),
            ("running_without_ticket", "c", "w1", False),
            ("running_without_ticket", "e", "", True),
        ],
        ("alarm",),
    ),
    Case(
        "reinstate",
        "looking changes nothing",
        LOST,
        _reinstate(("a", "ready    7"), ("b", "running dead 2  7"), repair=False),
        LOST,
        [("ready_without_ticket", "a", "", False), ("running_without_ticket", "b", "", False)],
    ),
]

CASES = [
    *CHECK_RECORDS,
    *CHECK_PLACES,
    *CHECK_TICKETS,
    *CHECK_LOCKS,
    *CHECK_WORKERS,
    *CHECK_CONSUMERS,
    *CHECK_QUEUES,
    *REINSTATE,
]
