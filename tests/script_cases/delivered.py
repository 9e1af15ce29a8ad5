"""Tickets that were delivered before a take: by a blocking read, by a take whose reply was lost, to a group that is
gone."""

from __future__ import annotations

from typing import Any

from script_cases.take import EMPTY, LANES, LEASE, READY, RUNNING, streams, take, taken
from script_state import HOUR, NOW, Call, Case, World, but, job, tickets
from tidemill.wire.command import Command
from tidemill.wire.scripts import Takings, Ticket

STRAY = job("running", l="w1", a=4, j=6, v=1)


def take_delivered(*ids: str, slots: int = 9, lane: str = "normal") -> Call:
    """With tickets that were delivered before: by a blocking read, or by a take whose reply was lost."""

    def call(world: World) -> Command[Any]:
        found = [Ticket("q", LANES.index(lane), world.entry(one, lane), one) for one in ids]
        return world.scripts.take("w1", ("q",), slots, tickets=found, now_ms=NOW)

    return call


CASES = [
    Case(
        "take",
        "a ticket that a blocking read delivered is taken first, and uses a slot",
        {**LEASE, **streams(normal=tickets("a@w1", "b")), "job:a": READY, "job:b": READY},
        take_delivered("a", slots=1),
        {**LEASE, **streams(normal=tickets("a@w1", "b")), "job:a": RUNNING, "job:b": READY},
        Takings([taken("a")]),
    ),
    Case(
        "take",
        "a job whose reply was lost is taken again, and that attempt does not count",
        {**LEASE, **streams(normal=tickets("a@w1")), "job:a": STRAY},
        take_delivered("a"),
        {**LEASE, **streams(normal=tickets("a@w1")), "job:a": but(STRAY, a=5, v=2, j=NOW)},
        Takings([taken("a", attempt=5, uncounted=2)]),
    ),
    Case(
        "take",
        "a stray with numbers that are none is taken all the same",
        {**LEASE, **streams(normal=tickets("a@w1")), "job:a": but(STRAY, a="many", v="more", k="x", d="y", c="z")},
        take_delivered("a"),
        {
            **LEASE,
            **streams(normal=tickets("a@w1")),
            "job:a": but(STRAY, a=1, v=1, j=NOW, k="x", d="y", c="z"),
        },
        Takings([taken("a", attempt=1, uncounted=1, created_ms=0)]),
    ),
    Case(
        "take",
        "a ticket that is another consumer's by now is left alone: the job would run without one of its own",
        {**LEASE, **streams(normal=tickets("a@w2")), "job:a": READY},
        take_delivered("a"),
        {**LEASE, **streams(normal=tickets("a@w2")), "job:a": READY},
        Takings([]),
    ),
    Case(
        "take",
        "a ticket that was recovered meanwhile is left alone, and its successor is read",
        {**LEASE, **streams(normal=tickets("a")), "job:a": READY},
        lambda world: world.scripts.take("w1", ("q",), 9, tickets=[Ticket("q", 1, "0-1", "a")], now_ms=NOW),
        {**LEASE, **streams(normal=tickets("a@w1")), "job:a": RUNNING},
        Takings([taken("a")]),
    ),
    Case(
        "take",
        "a delivered ticket of a stream that has lost its group is left alone",
        {**LEASE, **streams(normal=tickets("a", group=False)), "job:a": READY},
        take_delivered("a"),
        {**LEASE, **streams(normal=tickets("a", group=False)), "job:a": READY},
        Takings([], missing_groups=True),
    ),
    Case(
        "take",
        "a delivered ticket of a paused queue goes back behind the others",
        {**LEASE, **streams(normal=tickets("a@w1", "b")), "queue:q": {"paused": "1"}, "job:a": READY, "job:b": READY},
        take_delivered("a"),
        {**LEASE, **streams(normal=tickets("b", "a")), "queue:q": {"paused": "1"}, "job:a": READY, "job:b": READY},
        Takings([], frozenset({"q"})),
    ),
    Case(
        "take",
        "a stray of a paused queue goes back as ready, so that any worker can take it",
        {
            **LEASE,
            **streams(normal=tickets("a@w1")),
            "queue:q": {"paused": "1"},
            "job:a": but(STRAY, n=NOW + 5),
        },
        take_delivered("a"),
        {
            **LEASE,
            **streams(normal=tickets("a")),
            "queue:q": {"paused": "1"},
            "job:a": but(STRAY, s="ready", v=2, n=NOW + 5),
            "expiring": {"a": NOW + 5},
        },
        Takings([], frozenset({"q"})),
        ("alarm",),
    ),
    Case(
        "take",
        "tickets of a paused queue that lead nowhere go, and those of corrupt records stay for a burial",
        {
            **LEASE,
            **streams(normal=tickets("gone@w1", "over@w1", "a@w1")),
            "queue:q": {"paused": "1"},
            "job:over": job("cancelled"),
            "job:a": "text",
        },
        take_delivered("gone", "over", "a"),
        {
            **LEASE,
            **streams(normal=tickets("a")),
            "queue:q": {"paused": "1"},
            "job:over": job("cancelled"),
            "job:a": "text",
        },
        Takings([], frozenset({"q"})),
    ),
    Case(
        "take",
        "a second ticket of a job, left of an earlier one of its id, does not make it run twice",
        {**LEASE, **streams(normal=tickets("a", "a")), "job:a": READY},
        take(),
        {**LEASE, **streams(normal=tickets("a@w1", "a@w1")), "job:a": RUNNING},
        Takings([taken("a")]),
    ),
    Case(
        "take",
        "a ticket that is delivered again, since its group was destroyed, goes to the worker that runs the job",
        {"workers": {"w1": NOW + 100, "w2": NOW - 5}, **streams(normal=tickets("a")), "job:a": but(STRAY, l="w2")},
        take(),
        {
            "workers": {"w1": NOW + 100, "w2": NOW - 5},
            **streams(normal=tickets("a@w2")),
            "job:a": but(STRAY, l="w2"),
        },
        Takings([]),
    ),
    Case(
        "take",
        "also when a blocking read has delivered it",
        {"workers": {"w1": NOW + 100, "w2": NOW - 5}, **streams(normal=tickets("a@w1")), "job:a": but(STRAY, l="w2")},
        take_delivered("a"),
        {"workers": {"w1": NOW + 100, "w2": NOW - 5}, **streams(normal=tickets("a@w2")), "job:a": but(STRAY, l="w2")},
        Takings([]),
    ),
    Case(
        "take",
        "and when the queue is paused, it stays for that worker",
        {
            **LEASE,
            **streams(normal=tickets("a@w1")),
            "queue:q": {"paused": "1"},
            "job:a": but(STRAY, l="w2"),
        },
        take_delivered("a"),
        {**LEASE, **streams(normal=tickets("a")), "queue:q": {"paused": "1"}, "job:a": but(STRAY, l="w2")},
        Takings([], frozenset({"q"})),
    ),
    Case(
        "take",
        "and when that worker is gone, the job has lost its worker",
        {**LEASE, **streams(normal=tickets("a")), "job:a": but(STRAY, l="w2", k=1, m="half", n=NOW + 9)},
        take(),
        {
            **LEASE,
            **streams(normal=tickets("a")),
            "job:a": but(STRAY, l="w2", s="ready", k=2, v=2, n=NOW + 9),
            "expiring": {"a": NOW + 9},
        },
        Takings([]),
        ("alarm",),
    ),
    Case(
        "take",
        "but not to blame is one that only waited in it",
        {**LEASE, **streams(normal=tickets("a")), "job:a": but(STRAY, l="w2", k=1, h=1)},
        take(),
        {**LEASE, **streams(normal=tickets("a")), "job:a": but(STRAY, l="w2", s="ready", k=1, v=2)},
        Takings([]),
    ),
    Case(
        "take",
        "nor when both were delivered and the first reply was lost",
        {**LEASE, **streams(normal=tickets("a@w1", "a@w1")), "job:a": STRAY},
        lambda world: world.scripts.take(
            "w1", ("q",), 9, tickets=[Ticket("q", 1, "1-0", "a"), Ticket("q", 1, "2-0", "a")], now_ms=NOW
        ),
        {**LEASE, **streams(normal=tickets("a@w1", "a@w1")), "job:a": but(STRAY, a=5, j=NOW, v=2)},
        Takings([taken("a", attempt=5, uncounted=2)]),
    ),
    Case(
        "take",
        "a stray with a cancel flag ends",
        {**LEASE, **streams(normal=tickets("a@w1")), "job:a": but(STRAY, x=1)},
        take_delivered("a"),
        {
            **LEASE,
            **EMPTY,
            "job:a": but(STRAY, x=1, s="cancelled", f=NOW, b=None),
            "done:q": {"a": NOW + HOUR},
            "queue:q": {"cancelled": "1"},
            "events": ["cancel a"],
        },
        Takings([]),
    ),
]
