"""What people do to dead letters: browse, requeue, discard."""

from __future__ import annotations

from typing import Any

from script_state import NOW, Call, Case, State, World, job, tickets
from tidemill.wire.command import Command
from tidemill.wire.scripts import Hand, Requeue

_HAND = Hand("ann", "why", "op1", "all")


def _audit(action: str, *ids: str) -> str:
    return f"{action}, {NOW}, ann, why, op1, all, {' '.join(ids)}"


def _requeue(*letters: Requeue) -> Call:
    return lambda world: world.scripts.requeue(letters or [Requeue("a")], _HAND, now_ms=NOW)


_DEAD = job("dead", a=3, v=1, l="w1", k=4, f=9, d=8, x=1, n=5, w="p1", e="error", u="digest", p="low", j=2)


def _retry_within_limits(world: World) -> Command[Any]:
    return world.scripts.requeue([Requeue(one) for one in "abcd"], _HAND, now_ms=NOW, within_limits=True)


_FOUR_DEAD: State = {
    **{f"job:{one}": job("dead") for one in "abc"},
    "job:d": job("dead", q="other"),
    "dead:q": dict.fromkeys("abc", 9),
    "dead:other": {"d": 9},
}

_LET_IN: State = {
    "job:a": job("ready", v=0, c=NOW),
    "job:d": job("ready", q="other", v=0, c=NOW),
    **{f"job:{one}": job("dead") for one in "bc"},
    "dead:q": dict.fromkeys("bc", 9),
    "ready:other:normal": tickets("d", group=False),
    "events": ["requeue a d"],
    "audit": [_audit("retry", "a", "d")],
}

REQUEUE = [
    *(
        Case(
            "requeue",
            f"of many, as many get in as have room, by {name}",
            {**_FOUR_DEAD, "queue:q": limits, "wheel:q": {"x": 1}},
            _retry_within_limits,
            {**_LET_IN, "queue:q": limits, "wheel:q": {"x": 1}, "ready:q:normal": tickets("a", group=False)},
            [["ready"], ["full"], ["full"], ["ready"]],
        )
        for name, limits in (("jobs", {"limit": "2"}), ("bytes", {"limit_bytes": "25", "mean_bytes": "10"}))
    ),
    Case(
        "requeue",
        "a dead letter is ready as if it were new, but for its fence",
        {"job:a": _DEAD, "dead:q": {"a": 9, "b": 9}},
        _requeue(),
        {
            "job:a": job("ready", a=3, v=3, l="w1", c=NOW, e="error", u="digest", p="low", j=2),
            "dead:q": {"b": 9},
            "unique:digest": "a",
            "ready:q:low": tickets("a", group=False),
            "events": ["requeue a"],
            "audit": [_audit("retry", "a")],
        },
        [["ready"]],
    ),
    Case(
        "requeue",
        "many at once answer in order, and are one entry of the audit",
        {
            "job:a": job("dead"),
            "job:b": job("running"),
            "job:c": job("dead", q="other"),
            "dead:q": {"a": 9},
            "dead:other": {"c": 9},
            "audit": ["retry, 1, bob, , op0, , z"],
        },
        _requeue(Requeue("a"), Requeue("b"), Requeue("gone"), Requeue("c")),
        {
            "job:a": job("ready", v=0, c=NOW),
            "job:b": job("running"),
            "job:c": job("ready", q="other", v=0, c=NOW),
            "ready:q:normal": tickets("a", group=False),
            "ready:other:normal": tickets("c", group=False),
            "events": ["requeue a c"],
            "audit": ["retry, 1, bob, , op0, , z", _audit("retry", "a", "c")],
        },
        [["ready"], ["running"], [""], ["ready"]],
    ),
    Case(
        "requeue",
        "one that is named twice has one ticket",
        {"job:a": job("dead", u="digest"), "dead:q": {"a": 9}},
        _requeue(Requeue("a"), Requeue("a")),
        {
            "job:a": job("ready", v=0, c=NOW, u="digest"),
            "unique:digest": "a",
            "ready:q:normal": tickets("a", group=False),
            "events": ["requeue a"],
            "audit": [_audit("retry", "a")],
        },
        [["ready"], ["ready"]],
    ),
    Case(
        "requeue",
        "new arguments take the place of all parts of the old ones, and are told apart in the audit",
        {
            "job:a": job("dead", b1="old", b2="old", b3="old"),
            "job:b": job("dead", b="x" * 300),
            "job:c": job("dead"),
            "dead:q": {"a": 9, "b": 9, "c": 9},
        },
        _requeue(Requeue("a", body=b"new"), Requeue("b", body=b"y" * 61), Requeue("c")),
        {
            "job:a": job("ready", v=0, c=NOW, b="new"),
            "job:b": job("ready", v=0, c=NOW, b="y" * 60, b1="y"),
            "job:c": job("ready", v=0, c=NOW),
            "ready:q:normal": tickets("a", "b", "c", group=False),
            "events": ["requeue a b c"],
            "audit": [_audit("retry", "c"), _audit("edit", "a", "b")],
        },
        [["ready"], ["ready"], ["ready"]],
    ),
    Case(
        "requeue",
        "one that has died again since it was looked at stays",
        {"job:a": job("dead", f=9), "job:b": job("dead", f=9), "dead:q": {"a": 9, "b": 9}},
        _requeue(Requeue("a", died="8"), Requeue("b", died="9")),
        {
            "job:a": job("dead", f=9),
            "job:b": job("ready", v=0, c=NOW),
            "dead:q": {"a": 9},
            "ready:q:normal": tickets("b", group=False),
            "events": ["requeue b"],
            "audit": [_audit("retry", "b")],
        },
        [["changed"], ["ready"]],
    ),
    Case(
        "requeue",
        "it does not take a unique key that another job holds, and nothing is noted",
        {"job:a": _DEAD, "dead:q": {"a": 9}, "unique:digest": "b", "job:b": job("running")},
        _requeue(),
        {"job:a": _DEAD, "dead:q": {"a": 9}, "unique:digest": "b", "job:b": job("running")},
        [["conflict", "b"]],
    ),
    Case(
        "requeue",
        "of two letters with one unique key the first takes it",
        {"job:a": job("dead", u="digest"), "job:b": job("dead", u="digest"), "dead:q": {"a": 9, "b": 9}},
        _requeue(Requeue("b"), Requeue("a")),
        {
            "job:a": job("dead", u="digest"),
            "job:b": job("ready", v=0, c=NOW, u="digest"),
            "dead:q": {"a": 9},
            "unique:digest": "b",
            "ready:q:normal": tickets("b", group=False),
            "events": ["requeue b"],
            "audit": [_audit("retry", "b")],
        },
        [["ready"], ["conflict", "b"]],
    ),
    Case(
        "requeue",
        "a unique key whose job is over is free",
        {"job:a": job("dead", u="digest"), "dead:q": {"a": 9}, "unique:digest": "b", "job:b": job("expired")},
        _requeue(),
        {
            "job:a": job("ready", v=0, c=NOW, u="digest"),
            "unique:digest": "a",
            "job:b": job("expired"),
            "ready:q:normal": tickets("a", group=False),
            "events": ["requeue a"],
            "audit": [_audit("retry", "a")],
        },
        [["ready"]],
    ),
    Case(
        "requeue",
        "a job that is not dead stays",
        {"job:a": job("running")},
        _requeue(),
        {"job:a": job("running")},
        [["running"]],
    ),
    Case("requeue", "an unknown job", {}, _requeue(), {}, [[""]]),
    Case(
        "requeue", "a record of another type can't run", {"job:a": "text"}, _requeue(), {"job:a": "text"}, [["corrupt"]]
    ),
    Case(
        "requeue",
        "a dead letter without a queue can't run",
        {"job:a": {"s": "dead"}},
        _requeue(),
        {"job:a": {"s": "dead"}},
        [["corrupt"]],
    ),
]


