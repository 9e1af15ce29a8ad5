"""Every error that Tidemill raises, in one tree.

    TidemillError
    ├── InvalidInput (ValueError)          what the caller passed can't be accepted; nothing was sent
    │   ├── UnserializableValue (TypeError)    msgpack can't carry a value; the message has its path
    │   ├── PayloadTooLarge                    arguments or result over the limit
    │   └── InvalidArguments                   they do not fit a template's schema, or its task
    ├── QueueFull                          admission refused the job: wait `retry_after` seconds
    ├── BreakerOpen                        a circuit breaker lets no call through: wait `retry_after` seconds
    ├── JobExists                          a job with this id or this unique key is there already
    ├── JobNotFound (LookupError)          no record: never enqueued, or dropped by retention
    ├── JobFailed                          `result()` of a dead letter: the remote error inside
    │   └── JobExpired                     `result()` of a job not started in time, or shed
    ├── JobCancelled                       `result()` of a cancelled job; raised inside a thread task too
    ├── CorruptRecord                      bytes in Redis that no Tidemill wrote
    ├── ServerUnavailable (ConnectionError)  no answer within the deadline; names the server, no password
    │   └── EnqueueUnknown                     an enqueue whose outcome is not known; has the job, to look or send again
    ├── StaleAttempt                       `once` in an attempt that is not the current one
    ├── EffectUnknown                      `once`: whether the effect has happened is not known
    ├── GroupMissing                       a stream or its consumer group was deleted; workers make it again
    └── ServerUnsuitable                   too old, or configured so that it would lose jobs

`result()` also raises the built-in TimeoutError. Errors of redis-py never leave `tidemill.connection`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidemill.job import Job


class TidemillError(Exception):
    """The root: `except TidemillError` catches all that this library raises on purpose.

    `may_be_applied`: an earlier try of the call that ended with this error was sent and never answered, so the server
    may have done it. Every call is safe to repeat.
    """

    may_be_applied = False


class InvalidInput(TidemillError, ValueError):
    """What the caller passed can't be accepted. Nothing was sent."""


class UnserializableValue(InvalidInput, TypeError):
    """A value that the wire format can't carry; the message names its path, as `args[1].when`."""


class PayloadTooLarge(InvalidInput):
    """Arguments or a result that are larger than the limit; the message says both sizes in bytes."""


class InvalidArguments(InvalidInput):
    """Arguments do not fit a template's schema, or its task: the message has the path."""


class QueueFull(TidemillError):
    """The queue, or the server's memory, has no room. Nothing was enqueued.

    `retry_after` is an estimate in seconds of when there will be room. `enqueued` has the jobs of `enqueue_many` that
    got in before: its chunks are taken whole or not at all, in order.
    """

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.enqueued: tuple[Job[Any], ...] = ()


class BreakerOpen(TidemillError):
    """The circuit breaker `breaker` did not let a call through: what it stands before is down.

    `retry_after` is in seconds from now when it is worth trying again; `reason` what has opened it: failures,
    error_rate, slow_calls, probe (it is still down) or hand.
    """

    def __init__(self, breaker: str, reason: str, *, retry_after: float) -> None:
        super().__init__(f"breaker {breaker} is open ({reason}): try again in {retry_after:.1f} s")
        self.breaker = breaker
        self.reason = reason
        self.retry_after = retry_after


class JobExists(TidemillError):
    """`on_conflict="raise"`, and the unique key is held by a job that is not over. `job_id` is its id."""

    def __init__(self, message: str, *, job_id: str) -> None:
        super().__init__(message)
        self.job_id = job_id


class JobNotFound(TidemillError, LookupError):
    """There is no record of this job: it was never enqueued, or retention has dropped it."""


@dataclass(frozen=True, slots=True)
class RemoteError:
    """What the worker recorded of the exception that ended a job: all text, so nothing is unpickled."""

    type: str
    message: str
    traceback: str = ""


class JobFailed(TidemillError):
    """The job is a dead letter. `error` holds the remote exception's type, message and traceback text."""

    def __init__(self, job_id: str, error: RemoteError) -> None:
        trace = f"\n\nThe worker's traceback:\n{error.traceback}" if error.traceback else ""
        super().__init__(f"job {job_id} failed: {error.type}: {error.message}{trace}")
        self.job_id = job_id
        self.error = error

    @property
    def error_type(self) -> str:
        """The remote exception's class name, as `module.Class` (built-ins without `builtins.`)."""
        return self.error.type

    @property
    def error_message(self) -> str:
        """`str()` of the remote exception."""
        return self.error.message

    @property
    def traceback(self) -> str:
        """The remote traceback's text; empty when the worker process died."""
        return self.error.traceback


class JobExpired(JobFailed):
    """The job was not started before its `expires`; it never ran."""


class JobCancelled(TidemillError):
    """The job was cancelled."""


class CorruptRecord(TidemillError):
    """Bytes in Redis that no Tidemill wrote. The job is dead-lettered with this as its reason."""


class ServerUnavailable(TidemillError, ConnectionError):
    """The server did not answer within the deadline. Calls are idempotent: the same call may be repeated.

    From an enqueue it means that the job is not in Redis: see `EnqueueUnknown` for when that is not known. `enqueued`
    has the jobs of `enqueue_many` that got in before.
    """

    enqueued: tuple[Job[Any], ...] = ()


class EnqueueUnknown(ServerUnavailable):
    """Whether the job is in Redis, or is kept as safely as its queue's durability asks, was not known at the deadline:
    the request was sent, and no answer, or not every replica's, came back.

    `job` is a handle to it. Either look, with `job.refresh()`: JobNotFound means that it has not arrived so far, which
    is no proof that it never will (a server that was paused may still read it). Or enqueue it again with
    `using(job_id=job.id)`: that makes no second job, and its answer is certain.

    `enqueue_many` sends chunk by chunk: `enqueued` has the jobs that are known to be in, in order; `jobs` those of the
    chunk that is unknown, all or none of which is in; what comes behind these was not sent.
    """

    def __init__(self, message: str, *, jobs: Sequence[Job[Any]]) -> None:
        super().__init__(message)
        self.jobs = tuple(jobs)
        self.may_be_applied = True

    @property
    def job(self) -> Job[Any]:
        """The job; of several, the first."""
        return self.jobs[0]


class StaleAttempt(TidemillError):
    """This attempt is not the job's current one: its lease was over, and the job was recovered. It changes nothing."""


class EffectUnknown(TidemillError):
    """Whether an effect has happened is not known: it was begun and no end was recorded, or another job is at it."""


class GroupMissing(TidemillError):
    """A ready stream or its consumer group was deleted from outside. Workers make it again, at 0."""


class ServerUnsuitable(TidemillError):
    """The server is too old, or configured so that it would lose jobs; the message says what to change.

    `enqueued` has the jobs of `enqueue_many` that got in before.
    """

    enqueued: tuple[Job[Any], ...] = ()
