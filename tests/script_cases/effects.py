"""Effects of running jobs: made together with their marker, or begun and ended."""

from __future__ import annotations

from typing import Any

from script_state import Call, Case, State, World, job
from tidemill.wire.command import Command
from tidemill.wire.scripts import Claim, Marked

TTL_MS = 5_000
RUNNING: State = {"job:a": job("running", l="w1", a=2)}
DONE = {"call": "earlier", "done": "result"}
MADE = {"call": "call", "done": ""}


def _begun(call: str, by: str, attempt: int, told: str = "new") -> dict[str, str]:
    return {"call": call, "told": told, "job": by, "worker": "w1", "attempt": str(attempt)}


def _claim(attempt: int = 2, worker: str = "w1") -> Claim:
    return Claim("a", worker, attempt, "call")


# The effect's own keys, named as keys of the documentation: tests refuse others.
STOCK, SOLD = "unique:stock", "unique:sold"


def _apply(*commands: tuple[str, str, str], claim: Claim | None = None) -> Call:
    """Each command's second word is a key of the table."""

    def made(world: World) -> Command[Any]:
        words = [(name, world.keys.root + key, value) for name, key, value in commands]
        return world.scripts.apply_effect(claim or _claim(), "digest", TTL_MS, words)

    return made


def _begin(claim: Claim | None = None) -> Call:
    return lambda world: world.scripts.begin_effect(claim or _claim(), "digest", TTL_MS)


def _end(result: bytes | None, claim: Claim | None = None) -> Call:
    return lambda world: world.scripts.end_effect(claim or _claim(), "digest", TTL_MS, result)


def _same(script: str, what: str, state: State, made: Call, reply: object) -> Case:
    return Case(script, what, state, made, state, reply)


SELL = _apply(("INCRBY", STOCK, "-3"), ("INCRBY", SOLD, "3"))

APPLY = [
    Case(
        "apply_effect",
        "a new effect is made, and marked",
        {**RUNNING, STOCK: "5"},
        SELL,
        {**RUNNING, STOCK: "2", SOLD: "3", "once:digest": MADE},
        Marked("made"),
    ),
    _same(
        "apply_effect", "one that was made is not made again", {**RUNNING, "once:digest": DONE}, SELL, Marked("done")
    ),
    _same(
        "apply_effect",
        "a call whose reply was lost hears again that it made the effect",
        {**RUNNING, STOCK: "2", "once:digest": MADE},
        SELL,
        Marked("made"),
    ),
    _same(
        "apply_effect",
        "an attempt that was given up is refused",
        {"job:a": job("running", l="w2", a=3), STOCK: "5"},
        SELL,
        Marked("fenced"),
    ),
    _same(
        "apply_effect",
        "a job that is over makes no effect",
        {"job:a": job("dead", l="w1", a=2)},
        SELL,
        Marked("fenced"),
    ),
    _same("apply_effect", "a job that is not known makes no effect", {STOCK: "5"}, SELL, Marked("fenced")),
    Case(
        "apply_effect",
        "when the first command is refused nothing has happened",
        {**RUNNING, STOCK: "many"},
        SELL,
        {**RUNNING, STOCK: "many"},
        Marked("refused", b"ERR value is not an integer or out of range", 1),
    ),
    Case(
        "apply_effect",
        "when a later command is refused the effect is unknown from then on",
        {**RUNNING, STOCK: "5", SOLD: "many"},
        SELL,
        {**RUNNING, STOCK: "2", SOLD: "many", "once:digest": _begun("call", "a", 2, "unknown")},
        Marked("refused", b"ERR value is not an integer or out of range", 2),
    ),
    _same(
        "apply_effect",
        "an effect that is unknown is left alone",
        {**RUNNING, STOCK: "5", "once:digest": _begun("earlier", "a", 1)},
        SELL,
        Marked("unknown"),
    ),
    _same(
        "apply_effect",
        "an effect that another job is at is left alone",
        {**RUNNING, "job:b": job("running", l="w1", a=1), "once:digest": _begun("other", "b", 1)},
        SELL,
        Marked("busy", b"b"),
    ),
]

BEGIN = [
    Case(
        "begin_effect",
        "a new effect is begun",
        RUNNING,
        _begin(),
        {**RUNNING, "once:digest": _begun("call", "a", 2)},
        Marked("new"),
    ),
    _same(
        "begin_effect",
        "one that is done has its result",
        {**RUNNING, "once:digest": DONE},
        _begin(),
        Marked("done", b"result"),
    ),
    Case(
        "begin_effect",
        "what an earlier attempt began is unknown, and taken over",
        {**RUNNING, "once:digest": _begun("earlier", "a", 1)},
        _begin(),
        {**RUNNING, "once:digest": _begun("call", "a", 2, "unknown")},
        Marked("unknown"),
    ),
    Case(
        "begin_effect",
        "what this attempt began, and did not end, is unknown",
        {**RUNNING, "once:digest": _begun("earlier", "a", 2)},
        _begin(),
        {**RUNNING, "once:digest": _begun("call", "a", 2, "unknown")},
        Marked("unknown"),
    ),
    _same(
        "begin_effect",
        "a call whose reply was lost hears the same again",
        {**RUNNING, "once:digest": _begun("call", "a", 2, "unknown")},
        _begin(),
        Marked("unknown"),
    ),
    _same(
        "begin_effect",
        "while another job is at it, it is not begun",
        {**RUNNING, "job:b": job("running", l="w1", a=1), "once:digest": _begun("other", "b", 1)},
        _begin(),
        Marked("busy", b"b"),
    ),
    Case(
        "begin_effect",
        "what an attempt of another job began that was given up is unknown",
        {**RUNNING, "job:b": job("running", l="w2", a=2), "once:digest": _begun("other", "b", 1)},
        _begin(),
        {**RUNNING, "job:b": job("running", l="w2", a=2), "once:digest": _begun("call", "a", 2, "unknown")},
        Marked("unknown"),
    ),
    _same(
        "begin_effect",
        "an attempt that was given up begins nothing",
        {"job:a": job("running", l="w1", a=3)},
        _begin(),
        Marked("fenced"),
    ),
]

END = [
    Case(
        "end_effect",
        "an effect that has happened keeps its result",
        {**RUNNING, "once:digest": _begun("call", "a", 2)},
        _end(b"result"),
        {**RUNNING, "once:digest": {"call": "call", "done": "result"}},
        1,
    ),
    Case(
        "end_effect",
        "an effect that has not happened is new again",
        {**RUNNING, "once:digest": _begun("call", "a", 2)},
        _end(None),
        RUNNING,
        1,
    ),
    _same("end_effect", "an effect that is done stays done", {**RUNNING, "once:digest": MADE}, _end(None), 1),
    Case(
        "end_effect",
        "a marker whose time was over meanwhile is written again",
        RUNNING,
        _end(b"result"),
        {**RUNNING, "once:digest": {"call": "call", "done": "result"}},
        1,
    ),
    _same(
        "end_effect",
        "one that was taken over is not this call's to end",
        {**RUNNING, "once:digest": _begun("other", "a", 2, "unknown")},
        _end(b"result"),
        0,
    ),
    _same(
        "end_effect",
        "an attempt that was given up records nothing",
        {"job:a": job("ready", l="w1", a=2), "once:digest": _begun("call", "a", 2)},
        _end(b"result"),
        0,
    ),
]

CASES = [*APPLY, *BEGIN, *END]
