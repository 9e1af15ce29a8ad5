"""What can come of a run: one small class for each arrow that leaves RUNNING."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.errors import RemoteError
from tidemill.telemetry import ParkReason


@dataclass(frozen=True, slots=True)
class Succeeded:
    """`result` is encoded; b"" for None."""

    result: bytes


@dataclass(frozen=True, slots=True)
class Retried:
    """`fallback`: why the next attempt is only for the task's fallback; "": it is one like any other."""

    error: RemoteError
    delay_ms: int
    reason: str = "failed"
    fallback: str = ""


@dataclass(frozen=True, slots=True)
class Dead:
    error: RemoteError
    reason: str = "failed"


@dataclass(frozen=True, slots=True)
class Parked:
    """This worker can't run the job now; no attempt is spent."""

    reason: str
    delay_ms: int
    label: ParkReason = "unknown_task"


@dataclass(frozen=True, slots=True)
class Cancelled:
    """It was stopped on request."""


@dataclass(frozen=True, slots=True)
class Released:
    """Handed back: the worker stops. No attempt is spent."""


Outcome = Succeeded | Retried | Dead | Parked | Cancelled | Released
