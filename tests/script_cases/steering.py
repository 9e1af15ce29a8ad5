"""What people do to jobs and queues (cancel, watch, configure), and what time does (expire, sweep)."""

from __future__ import annotations

from script_state import HOUR, NOW, Call, Case, State, but, job, tickets
from tidemill.wire.scripts import QueueFigures, Survey


def _cancel(*ids: str) -> Call:
    return lambda world: world.scripts.cancel(ids, now_ms=NOW)


def over(state: str, **fields: object) -> dict[str, str]:
    return but(but(job(state), f=NOW, b=None), **fields)


CANCEL = [
    Case(
        "cancel",
        "a scheduled job leaves the wheel; the agenda may stay too early",
        {
            "job:a": job("scheduled", d=NOW + 5, u="digest", w="p1", n=NOW + 9, o="options"),
            "wheel:q": {"a": NOW + 5, "b": NOW + 6},
            "agenda": {"q": NOW + 5},
            "unique:digest": "a",
            "expiring": {"a": NOW + 9},
        },
        _cancel("a"),
        {
            "job:a": over("cancelled", d=NOW + 5, u="digest", w="p1", n=NOW + 9),
            "wheel:q": {"b": NOW + 6},
            "agenda": {"q": NOW + 5},
            "done:q": {"a": NOW + HOUR},
            "queue:q": {"cancelled": "1"},
            "events": ["cancel a"],
        },
        ["cancelled"],
        ("waiter:p1 a",),
    ),
    Case(
        "cancel",
        "a parked job leaves the index of parked jobs",
        {"job:a": job("scheduled", y="nobody knows t"), "wheel:q": {"a": NOW}, "parked:t": {"a": 1, "b": 2}},
        _cancel("a"),
        {
            "job:a": over("cancelled"),
            "parked:t": {"b": 2},
            "done:q": {"a": NOW + HOUR},
            "queue:q": {"cancelled": "1"},
            "events": ["cancel a"],
        },
        ["cancelled"],
    ),
    Case(
        "cancel",
        "the ticket of a ready job stays, since deleting what was not delivered would spoil the group's lag",
        {"job:a": job("ready", z=0), "ready:q:normal": tickets("a")},
        _cancel("a"),
        {"ready:q:normal": tickets("a"), "queue:q": {"cancelled": "1"}, "events": ["cancel a"]},
        ["cancelled"],
    ),
    Case(
        "cancel",
        "a running job gets a flag, and its worker a message",
        {"job:a": job("running", l="w1", a=1)},
        _cancel("a"),
        {"job:a": job("running", l="w1", a=1, x=1)},
        ["running"],
        ("control cancel w1 a",),
    ),
    Case(
        "cancel",
        "many at once answer in order; what is over, unknown or corrupt stays",
        {
            "job:a": job("ready"),
            "job:over": job("succeeded"),
            "job:text": "text",
            "job:strange": job("flying"),
            "job:nowhere": job("ready", q=None),
            "job:b": job("ready"),
        },
        _cancel("a", "over", "gone", "text", "strange", "nowhere", "b"),
        {
            "job:a": over("cancelled"),
            "job:over": job("succeeded"),
            "job:text": "text",
            "job:strange": job("flying"),
            "job:nowhere": job("ready", q=None),
            "job:b": over("cancelled"),
            "done:q": {"a": NOW + HOUR, "b": NOW + HOUR},
            "queue:q": {"cancelled": "2"},
            "events": ["cancel a b"],
        },
        ["cancelled", "succeeded", "", "dead", "dead", "ready", "cancelled"],
    ),
]


def _watch(waiter: str) -> Call:
    return lambda world: world.scripts.watch("a", waiter)


