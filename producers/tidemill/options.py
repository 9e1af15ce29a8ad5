"""How a job is to be enqueued: what `@mill.task(...)` sets for a task, and what `.using(...)` changes for a call."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final, Literal, TypedDict, cast
from uuid import UUID

from tidemill import tenants, validation
from tidemill.errors import InvalidInput
from tidemill.retry import NO_RETRY, WIRE_KEYS, Retry
from tidemill.wire import envelope

Priority = Literal["high", "normal", "low"]
OnConflict = Literal["return", "raise"]
OnFull = Literal["raise", "block", "defer", "shed"]
Duration = timedelta | float
# What travels with a job, since its worker has to keep it.
_CARRIED: Final = frozenset({"retry", "timeout", "critical"})


class Choices(TypedDict, total=False):
    """What `.using(...)` takes; durations are timedeltas or seconds.

    queue, priority: where, and in which lane.
    tenant: whose the job is: tenants share a queue fairly (docs/fairness.md). None: nobody's.
    delay: not before this much time has passed.
    job_id: an id of your own; a job with this id that exists already is returned instead of making another.
    unique: while a job of this task with this key is not over, no other is made;
    on_conflict: then the other is returned ("return"), or JobExists is raised ("raise").
    on_full: when the queue is at its limit, raise QueueFull ("raise"), wait for room ("block"), or put the job off
        until there will be room ("defer": up to twice the limit, then QueueFull), or let it in, and drop jobs that wait
        there instead, of the lowest priority first, none of a higher one than this ("shed": up to twice the limit;
        what is dropped ends as EXPIRED; a delayed job drops nothing, and is refused);
    block_for: wait for so long at most; then QueueFull is raised all the same.
    expires: not to be started, or tried again, after this much time: the job ends as EXPIRED.
    result_ttl: how long the finished record is kept; 0: not at all.
    retry, timeout, critical: as for `@mill.task`, for this job; `retry_on` and `dont_retry_on` stay with the task.
    """

    queue: str
    priority: Priority
    tenant: str | int | UUID | None
    delay: Duration
    job_id: str
    unique: str
    on_conflict: OnConflict
    on_full: OnFull
    block_for: Duration
    expires: Duration
    result_ttl: Duration
    retry: Retry
    timeout: Duration
    critical: bool


@dataclass(frozen=True, slots=True)
class Options:
    """Checked choices."""

    queue: str | None = None
    priority: str = "normal"
    tenant: str | None = None
    delay_ms: int = 0
    due_ms: int | None = None
    job_id: str | None = None
    unique: str | None = None
    on_conflict: str = "return"
    on_full: str = "raise"
    block_for_ms: int = 30_000
    expires_ms: int | None = None
    result_ttl_ms: int | None = None
    carried: bytes = b""

    def using(self, choices: Choices) -> Options:
        """These options with some replaced. Raises InvalidInput that names the choice."""
        unknown = set(choices) - set(Choices.__annotations__)
        if unknown:
            known = ", ".join(Choices.__annotations__)
            raise InvalidInput(f"unknown option {', '.join(sorted(unknown))}: one of {known}")
        return replace(self, **_checked(choices, self.carried))


def _checked(choices: Choices, carried: bytes) -> dict[str, Any]:
    checked: dict[str, Any] = {}
    if "queue" in choices:
        checked["queue"] = validation.queue_name(choices["queue"])
    if "priority" in choices:
        checked["priority"] = validation.priority(choices["priority"])
    if "tenant" in choices:
        checked["tenant"] = tenants.name("tenant", choices["tenant"])
    if "delay" in choices:
        checked |= {"delay_ms": validation.duration_ms("delay", choices["delay"]), "due_ms": None}
    if "job_id" in choices:
        checked["job_id"] = validation.job_id(choices["job_id"])
    if "unique" in choices:
        checked["unique"] = validation.unique_key(choices["unique"])
    if "on_conflict" in choices:
        checked["on_conflict"] = validation.one_of("on_conflict", choices["on_conflict"], ("return", "raise"))
    if "on_full" in choices:
        checked["on_full"] = validation.one_of("on_full", choices["on_full"], ("raise", "block", "defer", "shed"))
    if "block_for" in choices:
        checked["block_for_ms"] = validation.duration_ms("block_for", choices["block_for"], zero=False)
    if "expires" in choices:
        checked["expires_ms"] = validation.duration_ms("expires", choices["expires"], zero=False)
    if "result_ttl" in choices:
        checked["result_ttl_ms"] = validation.duration_ms("result_ttl", choices["result_ttl"])
    if not _CARRIED.isdisjoint(choices):
        checked["carried"] = _carried(choices, carried)
    return checked


def _carried(choices: Choices, before: bytes) -> bytes:
    """The options that travel with the job, those from `before` included."""
    carried: dict[str, object] = dict(cast(dict[str, object], envelope.unpack(before))) if before else {}
    if "retry" in choices:
        carried = {key: value for key, value in carried.items() if key not in WIRE_KEYS}
        carried |= _portable(retry_policy(choices["retry"])).to_wire()
    if "timeout" in choices:
        carried["timeout_ms"] = validation.duration_ms("timeout", choices["timeout"], zero=False)
    if "critical" in choices:
        carried["critical"] = validation.flag("critical", choices["critical"])
    return envelope.pack(carried)


def _portable(retry: Retry) -> Retry:
    if (retry.retry_on, retry.dont_retry_on) == (NO_RETRY.retry_on, NO_RETRY.dont_retry_on):
        return retry
    raise InvalidInput("retry_on and dont_retry_on can't travel with a job: set them in @mill.task(retry=...)")


def retry_policy(value: object) -> Retry:
    """The value. Raises InvalidInput if it is no Retry."""
    if isinstance(value, Retry):
        return value
    raise InvalidInput(f"retry must be a Retry, as Retry(max_attempts=5), not {value!r}")
