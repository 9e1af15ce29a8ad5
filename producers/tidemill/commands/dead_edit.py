"""New arguments for one dead letter, from the command line."""

from __future__ import annotations

import json
from typing import Any

import click

from tidemill.app import Tidemill
from tidemill.commands.root import Context
from tidemill.errors import InvalidInput


def retry(
    context: Context,
    job_ids: tuple[str, ...],
    args: str | None,
    kwargs: str | None,
    app: str | None,
    by: str | None,
    reason: str,
) -> None:
    """Runs one job again with the arguments that are given. Raises InvalidInput, UsageError."""
    if len(job_ids) != 1:
        raise click.UsageError(f"--args and --kwargs are for one job id, not {len(job_ids)}")
    job = _mill(context, app).dead_letters.retry(
        job_ids[0],
        args=_parsed("--args", args, list, "list") or [],
        kwargs=_parsed("--kwargs", kwargs, dict, "object") or {},
        by=by,
        reason=reason,
    )
    context.print({job.id: str(job.state)}, lambda: f"{job.id}  {job.state}, with new arguments")


def _mill(context: Context, app: str | None) -> Tidemill:
    if app is None:
        return context.mill
    from tidemill.loading import load_app

    mill = load_app(app)
    click.get_current_context().call_on_close(mill.close)
    return mill


def _parsed(option: str, text: str | None, kind: type, called: str) -> Any:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"{option} must be JSON, not {text[:40]!r}: {error}") from error
    if not isinstance(value, kind):
        raise InvalidInput(f"{option} must be a JSON {called}, not {text[:40]!r}")
    return value
