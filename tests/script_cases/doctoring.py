"""What the doctor finds of records and places, and mends. More kinds of damage, those that a table can't show, are in
tests/doctor."""

from __future__ import annotations

from script_state import HOUR, NOW, Call, Case, State, after, job, tickets

DIGEST = "0123456789abcdef0123456789abcdef"


def _records(*ids: str, repair: bool = True) -> Call:
    return lambda world: world.scripts.check_records(ids, repair=repair, now_ms=NOW)


def _places(kind: str, place: str, queue: str = "q", *, repair: bool = True) -> Call:
    return lambda world: world.scripts.check_places(
        kind, world.keys.root + place, queue, cursor="0", page=100, repair=repair
    )


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

CASES = [*CHECK_RECORDS, *CHECK_PLACES]
