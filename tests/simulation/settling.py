"""The calls that settle what has run, as the settlement of a real worker makes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tidemill.wire import record
from tidemill.wire.command import Command
from tidemill.wire.keys import LANES
from tidemill.wire.scripts import Scripts, Taken
from tidemill_consumers.outcomes import Cancelled, Dead, Outcome, Parked, Released, Retried, Succeeded


def settlement(scripts: Scripts, group: Sequence[tuple[Taken, Outcome]]) -> Command[list[int]]:
    """Of one kind, incarnation, queue and lane."""
    first, kind = group[0]
    place = (first.incarnation, first.queue, LANES[first.lane])
    rows: list[Any] = [_row(taken, outcome) for taken, outcome in group]
    match kind:
        case Succeeded():
            return scripts.complete(*place, rows)
        case Retried():
            return scripts.retry(*place, rows)
        case Dead():
            return scripts.bury(*place, rows)
        case Parked():
            return scripts.park(*place, rows)
        case Cancelled():
            return scripts.abandon(*place, rows)
        case Released():
            return scripts.release(*place, rows)


def _row(taken: Taken, outcome: Outcome) -> tuple[object, ...]:
    fence = (taken.id, taken.entry, taken.attempt)
    match outcome:
        case Succeeded(result):
            return (*fence, result)
        case Retried(error, delay_ms):
            return (*fence, delay_ms, record.write_error(error))
        case Dead(error):
            return (*fence, record.write_error(error))
        case Parked(reason, delay_ms, _):
            return (*fence, delay_ms, reason, taken.task)
        case Cancelled() | Released():
            return fence
