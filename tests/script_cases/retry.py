"""RUNNING → SCHEDULED: another attempt, or none for now."""

from __future__ import annotations

from script_cases.settlement import DROPPED, HELD, RUNNING, call
from script_state import NOW, Case, after, but, tickets

_SCHEDULED = but(RUNNING, s="scheduled", d=NOW + 100, m=None)

RETRY = [
    Case(
        "retry",
        "the job waits in the wheel with its error, and schedulers wake for it",
        HELD,
        call("retry"),
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
        call("retry"),
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
        call("retry"),
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
        call("park"),
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
        call("park", ids=("a", "b")),
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

CASES = [*RETRY, *PARK]
