"""What the commands for dead letters take: filters and times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar, cast

import click

from tidemill.commands.ages import age_in
from tidemill.dead_letters import Filter

F = TypeVar("F", bound=Callable[..., Any])


def _when(_: click.Context, __: click.Parameter, value: str | None) -> datetime | timedelta | None:
    """An age, or a time with its zone."""
    if value is None:
        return None
    if (age := age_in(value)) is not None:
        return age
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        time = None
    if time is None or time.utcoffset() is None:
        raise click.BadParameter(
            f"{value!r} is neither an age, as 90s, 15m, 12h or 30d, nor a time with its zone, as 2026-03-01T12:00Z"
        )
    return time


_OPTIONS: Final = (
    click.option("--queue", help="Of this queue.  [default: all]"),
    click.option("--task", help="Of this task."),
    click.option("--error", help="With this type of error, as ValueError."),
    click.option("--text", help="With this text in the error's message."),
    click.option("--since", callback=_when, help="Died since: an age (12h, 30d) or a time with its zone."),
    click.option(
        "--before", "--older-than", callback=_when, help="Died before: an age (12h, 30d) or a time with its zone."
    ),
)


def filter_options(function: F) -> F:
    """--queue, --task, --error, --text, --since, --before; see `filter_of`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def all_option(function: F) -> F:
    """--all, for what changes letters."""
    return click.option("--all", "everything", is_flag=True, help="All dead letters of all queues.")(function)


def filter_of(given: Mapping[str, object], *, everything: bool = False) -> Filter:
    """What was given of a filter. everything: --all was said, so nothing else may be."""
    found = {name: given[name] for name in Filter.__annotations__ if given.get(name) is not None}
    if everything and found:
        raise click.UsageError(f"--all and --{', --'.join(found)} contradict each other: leave one of them out")
    return cast(Filter, {"before": timedelta(0)} if everything else found)
