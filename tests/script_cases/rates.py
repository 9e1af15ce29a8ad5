"""`take` and rates: what is left for those in line, and what a clock does that was set back."""

from __future__ import annotations

from script_cases.limits import FOR_RATE, RATE, limited, line, rate_at, waiting
from script_cases.take import EMPTY, LEASE, READY, RUNNING, streams, take
from script_state import NOW, Case, but, tickets
from tidemill.wire.scripts import Takings

CASES = [
    Case(
        "take",
        "what is free is left for who stands in line and needs more, however little it costs who comes new",
        {
            **LEASE,
            **RATE,
            **streams(normal=tickets("new")),
            "job:new": but(READY, li="r1"),
            "job:b": waiting("r1:3", 500, FOR_RATE),
            **line("r1", NOW + 2, b=500),
            "limit:r1": rate_at(6),
        },
        take(),
        {
            **LEASE,
            **RATE,
            **EMPTY,
            "job:new": waiting("r1", 1000, FOR_RATE),
            "job:b": waiting("r1:3", 500, FOR_RATE),
            **line("r1", NOW + 2, b=500, new=1000),
            "limit:r1": rate_at(6),
            "events": ["limit new"],
            "queue:q": {"limited": "1"},
        },
        Takings([]),
    ),
    Case(
        "take",
        "a rate that would keep all waiting for longer than its burst takes, as of a clock that was set back, is free",
        {
            **LEASE,
            **RATE,
            **streams(normal=tickets("a")),
            "job:a": but(READY, li="r1"),
            "limit:r1": rate_at(13),
        },
        take(),
        {
            **LEASE,
            **RATE,
            **streams(normal=tickets("a@w1")),
            "job:a": but(RUNNING, li="r1"),
            "limit:r1": rate_at(2),
        },
        Takings([limited("a", "r1")]),
    ),
]
