"""A run ends, or a job in line: its permit goes to the next, who is let in."""

from __future__ import annotations

from typing import Any

from script_cases.limits import HELD, NEVER, line
from script_cases.settlement import REST
from script_state import HOUR, NOW, Case, State, World, after, but, job, tickets
from tidemill.wire.command import Command
from tidemill.wire.scripts import Recovered

# One was let in, and one still waits.
NEXT: State = {
    "permits:c1": {"z": 8},
    "called:c1": {"b": NOW},
    "ready:q:normal": tickets("z@w2", "b"),
    "job:b": job("ready", li="c1", i=2000, d=NOW),
    **line("c1", NOW + 1000, c=3000),
}


def _settle(script: str, incarnation: str = "w1") -> Any:
    def call(world: World) -> Command[Any]:
        clock = {} if script == "release" else {"now_ms": NOW}
        rows = [("a", world.entry("a"), 1, *REST[script])]
        method: Any = getattr(world.scripts, script)
        found: Command[Any] = method(incarnation, "q", "normal", rows, **clock)
        return found

    return call


def _settled(script: str, record: dict[str, str], more: State, reply: object = None, **changes: Any) -> Case:
    return Case(
        script,
        "its permit goes to the next in line",
        HELD,
        _settle(script),
        after(HELD, {**NEXT, "job:a": record, **more, **changes}),
        reply if reply is not None else [1],
        ("alarm",),
    )


SETTLE = [
    _settled(
        "complete",
        but(job("succeeded", l="w1", a=1, j=8, f=NOW, r="result", li="c1"), b=None),
        {"done:q": {"a": NOW + HOUR}, "queue:q": {"succeeded": "1"}, "events": ["complete a"]},
    ),
    _settled(
        "bury",
        job("dead", l="w1", a=1, j=8, f=NOW, e="error", li="c1"),
        {"dead:q": {"a": NOW}, "queue:q": {"dead": "1"}, "events": ["bury a"]},
    ),
    *[
        Case(script, "a fenced worker gives back nothing", HELD, _settle(script, "w9"), HELD, [0])
        for script in ("complete", "retry", "park", "bury", "release")
    ],
    Case(
        "release",
        "its permit is free, and a scheduler is told",
        HELD,
        _settle("release"),
        after(
            HELD,
            {
                "permits:c1": {"z": 8},
                "job:a": job("ready", l="w1", a=1, j=8, v=1, li="c1"),
                "ready:q:normal": tickets("z@w2", "a"),
                "agenda": {"q": NEVER, "line:c1": 0},
                "events": ["release a"],
            },
        ),
        [1],
        ("alarm",),
    ),
    Case(
        "recover",
        "the permits of a dead worker go to the next in line",
        {**HELD, "workers": {"w1": NOW - 1}},
        lambda world: world.scripts.recover("w1", "q", 10, 3, b"lost", now_ms=NOW),
        after(
            HELD,
            {
                **NEXT,
                "workers": {"w1": NOW - 1},
                "job:a": job("ready", l="w1", a=1, j=8, k=1, v=1, li="c1"),
                "ready:q:normal": tickets("z@w2", "a", "b"),
                "queue:q": {"recovered": "1"},
                "events": ["recover a"],
            },
        ),
        Recovered(1, ["a"], []),
        ("alarm",),
    ),
    Case(
        "cancel",
        "who is cancelled leaves the line",
        HELD,
        lambda world: world.scripts.cancel(["b"], now_ms=NOW),
        after(
            HELD,
            {
                "job:b": but(job("cancelled", li="c1", f=NOW), b=None),
                "line:c1": {"c": 3000},
                "wheel:q": {"c": NEVER},
                "agenda": {"q": NEVER, "line:c1": 0},
                "done:q": {"b": NOW + HOUR},
                "queue:q": {"cancelled": "1"},
                "events": ["cancel b"],
            },
        ),
        ["cancelled"],
        ("alarm",),
    ),
]

CASES = [*SETTLE]
