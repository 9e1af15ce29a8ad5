"""Tickets whose job is not to run: what becomes of it, and what a record comes to that no Tidemill wrote."""

from __future__ import annotations

from script_cases.take import EMPTY, LEASE, READY, RUNNING, streams, take, taken
from script_state import HOUR, NOW, Case, State, but, job, tickets
from tidemill.wire.scripts import Takings


def corrupt(what: str) -> str:
    return f"CorruptRecord: the record is not one that Tidemill wrote: {what}"


def _refused(name: str, record: dict[str, str], end: State, event: str) -> Case:
    """A ticket whose job ends, or is gone, while its neighbour runs."""
    return Case(
        "take",
        name,
        {**LEASE, **streams(normal=tickets("a", "b")), "job:a": record, "job:b": READY},
        take(),
        {
            **LEASE,
            **streams(normal=tickets("b@w1")),
            "job:b": RUNNING,
            **end,
            **({"events": [f"{event} a"]} if event else {}),
        },
        Takings([taken("b", 2)]),
    )


CASES = [
    Case(
        "take",
        "a job that has expired ends, its unique key is free, and its waiters know",
        {
            **LEASE,
            **streams(normal=tickets("a")),
            "job:a": job("ready", n=NOW, u="digest", w="p1", o="options"),
            "unique:digest": "a",
            "expiring": {"a": NOW},
        },
        take(),
        {
            **LEASE,
            **EMPTY,
            "job:a": job("expired", n=NOW, u="digest", w="p1", f=NOW, b=None),
            "done:q": {"a": NOW + HOUR},
            "queue:q": {"expired": "1"},
            "events": ["expire a"],
        },
        Takings([]),
        ("waiter:p1 a",),
    ),
    _refused(
        "an expiry that is no time counts as over",
        job("ready", n="soon"),
        {
            "job:a": job("expired", n="soon", f=NOW, b=None),
            "done:q": {"a": NOW + HOUR},
            "queue:q": {"expired": "1"},
        },
        "expire",
    ),
    _refused(
        "a job with a cancel flag ends",
        job("ready", x=1, z=5),
        {
            "job:a": job("cancelled", x=1, z=5, f=NOW, b=None),
            "done:q": {"a": NOW + 5},
            "queue:q": {"cancelled": "1"},
        },
        "cancel",
    ),
    _refused("the ticket of a job that was cancelled goes", job("cancelled"), {"job:a": job("cancelled")}, ""),
    _refused("the ticket of a job that waits in the wheel goes", job("scheduled"), {"job:a": job("scheduled")}, ""),
    Case(
        "take",
        "no field of a foreign hand passes for what was found wrong with a record",
        {**LEASE, **streams(normal=tickets("a")), "job:a": job("ready", corrupt="yes", foreign="yes")},
        take(),
        {
            **LEASE,
            **streams(normal=tickets("a@w1")),
            "job:a": job("running", l="w1", a=1, j=NOW, corrupt="yes", foreign="yes"),
        },
        Takings([taken("a")]),
    ),
    _refused(
        "a record of no known state is a dead letter",
        job("flying\n", u="digest"),
        {
            "job:a": job("dead", u="digest", f=NOW, e=corrupt("its state is flying?")),
            "dead:q": {"a": NOW},
            "queue:q": {"dead": "1"},
        },
        "bury",
    ),
    _refused(
        "a record without a state is a dead letter",
        {"q": "q"},
        {
            "job:a": {"q": "q", "s": "dead", "f": str(NOW), "e": corrupt("its state is missing")},
            "dead:q": {"a": NOW},
            "queue:q": {"dead": "1"},
        },
        "bury",
    ),
    Case(
        "take",
        "a key of another type becomes a dead letter that can be looked at",
        {**LEASE, **streams(normal=tickets("a", "b")), "job:a": "text", "job:b": READY},
        take(),
        {
            **LEASE,
            **streams(normal=tickets("b@w1")),
            "job:a": {"s": "dead", "q": "q", "c": str(NOW), "f": str(NOW), "e": corrupt("its key holds no hash")},
            "job:b": RUNNING,
            "dead:q": {"a": NOW},
            "queue:q": {"dead": "1"},
            "events": ["bury a"],
        },
        Takings([taken("b", 2)]),
    ),
    Case(
        "take",
        "a ticket without a record goes",
        {**LEASE, **streams(normal=tickets("a", "b")), "job:b": READY},
        take(),
        {**LEASE, **streams(normal=tickets("b@w1")), "job:b": RUNNING},
        Takings([taken("b", 2)]),
    ),
    Case(
        "take",
        "a ticket that is left in another queue than its job's leads nowhere",
        {**LEASE, **streams(normal=tickets("a")), "job:a": but(READY, q="r")},
        take(),
        {**LEASE, **EMPTY, "job:a": but(READY, q="r")},
        Takings([]),
    ),
]
