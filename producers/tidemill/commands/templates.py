"""`tidemill templates`: look at job templates and their versions, publish, retire and label them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from tidemill.commands import template_text
from tidemill.commands.ages import age
from tidemill.commands.root import Context, hand_options, reporting
from tidemill.templates.facade import KEPT_SECONDS
from tidemill.templates.steering import MAX_WEIGHT

_NUMBER = click.IntRange(1)


def _which(_: click.Context, __: click.Parameter, value: str | None) -> int | str | None:
    """A number, or the name of a label, or "newest"."""
    return int(value) if value and value.isdecimal() else value


@click.group()
def templates() -> None:
    """Look at job templates, publish, retire and label their versions."""


@templates.command("list")
@reporting
def list_templates(context: Context) -> None:
    """List the templates with what is current."""
    found = context.mill.templates.list()
    context.print([template_text.template(one) for one in found], lambda: template_text.table(found))


@templates.command()
@click.argument("name")
@click.argument("version", required=False, callback=_which)
@reporting
def show(context: Context, name: str, version: int | str | None) -> None:
    """Show the versions of a template, or what one of them says: its number, a label, or "newest"."""
    if version is None:
        found = context.mill.templates.versions(name)
        data = {"template": name, "versions": [template_text.version(one) for one in found]}
        context.print(data, lambda: template_text.table_of_versions(found))
        return
    content = context.mill.templates.show(name, version)
    context.print(template_text.content(content), lambda: template_text.content_lines(content))


@templates.command()
@click.argument("name")
@click.argument("before", callback=_which)
@click.argument("after", callback=_which, default="newest")
@reporting
def diff(context: Context, name: str, before: int | str, after: int | str) -> None:
    """Show what has changed from version BEFORE to version AFTER: defaults, options and schema."""
    found = context.mill.templates.diff(name, before, after)
    context.print(template_text.difference(found), lambda: template_text.difference_lines(found))


@templates.command()
@click.argument("name", required=False)
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--app", metavar="MODULE:APP", help="Publish all templates that this application declares.")
@reporting
def publish(context: Context, name: str | None, file: Path | None, app: str | None) -> None:
    """Publish the templates of an application, or one from a FILE (TOML, or JSON if it ends in .json).

    A file has the task, and may have a table of defaults, queue, priority, retry (a table), timeout, critical, expires
    and result_ttl. Content that was published before keeps its number.
    """
    from tidemill.commands.template_files import publish_declared, publish_file

    if app is not None and name is None:
        found = publish_declared(app)
    elif app is None and name is not None and file is not None:
        found = [publish_file(context.mill, name, file)]
    else:
        raise click.UsageError("say either --app MODULE:APP, or the NAME of a template and a FILE")
    context.print([template_text.published(one) for one in found], lambda: template_text.published_lines(found))


@templates.command()
@click.argument("name")
@click.argument("version", type=_NUMBER)
@click.option(
    "--keep",
    callback=age,
    default=f"{KEPT_SECONDS / 86_400:.0f}d",
    show_default=True,
    help="How long its content stays for jobs that were enqueued: 90s, 12h, 30d.",
)
@hand_options
@reporting
def retire(context: Context, name: str, version: int, keep: timedelta, by: str | None, reason: str) -> None:
    """Let nothing more be enqueued for a version; what was enqueued still runs."""
    found = context.mill.templates.retire(name, version, keep=keep, by=by, reason=reason)
    context.print(
        {**template_text.version(found), "kept_s": keep.total_seconds()},
        lambda: f"version {version} of {name} is retired; its content is kept for {keep}",
    )


@templates.command()
@click.argument("name")
@click.argument("version", type=_NUMBER)
@hand_options
@reporting
def restore(context: Context, name: str, version: int, by: str | None, reason: str) -> None:
    """Take back that a version is retired, as long as its content is kept."""
    found = context.mill.templates.restore(name, version, by=by, reason=reason)
    context.print(template_text.version(found), lambda: f"version {version} of {name} is not retired")


@templates.command()
@click.argument("name")
@click.argument("label")
@click.argument("version", type=_NUMBER)
@click.option(
    "--weight",
    type=click.IntRange(0, MAX_WEIGHT),
    default=0,
    show_default=True,
    help="Its share of the jobs that name no version, among the weights of all labels.",
)
@hand_options
@reporting
def label(context: Context, name: str, label: str, version: int, weight: int, by: str | None, reason: str) -> None:
    """Put a LABEL on a version, in place of where it was."""
    found = context.mill.templates.label(name, label, version, weight, by=by, reason=reason)
    context.print(template_text.template(found), lambda: template_text.labels_line(found))


@templates.command()
@click.argument("name")
@click.argument("label")
@hand_options
@reporting
def unlabel(context: Context, name: str, label: str, by: str | None, reason: str) -> None:
    """Remove a LABEL."""
    found = context.mill.templates.unlabel(name, label, by=by, reason=reason)
    context.print(template_text.template(found), lambda: template_text.labels_line(found))
