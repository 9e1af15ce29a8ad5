"""Instants, changes of the clock, and zones that have them."""

from __future__ import annotations

from datetime import datetime

from hypothesis import strategies as st

from tidemill.schedule import (
    Cron,
    Schedule,
)

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
# 2026-01-01 00:00 UTC, a Thursday.
NEW_YEAR_MS = 1_767_225_600_000

# An instant shortly before a change of the clock, and its zone: gaps and repeats of 30 minutes to a day.
CHANGES = [
    ("Europe/Berlin", "2026-03-28T22:00+00:00"),
    ("Europe/Berlin", "2026-10-24T22:00+00:00"),
    ("America/New_York", "2026-03-08T04:00+00:00"),
    ("America/New_York", "2026-11-01T03:00+00:00"),
    ("Australia/Lord_Howe", "2026-10-03T13:00+00:00"),
    ("Australia/Lord_Howe", "2026-04-04T13:00+00:00"),
    ("America/Sao_Paulo", "2017-10-15T01:00+00:00"),
    ("America/Sao_Paulo", "2018-02-18T00:00+00:00"),
    ("Asia/Kathmandu", "1985-12-31T17:00+00:00"),
    ("Pacific/Apia", "2011-12-30T08:00+00:00"),
    ("UTC", "2026-03-08T00:00+00:00"),
]


def ms(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def first(count: int, schedule: Schedule, after_ms: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        after_ms = schedule.next_after_ms(after_ms)
        found.append(after_ms)
    return found


def daily(minute: str, hour: str, zone: str) -> Cron:
    return Cron(f"{minute} {hour} * * *", zone)


zones = st.sampled_from(sorted({zone for zone, _ in CHANGES}))
