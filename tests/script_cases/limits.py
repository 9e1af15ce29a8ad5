"""Limits: who may start, who waits in line, and who is let in."""

from __future__ import annotations

from typing import Any

from script_cases.enqueue import KNOWN
from script_cases.take import RUNNING, taken
from script_state import NOW, Case, State, after, but, job, tickets
from tidemill.wire.doctoring import CheckedRecords, Row
from tidemill.wire.scripts import Enqueued, NewJob, NewJobs, Promoted

NEVER = 4_000_000_000_000
# Of task t: 500 in a second, at most five at once; and a concurrency of two.
RATE: State = {"limits": {"t": "r2000:5:t"}}
TWO: State = {"limits": {"t": "c2:pay"}}
BEHIND = "it waits for its turn behind others"
FOR_RATE = "it waits for its turn: rate of t"
FOR_PERMIT = "it waits for its turn: concurrency of pay"


def rate_at(ms: float) -> str:
    """A rate whose next job is expected so long from now."""
    return f"{(NOW + ms) * 1000:.3f}"


def waiting(li: str, turn: int, why: str = FOR_PERMIT, **fields: object) -> dict[str, str]:
    return job("scheduled", li=li, i=turn, y=why, **fields)


def line(limit: str, look_ms: int, **turns: int) -> State:
    """Jobs that wait for a limit, and the agenda that has their line."""
    return {
        f"line:{limit}": turns,
        "wheel:q": dict.fromkeys(turns, NEVER),
        "agenda": {"q": NEVER, f"line:{limit}": look_ms},
    }


def limited(name: str, li: str, number: int = 1, **changes: Any) -> Any:
    return taken(name, number, limits=li, **changes)


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
            **{f"job:{name}": waiting("r1", turn, FOR_RATE) for name, turn in (("a", 1), ("b", 2), ("c", 3))},
            **line("r1", NOW, a=1, b=2, c=3),
            "limit:r1": rate_at(5),
        },
        lambda world: world.scripts.admit("r1", now_ms=NOW),
        {
            **RATE,
            **{f"job:{name}": job("ready", li="r1", i=turn, d=NOW) for name, turn in (("a", 1), ("b", 2))},
            "job:c": waiting("r1", 3, FOR_RATE),
            **line("r1", NOW + 3, c=3),
            "called:r1": {"a": NOW, "b": NOW},
            "ready:q:normal": tickets("a", "b", group=False),
            "limit:r1": rate_at(5),
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
            "job:b": waiting("c1", 2),
            **line("c1", NOW, b=2),
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
        {**KNOWN, **TWO, "job:b": waiting("c1", 2000), **line("c1", NOW + 5, b=2000)},
        lambda world: world.scripts.enqueue(
            NewJobs("q", "t", limits="c1\nc2"), [NewJob("a", "", b"body"), NewJob("c", "", b"body")], now_ms=NOW
        ),
        {
            **KNOWN,
            **TWO,
            "job:b": waiting("c1", 2000),
            "job:a": but(waiting("c1", NOW * 1000 + 999, BEHIND), c=NOW),
            "job:c": but(job("ready", li="c2"), c=NOW),
            "ready:q:normal": tickets("c", group=False),
            **line("c1", NOW + 5, b=2000, a=NOW * 1000 + 999),
        },
        [Enqueued("scheduled", "", "scheduled"), Enqueued("ready", "", "ready")],
    ),
    Case(
        "promote",
        "who is due goes behind those in line",
        {
            **TWO,
            "job:a": job("scheduled", li="c1", d=NOW),
            "job:b": waiting("c1", 2000),
            **after(line("c1", NOW + 5, b=2000), {"wheel:q": {"a": NOW, "b": NEVER}}),
        },
        lambda world: world.scripts.promote("q", 10, 100, now_ms=NOW),
        {
            **TWO,
            "job:a": waiting("c1", NOW * 1000 + 999, BEHIND, d=NOW),
            "job:b": waiting("c1", 2000),
            **line("c1", NOW + 5, b=2000, a=NOW * 1000 + 999),
        },
        Promoted(0, NEVER, more_due=False, full=False),
    ),
]

HELD: State = {
    **TWO,
    "job:a": job("running", l="w1", a=1, j=8, li="c1"),
    "job:z": job("running", l="w2", a=1, j=8, li="c1"),
    "permits:c1": {"a": 8, "z": 8},
    "ready:q:normal": tickets("a@w1", "z@w2"),
    "job:b": waiting("c1", 2000),
    "job:c": waiting("c1", 3000),
    **line("c1", NOW + 60_000, b=2000, c=3000),
}

CONFINE = [
    Case(
        "confine",
        "a running job learns its limits",
        {"job:a": RUNNING},
        lambda world: world.scripts.confine(taken("a"), "c1"),
        {"job:a": but(RUNNING, li="c1")},
        1,
    ),
    Case(
        "confine",
        "one that is another's does not",
        {"job:a": but(RUNNING, l="w2")},
        lambda world: world.scripts.confine(taken("a"), "c1"),
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
        after(HELD, {"agenda": {"q": NEVER}, "job:b": waiting("c2", 2000), "line:c2": {"b": 2000}}),
        lambda world: world.scripts.check_places("line", world.keys.line("c1"), "c1", "0", 100, repair=True),
        after(
            HELD,
            {
                "agenda": {"q": NEVER, "line:c1": 0},
                "line:c1": {"c": 3000},
                "job:b": waiting("c2", 2000),
                "line:c2": {"b": 2000},
            },
        ),
        ("0", [("misplaced", "b", "scheduled", True), ("line_stopped", "c1", "", True)]),
        ("alarm",),
    ),
    Case(
        "check_records",
        "who waits for a limit and stands in no line is due now",
        {"job:b": waiting("c1", 2000), "wheel:q": {"b": NEVER}, "agenda": {"q": NEVER}},
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

CASES = [*DECLARE, *CHECK, *CONFINE, *ADMIT, *ENQUEUE]
