"""`tidemill jobs`: look at jobs, cancel them, run dead letters again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from tidemill.commands.root import Context, hand_options, json_option, pass_context, url_option
from tidemill.enqueueing import DEFAULT_QUEUE
from tidemill.errors import ServerUnavailable, TidemillError
from tidemill.job import Job, JobState, state_of
from tidemill.templates import reference
from tidemill.wire.record import Record


@click.group()
def jobs() -> None:
    """Look at jobs, cancel them, run dead letters again."""


@jobs.command("list")
@click.option("--queue", default=DEFAULT_QUEUE, show_default=True)
@click.option("--state", type=click.Choice([str(state) for state in JobState]), help="Default: all.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--offset", type=click.IntRange(0), default=0, show_default=True)
@url_option
@json_option
@pass_context
def list_jobs(context: Context, queue: str, state: str | None, limit: int, offset: int) -> None:
    """List the jobs of a queue: waiting ones by time, then running, dead and finished ones."""
    found = context.mill.inspect.jobs(queue, state, offset=offset, limit=limit)
    context.print([_summary(job.record) for job in found], lambda: "\n".join(map(_line, found)) or "no jobs")


@jobs.command()
@click.argument("job_id")
@url_option
@json_option
@pass_context
def show(context: Context, job_id: str) -> None:
    """Show all that is known of a job, but its arguments and its result."""
    job = context.mill.job(job_id)
    details = details_of(job.record)
    context.print(details, lambda: "\n".join(f"{name:<12} {value}" for name, value in details.items()))


@jobs.command()
@click.argument("job_ids", nargs=-1, required=True, metavar="JOB_ID...")
@url_option
@json_option
@pass_context
def cancel(context: Context, job_ids: tuple[str, ...]) -> None:
    """Cancel jobs: at once while they wait; a running one is told to stop."""
    each(context, job_ids, _cancel)


@jobs.command()
@click.argument("job_ids", nargs=-1, required=True, metavar="JOB_ID...")
@hand_options
@url_option
@json_option
@pass_context
def retry(context: Context, job_ids: tuple[str, ...], by: str | None, reason: str) -> None:
    """Run dead letters again, with their attempts counted anew; `tidemill dead retry` can do more."""
    each(context, job_ids, lambda job: str(job.retry(by=by, reason=reason).state))


def _cancel(job: Job[Any]) -> str:
    if not job.cancel():
        return f"was over already: {job.state}"
    return "cancelled" if job.state == "cancelled" else "runs, and was told to stop"


def each(context: Context, job_ids: tuple[str, ...], action: Callable[[Job[Any]], str]) -> None:
    """Does it for every job; the first error decides the exit code, after all were tried.

    A server that does not answer ends it at once: each further job would wait for it as long.
    """
    answers: dict[str, str] = {}
    first: TidemillError | None = None
    for job_id in job_ids:
        try:
            answers[job_id] = action(context.mill.job(job_id))
        except ServerUnavailable:
            raise
        except TidemillError as error:
            answers[job_id] = str(error)
            first = first or error
    context.print(answers, lambda: "\n".join(f"{job_id}  {answer}" for job_id, answer in answers.items()))
    if first is not None:
        raise first


def _time(milliseconds: int) -> str | None:
    if not milliseconds:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


def _summary(record: Record) -> dict[str, object]:
    return {
        "id": record.id,
        "state": str(state_of(record)),
        "queue": record.queue,
        "task": record.task,
        "attempt": record.attempt - record.uncounted,
    }


def _line(job: Job[Any]) -> str:
    error = f"  {job.error.type}: {job.error.message}"[:80] if job.error else ""
    return f"{job.id}  {job.state:<9}  {job.task}  attempt {job.attempt}{error}"


def details_of(record: Record) -> dict[str, object]:
    """All that is known of a job, but its arguments and its result, by name."""
    found: dict[str, object] = {
        **_summary(record),
        "template": reference.shown(record.options),
        "priority": record.priority,
        "created": _time(record.created_ms),
        "due": _time(record.due_ms),
        "started": _time(record.started_ms),
        "finished": _time(record.finished_ms),
        "expires": _time(record.expires_ms),
        "crashes": record.crashes or None,
        "worker": record.lease or None,
        "parked": record.parked or None,
        "tenant": record.tenant or None,
        "cancel": "requested" if record.cancel_requested else None,
        "progress": record.progress,
        "error": f"{record.error.type}: {record.error.message}" if record.error else None,
        "traceback": record.error.traceback if record.error and record.error.traceback else None,
    }
    return {name: value for name, value in found.items() if value is not None}
