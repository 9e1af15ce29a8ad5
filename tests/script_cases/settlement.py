"""RUNNING → SUCCEEDED | SCHEDULED | DEAD | CANCELLED | READY, as the worker that holds the attempt says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from script_state import HOUR, NOW, Case, State, World, after, but, job, tickets
from tidemill.wire.command import Command

Call = Callable[[World], Command[Any]]

RUNNING = job("running", l="w1", a=3, j=8, m="progress")
HELD: State = {"job:a": RUNNING, "ready:q:normal": tickets("a@w1", "other")}
DROPPED = tickets("other")


def _settle(
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


def _call(script: str, **fence: Any) -> Call:
    return _settle(script, *REST[script], **fence)


def _succeeded(**fields: object) -> dict[str, str]:
    return but(but(RUNNING, s="succeeded", f=NOW, r="result", b=None, m=None), **fields)


def _cancelled(**fields: object) -> dict[str, str]:
    return but(but(RUNNING, s="cancelled", f=NOW, b=None, m=None), **fields)


COMPLETE = [
    Case(
        "complete",
        "the result is kept, the arguments and the ticket go",
        after(HELD, {"job:a": but(RUNNING, o="options", e="old error", x=1)}),
        _call("complete"),
        {
            "job:a": _succeeded(),
            "ready:q:normal": DROPPED,
            "done:q": {"a": NOW + HOUR},
            "queue:q": {"succeeded": "1"},
            "events": ["complete a"],
        },
        [1],
    ),
    Case(
        "complete",
        "a result that is None is not written",
        after(HELD, {"job:a": but(RUNNING, b1="more", b2="more", b3="more", y="reason")}),
        _settle("complete", b""),
        {
            "job:a": _succeeded(r=None),
            "ready:q:normal": DROPPED,
            "done:q": {"a": NOW + HOUR},
            "queue:q": {"succeeded": "1"},
            "events": ["complete a"],
        },
        [1],
    ),
    Case(
        "complete",
        "a batch is settled job by job, and a fenced one among them stays",
        {
            "job:a": RUNNING,
            "job:b": but(RUNNING, a=4),
            "job:c": RUNNING,
            "ready:q:normal": tickets("a@w1", "b@w1", "c@w1"),
            "queue:q": {"succeeded": "5"},
        },
        _settle("complete", b"result", ids=("a", "b", "c")),
        {
            "job:a": _succeeded(),
            "job:b": but(RUNNING, a=4),
            "job:c": _succeeded(),
            "ready:q:normal": tickets("b@w1"),
            "done:q": {"a": NOW + HOUR, "c": NOW + HOUR},
            "queue:q": {"succeeded": "7"},
            "events": ["complete a c"],
        },
        [1, 0, 1],
    ),
    Case(
        "complete",
        "the unique key is free, every waiter is told, and the result outlives its ttl for them",
        after(
            HELD, {"job:a": but(RUNNING, u="digest", w="p1 p2", n=9, z=5), "unique:digest": "a", "expiring": {"a": 9}}
        ),
        _call("complete"),
        {
            "job:a": _succeeded(u="digest", w="p1 p2", n=9, z=5),
            "ready:q:normal": DROPPED,
            "done:q": {"a": NOW + 60_000},
            "queue:q": {"succeeded": "1"},
            "events": ["complete a"],
        },
        [1],
        ("waiter:p1 a", "waiter:p2 a"),
    ),
    Case(
        "complete",
        "a unique key that another job holds stays its own",
        after(HELD, {"job:a": but(RUNNING, u="digest"), "unique:digest": "b"}),
        _call("complete"),
        {
            "job:a": _succeeded(u="digest"),
            "ready:q:normal": DROPPED,
            "unique:digest": "b",
            "done:q": {"a": NOW + HOUR},
            "queue:q": {"succeeded": "1"},
            "events": ["complete a"],
        },
        [1],
    ),
    Case(
        "complete",
        "with a result ttl of 0 nothing of the job stays",
        after(HELD, {"job:a": but(RUNNING, z=0, u="digest"), "unique:digest": "a"}),
        _call("complete"),
        {"ready:q:normal": DROPPED, "queue:q": {"succeeded": "1"}, "events": ["complete a"]},
        [1],
    ),
    Case(
        "complete",
        "a result ttl that is no number counts as the default",
        after(HELD, {"job:a": but(RUNNING, z="soon")}),
        _call("complete"),
        {
            "job:a": _succeeded(z="soon"),
            "ready:q:normal": DROPPED,
            "done:q": {"a": NOW + HOUR},
            "queue:q": {"succeeded": "1"},
            "events": ["complete a"],
        },
        [1],
    ),
]

_SCHEDULED = but(RUNNING, s="scheduled", d=NOW + 100, m=None)

RETRY = [
    Case(
        "retry",
        "the job waits in the wheel with its error, and schedulers wake for it",
        HELD,
        _call("retry"),
        {
            "job:a": but(_SCHEDULED, e="error"),
            "ready:q:normal": DROPPED,
            "wheel:q": {"a": NOW + 100},
            "agenda": {"q": NOW + 100},
            "queue:q": {"retried": "1"},
            "events": ["retry a"],
        },
        [1],
        ("alarm",),
    ),
    Case(
        "retry",
        "the earliest of a batch stands in the agenda",
        {
            "job:a": RUNNING,
            "job:b": RUNNING,
            "ready:q:normal": tickets("a@w1", "b@w1"),
            "agenda": {"q": NOW + 100_000},
            "wheel:q": {"x": NOW + 100_000},
        },
        lambda world: world.scripts.retry(
            "w1",
            "q",
            "normal",
            [("a", world.entry("a"), 3, 50, b"error"), ("b", world.entry("b"), 3, 40, b"error")],
            now_ms=NOW,
        ),
        {
            "job:a": but(_SCHEDULED, e="error", d=NOW + 50),
            "job:b": but(_SCHEDULED, e="error", d=NOW + 40),
            "ready:q:normal": tickets(),
            "wheel:q": {"a": NOW + 50, "b": NOW + 40, "x": NOW + 100_000},
            "agenda": {"q": NOW + 40},
            "queue:q": {"retried": "2"},
            "events": ["retry a b"],
        },
        [1, 1],
        ("alarm",),
    ),
    Case(
        "retry",
        "a job that expires can expire again while it waits",
        after(HELD, {"job:a": but(RUNNING, n=NOW + 70)}),
        _call("retry"),
        {
            "job:a": but(_SCHEDULED, e="error", n=NOW + 70),
            "ready:q:normal": DROPPED,
            "wheel:q": {"a": NOW + 100},
            "agenda": {"q": NOW + 100},
            "expiring": {"a": NOW + 70},
            "queue:q": {"retried": "1"},
            "events": ["retry a"],
        },
        [1],
        ("alarm", "alarm"),
    ),
    Case(
        "retry",
        "the unique key stays held",
        after(HELD, {"job:a": but(RUNNING, u="digest"), "unique:digest": "a", "agenda": {"other": 1}}),
        _call("retry"),
        {
            "job:a": but(_SCHEDULED, e="error", u="digest"),
            "ready:q:normal": DROPPED,
            "unique:digest": "a",
            "wheel:q": {"a": NOW + 100},
            "agenda": {"q": NOW + 100, "other": 1},
            "queue:q": {"retried": "1"},
            "events": ["retry a"],
        },
        [1],
    ),
]

PARK = [
    Case(
        "park",
        "the job waits with the reason, its attempt does not count, and its task's next worker finds it",
        HELD,
        _call("park"),
        {
            "job:a": but(_SCHEDULED, y="nobody knows t", v=1),
            "ready:q:normal": DROPPED,
            "wheel:q": {"a": NOW + 100},
            "agenda": {"q": NOW + 100},
            "parked:t": {"a": NOW},
            "queue:q": {"parked": "1"},
            "events": ["park a"],
        },
        [1],
        ("alarm",),
    ),
    Case(
        "park",
        "what was uncounted before adds up, and what is no number begins anew",
        {
            "job:a": but(RUNNING, v=4),
            "job:b": but(RUNNING, v="many"),
            "ready:q:normal": tickets("a@w1", "b@w1"),
            "agenda": {"other": 1},
        },
        _call("park", ids=("a", "b")),
        {
            "job:a": but(_SCHEDULED, y="nobody knows t", v=5),
            "job:b": but(_SCHEDULED, y="nobody knows t", v=1),
            "ready:q:normal": tickets(),
            "wheel:q": {"a": NOW + 100, "b": NOW + 100},
            "agenda": {"q": NOW + 100, "other": 1},
            "parked:t": {"a": NOW, "b": NOW},
            "queue:q": {"parked": "2"},
            "events": ["park a b"],
        },
        [1, 1],
    ),
]

BURY = [
    Case(
        "bury",
        "the job is a dead letter with its error and its arguments, its unique key is free, its waiters know",
        after(
            HELD, {"job:a": but(RUNNING, u="digest", w="p1", n=9), "unique:digest": "a", "expiring": {"a": 9, "b": 9}}
        ),
        _call("bury"),
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
        _call("abandon"),
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
        _call("abandon"),
        {"ready:q:normal": DROPPED, "queue:q": {"cancelled": "1"}, "events": ["cancel a"]},
        [1],
    ),
]

RELEASE = [
    Case(
        "release",
        "the job goes behind the others of its stream, and its attempt does not count",
        after(HELD, {"job:a": but(RUNNING, v=1)}),
        _call("release"),
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
        _call("release", ids=("a", "b")),
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
        _call(script),
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
        Case(script, "another incarnation is fenced", HELD, _call(script, incarnation="w2"), HELD, [0]),
        Case(script, "an earlier attempt is fenced", HELD, _call(script, attempt=2), HELD, [0]),
        Case(script, "a later attempt is fenced", HELD, _call(script, attempt=4), HELD, [0]),
        Case(script, "a job that ended otherwise is fenced", other, _call(script), other, [0]),
        Case(script, "a job that is gone is fenced", gone, _call(script), gone, [0]),
        Case(script, "a record of another type is fenced", text, _call(script), text, [0]),
        Case(script, "a record of no known state is fenced", strange, _call(script), strange, [0]),
        Case(script, "a repeated call is told that it was done", over, _call(script), over, [2]),
        Case(script, "an earlier attempt's repeated call is fenced", over, _call(script, attempt=2), over, [0]),
        Case(script, "no jobs, no change", HELD, _call(script, ids=()), HELD, []),
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
    *(COMPLETE + RETRY + PARK + BURY + ABANDON + RELEASE + PROGRESS),
    *(_cancel_flag(script) for script in ("retry", "park", "bury")),
    *(case for script in REST for case in _fenced(script)),
]
