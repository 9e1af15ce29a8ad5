"""Jobs and records whose time is over: those that expire, and those that are no longer kept."""

from __future__ import annotations

from script_cases.steering import over
from script_state import HOUR, NOW, Call, Case, job, tickets
from tidemill import settings


def _expire(page: int = 10) -> Call:
    return lambda world: world.scripts.expire(page, now_ms=NOW)


EXPIRE = [
    Case(
        "expire",
        "jobs that wait end when their time is over, and not before",
        {
            "expiring": {"a": NOW, "b": NOW - 1, "c": NOW + 1},
            "job:a": job("scheduled", n=NOW, u="digest", y="nobody knows t"),
            "job:b": job("ready", n=NOW - 1, w="p1"),
            "job:c": job("ready", n=NOW + 1),
            "wheel:q": {"a": NOW + 5, "x": NOW + 6},
            "agenda": {"q": NOW + 5},
            "parked:t": {"a": 1},
            "unique:digest": "a",
            "ready:q:normal": tickets("b", "c"),
        },
        _expire(),
        {
            "expiring": {"c": NOW + 1},
            "job:a": over("expired", n=NOW, u="digest"),
            "job:b": over("expired", n=NOW - 1, w="p1"),
            "job:c": job("ready", n=NOW + 1),
            "wheel:q": {"x": NOW + 6},
            "agenda": {"q": NOW + 5},
            "ready:q:normal": tickets("b", "c"),
            "done:q": {"a": NOW + HOUR, "b": NOW + HOUR},
            "queue:q": {"expired": "2"},
            "events": ["expire b a"],
        },
        (2, 2),
        ("waiter:p1 b",),
    ),
    Case(
        "expire",
        "a page leaves the rest",
        {"expiring": {"a": 1, "b": 2}, "job:a": job("ready", z=0), "job:b": job("ready")},
        _expire(page=1),
        {"expiring": {"b": 2}, "job:b": job("ready"), "queue:q": {"expired": "1"}, "events": ["expire a"]},
        (1, 1),
    ),
    Case(
        "expire",
        "what runs, is over, unknown or corrupt only leaves the index",
        {
            "expiring": {"running": 1, "over": 2, "gone": 3, "text": 4, "nowhere": 5},
            "job:running": job("running"),
            "job:over": job("dead"),
            "job:text": "text",
            "job:nowhere": job("ready", q=None),
        },
        _expire(),
        {
            "job:running": job("running"),
            "job:over": job("dead"),
            "job:text": "text",
            "job:nowhere": job("ready", q=None),
        },
        (5, 0),
    ),
    Case("expire", "nothing expires", {}, _expire(), {}, (0, 0)),
]


def _sweep(place: str, page: int = 10, *queues: str) -> Call:
    return lambda world: world.scripts.sweep(place, queues or ("q",), page, now_ms=NOW)


SWEEP = [
    Case(
        "sweep",
        "finished records go at their time",
        {"done:q": {"a": NOW, "b": NOW + 1}, "job:a": job("succeeded"), "job:b": job("succeeded")},
        _sweep("finished"),
        {"done:q": {"b": NOW + 1}, "job:b": job("succeeded")},
        1,
    ),
    Case(
        "sweep",
        "dead letters go at their age",
        {
            "dead:q": {"a": NOW - settings.DEAD_TTL_MS, "b": NOW - settings.DEAD_TTL_MS + 1},
            "job:a": job("dead"),
            "job:b": job("dead"),
        },
        _sweep("dead"),
        {"dead:q": {"b": NOW - settings.DEAD_TTL_MS + 1}, "job:b": job("dead")},
        1,
    ),
    Case(
        "sweep",
        "a page is not exceeded over all queues",
        {"done:q": {"a": 1, "b": 2}, "done:p": {"c": 1, "d": 2}},
        _sweep("finished", 3, "q", "p"),
        {"done:p": {"d": 2}},
        3,
    ),
    Case(
        "sweep",
        "a record that is not over stays, whatever its place says; one of another type goes",
        {"done:q": {"a": 1, "b": 2}, "job:a": job("running"), "job:b": "text"},
        _sweep("finished"),
        {"job:a": job("running")},
        2,
    ),
    Case("sweep", "nothing is finished", {}, _sweep("finished"), {}, 0),
]

CASES = [*EXPIRE, *SWEEP]
