"""Limits: who may start, who waits in line, and who is let in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from script_cases.enqueue import KNOWN
from script_cases.settlement import REST
from script_cases.take import EMPTY, LEASE, READY, RUNNING
from script_state import HOUR, NOW, Case, State, World, after, but, job, tickets
from tidemill.wire.command import Command
from tidemill.wire.doctoring import CheckedRecords, Row
from tidemill.wire.scripts import Enqueued, NewJob, NewJobs, Promoted, Recovered, Taken, Takings, Ticket

NEVER = 4_000_000_000_000
# Of task t: 500 in a second, at most five at once; and a concurrency of two.
RATE: State = {"limits": {"t": "r2000:5:t"}}
TWO: State = {"limits": {"t": "c2:pay"}}
BEHIND = "it waits for its turn behind others"
FOR_RATE = "it waits for its turn: rate of t"
FOR_PERMIT = "it waits for its turn: concurrency of pay"


def _streams(**lanes: object) -> State:
    return {**EMPTY, **{f"ready:q:{lane}": found for lane, found in lanes.items()}}


def _take() -> Callable[[World], Command[Any]]:
    return lambda world: world.scripts.take("w1", ("q",), 9, now_ms=NOW)


def _take_delivered(job_id: str) -> Callable[[World], Command[Any]]:
    def call(world: World) -> Command[Any]:
        found = [Ticket("q", 1, world.entry(job_id), job_id)]
        return world.scripts.take("w1", ("q",), 9, tickets=found, now_ms=NOW)

    return call


def _taken(name: str, number: int = 1, **changes: Any) -> Taken:
    """A job as `take` returns it; `number`: of its ticket in its stream."""
    usual: dict[str, Any] = {
        "queue": "q",
        "lane": 1,
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
    return Taken(id=name, **{**usual, **changes})


def _at(ms: float) -> str:
    """A rate whose next job is expected so long from now."""
    return f"{(NOW + ms) * 1000:.3f}"


def _waiting(li: str, turn: int, why: str = FOR_PERMIT, **fields: object) -> dict[str, str]:
    return job("scheduled", li=li, i=turn, y=why, **fields)


def _line(limit: str, look_ms: int, **turns: int) -> State:
    """Jobs that wait for a limit, and the agenda that has their line."""
    return {
        f"line:{limit}": turns,
        "wheel:q": dict.fromkeys(turns, NEVER),
        "agenda": {"q": NEVER, f"line:{limit}": look_ms},
    }


def _limited(name: str, li: str, number: int = 1, **changes: Any) -> Any:
    return _taken(name, number, limits=li, **changes)


TAKE = [
    Case(
        "take",
        "of a rate that is free a job takes what it costs",
        {
            **LEASE,
            **RATE,
            **_streams(normal=tickets("a", "b")),
            "job:a": but(READY, li="r1"),
            "job:b": but(READY, li="r1:3"),
        },
        _take(),
        {
            **LEASE,
            **RATE,
            **_streams(normal=tickets("a@w1", "b@w1")),
            "job:a": but(RUNNING, li="r1"),
            "job:b": but(RUNNING, li="r1:3"),
            "limit:r1": _at(8),
        },
        Takings([_limited("a", "r1"), _limited("b", "r1:3", 2)]),
    ),
    Case(
        "take",
        "whom a rate refuses waits in line in the order of arrival, who has no limit starts, and the line is looked at",
        {
            **LEASE,
            **RATE,
            **_streams(normal=tickets("a", "b", "c", "d")),
            **{f"job:{name}": but(READY, li="r1") for name in "abc"},
            "job:d": READY,
            "limit:r1": _at(8),
        },
        _take(),
        {
            **LEASE,
            **RATE,
            **_streams(normal=tickets("a@w1", "d@w1")),
            "job:a": but(RUNNING, li="r1"),
            "job:b": _waiting("r1", 2000, FOR_RATE),
            "job:c": _waiting("r1", 3000, FOR_RATE),
            "job:d": RUNNING,
            "limit:r1": _at(10),
            **_line("r1", NOW + 4, b=2000, c=3000),
            "events": ["limit b c"],
            "queue:q": {"limited": "2"},
        },
        Takings([_limited("a", "r1"), _taken("d", 4)]),
        ("alarm", "alarm"),
    ),
    Case(
        "take",
        "who was let in starts before those that come new, who go behind those in line",
        {
            **LEASE,
            **RATE,
            **_streams(normal=tickets("new", "called")),
            "job:new": but(READY, li="r1"),
            "job:called": but(READY, li="r1", i=500, d=NOW),
            "called:r1": {"called": NOW},
            "job:b": _waiting("r1", 2000, FOR_RATE),
            **_line("r1", NOW + 4, b=2000),
            "limit:r1": _at(8),
        },
        _take(),
        {
            **LEASE,
            **RATE,
            **_streams(normal=tickets("called@w1")),
            "job:called": but(RUNNING, li="r1", i=500, d=NOW),
            "job:new": _waiting("r1", 1000, FOR_RATE),
            "job:b": _waiting("r1", 2000, FOR_RATE),
            **_line("r1", NOW + 4, b=2000, new=1000),
            "limit:r1": _at(10),
            "events": ["limit new"],
            "queue:q": {"limited": "1"},
        },
        Takings([_limited("called", "r1", 2, due_ms=NOW)]),
    ),
    Case(
        "take",
        "who was let in too early keeps his turn",
        {
            **LEASE,
            **RATE,
            **_streams(normal=tickets("a")),
            "job:a": but(READY, li="r1", i=500, d=NOW),
            "called:r1": {"a": NOW},
            "limit:r1": _at(10),
        },
        _take(),
        {
            **LEASE,
            **RATE,
            **EMPTY,
            "job:a": _waiting("r1", 500, FOR_RATE, d=NOW),
            **_line("r1", NOW + 4, a=500),
            "limit:r1": _at(10),
            "events": ["limit a"],
            "queue:q": {"limited": "1"},
        },
        Takings([]),
        ("alarm", "alarm"),
    ),
    Case(
        "take",
        "who comes new takes nothing of what is left for one that was let in behind it",
        {
            **LEASE,
            **TWO,
            **_streams(normal=tickets("new", "called"), high=tickets("x@w2")),
            "job:new": but(READY, li="c1"),
            "job:called": but(READY, li="c1", i=500, d=NOW),
            "called:c1": {"called": NOW},
            "permits:c1": {"x": 5},
            "job:x": job("running", l="w2", a=1, li="c1"),
        },
        _take(),
        {
            **LEASE,
            **TWO,
            **_streams(normal=tickets("called@w1"), high=tickets("x@w2")),
            "job:new": _waiting("c1", 1000),
            "job:called": but(RUNNING, li="c1", i=500, d=NOW),
            "permits:c1": {"x": 5, "called": NOW},
            "job:x": job("running", l="w2", a=1, li="c1"),
            **_line("c1", NOW + 60_000, new=1000),
            "events": ["limit new"],
            "queue:q": {"limited": "1"},
        },
        Takings([_limited("called", "c1", 2, due_ms=NOW)]),
        ("alarm", "alarm"),
    ),
    Case(
        "take",
        "no more permits are given than there are, and what runs elsewhere counts",
        {
            **LEASE,
            **TWO,
            **_streams(normal=tickets("a", "b")),
            "job:a": but(READY, li="c1"),
            "job:b": but(READY, li="c1"),
            "permits:c1": {"x": 5},
            "job:x": job("running", l="w2", a=1, li="c1"),
            "ready:q:high": tickets("x@w2"),
        },
        _take(),
        {
            **LEASE,
            **TWO,
            **_streams(normal=tickets("a@w1"), high=tickets("x@w2")),
            "job:a": but(RUNNING, li="c1"),
            "job:b": _waiting("c1", 2000),
            "job:x": job("running", l="w2", a=1, li="c1"),
            "permits:c1": {"x": 5, "a": NOW},
            **_line("c1", NOW + 60_000, b=2000),
            "events": ["limit b"],
            "queue:q": {"limited": "1"},
        },
        Takings([_limited("a", "c1")]),
        ("alarm", "alarm"),
    ),
    Case(
        "take",
        "a job that one of its limits refuses takes of none",
        {
            **LEASE,
            "limits": {"t": "r2000:5:t c2:pay"},
            **_streams(normal=tickets("a")),
            "job:a": but(READY, li="r1 c1"),
            "permits:c1": {"x": 5, "y": 5},
            **{f"job:{name}": job("running", l="w2", a=1, li="c1") for name in "xy"},
            "ready:q:high": tickets("x@w2", "y@w2"),
        },
        _take(),
        {
            **LEASE,
            "limits": {"t": "r2000:5:t c2:pay"},
            **_streams(high=tickets("x@w2", "y@w2")),
            "job:a": _waiting("r1 c1", 1000),
            "permits:c1": {"x": 5, "y": 5},
            **{f"job:{name}": job("running", l="w2", a=1, li="c1") for name in "xy"},
            **_line("c1", NOW + 60_000, a=1000),
            "events": ["limit a"],
            "queue:q": {"limited": "1"},
        },
        Takings([]),
        ("alarm", "alarm"),
    ),
    Case(
        "take",
        "the limits of a queue hold for all of its jobs, and are noted in each",
        {
            **LEASE,
            **_streams(normal=tickets("a", "b")),
            "queue:q": {"rate": "2000:1", "concurrency": "9"},
            "job:a": READY,
            "job:b": READY,
        },
        _take(),
        {
            **LEASE,
            **_streams(normal=tickets("a@w1")),
            "queue:q": {"rate": "2000:1", "concurrency": "9", "limited": "1"},
            "job:a": but(RUNNING, li=" rq.q cq.q"),
            "job:b": _waiting(" rq.q cq.q", 2000, "it waits for its turn: rate of q"),
            "limit:rq.q": _at(2),
            "permits:cq.q": {"a": NOW},
            **_line("rq.q", NOW + 2, b=2000),
            "events": ["limit b"],
        },
        Takings([_limited("a", " rq.q cq.q")]),
        ("alarm", "alarm"),
    ),
    Case(
        "take",
        "limits that nobody declared, or of another kind, or that a foreign hand wrote, hold nothing back",
        {
            **LEASE,
            "limits": {"t": "c1:pay r0:0:x nonsense"},
            **_streams(normal=tickets("a")),
            "job:a": but(READY, li="r1 r2 r3 r4"),
        },
        _take(),
        {
            **LEASE,
            "limits": {"t": "c1:pay r0:0:x nonsense"},
            **_streams(normal=tickets("a@w1")),
            "job:a": but(RUNNING, li="r1 r2 r3 r4"),
        },
        Takings([_limited("a", "r1 r2 r3 r4")]),
    ),
    Case(
        "take",
        "a stray has its permit",
        {
            **LEASE,
            **TWO,
            **_streams(normal=tickets("a@w1")),
            "job:a": job("running", l="w1", a=4, j=6, v=1, li="c1"),
            "permits:c1": {"a": 6, "x": 6},
            "job:x": job("running", l="w1", a=1, li="c1"),
            "ready:q:high": tickets("x@w1"),
        },
        _take_delivered("a"),
        {
            **LEASE,
            **TWO,
            **_streams(normal=tickets("a@w1")),
            "job:a": job("running", l="w1", a=5, j=NOW, v=2, li="c1"),
            "permits:c1": {"a": 6, "x": 6},
            "job:x": job("running", l="w1", a=1, li="c1"),
            "ready:q:high": tickets("x@w1"),
        },
        Takings([_limited("a", "c1", attempt=5, uncounted=2)]),
    ),
]

HELD: State = {
    **TWO,
    "job:a": job("running", l="w1", a=1, j=8, li="c1"),
    "job:z": job("running", l="w2", a=1, j=8, li="c1"),
    "permits:c1": {"a": 8, "z": 8},
    "ready:q:normal": tickets("a@w1", "z@w2"),
    "job:b": _waiting("c1", 2000),
    "job:c": _waiting("c1", 3000),
    **_line("c1", NOW + 60_000, b=2000, c=3000),
}
# One was let in, and one still waits.
NEXT: State = {
    "permits:c1": {"z": 8},
    "called:c1": {"b": NOW},
    "ready:q:normal": tickets("z@w2", "b"),
    "job:b": job("ready", li="c1", i=2000, d=NOW),
    **_line("c1", NOW + 1000, c=3000),
}


def _settle(script: str, incarnation: str = "w1") -> Any:
    def call(world: World) -> Command[Any]:
        clock = {} if script == "release" else {"now_ms": NOW}
        rows = [("a", world.entry("a"), 1, *REST[script])]
        method: Any = getattr(world.scripts, script)
        found: Command[Any] = method(incarnation, "q", "normal", rows, **clock)
        return found

    return call


def _settled(script: str, record: dict[str, str], more: State, reply: object = None, **changes: Any) -> Case:
    return Case(
        script,
        "its permit goes to the next in line",
        HELD,
        _settle(script),
        after(HELD, {**NEXT, "job:a": record, **more, **changes}),
        reply if reply is not None else [1],
        ("alarm",),
    )


SETTLE = [
    _settled(
        "complete",
        but(job("succeeded", l="w1", a=1, j=8, f=NOW, r="result", li="c1"), b=None),
        {"done:q": {"a": NOW + HOUR}, "queue:q": {"succeeded": "1"}, "events": ["complete a"]},
    ),
    _settled(
        "bury",
        job("dead", l="w1", a=1, j=8, f=NOW, e="error", li="c1"),
        {"dead:q": {"a": NOW}, "queue:q": {"dead": "1"}, "events": ["bury a"]},
    ),
    Case(
        "complete",
        "a fenced worker gives back nothing",
        HELD,
        _settle("complete", "w9"),
        HELD,
        [0],
    ),
    Case(
        "release",
        "its permit is free, and a scheduler is told",
        HELD,
        _settle("release"),
        after(
            HELD,
            {
                "permits:c1": {"z": 8},
                "job:a": job("ready", l="w1", a=1, j=8, v=1, li="c1"),
                "ready:q:normal": tickets("z@w2", "a"),
                "agenda": {"q": NEVER, "line:c1": 0},
                "events": ["release a"],
            },
        ),
        [1],
        ("alarm",),
    ),
    Case(
        "recover",
        "the permits of a dead worker go to the next in line",
        {**HELD, "workers": {"w1": NOW - 1}},
        lambda world: world.scripts.recover("w1", "q", 10, 3, b"lost", now_ms=NOW),
        after(
            HELD,
            {
                **NEXT,
                "workers": {"w1": NOW - 1},
                "job:a": job("ready", l="w1", a=1, j=8, k=1, v=1, li="c1"),
                "ready:q:normal": tickets("z@w2", "a", "b"),
                "queue:q": {"recovered": "1"},
                "events": ["recover a"],
            },
        ),
        Recovered(1, ["a"], []),
        ("alarm",),
    ),
    Case(
        "cancel",
        "who is cancelled leaves the line",
        HELD,
        lambda world: world.scripts.cancel(["b"], now_ms=NOW),
        after(
            HELD,
            {
                "job:b": but(job("cancelled", li="c1", f=NOW), b=None),
                "line:c1": {"c": 3000},
                "wheel:q": {"c": NEVER},
                "agenda": {"q": NEVER, "line:c1": 0},
                "done:q": {"b": NOW + HOUR},
                "queue:q": {"cancelled": "1"},
                "events": ["cancel b"],
            },
        ),
        ["cancelled"],
        ("alarm",),
    ),
]

ADMIT = [
    Case(
        "admit",
        "nobody waits: the line leaves the agenda",
        {"agenda": {"line:c1": 0, "q": NOW}},
        lambda world: world.scripts.admit("c1", now_ms=NOW),
        {"agenda": {"q": NOW}},
        Promoted(0, None, more_due=False, full=False),
    ),
    Case(
        "admit",
        "as many are let in as a rate allows, and when more may come is known",
        {
            **RATE,
            **{f"job:{name}": _waiting("r1", turn, FOR_RATE) for name, turn in (("a", 1), ("b", 2), ("c", 3))},
            **_line("r1", NOW, a=1, b=2, c=3),
            "limit:r1": _at(5),
        },
        lambda world: world.scripts.admit("r1", now_ms=NOW),
        {
            **RATE,
            **{f"job:{name}": job("ready", li="r1", i=turn, d=NOW) for name, turn in (("a", 1), ("b", 2))},
            "job:c": _waiting("r1", 3, FOR_RATE),
            **_line("r1", NOW + 3, c=3),
            "called:r1": {"a": NOW, "b": NOW},
            "ready:q:normal": tickets("a", "b", group=False),
            "limit:r1": _at(5),
        },
        Promoted(2, NOW + 3, more_due=False, full=False),
    ),
    Case(
        "admit",
        "those that were let in and are not yet taken count; the last one leaves nothing behind",
        {
            **TWO,
            "job:a": job("ready", li="c1", i=1, d=NOW),
            "called:c1": {"a": NOW - 5},
            "ready:q:normal": tickets("a"),
            "job:b": _waiting("c1", 2),
            **_line("c1", NOW, b=2),
        },
        lambda world: world.scripts.admit("c1", now_ms=NOW),
        {
            **TWO,
            "job:a": job("ready", li="c1", i=1, d=NOW),
            "job:b": job("ready", li="c1", i=2, d=NOW),
            "called:c1": {"a": NOW - 5, "b": NOW},
            "ready:q:normal": tickets("a", "b"),
        },
        Promoted(1, None, more_due=False, full=False),
    ),
]

ENQUEUE = [
    Case(
        "enqueue",
        "who comes new goes behind those in line; who has no line, or another, does not",
        {**KNOWN, **TWO, "job:b": _waiting("c1", 2000), **_line("c1", NOW + 5, b=2000)},
        lambda world: world.scripts.enqueue(
            NewJobs("q", "t", limits="c1\nc2"), [NewJob("a", "", b"body"), NewJob("c", "", b"body")], now_ms=NOW
        ),
        {
            **KNOWN,
            **TWO,
            "job:b": _waiting("c1", 2000),
            "job:a": but(_waiting("c1", NOW * 1000 + 999, BEHIND), c=NOW),
            "job:c": but(job("ready", li="c2"), c=NOW),
            "ready:q:normal": tickets("c", group=False),
            **_line("c1", NOW + 5, b=2000, a=NOW * 1000 + 999),
        },
        [Enqueued("scheduled", "", "scheduled"), Enqueued("ready", "", "ready")],
    ),
    Case(
        "promote",
        "who is due goes behind those in line",
        {
            **TWO,
            "job:a": job("scheduled", li="c1", d=NOW),
            "job:b": _waiting("c1", 2000),
            **after(_line("c1", NOW + 5, b=2000), {"wheel:q": {"a": NOW, "b": NEVER}}),
        },
        lambda world: world.scripts.promote("q", 10, 100, now_ms=NOW),
        {
            **TWO,
            "job:a": _waiting("c1", NOW * 1000 + 999, BEHIND, d=NOW),
            "job:b": _waiting("c1", 2000),
            **_line("c1", NOW + 5, b=2000, a=NOW * 1000 + 999),
        },
        Promoted(0, NEVER, more_due=False, full=False),
    ),
]

CONFINE = [
    Case(
        "confine",
        "a running job learns its limits",
        {"job:a": RUNNING},
        lambda world: world.scripts.confine(_taken("a"), "c1"),
        {"job:a": but(RUNNING, li="c1")},
        1,
    ),
    Case(
        "confine",
        "one that is another's does not",
        {"job:a": but(RUNNING, l="w2")},
        lambda world: world.scripts.confine(_taken("a"), "c1"),
        {"job:a": but(RUNNING, l="w2")},
        0,
    ),
]

CHECK = [
    Case(
        "check_places",
        "a permit is held by who runs, and room is told to the line",
        after(HELD, {"permits:c1": {"a": 8, "b": 8, "gone": 8}}),
        lambda world: world.scripts.check_places("permits", world.keys.permits("c1"), "c1", "0", 100, repair=True),
        after(HELD, {"permits:c1": {"a": 8}, "agenda": {"q": NEVER, "line:c1": 0}}),
        ("0", [("misplaced", "b", "scheduled", True), ("misplaced", "gone", "", True)]),
        ("alarm",),
    ),
    Case(
        "check_places",
        "a line that nobody looks after, with a job of another limit",
        after(HELD, {"agenda": {"q": NEVER}, "job:b": _waiting("c2", 2000), "line:c2": {"b": 2000}}),
        lambda world: world.scripts.check_places("line", world.keys.line("c1"), "c1", "0", 100, repair=True),
        after(
            HELD,
            {
                "agenda": {"q": NEVER, "line:c1": 0},
                "line:c1": {"c": 3000},
                "job:b": _waiting("c2", 2000),
                "line:c2": {"b": 2000},
            },
        ),
        ("0", [("misplaced", "b", "scheduled", True), ("line_stopped", "c1", "", True)]),
        ("alarm",),
    ),
    Case(
        "check_records",
        "who waits for a limit and stands in no line is due now",
        {"job:b": _waiting("c1", 2000), "wheel:q": {"b": NEVER}, "agenda": {"q": NEVER}},
        lambda world: world.scripts.check_records(["b"], repair=True, now_ms=NOW),
        {"job:b": job("scheduled", li="c1"), "wheel:q": {"b": NOW}, "agenda": {"q": NOW}},
        CheckedRecords([Row("not_in_line", "b", "", True)], []),
        ("alarm",),
    ),
]

DECLARE = [
    Case(
        "declare_limits",
        "tasks get limits, lose them, and keep those of others",
        {"limits": {"t": "r2000:5:t", "other": "c2:pay"}},
        lambda world: world.scripts.declare_limits({"new": "c7:pay", "t": ""}),
        {"limits": {"new": "c7:pay", "other": "c2:pay"}},
        1,
    ),
    Case(
        "declare_limits", "tasks without limits leave nothing", {}, lambda w: w.scripts.declare_limits({"t": ""}), {}, 1
    ),
]

CASES = [*DECLARE, *CHECK, *CONFINE, *TAKE, *SETTLE, *ADMIT, *ENQUEUE]
