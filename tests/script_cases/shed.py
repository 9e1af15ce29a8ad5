"""READY → EXPIRED in a queue that is over a limit; and how old the oldest job is."""

from __future__ import annotations

from script_state import HOUR, NOW, Call, Case, State, job, tickets
from tidemill.errors import RemoteError
from tidemill.wire import record
from tidemill.wire.scripts import Shed, Survey

ERROR = record.write_error(RemoteError("shed", "dropped"))
EVERY = 1000
OVER: State = {"queue:q": {"limit": "2", "displace_low": "1", "displace_normal": "1"}, "watched": {"q": 0}}


def _shed(page: int = 10) -> Call:
    return lambda world: world.scripts.shed("q", page, EVERY, ERROR, now_ms=NOW)


def _gone(**fields: object) -> dict[str, str]:
    return job("expired", b=None, f=NOW, e="shed: dropped", **fields)


def ready(*names: str, **fields: object) -> State:
    return {f"job:{name}": job("ready", **fields) for name in names}


def limited(**fields: object) -> State:
    return {"queues": {"q"}, "queue:q": {"known": "1", **{name: str(value) for name, value in fields.items()}}}


SHED = [
    Case(
        "shed",
        "the lowest lane goes first, of a lane the oldest, and only as many as are too many",
        {
            **OVER,
            **ready("l", p="low", u="digest", w="p1", n=NOW + 5),
            **ready("a", "b", "c"),
            "unique:digest": "l",
            "expiring": {"l": NOW + 5},
            "ready:q:low": tickets("l", group=False),
            "ready:q:normal": tickets("a", "b", "c"),
        },
        _shed(),
        {
            "queue:q": {"limit": "2", "displace_low": "0", "displace_normal": "0", "expired": "2", "shed": "2"},
            "job:l": _gone(p="low", u="digest", w="p1", n=NOW + 5),
            "job:a": _gone(),
            **ready("b", "c"),
            "ready:q:low": tickets(),
            "ready:q:normal": tickets("b", "c"),
            "done:q": {"l": NOW + HOUR, "a": NOW + HOUR},
            "events": ["shed l a"],
        },
        Shed(["l", "a"], "jobs", more=False),
        ("waiter:p1 l",),
    ),
    Case(
        "shed",
        "none of a higher priority goes than those that got in, and what a worker has stays",
        {
            "queue:q": {"limit": "1", "displace_low": "2"},
            "watched": {"q": 0},
            "job:r": job("running", p="low", l="w1"),
            **ready("a", "b"),
            **ready("l", p="low"),
            "ready:q:low": tickets("r@w1", "l"),
            "ready:q:normal": tickets("a", "b"),
        },
        _shed(),
        {
            "queue:q": {"limit": "1", "displace_low": "0", "expired": "1", "shed": "1"},
            "job:r": job("running", p="low", l="w1"),
            **ready("a", "b"),
            "job:l": _gone(p="low"),
            "ready:q:low": tickets("r@w1"),
            "ready:q:normal": tickets("a", "b"),
            "done:q": {"l": NOW + HOUR},
            "events": ["shed l"],
        },
        Shed(["l"], "jobs", more=False),
    ),
    Case(
        "shed",
        "one that got in for a low job may be of the low lane alone, one for a normal job of both",
        {
            "queue:q": {"limit": "1", "displace_low": "1", "displace_normal": "1"},
            "watched": {"q": 0},
            **ready("a", "b", "c"),
            "ready:q:normal": tickets("a", "b", "c"),
        },
        _shed(),
        {
            "queue:q": {"limit": "1", "displace_low": "0", "displace_normal": "0", "expired": "1", "shed": "1"},
            "job:a": _gone(),
            **ready("b", "c"),
            "ready:q:normal": tickets("b", "c"),
            "done:q": {"a": NOW + HOUR},
            "events": ["shed a"],
        },
        Shed(["a"], "jobs", more=False),
    ),
    Case(
        "shed",
        "a page leaves the rest for the next call",
        {
            "queue:q": {"limit": "1", "displace_normal": "3"},
            "watched": {"q": 0},
            **ready("a", "b", "c"),
            "ready:q:normal": tickets("a", "b", "c"),
        },
        _shed(page=1),
        {
            "queue:q": {"limit": "1", "displace_normal": "2", "expired": "1", "shed": "1"},
            "watched": {"q": 0},
            "job:a": _gone(),
            **ready("b", "c"),
            "ready:q:normal": tickets("b", "c"),
            "done:q": {"a": NOW + HOUR},
            "events": ["shed a"],
        },
        Shed(["a"], "jobs", more=True),
    ),
    Case(
        "shed",
        "there is room by now",
        {**OVER, **ready("a", "b"), "ready:q:normal": tickets("a", "b")},
        _shed(),
        {
            "queue:q": {"limit": "2", "displace_low": "0", "displace_normal": "0"},
            **ready("a", "b"),
            "ready:q:normal": tickets("a", "b"),
        },
        Shed([], "jobs", more=False),
    ),
    Case(
        "shed",
        "a queue that is over its limit for other reasons loses nothing",
        {"queue:q": {"limit": "1"}, "watched": {"q": 0}, **ready("a", "b"), "ready:q:normal": tickets("a", "b")},
        _shed(),
        {"queue:q": {"limit": "1"}, **ready("a", "b"), "ready:q:normal": tickets("a", "b")},
        Shed([], "", more=False),
    ),
    Case(
        "shed",
        "tickets without a job make room, and those of jobs that only a worker can end go behind the others",
        {
            "queue:q": {"limit": "2", "displace_normal": "9"},
            "watched": {"q": 0},
            "job:over": job("cancelled"),
            "job:elsewhere": job("ready", q="p"),
            "job:r": job("running", l="w1"),
            "job:text": "text",
            **ready("x", x=1),
            **ready("a", "b", "c"),
            "ready:q:normal": tickets("none", "over", "elsewhere", "r", "text", "x", "a", "b", "c"),
        },
        _shed(),
        {
            "queue:q": {"limit": "2", "displace_normal": "0", "expired": "1", "shed": "1"},
            "job:over": job("cancelled"),
            "job:elsewhere": job("ready", q="p"),
            "job:r": job("running", l="w1"),
            "job:text": "text",
            **ready("x", x=1),
            "job:a": _gone(),
            **ready("b", "c"),
            "ready:q:normal": tickets("b", "c", "r", "text", "x"),
            "done:q": {"a": NOW + HOUR},
            "events": ["shed a"],
        },
        Shed(["a"], "jobs", more=False),
    ),
    Case(
        "shed",
        "arguments that take too much room go, by their mean",
        {
            "queue:q": {"limit_bytes": "20", "mean_bytes": "10", "displace_normal": "2"},
            "watched": {"q": 0},
            **ready("a", "b", "c", z=0),
            "ready:q:normal": tickets("a", "b", "c"),
        },
        _shed(),
        {
            "queue:q": {"limit_bytes": "20", "mean_bytes": "10", "displace_normal": "0", "expired": "1", "shed": "1"},
            **ready("b", "c", z=0),
            "ready:q:normal": tickets("b", "c"),
            "events": ["shed a"],
        },
        Shed(["a"], "bytes", more=False),
    ),
    Case(
        "shed",
        "the age of the oldest that waits is noted, and looked at again",
        {
            "queue:q": {"limit_age_ms": "5000"},
            "watched": {"q": 0},
            "job:r": job("running", l="w1"),
            **ready("a", "b"),
            "ready:q:high": tickets("r@w1", "a"),
            "ready:q:normal": tickets("b", group=False),
        },
        _shed(),
        {
            "queue:q": {"limit_age_ms": "5000", "oldest": f"{NOW - 1} {NOW}"},
            "watched": {"q": NOW + EVERY},
            "job:r": job("running", l="w1"),
            **ready("a", "b"),
            "ready:q:high": tickets("r@w1", "a"),
            "ready:q:normal": tickets("b", group=False),
        },
        Shed([], "", more=False),
    ),
    Case(
        "shed",
        "in a queue that is too old one goes for each that got in",
        {
            "queue:q": {"limit_age_ms": "5000", "displace_normal": "1"},
            "watched": {"q": 0},
            **ready("a", "b"),
            "ready:q:normal": tickets("a", "b"),
        },
        _shed(),
        {
            "queue:q": {
                "limit_age_ms": "5000",
                "oldest": f"{NOW - 2} {NOW}",
                "displace_normal": "0",
                "expired": "1",
                "shed": "1",
            },
            "watched": {"q": NOW + EVERY},
            "job:a": _gone(),
            **ready("b"),
            "ready:q:normal": tickets("b"),
            "done:q": {"a": NOW + HOUR},
            "events": ["shed a"],
        },
        Shed(["a"], "age", more=False),
    ),
    Case(
        "shed",
        "nothing waits: the age is nought",
        {"queue:q": {"limit_age_ms": "5000", "oldest": "7000 5"}, "watched": {"q": 5}},
        _shed(),
        {"queue:q": {"limit_age_ms": "5000", "oldest": f"0 {NOW}"}, "watched": {"q": NOW + EVERY}},
        Shed([], "", more=False),
    ),
    Case(
        "shed",
        "a queue whose limits are gone is watched no more, and keeps what it has",
        {"queue:q": {"displace_high": "5"}, "watched": {"q": 0}, **ready("a"), "ready:q:normal": tickets("a")},
        _shed(),
        {"queue:q": {"displace_high": "0"}, **ready("a"), "ready:q:normal": tickets("a")},
        Shed([], "", more=False),
    ),
    Case(
        "survey",
        "the queue that is to be looked at next",
        {"watched": {"q": NOW + 8, "p": NOW + 9}},
        lambda world: world.scripts.survey(now_ms=NOW),
        {"watched": {"q": NOW + 8, "p": NOW + 9}},
        Survey(NOW * 1000, [], [], None, None, None, None, NOW + 8),
    ),
    Case(
        "configure",
        "a limit by age is looked at from now on",
        {},
        lambda world: world.scripts.configure("q", {"limit_age_ms": "5000"}),
        {**limited(limit_age_ms=5000), "watched": {"q": 0}},
        1,
        ("alarm", "control queues"),
    ),
]

CASES = [*SHED]
