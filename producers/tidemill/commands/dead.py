"""`tidemill dead`: find dead letters, run them again, remove them, and see who did."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

import click

from tidemill.app import Tidemill
from tidemill.commands import dead_edit, dead_text
from tidemill.commands.dead_options import all_option, filter_of, filter_options
from tidemill.commands.jobs import each
from tidemill.commands.root import Context, hand_options, json_option, pass_context, url_option
from tidemill.dead_letters import BulkResult

# What shells report of a process that Ctrl-C ended.
_INTERRUPTED_EXIT_CODE: Final = 128 + signal.SIGINT


@click.group()
def dead() -> None:
    """Find dead letters, run them again, remove them, and see who did."""


@dead.command("list")
@filter_options
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--cursor", help="Where the page before has ended.")
@url_option
@json_option
@pass_context
def list_letters(context: Context, /, limit: int, cursor: str | None, **which: object) -> None:
    """List dead letters: queue by queue, in each the newest first."""
    page = context.mill.dead_letters.browse(cursor=cursor, limit=limit, **filter_of(which))
    data = {"letters": [dead_text.letter(one) for one in page.letters], "cursor": page.cursor}
    context.print(data, lambda: dead_text.page(page))


@dead.command()
@filter_options
@url_option
@json_option
@pass_context
def counts(context: Context, /, **which: object) -> None:
    """Count dead letters by the type of their error."""
    found = context.mill.dead_letters.counts(**filter_of(which))
    context.print(found, lambda: dead_text.table_of_counts(found))


@dead.command()
@click.argument("job_id")
@click.option("--arguments", "with_arguments", is_flag=True, help="Its arguments too: they may be confidential.")
@url_option
@json_option
@pass_context
def show(context: Context, job_id: str, with_arguments: bool) -> None:
    """Show a job with its error, what was done to it by hand, and its events that are still kept."""
    letters = context.mill.dead_letters
    found = letters.history(job_id)
    arguments = letters.arguments(job_id) if with_arguments else None
    context.print(dead_text.history(found, arguments), lambda: dead_text.history_lines(found, arguments))


@dead.command()
@click.argument("job_ids", nargs=-1, metavar="[JOB_ID...]")
@filter_options
@all_option
@click.option("--rate", help="At most so many jobs: 50/s, 600/m, 1000/h.  [default: as fast as it goes]")
@click.option("--limit", type=click.IntRange(1), help="At most so many letters.")
@click.option("--args", "args", help="One job's new positional arguments, as a JSON list.")
@click.option("--kwargs", "kwargs", help="One job's new named arguments, as a JSON object.")
@click.option("--app", metavar="MODULE:APP", help="Check new arguments against the task of this application.")
@hand_options
@url_option
@json_option
@pass_context
def retry(
    context: Context,
    /,
    job_ids: tuple[str, ...],
    everything: bool,
    rate: str | None,
    limit: int | None,
    args: str | None,
    kwargs: str | None,
    app: str | None,
    by: str | None,
    reason: str,
    **which: object,
) -> None:
    """Run dead letters again, with their attempts counted anew: by their ids, or those that fit a filter.

    May be interrupted with Ctrl-C, or killed: what was retried is no dead letter any more, so say the same again.
    """
    chosen = filter_of(which, everything=everything)
    if job_ids and (chosen or rate or limit):
        raise click.UsageError("job ids go without a filter, --rate and --limit")
    if args is not None or kwargs is not None:
        dead_edit.retry(context, job_ids, args, kwargs, app, by, reason)
    elif app is not None:
        raise click.UsageError("--app is for --args and --kwargs")
    elif job_ids:
        each(context, job_ids, lambda job: str(job.retry(by=by, reason=reason).state))
    else:
        seen = Seen()
        letters = context.mill.dead_letters
        _until_interrupted(
            context,
            seen,
            "retried",
            lambda: letters.retry_all(rate=rate, limit=limit, by=by, reason=reason, report=seen, **chosen),
        )


@dead.command()
@filter_options
@all_option
@click.option("--yes", is_flag=True, help="Remove them; without it they are only counted.")
@hand_options
@url_option
@json_option
@pass_context
def purge(context: Context, /, everything: bool, yes: bool, by: str | None, reason: str, **which: object) -> None:
    """Remove dead letters that fit a filter, with their arguments and errors, for good."""
    chosen = filter_of(which, everything=everything)
    letters = context.mill.dead_letters
    if not yes:
        fitting = letters.purge(dry_run=True, by=by, reason=reason, **chosen).matched
        data = {"dry_run": True, "matched": fitting, "removed": 0}
        context.print(data, lambda: f"{fitting} dead letters fit; nothing was removed: say --yes to remove them")
        return
    seen = Seen()
    _until_interrupted(context, seen, "removed", lambda: letters.purge(by=by, reason=reason, report=seen, **chosen))


@dead.command("history")
@click.option("--job", "job_id", help="What was done to this job.")
@click.option("--operation", help="What was done in this action, as retry and purge name it.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@url_option
@json_option
@pass_context
def list_actions(context: Context, job_id: str | None, operation: str | None, limit: int) -> None:
    """List what was done to dead letters by hand: when, who, why, and to which jobs; the last first."""
    found = context.mill.dead_letters.actions(job_id=job_id, operation=operation, limit=limit)
    context.print([asdict(one) for one in found], lambda: dead_text.actions(found))


class Seen:
    """The last that a bulk action has reported."""

    def __init__(self) -> None:
        self.last: BulkResult | None = None

    def __call__(self, result: BulkResult) -> None:
        self.last = result


def _until_interrupted(context: Context, seen: Seen, verb: str, action: Callable[[], BulkResult]) -> None:
    """Says what was done, also when that was not all."""
    try:
        result = action()
    except KeyboardInterrupt:
        if seen.last is not None:
            _print(context, seen.last.operation, verb, _in_audit(context.mill, seen.last.operation), None)
        raise SystemExit(_INTERRUPTED_EXIT_CODE) from None
    except BaseException:
        if seen.last is not None:
            click.echo(f"{verb} {seen.last.done} dead letters before this error", err=True)
        raise
    _print(context, result.operation, verb, result.done, result)


def _in_audit(mill: Tidemill, operation: str) -> int:
    """How many, by the server's word: an interrupted call may have come through."""
    return sum(len(one.jobs) for one in mill.dead_letters.actions(operation=operation, limit=None))


def _print(context: Context, operation: str, verb: str, done: int, result: BulkResult | None) -> None:
    data: dict[str, Any] = {"operation": operation, verb: done, "interrupted": result is None}
    if result is not None:
        data |= {"matched": result.matched, "skipped": result.skipped}
    context.print(data, lambda: dead_text.bulk(verb, done, result, operation))