def _discard(*letters: tuple[str, str]) -> Call:
    return lambda world: world.scripts.discard("q", letters or [("a", "")], _HAND, now_ms=NOW)


DISCARD = [
    Case(
        "discard",
        "dead letters go, with their places, and are one entry of the audit",
        {"job:a": _DEAD, "job:b": job("dead", f=9), "job:c": job("dead"), "dead:q": {"a": 9, "b": 9, "c": 9}},
        _discard(("a", "9"), ("b", "")),
        {"job:c": job("dead"), "dead:q": {"c": 9}, "events": ["discard a b"], "audit": [_audit("purge", "a", "b")]},
        ["gone", "gone"],
    ),
    Case(
        "discard",
        "one that has died again since it was looked at stays",
        {"job:a": job("dead", f=9), "dead:q": {"a": 9}},
        _discard(("a", "8")),
        {"job:a": job("dead", f=9), "dead:q": {"a": 9}},
        ["changed"],
    ),
    Case(
        "discard",
        "what is not dead, of another queue or unknown stays",
        {"job:a": job("ready"), "job:b": job("dead", q="other"), "dead:other": {"b": 9}, "dead:q": {"x": 9}},
        _discard(("a", ""), ("b", ""), ("gone", "")),
        {"job:a": job("ready"), "job:b": job("dead", q="other"), "dead:other": {"b": 9}, "dead:q": {"x": 9}},
        ["ready", "dead", ""],
    ),
    Case(
        "discard",
        "a corrupt record goes if it stands among the dead letters, and only then",
        {"job:a": "text", "job:b": job("flying"), "job:c": job("flying"), "dead:q": {"a": 9, "b": 9}},
        _discard(("a", ""), ("b", ""), ("c", "")),
        {"job:c": job("flying"), "events": ["discard a b"], "audit": [_audit("purge", "a", "b")]},
        ["gone", "gone", "corrupt"],
    ),
]

CASES = [*REQUEUE, *DISCARD]
