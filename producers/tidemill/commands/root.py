"""The root of the command line: finds commands by their entry points, and turns errors into exit codes.

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | an error; the message says which |
| 2 | wrong usage or input |
| 3 | not found: no such job, or no server runs |
| 4 | the server does not answer |
| 5 | the job failed, or was cancelled: for commands that wait for one, such as plug-ins |
| 6 | `doctor` found something that is not repaired |
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, Concatenate, Final, Literal, ParamSpec, TypeVar, cast

import click

from tidemill.app import Tidemill
from tidemill.errors import (
    InvalidInput,
    JobCancelled,
    JobFailed,
    JobNotFound,
    ServerUnavailable,
    TidemillError,
)
from tidemill.logs import LEVELS, configure

ENTRY_POINT_GROUP: Final = "tidemill.commands"

F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")
R = TypeVar("R")


class Failure(click.ClickException):
    """An error of ours, as a line on stderr; `code` is what the process exits with."""

    def __init__(self, error: TidemillError) -> None:
        super().__init__(str(error))
        self.code = exit_code(error)


def exit_code(error: TidemillError) -> int:
    match error:
        case JobNotFound():
            return 3
        case ServerUnavailable():
            return 4
        case JobFailed() | JobCancelled():
            return 5
        case InvalidInput():
            return 2
        case _:
            return 1


class Context:
    """What the common options chose."""

    def __init__(self) -> None:
        self.url: str | None = None
        self.json = False
        self._mill: Tidemill | None = None

    @property
    def mill(self) -> Tidemill:
        if self._mill is None:
            self._mill = Tidemill(self.url)
            click.get_current_context().call_on_close(self._mill.close)
        return self._mill

    def print(self, data: object, human: Callable[[], str]) -> None:
        """One JSON document with --json, text for people without."""
        click.echo(json.dumps(data, default=str) if self.json else human())


pass_context = click.make_pass_decorator(Context, ensure=True)


def _set_url(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value:
        ctx.ensure_object(Context).url = value
        os.environ["TIDEMILL_URL"] = value  # for applications that name no server, and for processes started here


def _set_json(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.ensure_object(Context).json = value


def url_option(function: F) -> F:
    """--url."""
    return click.option(
        "--url",
        envvar="TIDEMILL_URL",
        expose_value=False,
        callback=_set_url,
        help="The server: redis://, rediss://, unix://, redis+sentinel://; default: TIDEMILL_URL, else an embedded.",
    )(function)


def json_option(function: F) -> F:
    """--json."""
    return click.option(
        "--json", is_flag=True, expose_value=False, callback=_set_json, help="Print JSON, for programs."
    )(function)


def hand_options(function: F) -> F:
    """--by and --reason, for what is done by hand."""
    for option in (
        click.option("--reason", default="", help="Why, for the audit."),
        click.option("--by", help="Who does it, for the audit.  [default: user@host]"),
    ):
        function = option(function)
    return function


def reporting(function: Callable[Concatenate[Context, P], R]) -> Callable[P, R]:
    """--url and --json, and the context that they make, for what asks the server and prints the answer."""
    return url_option(json_option(pass_context(function)))


def _configure_logs(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    os.environ[f"TIDEMILL_{(parameter.name or '').upper()}"] = value  # processes started here log alike
    wanted = ctx.meta.setdefault("tidemill.logs", {})
    wanted[parameter.name] = value
    if len(wanted) == 2:
        configure(cast(Literal["human", "json"], wanted["log_format"]), wanted["log_level"])
    return value


def log_options(function: F) -> F:
    """--log-format and --log-level, for commands that run until they are stopped."""
    for name, choices, default, text in (
        ("--log-format", ("human", "json"), "human", "How log lines are written, on stderr."),
        ("--log-level", LEVELS, "info", "The least level that is logged."),
    ):
        variable = "TIDEMILL" + name.replace("-", "_").upper()[1:]
        function = click.option(
            name,
            type=click.Choice(choices),
            default=default,
            show_default=True,
            envvar=variable,
            expose_value=False,
            callback=_configure_logs,
            help=text,
        )(function)
    return function


class Root(click.Group):
    """Loads a command when it is used, so that `tidemill stats` does not import the worker."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(point.name for point in entry_points(group=ENTRY_POINT_GROUP))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for point in entry_points(group=ENTRY_POINT_GROUP):
            if point.name == cmd_name:
                return cast(click.Command, point.load())
        return None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TidemillError as error:
            failure = Failure(error)
            failure.show()
            ctx.exit(failure.code)


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tidemill")
def tidemill() -> None:
    """A message-queue driven worker fleet on Redis: workers, schedulers, and a look inside."""
