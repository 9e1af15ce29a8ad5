"""A worker comes and stays."""

from __future__ import annotations

from script_state import NOW, Call, Case, State, after, but, job, tickets
from tidemill.wire.scripts import Renewal, Taken

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

ALIVE: State = {"workers": {"w1": NOW + 5}, "worker:w1": DESCRIPTION}

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
        ALIVE,
        _renew(),
        after(ALIVE, {"workers": {"w1": NOW + 50}}),
        Renewal([], frozenset()),
    ),
    Case(
        "renew",
        "a lease that is over, but not yet recovered, goes on",
        after(ALIVE, {"workers": {"w1": NOW - 5}}),
        _renew(),
        after(ALIVE, {"workers": {"w1": NOW + 50}}),
        Renewal([], frozenset()),
    ),
    Case("renew", "a lease that is gone does not come back", {}, _renew("a"), {}, None),
    Case(
        "renew",
        "the worker learns what is to be cancelled and what is paused; strange keys do not cost it the lease",
        {
            **ALIVE,
            "job:a": job("running", x=1),
            "job:b": job("running"),
            "job:c": "text",
            "queue:q": "text",
            "queue:p": {"paused": "1"},
        },
        _renew("a", "b", "c", "gone"),
        {
            **ALIVE,
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
        after(ALIVE, _WAITING),
        _renew("running", queues=("q", "p", "given", "empty", "without", "text")),
        after(ALIVE, {**_WAITING, "workers": {"w1": NOW + 50}}),
        Renewal([], frozenset({"p"}), frozenset({"q", "without"}), given=4),
    ),
]

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

CASES = [*REGISTER, *RENEW, *HOLD]
