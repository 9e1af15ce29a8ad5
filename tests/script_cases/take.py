"""READY → RUNNING, and what a ticket comes to when its job is not to run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from script_state import HOUR, NOW, Case, State, World, but, job, tickets
from tidemill.wire.command import Command
from tidemill.wire.scripts import Taken, Takings, Ticket

LEASE: State = {"workers": {"w1": NOW + 100}}
LANES = ("high", "normal", "low")


def _take(
    slots: int = 9, reserved: tuple[int, int] = (0, 0), *, queues: tuple[str, ...] = ("q",)
) -> Callable[[World], Command[Any]]:
    return lambda world: world.scripts.take("w1", queues, slots, reserved, now_ms=NOW)


def _take_delivered(*ids: str, slots: int = 9, lane: str = "normal") -> Callable[[World], Command[Any]]:
    """With tickets that were delivered before: by a blocking read, or by a take whose reply was lost."""

    def call(world: World) -> Command[Any]:
        found = [Ticket("q", LANES.index(lane), world.entry(one, lane), one) for one in ids]
        return world.scripts.take("w1", ("q",), slots, tickets=found, now_ms=NOW)

    return call


def _taken(name: str, number: int = 1, lane: str = "normal", **changes: Any) -> Taken:
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
STRAY = job("running", l="w1", a=4, j=6, v=1)
EMPTY = {f"ready:q:{lane}": tickets() for lane in LANES}


def _streams(**lanes: object) -> State:
    return {**EMPTY, **{f"ready:q:{lane}": found for lane, found in lanes.items()}}


def _corrupt(what: str) -> str:
    return f"CorruptRecord: the record is not one that Tidemill wrote: {what}"


def _refused(name: str, record: dict[str, str], end: State, event: str) -> Case:
    """A ticket whose job ends, or is gone, while its neighbour runs."""
    return Case(
        "take",
        name,
        {**LEASE, **_streams(normal=tickets("a", "b")), "job:a": record, "job:b": READY},
        _take(),
        {
            **LEASE,
            **_streams(normal=tickets("b@w1")),
            "job:b": RUNNING,
            **end,
            **({"events": [f"{event} a"]} if event else {}),
        },
        Takings([_taken("b", 2)]),
    )


CASES = [
    Case(
        "take",
        "a worker without a lease takes nothing",
        {"workers": {"w2": NOW + 100}, **_streams(normal=tickets("a")), "job:a": READY},
        _take(),
        {"workers": {"w2": NOW + 100}, **_streams(normal=tickets("a")), "job:a": READY},
        None,
    ),
    Case("take", "nothing is there", {**LEASE, **EMPTY}, _take(), {**LEASE, **EMPTY}, Takings([])),
    Case(
        "take",
        "the fence is written, and everything that the run needs is handed out",
        {
            **LEASE,
            **_streams(normal=tickets("a")),
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
        _take(),
        {
            **LEASE,
            **_streams(normal=tickets("a@w1")),
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
                _taken(
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
            **_streams(high=tickets("a"), normal=tickets("b", "c"), low=tickets("d")),
            **{f"job:{name}": READY for name in "abcd"},
        },
        _take(2),
        {
            **LEASE,
            **_streams(high=tickets("a@w1"), normal=tickets("b@w1", "c"), low=tickets("d")),
            "job:a": RUNNING,
            "job:b": RUNNING,
            "job:c": READY,
            "job:d": READY,
        },
        Takings([_taken("a", lane="high"), _taken("b")]),
    ),
    Case(
        "take",
        "reserved slots go to low and to normal, though high would fill them",
        {
            **LEASE,
            **_streams(high=tickets("a", "b", "c"), normal=tickets("d", "e"), low=tickets("f", "g")),
            **{f"job:{name}": READY for name in "abcdefg"},
        },
        _take(3, (1, 1)),
        {
            **LEASE,
            **_streams(high=tickets("a@w1", "b", "c"), normal=tickets("d@w1", "e"), low=tickets("f@w1", "g")),
            **{f"job:{name}": RUNNING for name in "adf"},
            **{f"job:{name}": READY for name in "bceg"},
        },
        Takings([_taken("f", lane="low"), _taken("d"), _taken("a", lane="high")]),
    ),
    Case(
        "take",
        "a reserve that its lane can't use falls through",
        {**LEASE, **_streams(high=tickets("a", "b")), "job:a": READY, "job:b": READY},
        _take(2, (1, 1)),
        {**LEASE, **_streams(high=tickets("a@w1", "b@w1")), "job:a": RUNNING, "job:b": RUNNING},
        Takings([_taken("a", lane="high"), _taken("b", 2, lane="high")]),
    ),
    Case(
        "take",
        "more reserved than there are slots takes no more than the slots",
        {**LEASE, **_streams(normal=tickets("a"), low=tickets("b")), "job:a": READY, "job:b": READY},
        _take(1, (1, 1)),
        {**LEASE, **_streams(normal=tickets("a"), low=tickets("b@w1")), "job:a": READY, "job:b": RUNNING},
        Takings([_taken("b", lane="low")]),
    ),
    Case(
        "take",
        "a reserve counts once, however many queues there are",
        {
            **LEASE,
            **_streams(high=tickets("a"), low=tickets("b")),
            "ready:other:high": tickets("d"),
            "ready:other:normal": tickets(),
            "ready:other:low": tickets("c"),
            **{f"job:{name}": READY for name in "abc"},
            "job:d": but(READY, q="other"),
        },
        _take(3, (1, 0), queues=("q", "other")),
        {
            **LEASE,
            **_streams(high=tickets("a@w1"), low=tickets("b@w1")),
            "ready:other:high": tickets("d@w1"),
            "ready:other:normal": tickets(),
            "ready:other:low": tickets("c"),
            **{f"job:{name}": RUNNING for name in "ab"},
            "job:d": but(RUNNING, q="other"),
            "job:c": READY,
        },
        Takings([_taken("b", lane="low"), _taken("a", lane="high"), _taken("d", lane="high", queue="other")]),
    ),
    Case(
        "take",
        "a paused queue keeps its tickets, and the others are read",
        {
            **LEASE,
            **_streams(normal=tickets("a")),
            **{f"ready:other:{lane}": tickets() for lane in LANES},
            "ready:other:low": tickets("c"),
            "queue:q": {"paused": "1"},
            "job:a": READY,
            "job:c": but(READY, q="other"),
        },
        _take(queues=("q", "other")),
        {
            **LEASE,
            **_streams(normal=tickets("a")),
            **{f"ready:other:{lane}": tickets() for lane in LANES},
            "ready:other:low": tickets("c@w1"),
            "queue:q": {"paused": "1"},
            "job:a": READY,
            "job:c": but(RUNNING, q="other"),
        },
        Takings([_taken("c", lane="low", queue="other")], frozenset({"q"})),
    ),
    Case(
        "take",
        "a stream without its group is reported, and the others are read",
        {**LEASE, **_streams(normal=tickets("a"), high=tickets("b", group=False)), "job:a": READY, "job:b": READY},
        _take(),
        {**LEASE, **_streams(normal=tickets("a@w1"), high=tickets("b", group=False)), "job:a": RUNNING, "job:b": READY},
        Takings([_taken("a")], missing_groups=True),
    ),
    # -- tickets that were delivered before ---------------------------------------------------------------------
    Case(
        "take",
        "a ticket that a blocking read delivered is taken first, and uses a slot",
        {**LEASE, **_streams(normal=tickets("a@w1", "b")), "job:a": READY, "job:b": READY},
        _take_delivered("a", slots=1),
        {**LEASE, **_streams(normal=tickets("a@w1", "b")), "job:a": RUNNING, "job:b": READY},
        Takings([_taken("a")]),
    ),
    Case(
        "take",
        "a job whose reply was lost is taken again, and that attempt does not count",
        {**LEASE, **_streams(normal=tickets("a@w1")), "job:a": STRAY},
        _take_delivered("a"),
        {**LEASE, **_streams(normal=tickets("a@w1")), "job:a": but(STRAY, a=5, v=2, j=NOW)},
        Takings([_taken("a", attempt=5, uncounted=2)]),
    ),
    Case(
        "take",
        "a stray with numbers that are none is taken all the same",
        {**LEASE, **_streams(normal=tickets("a@w1")), "job:a": but(STRAY, a="many", v="more", k="x", d="y", c="z")},
        _take_delivered("a"),
        {
            **LEASE,
            **_streams(normal=tickets("a@w1")),
            "job:a": but(STRAY, a=1, v=1, j=NOW, k="x", d="y", c="z"),
        },
        Takings([_taken("a", attempt=1, uncounted=1, created_ms=0)]),
    ),
    Case(
        "take",
        "a ticket that is another consumer's by now is left alone: the job would run without one of its own",
        {**LEASE, **_streams(normal=tickets("a@w2")), "job:a": READY},
        _take_delivered("a"),
        {**LEASE, **_streams(normal=tickets("a@w2")), "job:a": READY},
        Takings([]),
    ),
    Case(
        "take",
        "a ticket that was recovered meanwhile is left alone, and its successor is read",
        {**LEASE, **_streams(normal=tickets("a")), "job:a": READY},
        lambda world: world.scripts.take("w1", ("q",), 9, tickets=[Ticket("q", 1, "0-1", "a")], now_ms=NOW),
        {**LEASE, **_streams(normal=tickets("a@w1")), "job:a": RUNNING},
        Takings([_taken("a")]),
    ),
    Case(
        "take",
        "a delivered ticket of a stream that has lost its group is left alone",
        {**LEASE, **_streams(normal=tickets("a", group=False)), "job:a": READY},
        _take_delivered("a"),
        {**LEASE, **_streams(normal=tickets("a", group=False)), "job:a": READY},
        Takings([], missing_groups=True),
    ),
    Case(
        "take",
        "a delivered ticket of a paused queue goes back behind the others",
        {**LEASE, **_streams(normal=tickets("a@w1", "b")), "queue:q": {"paused": "1"}, "job:a": READY, "job:b": READY},
        _take_delivered("a"),
        {**LEASE, **_streams(normal=tickets("b", "a")), "queue:q": {"paused": "1"}, "job:a": READY, "job:b": READY},
        Takings([], frozenset({"q"})),
    ),
    Case(
        "take",
        "a stray of a paused queue goes back as ready, so that any worker can take it",
        {
            **LEASE,
            **_streams(normal=tickets("a@w1")),
            "queue:q": {"paused": "1"},
            "job:a": but(STRAY, n=NOW + 5),
        },
        _take_delivered("a"),
        {
            **LEASE,
            **_streams(normal=tickets("a")),
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
            **_streams(normal=tickets("gone@w1", "over@w1", "a@w1")),
            "queue:q": {"paused": "1"},
            "job:over": job("cancelled"),
            "job:a": "text",
        },
        _take_delivered("gone", "over", "a"),
        {
            **LEASE,
            **_streams(normal=tickets("a")),
            "queue:q": {"paused": "1"},
            "job:over": job("cancelled"),
            "job:a": "text",
        },
        Takings([], frozenset({"q"})),
    ),
    # -- jobs that are not to run -------------------------------------------------------------------------------
    Case(
        "take",
        "a job that has expired ends, its unique key is free, and its waiters know",
        {
            **LEASE,
            **_streams(normal=tickets("a")),
            "job:a": job("ready", n=NOW, u="digest", w="p1", o="options"),
            "unique:digest": "a",
            "expiring": {"a": NOW},
        },
        _take(),
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
        {**LEASE, **_streams(normal=tickets("a")), "job:a": job("ready", corrupt="yes", foreign="yes")},
        _take(),
        {
            **LEASE,
            **_streams(normal=tickets("a@w1")),
            "job:a": job("running", l="w1", a=1, j=NOW, corrupt="yes", foreign="yes"),
        },
        Takings([_taken("a")]),
    ),
    _refused(
        "a record of no known state is a dead letter",
        job("flying\n", u="digest"),
        {
            "job:a": job("dead", u="digest", f=NOW, e=_corrupt("its state is flying?")),
            "dead:q": {"a": NOW},
            "queue:q": {"dead": "1"},
        },
        "bury",
    ),
    _refused(
        "a record without a state is a dead letter",
        {"q": "q"},
        {
            "job:a": {"q": "q", "s": "dead", "f": str(NOW), "e": _corrupt("its state is missing")},
            "dead:q": {"a": NOW},
            "queue:q": {"dead": "1"},
        },
        "bury",
    ),
    Case(
        "take",
        "a key of another type becomes a dead letter that can be looked at",
        {**LEASE, **_streams(normal=tickets("a", "b")), "job:a": "text", "job:b": READY},
        _take(),
        {
            **LEASE,
            **_streams(normal=tickets("b@w1")),
            "job:a": {"s": "dead", "q": "q", "c": str(NOW), "f": str(NOW), "e": _corrupt("its key holds no hash")},
            "job:b": RUNNING,
            "dead:q": {"a": NOW},
            "queue:q": {"dead": "1"},
            "events": ["bury a"],
        },
        Takings([_taken("b", 2)]),
    ),
    Case(
        "take",
        "a ticket without a record goes",
        {**LEASE, **_streams(normal=tickets("a", "b")), "job:b": READY},
        _take(),
        {**LEASE, **_streams(normal=tickets("b@w1")), "job:b": RUNNING},
        Takings([_taken("b", 2)]),
    ),
    Case(
        "take",
        "a second ticket of a job, left of an earlier one of its id, does not make it run twice",
        {**LEASE, **_streams(normal=tickets("a", "a")), "job:a": READY},
        _take(),
        {**LEASE, **_streams(normal=tickets("a@w1", "a@w1")), "job:a": RUNNING},
        Takings([_taken("a")]),
    ),
    Case(
        "take",
        "a ticket that is delivered again, since its group was destroyed, goes to the worker that runs the job",
        {"workers": {"w1": NOW + 100, "w2": NOW - 5}, **_streams(normal=tickets("a")), "job:a": but(STRAY, l="w2")},
        _take(),
        {
            "workers": {"w1": NOW + 100, "w2": NOW - 5},
            **_streams(normal=tickets("a@w2")),
            "job:a": but(STRAY, l="w2"),
        },
        Takings([]),
    ),
    Case(
        "take",
        "also when a blocking read has delivered it",
        {"workers": {"w1": NOW + 100, "w2": NOW - 5}, **_streams(normal=tickets("a@w1")), "job:a": but(STRAY, l="w2")},
        _take_delivered("a"),
        {"workers": {"w1": NOW + 100, "w2": NOW - 5}, **_streams(normal=tickets("a@w2")), "job:a": but(STRAY, l="w2")},
        Takings([]),
    ),
    Case(
        "take",
        "and when the queue is paused, it stays for that worker",
        {
            **LEASE,
            **_streams(normal=tickets("a@w1")),
            "queue:q": {"paused": "1"},
            "job:a": but(STRAY, l="w2"),
        },
        _take_delivered("a"),
        {**LEASE, **_streams(normal=tickets("a")), "queue:q": {"paused": "1"}, "job:a": but(STRAY, l="w2")},
        Takings([], frozenset({"q"})),
    ),
    Case(
        "take",
        "and when that worker is gone, the job has lost its worker",
        {**LEASE, **_streams(normal=tickets("a")), "job:a": but(STRAY, l="w2", k=1, m="half", n=NOW + 9)},
        _take(),
        {
            **LEASE,
            **_streams(normal=tickets("a")),
            "job:a": but(STRAY, l="w2", s="ready", k=2, v=2, n=NOW + 9),
            "expiring": {"a": NOW + 9},
        },
        Takings([]),
        ("alarm",),
    ),
    Case(
        "take",
        "but not to blame is one that only waited in it",
        {**LEASE, **_streams(normal=tickets("a")), "job:a": but(STRAY, l="w2", k=1, h=1)},
        _take(),
        {**LEASE, **_streams(normal=tickets("a")), "job:a": but(STRAY, l="w2", s="ready", k=1, v=2)},
        Takings([]),
    ),
    Case(
        "take",
        "nor when both were delivered and the first reply was lost",
        {**LEASE, **_streams(normal=tickets("a@w1", "a@w1")), "job:a": STRAY},
        lambda world: world.scripts.take(
            "w1", ("q",), 9, tickets=[Ticket("q", 1, "1-0", "a"), Ticket("q", 1, "2-0", "a")], now_ms=NOW
        ),
        {**LEASE, **_streams(normal=tickets("a@w1", "a@w1")), "job:a": but(STRAY, a=5, j=NOW, v=2)},
        Takings([_taken("a", attempt=5, uncounted=2)]),
    ),
    Case(
        "take",
        "a ticket that is left in another queue than its job's leads nowhere",
        {**LEASE, **_streams(normal=tickets("a")), "job:a": but(READY, q="r")},
        _take(),
        {**LEASE, **EMPTY, "job:a": but(READY, q="r")},
        Takings([]),
    ),
    Case(
        "take",
        "a stray with a cancel flag ends",
        {**LEASE, **_streams(normal=tickets("a@w1")), "job:a": but(STRAY, x=1)},
        _take_delivered("a"),
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
