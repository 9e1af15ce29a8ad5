"""Circuit breakers: opened, probed, closed, by calls and by hand; and the jobs that they have parked."""

from __future__ import annotations

from typing import Any

from script_state import NOW, Call, Case, but
from tidemill.wire.scripts import BreakerFigures, Hand, News, ProbeOutcome, Reopening

RESET = Reopening(1_000, 4_000)
DAY = 86_400_000
OPEN_AT = NOW - 500


def breaker(state: str, epoch: int, **fields: object) -> dict[str, str]:
    """As a change made it, half a second ago."""
    made = {"until": OPEN_AT, "reason": "failures", "openings": 1, "passed": 0, "changed": OPEN_AT}
    return but({"state": state, "epoch": epoch, **made}, **fields)


def changed(state: str, until: int, **fields: object) -> dict[str, str]:
    """As the call has made it."""
    return but(breaker(state, NOW, until=until, changed=NOW), **fields)


def indexed(until: int) -> dict[str, int]:
    return {"pay": max(until, NOW) + DAY}


def _trip(epoch: int) -> Call:
    return lambda world: world.scripts.trip_breaker("pay", epoch, "error_rate", RESET, now_ms=NOW)


CLOSED = breaker("closed", 7, openings=0, reason="probe")
OPEN = breaker("open", 7)
HALF_OPEN = breaker("half_open", 7)

TRIP = [
    Case(
        "trip_breaker",
        "a breaker that has never been open opens, and all are told",
        {},
        _trip(0),
        {"breaker:pay": changed("open", NOW + 1_000, reason="error_rate"), "breakers": indexed(NOW + 1_000)},
        News(NOW, "open", 1_000, "error_rate"),
        (f"breakers pay {NOW} open 1000 error_rate",),
    ),
    Case(
        "trip_breaker",
        "one that was closed opens; names whose hashes have ended leave the index",
        {"breaker:pay": CLOSED, "breakers": {"pay": NOW + 5, "former": NOW - 1}},
        _trip(7),
        {"breaker:pay": changed("open", NOW + 1_000, reason="error_rate"), "breakers": indexed(NOW + 1_000)},
        News(NOW, "open", 1_000, "error_rate"),
        (f"breakers pay {NOW} open 1000 error_rate",),
    ),
    Case(
        "trip_breaker",
        "calls of an epoch before this one open nothing",
        {"breaker:pay": CLOSED},
        _trip(6),
        {"breaker:pay": CLOSED},
        News(7, "closed", 0, "probe"),
    ),
    Case(
        "trip_breaker",
        "one that is half-open is for its probes to open",
        {"breaker:pay": HALF_OPEN},
        _trip(7),
        {"breaker:pay": HALF_OPEN},
        News(7, "half_open", 0, "failures"),
    ),
    Case(
        "trip_breaker",
        "who knows a later epoch than a server that has lost some is believed",
        {"breaker:pay": breaker("half_open", 7, **{"permit:p": NOW + 9})},
        _trip(NOW + 3),
        {
            "breaker:pay": changed("open", NOW + 2_000, epoch=NOW + 4, reason="error_rate", openings=2),
            "breakers": indexed(NOW + 2_000),
        },
        News(NOW + 4, "open", 2_000, "error_rate"),
        (f"breakers pay {NOW + 4} open 2000 error_rate",),
    ),
]


def _probe(permit: str = "p", *, epoch: int = 7, most: int = 2) -> Call:
    return lambda world: world.scripts.probe_breaker("pay", epoch, permit, 300, most, now_ms=NOW)


PROBE = [
    Case(
        "probe_breaker",
        "an open breaker whose time is over is half-open, and gives a permit",
        {"breaker:pay": OPEN},
        _probe(),
        {
            "breaker:pay": changed("half_open", NOW, **{"permit:p": NOW + 300}),
            "breakers": indexed(NOW),
        },
        (News(NOW, "half_open", 0, "failures"), True),
        (f"breakers pay {NOW} half_open 0 failures",),
    ),
    Case(
        "probe_breaker",
        "before its time it gives none",
        {"breaker:pay": breaker("open", 7, until=NOW + 40)},
        _probe(),
        {"breaker:pay": breaker("open", 7, until=NOW + 40)},
        (News(7, "open", 40, "failures"), False),
    ),
    Case(
        "probe_breaker",
        "a half-open one has so many permits, for probes that run and that have passed; the end of the first is told",
        {"breaker:pay": breaker("half_open", 7, passed=1, **{"permit:a": NOW + 120})},
        _probe(),
        {"breaker:pay": breaker("half_open", 7, passed=1, **{"permit:a": NOW + 120})},
        (News(7, "half_open", 120, "failures"), False),
    ),
    Case(
        "probe_breaker",
        "the permit of a process that has died is another's",
        {"breaker:pay": breaker("half_open", 7, passed=1, **{"permit:a": NOW})},
        _probe(),
        {
            "breaker:pay": breaker("half_open", 7, passed=1, **{"permit:p": NOW + 300}),
        },
        (News(7, "half_open", 0, "failures"), True),
    ),
    Case(
        "probe_breaker",
        "who has a permit keeps it",
        {"breaker:pay": breaker("half_open", 7, **{"permit:p": NOW + 1})},
        _probe(most=1),
        {"breaker:pay": breaker("half_open", 7, **{"permit:p": NOW + 300})},
        (News(7, "half_open", 0, "failures"), True),
    ),
    Case(
        "probe_breaker",
        "a closed one needs no permits",
        {"breaker:pay": CLOSED},
        _probe(),
        {"breaker:pay": CLOSED},
        (News(7, "closed", 0, "probe"), False),
    ),
    Case(
        "probe_breaker",
        "a server that has lost the breaker says so to all",
        {},
        _probe(epoch=NOW + 3),
        {
            "breaker:pay": changed("closed", 0, epoch=NOW + 4, reason="", openings=0),
            "breakers": indexed(NOW),
        },
        (News(NOW + 4, "closed", 0, ""), False),
        (f"breakers pay {NOW + 4} closed 0",),
    ),
]


