"""When a periodic job is due: cron expressions in any zone, fixed intervals, and what an outage means.

Pure arithmetic on unix milliseconds: no clock is read and no server is asked, so all schedulers that are
given the same schedule compute the same occurrences. An occurrence is named by its scheduled time.

`tidemill.cron` has the rules of cron expressions and of daylight saving.

Fixed **intervals** are counted from the unix epoch, not from a process's start: a restart shifts nothing.

**Missed runs**: after an outage several occurrences may be due at once; `MissedRuns` says which are enqueued.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta, tzinfo
from enum import StrEnum
from itertools import islice
from typing import Protocol

from tidemill.cron import Cron
from tidemill.errors import CorruptRecord, InvalidInput

__all__ = ["Cron", "Interval", "MissedRuns", "Plan", "Schedule", "from_wire", "parse", "plan", "to_wire"]

# A run that would start later than this is missed. A minute is cron's own grain, longer than a restart or
# takeover of a scheduler takes, and short enough that a run for 09:00 is still the run for 09:00.
MISSED_AFTER_MS = 60_000
# Below a second, the promotion of jobs would cost more than their work; such a loop belongs inside one job.
MIN_INTERVAL_MS = 1_000
# A leap year. What is rarer is a date, which cron can say.
MAX_INTERVAL_MS = 366 * 24 * 3_600_000


class Schedule(Protocol):
    """Anything that can say when it is due next."""

    def next_after_ms(self, after_ms: int) -> int:
        """The first occurrence strictly after `after_ms`; both are unix milliseconds."""
        ...


@dataclass(frozen=True, slots=True)
class Interval:
    """Due at every multiple of `every_ms` since the unix epoch; `InvalidInput` below 1 s or over a year."""

    every_ms: int

    def __post_init__(self) -> None:
        if not MIN_INTERVAL_MS <= self.every_ms <= MAX_INTERVAL_MS:
            raise InvalidInput(
                f"an interval of {self.every_ms} ms is out of bounds: "
                f"use {MIN_INTERVAL_MS} ms to {MAX_INTERVAL_MS} ms (a second to a year), or a cron expression"
            )

    def next_after_ms(self, after_ms: int) -> int:
        """The first multiple of `every_ms` strictly after `after_ms`; both are unix milliseconds."""
        return (after_ms // self.every_ms + 1) * self.every_ms


def parse(when: str | timedelta, tz: str | tzinfo | None = None) -> Cron | Interval:
    """The schedule that a user wrote: a cron expression (in zone `tz`, UTC by default) or a fixed interval.

    Raises `InvalidInput` for a malformed expression, one that never fires, an unknown zone, a zone without
    a name, a zone with an interval, an interval that is not whole milliseconds or out of its bounds.
    """
    if isinstance(when, str):
        return Cron(when, _zone_name(tz))
    if not isinstance(when, timedelta):  # pyright: ignore[reportUnnecessaryIsInstance] -- callers may be untyped
        raise InvalidInput(f"a schedule can't be {when!r}: pass a cron expression (str) or a timedelta")
    if tz is not None:
        raise InvalidInput(f"an interval has no time zone, but tz={tz!r}: drop tz, or pass a cron expression")
    every_ms, rest = divmod(when, timedelta(milliseconds=1))
    if rest:
        raise InvalidInput(f"an interval of {when} is not whole milliseconds: round it")
    return Interval(every_ms)


def to_wire(schedule: Cron | Interval) -> dict[str, str | int]:
    """The schedule as a map of plain values; `from_wire` reads it back."""
    if isinstance(schedule, Cron):
        return {"kind": "cron", "expression": schedule.expression, "tz": schedule.tz}
    return {"kind": "interval", "every_ms": schedule.every_ms}


def from_wire(wire: Mapping[str, object]) -> Cron | Interval:
    """The schedule that `to_wire` wrote.

    Raises `CorruptRecord` for a map that it never writes, `InvalidInput` for a schedule that this machine
    can't follow (its zone database may be older than the writer's).
    """
    match wire:
        case {"kind": "cron", "expression": str(expression), "tz": str(tz)}:
            return Cron(expression, tz)
        case {"kind": "interval", "every_ms": int(every_ms)}:
            return Interval(every_ms)
        case _:
            raise CorruptRecord(f"no Tidemill wrote this schedule: {dict(wire)!r:.200}; register it again")


def _zone_name(tz: str | tzinfo | None) -> str:
    if tz is None or tz is UTC:
        return "UTC"
    name = tz if isinstance(tz, str) else getattr(tz, "key", None)
    if isinstance(name, str):
        return name
    raise InvalidInput(f"tz={tz!r} has no IANA name that could be stored: pass one, such as 'Europe/Berlin'")


class MissedRuns(StrEnum):
    """What to do with the occurrences that became due while no scheduler was up.

    SKIP      enqueue the newest due one unless it is missed (over `MISSED_AFTER_MS` late); drop the others
    RUN_ONCE  enqueue the newest due one however late it is: one run stands for all that were missed
    RUN_ALL   enqueue each of them, oldest first
    """

    SKIP = "skip"
    RUN_ONCE = "once"
    RUN_ALL = "all"


@dataclass(frozen=True, slots=True)
class Plan:
    """The occurrences to enqueue now, oldest first, and the occurrence to wait for next; unix ms."""

    run_ms: tuple[int, ...]
    next_due_ms: int


def plan(schedule: Schedule, missed: MissedRuns, due_ms: int, now_ms: int, *, limit: int = 100) -> Plan:
    """What to enqueue at `now_ms`, when `due_ms` is the oldest occurrence that was not handled yet.

    Under RUN_ALL at most `limit` occurrences are planned, and `next_due_ms` may then still be in the past:
    plan again. Otherwise it is after `now_ms`. While `due_ms` is ahead, nothing is planned and it stays due.
    """
    if limit < 1:
        raise InvalidInput(f"limit is {limit}: a plan must have room for at least one occurrence")
    if due_ms > now_ms:
        return Plan((), due_ms)
    if missed == MissedRuns.RUN_ALL:
        run_ms = tuple(islice(_occurrences(schedule, due_ms, now_ms), limit))
        return Plan(run_ms, schedule.next_after_ms(run_ms[-1]))
    newest_ms = _newest_occurrence_ms(schedule, due_ms, now_ms)
    too_late = missed == MissedRuns.SKIP and now_ms - newest_ms > MISSED_AFTER_MS
    return Plan(() if too_late else (newest_ms,), schedule.next_after_ms(now_ms))


def _occurrences(schedule: Schedule, due_ms: int, now_ms: int) -> Iterator[int]:
    while due_ms <= now_ms:
        yield due_ms
        due_ms = schedule.next_after_ms(due_ms)


def _newest_occurrence_ms(schedule: Schedule, due_ms: int, now_ms: int) -> int:
    """The last occurrence up to `now_ms`, bisected: a year of missed minutes costs 35 steps, not 500,000."""
    newest_ms, none_after_ms = due_ms, now_ms
    while newest_ms < none_after_ms:
        middle_ms = (newest_ms + none_after_ms) // 2
        following_ms = schedule.next_after_ms(middle_ms)
        if following_ms > now_ms:
            none_after_ms = middle_ms
        else:
            newest_ms = following_ms
    return newest_ms
