"""A job as its producer sees it, and the state machine that all scripts keep.

                enqueue(delay)       promote, admit            take               complete
      (new) ─────────────────▶ SCHEDULED ──────▶ READY ─────────────▶ RUNNING ─────────────▶ SUCCEEDED
        │                          ▲  ▲            ▲ ▲                   │  │
        └── enqueue, tick ─────────┼──┼────────────┘ │    retry          │  └── bury ──────▶ DEAD (requeue ▶ READY)
                                   │  └──────────────┼───────────────────┤
                                   └── park (unknown task, breaker open) ┤
                                                     ├── release, recover ┤
                                                     └── reinstate ───────┘
      take, of a job that a limit refuses: READY ▶ SCHEDULED, until admit
      cancel: SCHEDULED, READY ▶ CANCELLED      abandon: RUNNING ▶ CANCELLED      expire: SCHEDULED, READY ▶ EXPIRED
      shed: READY ▶ EXPIRED

Each verb is a script of that name in `wire/lua/`; `TRANSITIONS` says the same for programs, and a test holds drawing,
table and files equal.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast

from tidemill import validation
from tidemill.errors import (
    JobCancelled,
    JobExpired,
    JobFailed,
    JobNotFound,
    RemoteError,
)
from tidemill.wire.record import Record

if TYPE_CHECKING:
    from tidemill.client import Client, Operation

R = TypeVar("R", covariant=True)


class JobState(StrEnum):
    """Where a job is in its life; each is also its own lower-case text, so `job.state == "dead"` works."""

    SCHEDULED = "scheduled"
    READY = "ready"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    DEAD = "dead"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def is_over(self) -> bool:
        """Terminal: it does not change any more (but for a dead letter that is requeued by hand)."""
        return self not in (JobState.SCHEDULED, JobState.READY, JobState.RUNNING)


_NEW, _S, _R, _RUN = None, JobState.SCHEDULED, JobState.READY, JobState.RUNNING
_OK, _DEAD, _CANCELLED, _EXPIRED = JobState.SUCCEEDED, JobState.DEAD, JobState.CANCELLED, JobState.EXPIRED

_STATES: Final = {str(state): state for state in JobState}

# script -> (from, to) pairs. A script that finds a cancel flag or an expiry may end the job instead of its own arrow.
TRANSITIONS: Final[dict[str, frozenset[tuple[JobState | None, JobState]]]] = {
    "enqueue": frozenset({(_NEW, _S), (_NEW, _R)}),
    "tick": frozenset({(_NEW, _R)}),
    "promote": frozenset({(_S, _R)}),
    "admit": frozenset({(_S, _R)}),
    "take": frozenset({(_R, _RUN), (_R, _S), (_R, _CANCELLED), (_R, _EXPIRED), (_R, _DEAD)}),
    "complete": frozenset({(_RUN, _OK)}),
    "retry": frozenset({(_RUN, _S), (_RUN, _CANCELLED)}),
    "park": frozenset({(_RUN, _S), (_RUN, _CANCELLED)}),
    "bury": frozenset({(_RUN, _DEAD), (_RUN, _CANCELLED)}),
    "release": frozenset({(_RUN, _R)}),
    "recover": frozenset({(_RUN, _R), (_RUN, _DEAD), (_RUN, _CANCELLED)}),
    "reinstate": frozenset({(_RUN, _R)}),
    "requeue": frozenset({(_DEAD, _R)}),
    "cancel": frozenset({(_S, _CANCELLED), (_R, _CANCELLED)}),
    "abandon": frozenset({(_RUN, _CANCELLED)}),
    "expire": frozenset({(_S, _EXPIRED), (_R, _EXPIRED)}),
    "shed": frozenset({(_R, _EXPIRED)}),
}


class Job(Generic[R]):
    """A handle of a job. Properties are what was last seen; `refresh` asks the server again.

    `pressure`: from an enqueue into a queue with a limit, how much of it is used: from 0.85, when it is time to send
    less, to 1.0; 0.0: less than that, or no limit.
    """

    __slots__ = ("_client", "_record", "_state", "id", "pressure")

    def __init__(
        self, client: Client, job_id: str, state: JobState, record: Record | None = None, pressure: float = 0.0
    ) -> None:
        self.id = job_id
        self.pressure: Final = pressure
        self._client = client
        self._state = state
        self._record = record

    def __repr__(self) -> str:
        return f"<Job {self.id} {self._state}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and str(other.id) == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def state(self) -> JobState:
        """The state when it was last seen: at enqueue, or at the last `refresh` or `result`."""
        return self._state

    @property
    def record(self) -> Record:
        """All that Redis holds of the job. Asks the server if it was never asked for this job."""
        if self._record is None:
            self.refresh()
        assert self._record is not None
        return self._record

    @property
    def queue(self) -> str:
        return self.record.queue

    @property
    def task(self) -> str:
        return self.record.task

    @property
    def attempt(self) -> int:
        """Attempts that counted: 0 before the first. Hand-backs, parking and lost workers do not count."""
        return self.record.attempt - self.record.uncounted

    @property
    def progress(self) -> tuple[float, str] | None:
        """What the running job last reported: (fraction, text)."""
        return self.record.progress

    @property
    def error(self) -> RemoteError | None:
        """The error of the last failed attempt."""
        return self.record.error

    @property
    def due_at(self) -> datetime | None:
        """When it was last to become ready, if it was ever delayed."""
        return _datetime(self.record.due_ms)

    @property
    def created_at(self) -> datetime | None:
        return _datetime(self.record.created_ms)

    @property
    def finished_at(self) -> datetime | None:
        return _datetime(self.record.finished_ms)

    def refresh(self) -> Job[R]:
        """Reads the job from the server. Raises JobNotFound when retention has dropped it."""
        return self._client.run(self._refresh())

    async def arefresh(self) -> Job[R]:
        """`refresh` for async code."""
        return await self._client.arun(self._refresh())

    def result(self, timeout: float | None = None) -> R:
        """Waits until the job is over, without polling, and returns what the task returned.

        timeout: seconds to wait; None: for ever; 0: only look.
        Raises JobFailed (with the remote error), JobExpired, JobCancelled, JobNotFound, TimeoutError.
        """
        return self._client.run(self._result(timeout))

    async def aresult(self, timeout: float | None = None) -> R:  # noqa: ASYNC109 - the same as the sync call
        """`result` for async code."""
        return await self._client.arun(self._result(timeout))

    def cancel(self) -> bool:
        """Cancels the job: at once if it waits; if it runs, its worker is told to stop it.

        True: it is cancelled, or was asked to stop. False: it had ended in another way. Safe to repeat.
        """
        return self._client.run(self._cancel())

    async def acancel(self) -> bool:
        """`cancel` for async code."""
        return await self._client.arun(self._cancel())

    def retry(self, *, by: str | None = None, reason: str = "") -> Job[R]:
        """Runs a dead letter again, with its attempts counted anew. Raises JobNotFound, InvalidInput, JobExists.

        by, reason: who does it (user@host unless given) and why, for the audit: see `mill.dead_letters.actions`.
        """
        return self._client.run(self._requeue(by, reason))

    async def aretry(self, *, by: str | None = None, reason: str = "") -> Job[R]:
        """`retry` for async code."""
        return await self._client.arun(self._requeue(by, reason))

    def _refresh(self) -> Operation[Job[R]]:
        record = yield self._client.scripts.read(self.id)
        if record is None:
            raise not_found(self.id)
        self._record = record
        self._state = state_of(record)
        return self

    def _result(self, timeout: float | None) -> Operation[R]:
        deadline = None if timeout is None else time.monotonic() + validation.number("timeout", timeout)
        left = timeout
        while True:
            if left is None or left > 0:
                yield from self._client.pause_until_over(self.id, left)
            yield from self._refresh()
            if self._state.is_over:
                return cast(R, self._outcome())
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(f"job {self.id} was not over after {timeout:g} s; it is {self._state}")

    def _outcome(self) -> object:
        record = self.record
        if self._state is JobState.SUCCEEDED:
            return self._client.codec.decode_result(record.result) if record.result else None
        if self._state is JobState.CANCELLED:
            raise JobCancelled(f"job {self.id} was cancelled")
        if self._state is JobState.EXPIRED:
            late = RemoteError("JobExpired", "it was not started before its `expires`")
            raise JobExpired(self.id, record.error if record.error and record.error.type == "shed" else late)
        raise JobFailed(self.id, record.error or RemoteError("Unknown", "no error was recorded"))

    def _cancel(self) -> Operation[bool]:
        state = (yield self._client.scripts.cancel([self.id]))[0]
        if not state:
            raise not_found(self.id)
        self._state, self._record = known_state(state), None
        return self._state in (JobState.RUNNING, JobState.CANCELLED)

    def _requeue(self, by: str | None, reason: str) -> Operation[Job[R]]:
        from tidemill.dead_letters.single import retry

        yield from retry(self._client, self.id, by, reason)
        self._state, self._record = JobState.READY, None
        return self


def not_found(job_id: str) -> JobNotFound:
    return JobNotFound(f"job {job_id} is not known: never enqueued, or dropped by retention")


def known_state(text: str) -> JobState:
    """The state. A foreign hand's text is a dead letter's: the worker will bury it with that reason."""
    return _STATES.get(text, JobState.DEAD)


def state_of(record: Record) -> JobState:
    return known_state(record.state)


def _datetime(milliseconds: int) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
