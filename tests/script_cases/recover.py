"""What a dead worker held: READY again, DEAD or CANCELLED."""

from __future__ import annotations

from script_cases.worker import EMPTY
from script_state import HOUR, NOW, Call, Case, State, but, job, tickets
from tidemill.wire.scripts import Recovered

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

CASES = [*RECOVER]