def _settle(outcome: ProbeOutcome, most: int = 2) -> Call:
    return lambda world: world.scripts.settle_probe("pay", "p", outcome, most, RESET, now_ms=NOW)


PROBED = breaker("half_open", 7, **{"permit:p": NOW + 9, "permit:a": NOW + 9})

SETTLE = [
    Case(
        "settle_probe",
        "a failure opens it for twice as long, and the other permits are void",
        {"breaker:pay": PROBED},
        _settle("failed"),
        {
            "breaker:pay": changed("open", NOW + 2_000, reason="probe", openings=2),
            "breakers": indexed(NOW + 2_000),
        },
        News(NOW, "open", 2_000, "probe"),
        (f"breakers pay {NOW} open 2000 probe",),
    ),
    Case(
        "settle_probe",
        "the longest reset timeout is not passed",
        {"breaker:pay": breaker("half_open", 7, openings=9, **{"permit:p": NOW + 9})},
        _settle("failed"),
        {
            "breaker:pay": changed("open", NOW + 4_000, reason="probe", openings=10),
            "breakers": indexed(NOW + 4_000),
        },
        News(NOW, "open", 4_000, "probe"),
        (f"breakers pay {NOW} open 4000 probe",),
    ),
    Case(
        "settle_probe",
        "a success counts",
        {"breaker:pay": PROBED},
        _settle("passed"),
        {"breaker:pay": breaker("half_open", 7, passed=1, **{"permit:a": NOW + 9})},
        News(7, "half_open", 0, "failures"),
    ),
    Case(
        "settle_probe",
        "the last one closes it",
        {"breaker:pay": breaker("half_open", 7, passed=1, **{"permit:p": NOW + 9})},
        _settle("passed"),
        {"breaker:pay": changed("closed", NOW, reason="probe", openings=0), "breakers": indexed(NOW)},
        News(NOW, "closed", 0, "probe"),
        (f"breakers pay {NOW} closed 0 probe",),
    ),
    Case(
        "settle_probe",
        "one that tells nothing gives its permit back, and all may ask for it",
        {"breaker:pay": PROBED},
        _settle("nothing"),
        {"breaker:pay": breaker("half_open", 7, **{"permit:a": NOW + 9})},
        News(7, "half_open", 0, "failures"),
        ("breakers pay 7 half_open 0 failures",),
    ),
    Case(
        "settle_probe",
        "a permit of an epoch before this one changes nothing",
        {"breaker:pay": breaker("half_open", 7, **{"permit:a": NOW + 9})},
        _settle("failed"),
        {"breaker:pay": breaker("half_open", 7, **{"permit:a": NOW + 9})},
        News(7, "half_open", 0, "failures"),
    ),
]


def _set(state: Any, for_ms: int = 0) -> Call:
    hand = Hand("ann@host", "maintenance", "op1")
    return lambda world: world.scripts.set_breaker("pay", state, for_ms, hand, now_ms=NOW)


SET = [
    Case(
        "set_breaker",
        "by hand it opens for as long as is said, and the audit says who did it",
        {"breaker:pay": CLOSED},
        _set("open", 60_000),
        {
            "breaker:pay": changed("open", NOW + 60_000, reason="hand", operation="op1"),
            "breakers": indexed(NOW + 60_000),
            "audit": [f"open_breaker, {NOW}, ann@host, maintenance, op1, , breaker:pay"],
        },
        News(NOW, "open", 60_000, "hand"),
        (f"breakers pay {NOW} open 60000 hand",),
    ),
    Case(
        "set_breaker",
        "by hand it closes",
        {"breaker:pay": breaker("open", 7, until=NOW + 9, openings=3)},
        _set("closed"),
        {
            "breaker:pay": changed("closed", NOW, reason="hand", openings=0, operation="op1"),
            "breakers": indexed(NOW),
            "audit": [f"close_breaker, {NOW}, ann@host, maintenance, op1, , breaker:pay"],
        },
        News(NOW, "closed", 0, "hand"),
        (f"breakers pay {NOW} closed 0 hand",),
    ),
]

LOOK = [
    Case(
        "look_breakers",
        "each as it is; one that has never changed is closed",
        {"breaker:pay": breaker("open", 7, until=NOW + 40), "breaker:mail": PROBED},
        lambda world: world.scripts.look_breakers(["pay", "mail", "never"], now_ms=NOW),
        {"breaker:pay": breaker("open", 7, until=NOW + 40), "breaker:mail": PROBED},
        [
            BreakerFigures(News(7, "open", 40, "failures"), 1, 0, 0, OPEN_AT),
            BreakerFigures(News(7, "half_open", 0, "failures"), 1, 0, 2, OPEN_AT),
            BreakerFigures(News(0, "closed", 0, ""), 0, 0, 0, 0),
        ],
    ),
]

CASES = [*TRIP, *PROBE, *SETTLE, *SET, *LOOK]