WATCH = [
    Case(
        "watch",
        "the first waiter is noted",
        {"job:a": job("ready")},
        _watch("p1"),
        {"job:a": job("ready", w="p1")},
        "ready",
    ),
    Case(
        "watch",
        "another waiter is noted beside it",
        {"job:a": job("running", w="p1")},
        _watch("p2"),
        {"job:a": job("running", w="p1 p2")},
        "running",
    ),
    Case(
        "watch",
        "a waiter is noted once",
        {"job:a": job("scheduled", w="p1 p2")},
        _watch("p2"),
        {"job:a": job("scheduled", w="p1 p2")},
        "scheduled",
    ),
    Case(
        "watch",
        "a job that is over needs no waiter",
        {"job:a": job("dead")},
        _watch("p1"),
        {"job:a": job("dead")},
        "dead",
    ),
    Case("watch", "an unknown job", {}, _watch("p1"), {}, ""),
    Case(
        "watch", "a record of another type counts as dead", {"job:a": "text"}, _watch("p1"), {"job:a": "text"}, "dead"
    ),
]


def _configure(**changes: str) -> Call:
    return lambda world: world.scripts.configure("q", changes)


CONFIGURE = [
    Case(
        "configure",
        "a queue can be set up before its first job",
        {},
        _configure(limit="5", paused="1"),
        {"queues": {"q"}, "queue:q": {"known": "1", "limit": "5", "paused": "1"}},
        1,
        ("control queues",),
    ),
    Case(
        "configure",
        "nothing clears a setting, and counters stay",
        {"queues": {"q"}, "queue:q": {"known": "1", "limit": "5", "paused": "1", "dead": "3"}},
        _configure(paused=""),
        {"queues": {"q"}, "queue:q": {"known": "1", "limit": "5", "dead": "3"}},
        1,
        ("control queues",),
    ),
]

MEASURE = [
    Case(
        "measure",
        "the figures of a queue",
        {
            "queue:q": {"known": "1", "limit": "5", "succeeded": "7"},
            "wheel:q": {"a": 1},
            "dead:q": {"b": 1, "c": 2},
            "done:q": {"d": 1, "e": 2, "f": 3},
            "ready:q:high": tickets("g@w1", "h@w1", "i"),
            "ready:q:normal": tickets("j", group=False),
            "ready:q:low": tickets("k@w2"),
        },
        lambda world: world.scripts.measure("q"),
        {
            "queue:q": {"known": "1", "limit": "5", "succeeded": "7"},
            "wheel:q": {"a": 1},
            "dead:q": {"b": 1, "c": 2},
            "done:q": {"d": 1, "e": 2, "f": 3},
            "ready:q:high": tickets("g@w1", "h@w1", "i"),
            "ready:q:normal": tickets("j", group=False),
            "ready:q:low": tickets("k@w2"),
        },
        QueueFigures(
            queue="q",
            scheduled=1,
            ready={"high": 1, "normal": 1, "low": 0},
            running=3,
            dead=2,
            finished=3,
            oldest_ready_ms=1,
            counters={"known": "1", "limit": "5", "succeeded": "7"},
        ),
    ),
    Case(
        "measure",
        "a queue that nobody knows",
        {},
        lambda world: world.scripts.measure("q"),
        {},
        QueueFigures("q", 0, {"high": 0, "normal": 0, "low": 0}, 0, 0, 0, None, {}),
    ),
]

_SOON: State = {
    "agenda": {"q": NOW, "p": NOW - 3, "later": NOW + 1},
    "workers": {"w1": NOW + 4, "w2": NOW + 5},
    "expiring": {"a": NOW + 6},
    "occurrences": {"daily": NOW + 7},
}

SURVEY = [
    Case(
        "survey",
        "the queues that are due, the longest overdue first, and the next of each kind",
        _SOON,
        lambda world: world.scripts.survey(now_ms=NOW),
        _SOON,
        Survey(NOW * 1000, ["p", "q"], [("later", NOW + 1)], NOW + 4, NOW + 6, NOW + 7),
    ),
    Case(
        "survey",
        "there is nothing to do",
        {},
        lambda world: world.scripts.survey(now_ms=NOW),
        {},
        Survey(NOW * 1000, [], [], None, None, None),
    ),
]

CASES = [*CANCEL, *WATCH, *CONFIGURE, *MEASURE, *SURVEY]
