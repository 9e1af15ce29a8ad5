"""(new) → READY by the clock: definitions of recurring jobs and their occurrences."""

from __future__ import annotations

from typing import Any

from script_state import NOW, Call, Case, State, World, after, job, tickets
from tidemill.wire.command import Command
from tidemill.wire.scripts import NewJobs

DAILY: State = {"recurring": {"daily": "definition"}, "occurrences": {"daily": NOW}}
SHARED = NewJobs("q", "t", priority="low", result_ttl_ms=5, options=b"options")


def _declare(definition: bytes, next_ms: int) -> Call:
    return lambda world: world.scripts.declare("daily", definition, next_ms)


def _undeclare(world: World) -> Command[Any]:
    return world.scripts.undeclare("daily")


def _tick(*ids: str, seen_ms: int = NOW) -> Call:
    return lambda world: world.scripts.tick("daily", seen_ms, NOW + 500, SHARED, b"body", ids, now_ms=NOW)


MADE = job("ready", c=NOW, p="low", z=5, o="options")

CASES = [
    Case(
        "declare",
        "a new definition has its next occurrence, and schedulers wake",
        {},
        _declare(b"definition", NOW),
        DAILY,
        1,
        ("alarm",),
    ),
    Case(
        "declare",
        "an unchanged definition keeps its next occurrence",
        DAILY,
        _declare(b"definition", NOW + 9),
        DAILY,
        0,
    ),
    Case(
        "declare",
        "a changed definition gets another next occurrence",
        DAILY,
        _declare(b"changed", NOW + 9),
        {"recurring": {"daily": "changed"}, "occurrences": {"daily": NOW + 9}},
        1,
        ("alarm",),
    ),
    Case(
        "declare",
        "a definition that has lost its occurrence gets one",
        after(DAILY, {"occurrences": None}),
        _declare(b"definition", NOW),
        DAILY,
        1,
        ("alarm",),
    ),
    Case("undeclare", "definition and occurrence go", DAILY, _undeclare, {}, 1),
    Case("undeclare", "an unknown name", {}, _undeclare, {}, 0),
    Case(
        "tick",
        "an occurrence becomes a job, and the next one takes its place",
        DAILY,
        _tick("daily-1"),
        {
            **DAILY,
            "occurrences": {"daily": NOW + 500},
            "queues": {"q"},
            "queue:q": {"known": "1"},
            "job:daily-1": MADE,
            "ready:q:low": tickets("daily-1", group=False),
        },
        1,
    ),
    Case(
        "tick",
        "several missed occurrences, of which one was made before",
        {**DAILY, "job:daily-2": job("succeeded")},
        _tick("daily-1", "daily-2", "daily-3"),
        {
            **DAILY,
            "occurrences": {"daily": NOW + 500},
            "queues": {"q"},
            "queue:q": {"known": "1"},
            "job:daily-1": MADE,
            "job:daily-2": job("succeeded"),
            "job:daily-3": MADE,
            "ready:q:low": tickets("daily-1", "daily-3", group=False),
        },
        2,
    ),
    Case(
        "tick",
        "no job to make: only the time moves",
        DAILY,
        _tick(),
        {**DAILY, "occurrences": {"daily": NOW + 500}},
        0,
    ),
    Case("tick", "another scheduler was first", DAILY, _tick("daily-1", seen_ms=NOW - 500), DAILY, -1),
    Case("tick", "a recurring job that was removed makes nothing", {}, _tick("daily-1"), {}, -1),
]
