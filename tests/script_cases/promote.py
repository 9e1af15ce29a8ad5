"""SCHEDULED → READY, and the parked jobs that become due at once."""

from __future__ import annotations

from script_state import NOW, Call, Case, State, job, tickets
from tidemill.wire.scripts import Promoted


def _promote(most: int = 10, high_water: int = 100) -> Call:
    return lambda world: world.scripts.promote("q", most, high_water, now_ms=NOW)


def _adopt(page: int = 10) -> Call:
    return lambda world: world.scripts.adopt("t", page, now_ms=NOW)


def _due(**due_ms: int) -> State:
    """Scheduled jobs with these due times, counted from NOW."""
    records = {f"job:{name}": job("scheduled", d=NOW + offset) for name, offset in due_ms.items()}
    places = {name: NOW + offset for name, offset in due_ms.items()}
    return {**records, "wheel:q": places, "agenda": {"q": min(places.values())}}


def _ready(*names: str) -> State:
    return {f"job:{name}": job("ready", d=NOW) for name in names}


PARKED = job("scheduled", d=NOW + 5, y="no worker knows t", v=1)

CASES = [
    Case(
        "promote",
        "a due job is ready, and an empty wheel leaves the agenda",
        _due(a=0),
        _promote(),
        {**_ready("a"), "ready:q:normal": tickets("a", group=False)},
        Promoted(1, None, more_due=False, full=False),
    ),
    Case(
        "promote",
        "a job is not promoted a millisecond early",
        _due(a=1),
        _promote(),
        _due(a=1),
        Promoted(0, NOW + 1, more_due=False, full=False),
    ),
    Case(
        "promote",
        "the earliest due times go first, each into its lane",
        {
            **_due(a=-1, b=0, c=-2, d=7),
            "job:a": job("scheduled", d=NOW, p="high"),
            "job:b": job("scheduled", d=NOW),
            "job:c": job("scheduled", d=NOW, p="low"),
            "ready:q:normal": tickets("x@w1"),
        },
        _promote(),
        {
            **_due(d=7),
            "job:a": job("ready", d=NOW, p="high"),
            "job:b": job("ready", d=NOW),
            "job:c": job("ready", d=NOW, p="low"),
            "ready:q:high": tickets("a", group=False),
            "ready:q:normal": tickets("x@w1", "b"),
            "ready:q:low": tickets("c", group=False),
        },
        Promoted(3, NOW + 7, more_due=False, full=False),
    ),
    Case(
        "promote",
        "a batch leaves the rest, and the queue takes its turn behind the others",
        {**_due(a=-3, b=-2), "job:a": job("scheduled", d=NOW), "agenda": {"q": NOW - 3, "other": NOW - 1}},
        _promote(most=1),
        {
            **_ready("a"),
            **_due(b=-2),
            "agenda": {"q": NOW, "other": NOW - 1},
            "ready:q:normal": tickets("a", group=False),
        },
        Promoted(1, NOW - 2, more_due=True, full=False),
    ),
    Case(
        "promote",
        "no more are promoted than the ready streams have room for",
        {
            **_due(a=-2, b=-1),
            "job:a": job("scheduled", d=NOW),
            "ready:q:high": tickets("x"),
            "ready:q:low": tickets("y"),
        },
        _promote(high_water=3),
        {
            **_ready("a"),
            **_due(b=-1),
            "agenda": {"q": NOW},
            "ready:q:high": tickets("x"),
            "ready:q:low": tickets("y"),
            "ready:q:normal": tickets("a", group=False),
        },
        Promoted(1, NOW - 1, more_due=True, full=True),
    ),
    Case(
        "promote",
        "full streams take nothing, and what is not due yet does not count as more",
        {**_due(a=1), "ready:q:high": tickets("x", "y", "z")},
        _promote(high_water=2),
        {**_due(a=1), "ready:q:high": tickets("x", "y", "z")},
        Promoted(0, NOW + 1, more_due=False, full=False),
    ),
    Case(
        "promote",
        "an agenda that was left too early is set right, so that no scheduler spins",
        {**_due(a=9), "agenda": {"q": NOW - 4}},
        _promote(),
        _due(a=9),
        Promoted(0, NOW + 9, more_due=False, full=False),
    ),
    Case(
        "promote",
        "a queue whose wheel was emptied by cancellations leaves the agenda",
        {"agenda": {"q": NOW - 4, "other": NOW}},
        _promote(),
        {"agenda": {"other": NOW}},
        Promoted(0, None, more_due=False, full=False),
    ),
    Case(
        "promote",
        "a place without a record, or with a record that is elsewhere, goes without a ticket",
        {
            "wheel:q": {"gone": 1, "over": 2, "running": 3},
            "agenda": {"q": 1},
            "job:over": job("cancelled"),
            "job:running": job("running", l="w1", a=1),
        },
        _promote(),
        {"job:over": job("cancelled"), "job:running": job("running", l="w1", a=1)},
        Promoted(0, None, more_due=False, full=False),
    ),
    Case(
        "promote",
        "records that no Tidemill wrote go to a worker, which buries them, and hold up nobody",
        {
            **_due(a=0),
            "job:a": job("scheduled", d=NOW),
            "wheel:q": {"a": NOW, "other": 1, "stateless": 2, "text": 3},
            "job:other": job("flying"),
            "job:stateless": {"q": "q"},
            "job:text": "text",
        },
        _promote(),
        {
            **_ready("a"),
            "job:other": job("flying"),
            "job:stateless": {"q": "q"},
            "job:text": "text",
            "ready:q:normal": tickets("other", "stateless", "text", "a", group=False),
        },
        Promoted(1, None, more_due=False, full=False),
    ),
    Case(
        "promote",
        "a priority that no Tidemill wrote counts as normal",
        {**_due(a=0), "job:a": job("scheduled", d=NOW, p="utmost")},
        _promote(),
        {"job:a": job("ready", d=NOW, p="utmost"), "ready:q:normal": tickets("a", group=False)},
        Promoted(1, None, more_due=False, full=False),
    ),
    Case(
        "promote",
        "a parked job is offered again, and leaves the index of parked jobs",
        {**_due(a=0), "job:a": job("scheduled", d=NOW, y="no worker knows t"), "parked:t": {"a": 5, "b": 6}},
        _promote(),
        {**_ready("a"), "parked:t": {"b": 6}, "ready:q:normal": tickets("a", group=False)},
        Promoted(1, None, more_due=False, full=False),
    ),
    Case(
        "adopt",
        "parked jobs of a task are due now",
        {
            "parked:t": {"a": 1, "b": 2},
            "job:a": PARKED,
            "job:b": {**PARKED, "q": "other"},
            "wheel:q": {"a": NOW + 5, "x": NOW + 1},
            "wheel:other": {"b": NOW + 5},
            "agenda": {"q": NOW + 1, "other": NOW + 5},
        },
        _adopt(),
        {
            "job:a": {**PARKED, "d": str(NOW)},
            "job:b": {**PARKED, "q": "other", "d": str(NOW)},
            "wheel:q": {"a": NOW, "x": NOW + 1},
            "wheel:other": {"b": NOW},
            "agenda": {"q": NOW, "other": NOW},
        },
        2,
        ("alarm",),
    ),
    Case(
        "adopt",
        "a page leaves the rest of the index",
        {
            "parked:t": {"a": 1, "b": 2},
            "job:a": PARKED,
            "job:b": PARKED,
            "wheel:q": {"a": NOW + 5, "b": NOW + 5},
            "agenda": {"q": NOW + 5},
        },
        _adopt(page=1),
        {
            "parked:t": {"b": 2},
            "job:a": {**PARKED, "d": str(NOW)},
            "job:b": PARKED,
            "wheel:q": {"a": NOW, "b": NOW + 5},
            "agenda": {"q": NOW},
        },
        1,
        ("alarm",),
    ),
    Case(
        "adopt",
        "what is parked no more only leaves the index",
        {
            "parked:t": {"gone": 1, "unparked": 2, "ready": 3, "text": 4},
            "job:unparked": job("scheduled", d=NOW + 5),
            "job:ready": job("ready"),
            "job:text": "text",
            "wheel:q": {"unparked": NOW + 5},
        },
        _adopt(),
        {
            "job:unparked": job("scheduled", d=NOW + 5),
            "job:ready": job("ready"),
            "job:text": "text",
            "wheel:q": {"unparked": NOW + 5},
        },
        4,
    ),
    Case("adopt", "nothing is parked", {}, _adopt(), {}, 0),
]
