"""A worker comes, stays and goes; what it held is recovered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from script_state import HOUR, NOW, Case, State, World, after, but, job, tickets
from tidemill.wire.command import Command
from tidemill.wire.scripts import Recovered, Renewal, Taken

Call = Callable[[World], Command[Any]]

LANES = ("high", "normal", "low")
EMPTY = {f"ready:q:{lane}": tickets() for lane in LANES}
DESCRIPTION = {"host": "h", "pid": "1"}


def _register(*queues: str, tasks: dict[str, str] | None = None) -> Call:
    return lambda world: world.scripts.register("w1", 50, queues, tasks or {}, DESCRIPTION, now_ms=NOW)


REGISTER = [
    Case(
        "register",
        "the first worker makes groups at the start of the streams, so that nothing enqueued before is missed",
        {"ready:q:normal": tickets("a", "b", group=False)},
        _register("q", tasks={"t": "q", "u": "other"}),
        {
            **EMPTY,
            "ready:q:normal": tickets("a", "b"),
            "workers": {"w1": NOW + 50},
            "worker:w1": DESCRIPTION,
            "queues": {"q"},
            "queue:q": {"known": "1"},
            "tasks": {"t": "q", "u": "other"},
        },
        1,
        ("alarm",),
    ),
    Case(
        "register",
        "a worker that was taken for dead, and makes what it misses, has not departed",
        {**EMPTY, "departed": {"w1": NOW - 9, "w2": NOW}, "queues": {"q"}, "queue:q": {"known": "1"}},
        _register("q", tasks={}),
        {
            **EMPTY,
            "departed": {"w2": NOW},
            "workers": {"w1": NOW + 50},
            "worker:w1": DESCRIPTION,
            "queues": {"q"},
            "queue:q": {"known": "1"},
        },
        1,
        ("alarm",),
    ),
    Case(
        "register",
        "a repeated call only renews",
        {
            **EMPTY,
            "ready:q:normal": tickets("a@w1", "b"),
            "workers": {"w1": NOW + 1, "w2": NOW},
            "worker:w1": DESCRIPTION,
            "queues": {"q"},
            "queue:q": {"known": "1", "paused": "1"},
            "tasks": {"t": "old"},
        },
        _register("q", tasks={"t": "q"}),
        {
            **EMPTY,
            "ready:q:normal": tickets("a@w1", "b"),
            "workers": {"w1": NOW + 50, "w2": NOW},
            "worker:w1": DESCRIPTION,
            "queues": {"q"},
            "queue:q": {"known": "1", "paused": "1"},
            "tasks": {"t": "q"},
        },
        1,
        ("alarm",),
    ),
]

_ALIVE: State = {"workers": {"w1": NOW + 5}, "worker:w1": DESCRIPTION}
_WAITING: State = {
    "queue:p": {"paused": "1"},
    "ready:p:high": tickets("a@w1", "h"),
    "ready:q:normal": tickets("b@w1", "i@w1", "j@w1"),
    "ready:q:low": tickets("c@w1", "d"),
    "ready:given:high": tickets("e@w1", "f@w2"),
    "ready:empty:low": tickets(),
    "ready:without:low": tickets("g", group=False),
    "ready:text:high": "text",
}


def _renew(*running: str, queues: tuple[str, ...] = ("q", "p")) -> Call:
    return lambda world: world.scripts.renew("w1", 50, queues, running, now_ms=NOW)


RENEW = [
    Case(
        "renew",
        "a lease goes on from now",
        _ALIVE,
        _renew(),
        after(_ALIVE, {"workers": {"w1": NOW + 50}}),
        Renewal([], frozenset()),
    ),
    Case(
        "renew",
        "a lease that is over, but not yet recovered, goes on",
        after(_ALIVE, {"workers": {"w1": NOW - 5}}),
        _renew(),
        after(_ALIVE, {"workers": {"w1": NOW + 50}}),
        Renewal([], frozenset()),
    ),
    Case("renew", "a lease that is gone does not come back", {}, _renew("a"), {}, None),
    Case(
        "renew",
        "the worker learns what is to be cancelled and what is paused; strange keys do not cost it the lease",
        {
            **_ALIVE,
            "job:a": job("running", x=1),
            "job:b": job("running"),
            "job:c": "text",
            "queue:q": "text",
            "queue:p": {"paused": "1"},
        },
        _renew("a", "b", "c", "gone"),
        {
            **_ALIVE,
            "workers": {"w1": NOW + 50},
            "job:a": job("running", x=1),
            "job:b": job("running"),
            "job:c": "text",
            "queue:q": "text",
            "queue:p": {"paused": "1"},
        },
        Renewal(["a"], frozenset({"p"})),
    ),
    Case(
        "renew",
        "the worker learns where tickets wait, and how many it was given, of queues that are not paused",
        after(_ALIVE, _WAITING),
        _renew("running", queues=("q", "p", "given", "empty", "without", "text")),
        after(_ALIVE, {**_WAITING, "workers": {"w1": NOW + 50}}),
        Renewal([], frozenset({"p"}), frozenset({"q", "without"}), given=4),
    ),
]


def _retire(queues: tuple[str, ...] = ("q",)) -> Call:
    return lambda world: world.scripts.retire("w1", queues, now_ms=NOW)


_HELD = Taken("a", "q", 1, "1-1", 2, 0, "t", b"", b"", 2, 0, 0, "", b"", "w1")


def _hold(*, waits: bool) -> Call:
    return lambda world: world.scripts.hold(_HELD, waits=waits)


_RUNS = job("running", l="w1", a=2)
HOLD = [
    Case("hold", "it waits", {"job:a": _RUNS}, _hold(waits=True), {"job:a": but(_RUNS, h=1)}, 1),
    Case("hold", "it starts", {"job:a": but(_RUNS, h=1)}, _hold(waits=False), {"job:a": _RUNS}, 1),
    Case(
        "hold",
        "a later attempt is left alone",
        {"job:a": but(_RUNS, a=3)},
        _hold(waits=True),
        {"job:a": but(_RUNS, a=3)},
        0,
    ),
    Case("hold", "a job that is gone stays gone", {}, _hold(waits=True), {}, 0),
]

END_LEASE = [
    Case(
        "end_lease",
        "the lease of a process that was seen to die ends now, and the reaper is woken and told how",
        {**_ALIVE, "worker:w1": {"pid": "7"}, **EMPTY, "ready:q:low": tickets("a@w1")},
        lambda world: world.scripts.end_lease("w1", "killed", now_ms=NOW),
        {
            **_ALIVE,
            "workers": {"w1": NOW},
            "worker:w1": {"pid": "7", "ended": "killed"},
            **EMPTY,
            "ready:q:low": tickets("a@w1"),
        },
        1,
        ("alarm",),
    ),
    Case(
        "end_lease",
        "a description that has ended is not made again",
        {"workers": {"w1": NOW - 5}},
        lambda world: world.scripts.end_lease("w1", "killed", now_ms=NOW),
        {"workers": {"w1": NOW - 5}},
        1,
        ("alarm",),
    ),
    Case(
        "end_lease",
        "a worker that was recovered already is not brought back",
        {"workers": {"w2": NOW}},
        lambda world: world.scripts.end_lease("w1", "killed", now_ms=NOW),
        {"workers": {"w2": NOW}},
        0,
    ),
]

RETIRE = [
    Case(
        "retire",
        "a worker that holds nothing departs",
        {**_ALIVE, **EMPTY, "ready:q:high": tickets("a@w2", "b"), "workers": {"w1": NOW + 5, "w2": NOW}},
        _retire(),
        {**EMPTY, "ready:q:high": tickets("a@w2", "b"), "workers": {"w2": NOW}, "departed": {"w1": NOW}},
        0,
    ),
    Case(
        "retire",
        "with tickets that are pending its lease ends now, and the reaper is woken",
        {**_ALIVE, **EMPTY, "ready:q:high": tickets("a@w1"), "ready:q:low": tickets("b@w1", "c@w1")},
        _retire(),
        {
            **_ALIVE,
            **EMPTY,
            "ready:q:high": tickets("a@w1"),
            "ready:q:low": tickets("b@w1", "c@w1"),
            "workers": {"w1": NOW},
        },
        2,
        ("alarm",),
    ),
    Case(
        "retire",
        "a lease that ended before stays ended",
        {"workers": {"w1": NOW - 5}, **EMPTY, "ready:q:high": tickets("a@w1")},
        _retire(),
        {"workers": {"w1": NOW - 5}, **EMPTY, "ready:q:high": tickets("a@w1")},
        1,
        ("alarm",),
    ),
    Case(
        "retire",
        "streams without a group hold nothing up",
        {**_ALIVE, "ready:q:high": tickets("a", group=False)},
        _retire(),
        {"ready:q:high": tickets("a", group=False), "departed": {"w1": NOW}},
        0,
    ),
    Case(
        "retire",
        "the reaper does not retire a worker that has renewed its lease meanwhile",
        {"workers": {"w1": NOW + 5}, **EMPTY},
        lambda world: world.scripts.retire("w1", ["q"], if_over=True, now_ms=NOW),
        {"workers": {"w1": NOW + 5}, **EMPTY},
        -1,
    ),
    Case(
        "retire",
        "the reaper retires a worker whose lease is over",
        {"workers": {"w1": NOW}, **EMPTY},
        lambda world: world.scripts.retire("w1", ["q"], if_over=True, now_ms=NOW),
        {**EMPTY, "departed": {"w1": NOW}},
        0,
    ),
    Case(
        "retire",
        "a lease that was renewed since it was judged is not over, whatever the clock says after a jump",
        {"workers": {"w1": NOW - 5}, **EMPTY},
        lambda world: world.scripts.retire("w1", ["q"], if_over=True, judged_ms=NOW - 9, now_ms=NOW),
        {"workers": {"w1": NOW - 5}, **EMPTY},
        -1,
    ),
    Case(
        "retire",
        "the lease that was judged is over",
        {"workers": {"w1": NOW - 5}, **EMPTY},
        lambda world: world.scripts.retire("w1", ["q"], if_over=True, judged_ms=NOW - 5, now_ms=NOW),
        {**EMPTY, "departed": {"w1": NOW}},
        0,
    ),
    Case(
        "retire",
        "after the last look nothing is left of it",
        {**EMPTY, "departed": {"w1": NOW - 70_000, "w2": NOW - 9}},
        lambda world: world.scripts.retire("w1", ["q"], if_over=True, forget=True, now_ms=NOW),
        {**EMPTY, "departed": {"w2": NOW - 9}},
        0,
    ),
    Case(
        "retire",
        "one that was served a ticket at the last moment is not forgotten",
        {**EMPTY, "ready:q:high": tickets("a@w1"), "departed": {"w1": NOW - 70_000}},
        lambda world: world.scripts.retire("w1", ["q"], if_over=True, forget=True, now_ms=NOW),
        {**EMPTY, "ready:q:high": tickets("a@w1"), "departed": {"w1": NOW - 70_000}},
        1,
        ("alarm",),
    ),
    Case("retire", "a repeated call changes nothing", EMPTY, _retire(), EMPTY, 0),
]

DEAD: State = {"workers": {"w1": NOW, "w2": NOW + 9}, **EMPTY}
RUNNING = job("running", l="w1", a=2, j=8, m="progress")


def _recover(page: int = 10, max_crashes: int = 3) -> Call:
    return lambda world: world.scripts.recover("w1", "q", page, max_crashes, b"worker_lost", now_ms=NOW)


def _recovered(**fields: object) -> dict[str, str]:
    return but(but(RUNNING, s="ready", k=1, v=1, m=None), **fields)


RECOVER = [
    Case(
        "recover",
        "while the lease lives nothing is touched",
        {"workers": {"w1": NOW + 1}, **EMPTY, "ready:q:normal": tickets("a@w1"), "job:a": RUNNING},
        _recover(),
        {"workers": {"w1": NOW + 1}, **EMPTY, "ready:q:normal": tickets("a@w1"), "job:a": RUNNING},
        Recovered(-1, [], []),
    ),
    Case(
        "recover",
        "a lease that was renewed since it was judged is not over, whatever the clock says after a jump",
        {"workers": {"w1": NOW - 5}, **EMPTY, "ready:q:normal": tickets("a@w1"), "job:a": RUNNING},
        lambda world: world.scripts.recover("w1", "q", 10, 3, b"worker_lost", now_ms=NOW, judged_ms=NOW - 9),
        {"workers": {"w1": NOW - 5}, **EMPTY, "ready:q:normal": tickets("a@w1"), "job:a": RUNNING},
        Recovered(-1, [], []),
    ),
    Case(
        "recover",
        "a job that ran is ready again, with a crash counted and its attempt not",
        {**DEAD, "ready:q:normal": tickets("a@w1", "b"), "job:a": RUNNING},
        _recover(),
        {
            **DEAD,
            "ready:q:normal": tickets("b", "a"),
            "job:a": _recovered(),
            "queue:q": {"recovered": "1"},
            "events": ["recover a"],
        },
        Recovered(1, ["a"], []),
    ),
    Case(
        "recover",
        "without a lease as well: the worker has left",
        {**DEAD, "workers": {"w2": NOW}, "ready:q:low": tickets("a@w1"), "job:a": but(RUNNING, k=2, v=2, n=NOW + 4)},
        _recover(),
        {
            **DEAD,
            "workers": {"w2": NOW},
            "ready:q:low": tickets("a"),
            "job:a": _recovered(k=3, v=3, n=NOW + 4),
            "expiring": {"a": NOW + 4},
            "queue:q": {"recovered": "1"},
            "events": ["recover a"],
        },
        Recovered(1, ["a"], []),
        ("alarm",),
    ),
    Case(
        "recover",
        "a job that was delivered, but not taken, is handed on without blame",
        {**DEAD, "ready:q:normal": tickets("a@w1"), "job:a": job("ready")},
        _recover(),
        {**DEAD, "ready:q:normal": tickets("a"), "job:a": job("ready")},
        Recovered(1, [], []),
    ),
    Case(
        "recover",
        "a ticket that is left in another queue than its job's leads nowhere",
        {**DEAD, "ready:q:normal": tickets("a@w1", "b@w1"), "job:a": but(RUNNING, q="r"), "job:b": job("ready", q="r")},
        _recover(),
        {**DEAD, "job:a": but(RUNNING, q="r"), "job:b": job("ready", q="r")},
        Recovered(2, [], []),
    ),
    Case(
        "recover",
        "a job that waited to run alone is handed on without blame, however often its workers died",
        {**DEAD, "ready:q:normal": tickets("a@w1"), "job:a": but(RUNNING, k=3, h=1)},
        _recover(),
        {
            **DEAD,
            "ready:q:normal": tickets("a"),
            "job:a": _recovered(k=3),
            "queue:q": {"recovered": "1"},
            "events": ["recover a"],
        },
        Recovered(1, ["a"], []),
    ),
    Case(
        "recover",
        "a job whose worker died too often is a dead letter, and its unique key is free",
        {
            **DEAD,
            "ready:q:normal": tickets("a@w1"),
            "job:a": but(RUNNING, k=3, u="digest", w="p1"),
            "unique:digest": "a",
        },
        _recover(),
        {
            **DEAD,
            "job:a": but(RUNNING, s="dead", k=4, f=NOW, e="worker_lost", u="digest", w="p1", m=None),
            "dead:q": {"a": NOW},
            "queue:q": {"dead": "1"},
            "events": ["bury a"],
        },
        Recovered(1, [], ["a"]),
        ("waiter:p1 a",),
    ),
    Case(
        "recover",
        "a job with a cancel flag ends",
        {**DEAD, "ready:q:normal": tickets("a@w1"), "job:a": but(RUNNING, x=1)},
        _recover(),
        {
            **DEAD,
            "job:a": but(RUNNING, s="cancelled", x=1, f=NOW, b=None, m=None),
            "done:q": {"a": NOW + HOUR},
            "queue:q": {"cancelled": "1"},
            "events": ["cancel a"],
        },
        Recovered(1, [], []),
    ),
    Case(
        "recover",
        "a page is not exceeded over the three streams, and other workers' jobs stay",
        {
            **DEAD,
            "ready:q:high": tickets("a@w1"),
            "ready:q:normal": tickets("x@w2", "b@w1", "c@w1"),
            "ready:q:low": tickets("d@w1"),
            **{f"job:{name}": RUNNING for name in "abcd"},
            "job:x": but(RUNNING, l="w2"),
        },
        _recover(page=2),
        {
            **DEAD,
            "ready:q:high": tickets("a"),
            "ready:q:normal": tickets("x@w2", "c@w1", "b"),
            "ready:q:low": tickets("d@w1"),
            "job:a": _recovered(),
            "job:b": _recovered(),
            "job:c": RUNNING,
            "job:d": RUNNING,
            "job:x": but(RUNNING, l="w2"),
            "queue:q": {"recovered": "2"},
            "events": ["recover a b"],
        },
        Recovered(2, ["a", "b"], []),
    ),
    Case(
        "recover",
        "tickets that lead nowhere go; those of corrupt records stay for a burial",
        {
            **DEAD,
            "ready:q:normal": tickets("gone@w1", "over@w1", "text@w1", "strange@w1"),
            "job:over": job("succeeded"),
            "job:text": "text",
            "job:strange": job("flying"),
        },
        _recover(),
        {
            **DEAD,
            "ready:q:normal": tickets("text", "strange"),
            "job:over": job("succeeded"),
            "job:text": "text",
            "job:strange": job("flying"),
        },
        Recovered(4, [], []),
    ),
    Case(
        "recover",
        "the ticket of a job that runs elsewhere, delivered again since its group was destroyed, stays for its holder",
        {**DEAD, "ready:q:normal": tickets("a@w1"), "job:a": job("running", l="w2")},
        _recover(),
        {**DEAD, "ready:q:normal": tickets("a"), "job:a": job("running", l="w2")},
        Recovered(1, [], []),
    ),
    Case(
        "recover",
        "numbers that are none begin anew",
        {**DEAD, "ready:q:normal": tickets("a@w1"), "job:a": but(RUNNING, k="x", v="y", n="z")},
        _recover(),
        {
            **DEAD,
            "ready:q:normal": tickets("a"),
            "job:a": _recovered(n="z"),
            "queue:q": {"recovered": "1"},
            "events": ["recover a"],
        },
        Recovered(1, ["a"], []),
    ),
    Case("recover", "a repeated call finds nothing", DEAD, _recover(), DEAD, Recovered(0, [], [])),
    Case("recover", "streams without a group hold nothing", {}, _recover(), {}, Recovered(0, [], [])),
]

CASES = [*REGISTER, *RENEW, *HOLD, *END_LEASE, *RETIRE, *RECOVER]
