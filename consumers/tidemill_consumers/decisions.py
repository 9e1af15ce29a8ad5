"""What follows a failed attempt: another one, the task's fallback, or the end. This is where it is decided.

Before all that, a breaker that the task declares: where it is open, the job is parked, and that is no attempt
(`guards.py`). Else, in this order:

1. An attempt that was only for the fallback is the last one ("fallback").
2. An error that is not to be retried is final ("final").
3. The last of `max_attempts` is the last ("attempts").
4. The next attempt begins after what the failed call asked for ("retry_after"), else after the policy's delay. If that
   is later than `until`, it is not made ("until"); nor, where there is a fallback to call instead, if it is later than
   `expires` ("expires"). With a fallback it has to begin 200 ms before: less would hardly be enough for the work, and
   the fallback would come too late as well. A critical task tries until the last moment.
5. Else it is made: "failed", "timeout" or "child_died" say what the attempt came to.

When there is no other attempt and the task has a fallback, it is called: at once, in the same attempt, where the error
was raised. Where nothing can be called any more (the attempt ran into its timeout, its child process died), one more
attempt is made that is only for the fallback, and has the whole timeout for it. The error in the record says so.

Times are the server's: `take` has told it, and the machine's monotonic clock goes on from there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from tidemill import telemetry
from tidemill.errors import BreakerOpen, RemoteError
from tidemill.names import type_name
from tidemill.retry_after import retry_after_seconds
from tidemill.telemetry import Event
from tidemill.wire import record
from tidemill_consumers.outcomes import Dead, Retried
from tidemill_consumers.run import Run

# What has to be left of a deadline for another attempt of a job that could take its fallback instead.
MIN_REMAINING_MS: Final = 200


class Decision(NamedTuple):
    """`delay_ms`: until the next attempt; None: there is none."""

    delay_ms: int | None
    reason: str


def has_rules(run: Run) -> bool:
    """It has a fallback or a deadline for its attempts: only then are times asked for."""
    return run.definition.fallback is not None or run.retry.until is not None


def after_error(run: Run, error: BaseException, reason: str = "failed") -> Decision:
    """After an attempt that ended with `error`."""
    if not run.retry.wants(error):
        return _no_more(run, "final")
    return _again(run, reason, retry_after_seconds(error))


def after_death(run: Run) -> Decision:
    """After an attempt whose child process has died: that is no exception, so no class of errors is asked."""
    return _again(run, "child_died", None)


def outcome(run: Run, decision: Decision, error: RemoteError) -> Retried | Dead:
    """What is settled, where the fallback was not called or has failed."""
    if decision.delay_ms is not None:
        return Retried(error, decision.delay_ms, decision.reason)
    if run.definition.fallback is None or is_for_fallback(run):
        return Dead(error, decision.reason)
    return Retried(error, 0, "fallback", decision.reason)


def is_for_fallback(run: Run) -> str:
    """Why this attempt is only for the fallback; "": it is not."""
    return record.read_fallback(run.taken.error) if run.definition.fallback is not None else ""


def at_start(run: Run) -> Callable[..., Any] | Dead:
    """What an attempt calls that is not the job's first: its function, its fallback, or nothing any more."""
    fallback = run.definition.fallback
    reason = is_for_fallback(run)
    if not reason and run.taken.tries > 1 and has_rules(run):
        reason = _too_late(run, 0)
    if not reason:
        return run.definition.function
    error = record.read_error(run.taken.error) or RemoteError("TimeoutError", "its attempts took too long")
    if fallback is None:
        return Dead(error, reason)
    _announce(run, reason, error.type)
    return fallback


def instead(run: Run, error: Exception) -> Callable[..., Any] | None:
    """The fallback, if it is to be called now, since the attempt has raised `error`."""
    breaker = run.definition.breaker
    if breaker is not None:
        run.verdict = breaker.judge(error)
        if is_held_up(run, error):
            return None
    fallback = run.definition.fallback
    is_void = run.context is not None and run.context.should_stop  # it was interrupted, or its lease is lost
    if fallback is None or is_void or run.fallback_reason:
        return None
    decision = after_error(run, error)
    if decision.delay_ms is not None:
        return None
    if error.__traceback__ is not None:  # should the fallback fail, both are shown: without the frame that calls them
        error.__traceback__ = error.__traceback__.tb_next
    _announce(run, decision.reason, type_name(type(error)))
    return fallback


def is_held_up(run: Run, error: BaseException) -> bool:
    """Has its function met the open breaker that its task declares?"""
    breaker = run.definition.breaker
    return breaker is not None and isinstance(error, BreakerOpen) and error.breaker == breaker.name


def _announce(run: Run, reason: str, error: str) -> None:
    taken = run.taken
    run.fallback_reason = reason
    telemetry.event(
        Event.JOB_FALLBACK,
        job_id=taken.id,
        task=taken.task,
        queue=taken.queue,
        attempt=taken.tries,
        reason=reason,
        error=error,
    )


def _again(run: Run, reason: str, asked_seconds: float | None) -> Decision:
    tries = run.taken.tries
    if is_for_fallback(run) or run.fallback_reason or tries >= run.retry.max_attempts:
        return _no_more(run, "attempts")
    if asked_seconds is None:
        delay_ms = run.retry.delay_ms(tries, seed=run.taken.id)
    else:
        delay_ms, reason = math.ceil(asked_seconds * 1000), "retry_after"
    late = _too_late(run, delay_ms) if has_rules(run) else ""
    return Decision(None, late) if late else Decision(delay_ms, reason)


def _no_more(run: Run, reason: str) -> Decision:
    return Decision(None, "fallback" if is_for_fallback(run) else run.fallback_reason or reason)


def _too_late(run: Run, delay_ms: int) -> str:
    """Which deadline an attempt would miss that begins after this delay; "": none."""
    has_fallback = run.definition.fallback is not None
    begin_ms = run.server_ms + delay_ms + (MIN_REMAINING_MS if has_fallback and not run.critical else 0)
    until_ms = run.retry.deadline_ms(run.taken.created_ms)
    if until_ms is not None and begin_ms > until_ms:
        return "until"
    # Without a fallback the server ends the job when it expires, as EXPIRED.
    return "expires" if has_fallback and 0 < run.taken.expires_ms < begin_ms else ""
