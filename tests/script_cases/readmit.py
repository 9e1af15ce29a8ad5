"""Jobs that a breaker has parked come back: one behind the other, at its rate."""

from __future__ import annotations

from script_cases.breakers import CLOSED, OPEN
from script_state import NOW, Call, Case, State, job


def _readmit(page: int = 10, step_us: int = 2_500) -> Call:
    return lambda world: world.scripts.readmit("pay", "t", page, step_us, now_ms=NOW)


def _parked(**due: int) -> State:
    """Jobs that were parked in this order, and are due then."""
    return {
        **{f"job:{name}": job("scheduled", y="breaker pay is open", d=at) for name, at in due.items()},
        "wheel:q": due,
        "parked:t": {name: place for place, name in enumerate(due)},
        "agenda": {"q": min(due.values())},
    }


LATER = NOW + 60_000

READMIT = [
    Case(
        "readmit",
        "parked jobs become due one behind the other; who is due before keeps its time",
        {"breaker:pay": CLOSED, **_parked(a=LATER, b=LATER, c=NOW + 1, d=LATER)},
        _readmit(),
        {
            "breaker:pay": {**CLOSED, "ready_at": f"{NOW + 7}.500"},
            "job:a": job("scheduled", y="breaker pay is open", d=NOW),
            "job:b": job("scheduled", y="breaker pay is open", d=NOW + 3),
            "job:c": job("scheduled", y="breaker pay is open", d=NOW + 1),
            "job:d": job("scheduled", y="breaker pay is open", d=NOW + 5),
            "wheel:q": {"a": NOW, "b": NOW + 3, "c": NOW + 1, "d": NOW + 5},
            "agenda": {"q": NOW},
        },
        4,
        ("alarm",),
    ),
    Case(
        "readmit",
        "the rate goes on from where the last page has ended, whoever asked for that",
        {"breaker:pay": {**CLOSED, "ready_at": f"{NOW + 40}.500"}, **_parked(a=LATER, b=LATER)},
        _readmit(page=1),
        {
            "breaker:pay": {**CLOSED, "ready_at": f"{NOW + 43}.000"},
            "job:a": job("scheduled", y="breaker pay is open", d=NOW + 41),
            "job:b": job("scheduled", y="breaker pay is open", d=LATER),
            "wheel:q": {"a": NOW + 41, "b": LATER},
            "parked:t": {"b": 1},
            "agenda": {"q": NOW + 41},
        },
        1,
        ("alarm",),
    ),
    Case(
        "readmit",
        "who is not parked any more only leaves the index",
        {"job:a": job("ready"), "job:c": "text", "parked:t": {"a": 1, "gone": 2, "c": 3}},
        _readmit(),
        {"job:a": job("ready"), "job:c": "text"},
        3,
    ),
    Case(
        "readmit",
        "nothing is due while the breaker is open",
        {"breaker:pay": OPEN, **_parked(a=LATER)},
        _readmit(),
        {"breaker:pay": OPEN, **_parked(a=LATER)},
        0,
    ),
    Case("readmit", "nothing is parked", {}, _readmit(), {}, 0),
]

CASES = [*READMIT]
