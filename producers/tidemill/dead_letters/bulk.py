"""Runs many dead letters again, at a rate, or removes them. Each call to the server does a few, and notes them with it.

Nothing has to be remembered between two calls: what was retried is no dead letter any more, so whoever was interrupted
begins again with the same filter.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from tidemill import telemetry
from tidemill.client import Blocking
from tidemill.dead_letters import settings
from tidemill.dead_letters.filters import Checked
from tidemill.dead_letters.hands import hand
from tidemill.dead_letters.rate import Rate
from tidemill.dead_letters.walk import Walk
from tidemill.telemetry import Event
from tidemill.wire.scripts import Hand, Requeue

if TYPE_CHECKING:
    from tidemill.client import Client, Operation

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What a bulk action has done so far. `operation`: what its entries of the audit have in common.

    matched: letters that fitted the filter. done: those that were retried or removed.
    skipped: why others were not → how many. "conflict": another job holds the unique key; "changed": it has died again
        meanwhile; "corrupt": its record can't be run; "full": its queue was at a limit; else the state that somebody
        else had brought it to ("": gone).
    """

    operation: str
    matched: int = 0
    done: int = 0
    skipped: dict[str, int] = field(default_factory=dict[str, int])


Report = Callable[[BulkResult], object]


def retry(
    client: Client, filter_: Checked, rate: Rate | None, limit: int | None, by: str | None, reason: str, report: Report
) -> Operation[BulkResult]:
    """Runs the letters of a filter again, at most `limit`. `report` is told before the first call and after each."""
    begun = yield from _begin(client, filter_, by, reason)
    result, walk, done_by = begun.result, begun.walk, begun.hand
    report(result)
    began = time.monotonic()
    at_once = settings.PAGE_LETTERS if rate is None else rate.jobs_at_once
    while not walk.is_over:
        found = yield from walk.page()
        for chunk in _chunks(found, at_once):
            some = chunk if limit is None else chunk[: limit - result.matched]
            if not some:
                return result
            if rate is not None:
                yield from _pause_until(began + rate.seconds_for(result.matched))
            letters = [Requeue(letter.job_id, letter.died) for _, letter in some]
            answers: list[list[str]] = yield client.scripts.requeue(letters, done_by, within_limits=True)
            result = _after(result, [answer[0] for answer in answers], "ready")
            _log_retry(done_by, answers.count(["ready"]))
            report(result)
    return result


def purge(
    client: Client, filter_: Checked, dry_run: bool, by: str | None, reason: str, report: Report
) -> Operation[BulkResult]:
    """Removes the letters of a filter. dry_run: only counts them."""
    begun = yield from _begin(client, filter_, by, reason)
    result, walk, done_by = begun.result, begun.walk, begun.hand
    report(result)
    while not walk.is_over:
        found = yield from walk.page()
        if not found:
            continue
        answers: list[str] = []
        if not dry_run:
            queue = found[0][0]  # a page is of one queue
            letters = [(letter.job_id, letter.died) for _, letter in found]
            answers = yield client.scripts.discard(queue, letters, done_by)
            _log_purge(done_by, queue, answers.count("gone"))
        result = _after(result, answers, "gone", len(found))
        report(result)
    return result


@dataclass(frozen=True, slots=True)
class _Begun:
    walk: Walk
    hand: Hand
    result: BulkResult


def _begin(client: Client, filter_: Checked, by: str | None, reason: str) -> Operation[_Begun]:
    walk = Walk(client, filter_)
    nameless = hand(by, reason)
    yield from walk.begin()
    done_by = nameless._replace(filter=filter_.words(walk.now_ms))
    return _Begun(walk, done_by, BulkResult(done_by.operation))


def _after(result: BulkResult, answers: Sequence[str], good: str, matched: int | None = None) -> BulkResult:
    skipped = dict(result.skipped)
    for answer in answers:
        if answer != good:
            skipped[answer] = skipped.get(answer, 0) + 1
    matched = len(answers) if matched is None else matched
    return BulkResult(result.operation, result.matched + matched, result.done + answers.count(good), skipped)


def _pause_until(moment: float) -> Operation[None]:
    """Until this time of the monotonic clock."""
    while (left := moment - time.monotonic()) > 0:
        yield Blocking(partial(time.sleep, min(left, settings.PAUSE_SECONDS)))


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _log_retry(by: Hand, count: int) -> None:
    if count:
        telemetry.event(Event.DEAD_RETRIED, by=by.by, why=by.reason or None, operation=by.operation, count=count)


def _log_purge(by: Hand, queue: str, count: int) -> None:
    if count:
        telemetry.event(
            Event.DEAD_PURGED, by=by.by, why=by.reason or None, operation=by.operation, queue=queue, count=count
        )
