"""`mill.dead_letters`: what applications and the command line call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from tidemill import validation
from tidemill.dead_letters import bulk, history, single, walk
from tidemill.dead_letters.bulk import BulkResult, Report
from tidemill.dead_letters.filters import Filter, checked, checked_for_change
from tidemill.dead_letters.history import HandAction, JobHistory
from tidemill.dead_letters.rate import rate_of
from tidemill.dead_letters.walk import DeadLetterPage
from tidemill.job import Job, JobState

if TYPE_CHECKING:
    from tidemill.client import Client, Operation
    from tidemill.task import Definition


def _tell_nobody(_: BulkResult) -> None:
    """Without a `report`."""


class DeadLetters:
    """`mill.dead_letters`. Every call has an a-twin. `by` is who does it (user@host unless given), `reason` why: both
    stand in the audit, beside what was done."""

    def __init__(self, client: Client, tasks: Mapping[str, Definition]) -> None:
        self._client = client
        self._tasks = tasks

    def browse(self, *, cursor: str | None = None, limit: int = 50, **which: Unpack[Filter]) -> DeadLetterPage:
        """A page of the letters that fit, queue by queue, in each the newest first.

        which: see `Filter`; without one, all. cursor: that of the page before. Raises InvalidInput.
        """
        return self._client.run(walk.browse(self._client, checked(which), cursor, limit))

    async def abrowse(self, *, cursor: str | None = None, limit: int = 50, **which: Unpack[Filter]) -> DeadLetterPage:
        """`browse` for async code."""
        return await self._client.arun(walk.browse(self._client, checked(which), cursor, limit))

    def counts(self, **which: Unpack[Filter]) -> dict[str, int]:
        """How many letters there are of each type of error, the most frequent first. Goes through all that fit."""
        return self._client.run(walk.counts(self._client, checked(which)))

    async def acounts(self, **which: Unpack[Filter]) -> dict[str, int]:
        """`counts` for async code."""
        return await self._client.arun(walk.counts(self._client, checked(which)))

    def history(self, job_id: str) -> JobHistory:
        """Of a job, dead or not: its record, what was done to it by hand, and its events that are still kept.

        Raises JobNotFound when nothing of that is left.
        """
        return self._client.run(history.history(self._client, job_id))

    async def ahistory(self, job_id: str) -> JobHistory:
        """`history` for async code."""
        return await self._client.arun(history.history(self._client, job_id))

    def arguments(self, job_id: str) -> tuple[list[object], dict[str, object]]:
        """The positional and the named arguments of a job, to be edited.

        Those of a signed job are not verified: that is for the worker. Raises JobNotFound; CorruptRecord for what can't
        be read here, such as a dataclass that this process has not registered.
        """
        return self._client.run(single.arguments(self._client, job_id))

    async def aarguments(self, job_id: str) -> tuple[list[object], dict[str, object]]:
        """`arguments` for async code."""
        return await self._client.arun(single.arguments(self._client, job_id))

    def retry(
        self,
        job_id: str,
        *,
        args: Sequence[object] | None = None,
        kwargs: Mapping[str, object] | None = None,
        by: str | None = None,
        reason: str = "",
    ) -> Job[Any]:
        """Runs a dead letter again under its id, with its attempts counted anew.

        args, kwargs: if one of them is given, both together are the job's new arguments. They are checked against the
            task if it is registered here, and signed if there are keys; a signed job can't be edited without.
        Raises JobNotFound, InvalidInput, JobExists when another job holds its unique key.
        """
        return self._client.run(self._retry(job_id, args, kwargs, by, reason))

    async def aretry(
        self,
        job_id: str,
        *,
        args: Sequence[object] | None = None,
        kwargs: Mapping[str, object] | None = None,
        by: str | None = None,
        reason: str = "",
    ) -> Job[Any]:
        """`retry` for async code."""
        return await self._client.arun(self._retry(job_id, args, kwargs, by, reason))

    def _retry(
        self,
        job_id: str,
        args: Sequence[object] | None,
        kwargs: Mapping[str, object] | None,
        by: str | None,
        reason: str,
    ) -> Operation[Job[Any]]:
        if args is None and kwargs is None:
            yield from single.retry(self._client, validation.job_id(job_id), by, reason)
        else:
            arguments = (args or (), kwargs or {})
            yield from single.retry_edited(self._client, self._tasks, job_id, *arguments, by, reason)
        return Job(self._client, job_id, JobState.READY)

    def retry_all(
        self,
        *,
        rate: float | str | None = None,
        limit: int | None = None,
        by: str | None = None,
        reason: str = "",
        report: Report = _tell_nobody,
        **which: Unpack[Filter],
    ) -> BulkResult:
        """Runs all letters again that fit, and have died before this call: one that fails once more stays dead.

        rate: at most so many jobs a second, or "50/s", "600/m", "1000/h"; by default as fast as the server does it.
        limit: at most so many letters.
        report: called with the result so far, before the first and after every few jobs.
        It may be interrupted, or killed, at any time: call it again. Raises InvalidInput without any filter.
        """
        return self._client.run(self._retry_all(which, rate, limit, by, reason, report))

    async def aretry_all(
        self,
        *,
        rate: float | str | None = None,
        limit: int | None = None,
        by: str | None = None,
        reason: str = "",
        report: Report = _tell_nobody,
        **which: Unpack[Filter],
    ) -> BulkResult:
        """`retry_all` for async code."""
        return await self._client.arun(self._retry_all(which, rate, limit, by, reason, report))

    def _retry_all(
        self, which: Filter, rate: float | str | None, limit: int | None, by: str | None, reason: str, report: Report
    ) -> Operation[BulkResult]:
        paced = None if rate is None else rate_of(rate)
        most = None if limit is None else validation.whole("limit", limit, 1, 10**9)
        return bulk.retry(self._client, checked_for_change(which), paced, most, by, reason, report)

    def purge(
        self,
        *,
        dry_run: bool = False,
        by: str | None = None,
        reason: str = "",
        report: Report = _tell_nobody,
        **which: Unpack[Filter],
    ) -> BulkResult:
        """Removes the letters that fit, with their arguments and errors, for good.

        dry_run: only counts them. Raises InvalidInput without any filter.
        """
        return self._client.run(bulk.purge(self._client, checked_for_change(which), dry_run, by, reason, report))

    async def apurge(
        self,
        *,
        dry_run: bool = False,
        by: str | None = None,
        reason: str = "",
        report: Report = _tell_nobody,
        **which: Unpack[Filter],
    ) -> BulkResult:
        """`purge` for async code."""
        return await self._client.arun(bulk.purge(self._client, checked_for_change(which), dry_run, by, reason, report))

    def actions(
        self, *, job_id: str | None = None, operation: str | None = None, limit: int | None = 100
    ) -> tuple[HandAction, ...]:
        """What was done to dead letters by hand, the last first: at most `limit` (None: all that is kept).

        job_id: to this job. operation: in this action, as `BulkResult` names it.
        """
        return self._client.run(history.actions(self._client, job_id, operation, limit))

    async def aactions(
        self, *, job_id: str | None = None, operation: str | None = None, limit: int | None = 100
    ) -> tuple[HandAction, ...]:
        """`actions` for async code."""
        return await self._client.arun(history.actions(self._client, job_id, operation, limit))
