"""RUNNING → SUCCEEDED."""

from __future__ import annotations

from script_cases.settlement import DROPPED, HELD, RUNNING, call, settle
from script_state import HOUR, NOW, Case, after, but, tickets


def _succeeded(**fields: object) -> dict[str, str]:
    return but(but(RUNNING, s="succeeded", f=NOW, r="result", b=None, m=None), **fields)


COMPLETE = [
    Case(
        "complete",
        "the result is kept, the arguments and the ticket go",
        after(HELD, {"job:a": but(RUNNING, o="options", e="old error", x=1)}),
        call("complete"),
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
        settle("complete", b""),
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
        settle("complete", b"result", ids=("a", "b", "c")),
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
        call("complete"),
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
        call("complete"),
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
        call("complete"),
        {"ready:q:normal": DROPPED, "queue:q": {"succeeded": "1"}, "events": ["complete a"]},
        [1],
    ),
    Case(
        "complete",
        "a result ttl that is no number counts as the default",
        after(HELD, {"job:a": but(RUNNING, z="soon")}),
        call("complete"),
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

CASES = [*COMPLETE]
