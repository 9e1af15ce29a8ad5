"""RUNNING → DEAD | CANCELLED | READY, as the worker that holds the attempt says; and what all settlements share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from script_state import HOUR, NOW, Call, Case, State, World, after, but, job, tickets
from tidemill.wire.command import Command

RUNNING = job("running", l="w1", a=3, j=8, m="progress")
HELD: State = {"job:a": RUNNING, "ready:q:normal": tickets("a@w1", "other")}
DROPPED = tickets("other")


def settle(
    script: str, *rest: object, ids: tuple[str, ...] = ("a",), incarnation: str = "w1", attempt: int = 3
) -> Call:
    """The call of a settlement script for jobs of lane normal; `rest`: a row's fields behind its fence."""

    def call(world: World) -> Command[Any]:
        rows = [(one, world.entry(one), attempt, *rest) for one in ids]
        method: Callable[..., Command[Any]] = getattr(world.scripts, script)
        clock = {} if script == "release" else {"now_ms": NOW}
        return method(incarnation, "q", "normal", rows, **clock)

    return call


REST: dict[str, tuple[object, ...]] = {
    "complete": (b"result",),
    "retry": (100, b"error"),
    "park": (100, "nobody knows t", "t"),
    "bury": (b"error",),
    "abandon": (),
    "release": (),
}

ENDS_AS = {
    "complete": "succeeded",
    "retry": "scheduled",
    "park": "scheduled",
    "bury": "dead",
    "abandon": "cancelled",
    "release": "ready",
}


def call(script: str, **fence: Any) -> Call:
    return settle(script, *REST[script], **fence)


def _cancelled(**fields: object) -> dict[str, str]:
    return but(but(RUNNING, s="cancelled", f=NOW, b=None, m=None), **fields)


BURY = [
    Case(
        "bury",
        "the job is a dead letter with its error and its arguments, its unique key is free, its waiters know",
        after(
            HELD, {"job:a": but(RUNNING, u="digest", w="p1", n=9), "unique:digest": "a", "expiring": {"a": 9, "b": 9}}
        ),
        call("bury"),
        {
            "job:a": but(RUNNING, s="dead", f=NOW, e="error", m=None, u="digest", w="p1", n=9),
            "ready:q:normal": DROPPED,
            "dead:q": {"a": NOW},
            "expiring": {"b": 9},
            "queue:q": {"dead": "1"},
            "events": ["bury a"],
        },
        [1],
        ("waiter:p1 a",),
    ),
]

ABANDON = [
    Case(
        "abandon",
        "the job is cancelled, and its arguments go",
        after(HELD, {"job:a": but(RUNNING, x=1, u="digest", w="p1"), "unique:digest": "a"}),
        call("abandon"),
        {
            "job:a": _cancelled(x=1, u="digest", w="p1"),
            "ready:q:normal": DROPPED,
            "done:q": {"a": NOW + HOUR},
            "queue:q": {"cancelled": "1"},
            "events": ["cancel a"],
        },
        [1],
        ("waiter:p1 a",),
    ),
    Case(
        "abandon",
        "with a result ttl of 0 nothing of the job stays",
        after(HELD, {"job:a": but(RUNNING, x=1, z=0)}),
        call("abandon"),
        {"ready:q:normal": DROPPED, "queue:q": {"cancelled": "1"}, "events": ["cancel a"]},
        [1],
    ),
]

RELEASE = [
    Case(
        "release",
        "the job goes behind the others of its stream, and its attempt does not count",
        after(HELD, {"job:a": but(RUNNING, v=1)}),
        call("release"),
        {
            "job:a": but(RUNNING, s="ready", v=2, m=None),
            "ready:q:normal": tickets("other", "a"),
            "events": ["release a"],
        },
        [1],
    ),
    Case(
        "release",
        "a job that expires can expire again, and a number that is none stops nobody",
        {
            "job:a": but(RUNNING, n=NOW, v="many"),
            "job:b": but(RUNNING, n="never"),
            "ready:q:normal": tickets("a@w1", "b@w1"),
        },
        call("release", ids=("a", "b")),
        {
            "job:a": but(RUNNING, s="ready", v=1, n=NOW, m=None),
            "job:b": but(RUNNING, s="ready", v=1, n="never", m=None),
            "ready:q:normal": tickets("a", "b"),
            "expiring": {"a": NOW},
            "events": ["release a b"],
        },
        [1, 1],
        ("alarm",),
    ),
]


def _cancel_flag(script: str) -> Case:
    """Every settlement but a success and a release ends a job that was asked to stop."""
    return Case(
        script,
        "a job with a cancel flag ends as cancelled",
        after(HELD, {"job:a": but(RUNNING, x=1, u="digest", w="p1"), "unique:digest": "a"}),
        call(script),
        {
            "job:a": _cancelled(x=1, u="digest", w="p1"),
            "ready:q:normal": DROPPED,
            "done:q": {"a": NOW + HOUR},
            "queue:q": {"cancelled": "1"},
            "events": ["cancel a"],
        },
        [1],
        ("waiter:p1 a",),
    )


def _fenced(script: str) -> list[Case]:
    """What only the holder of the current attempt may do."""
    over = after(HELD, {"job:a": but(RUNNING, s=ENDS_AS[script])})
    other = after(HELD, {"job:a": but(RUNNING, s="expired")})
    gone = after(HELD, {"job:a": None})
    text = after(HELD, {"job:a": "text"})
    strange = after(HELD, {"job:a": but(RUNNING, s="flying")})
    return [
        Case(script, "another incarnation is fenced", HELD, call(script, incarnation="w2"), HELD, [0]),
        Case(script, "an earlier attempt is fenced", HELD, call(script, attempt=2), HELD, [0]),
        Case(script, "a later attempt is fenced", HELD, call(script, attempt=4), HELD, [0]),
        Case(script, "a job that ended otherwise is fenced", other, call(script), other, [0]),
        Case(script, "a job that is gone is fenced", gone, call(script), gone, [0]),
        Case(script, "a record of another type is fenced", text, call(script), text, [0]),
        Case(script, "a record of no known state is fenced", strange, call(script), strange, [0]),
        Case(script, "a repeated call is told that it was done", over, call(script), over, [2]),
        Case(script, "an earlier attempt's repeated call is fenced", over, call(script, attempt=2), over, [0]),
        Case(script, "no jobs, no change", HELD, call(script, ids=()), HELD, []),
    ]


def _progress(attempt: int, incarnation: str = "w1") -> Call:
    return lambda world: world.scripts.progress("a", incarnation, attempt, b"half")


PROGRESS = [
    Case("progress", "it stands in the record", HELD, _progress(3), after(HELD, {"job:a": but(RUNNING, m="half")}), 1),
    Case("progress", "another incarnation is fenced", HELD, _progress(3, "w2"), HELD, 0),
    Case("progress", "an earlier attempt is fenced", HELD, _progress(2), HELD, 0),
    Case("progress", "an unknown job is fenced", {}, _progress(3), {}, 0),
    Case("progress", "a record of another type is fenced", {"job:a": "text"}, _progress(3), {"job:a": "text"}, 0),
]

CASES = [
    *(BURY + ABANDON + RELEASE + PROGRESS),
    *(_cancel_flag(script) for script in ("retry", "park", "bury")),
    *(case for script in REST for case in _fenced(script)),
]
