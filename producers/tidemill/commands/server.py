"""`tidemill server start|stop|status`: the embedded server of a directory."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import click

from tidemill import embedded
from tidemill.errors import ServerUnavailable

# What `status` exits with when no server runs: the number that init scripts use for "not running".
NOT_RUNNING_EXIT_CODE = 3


@click.group()
def server() -> None:
    """The embedded server, which keeps its data in ./.tidemill (or in what TIDEMILL_DIR names)."""


def _options(command: Callable[..., None]) -> Callable[..., None]:
    directory = click.option(
        "--dir",
        "directory",
        type=click.Path(file_okay=False, path_type=Path),
        help="The server's directory.  [default: ./.tidemill]",
    )
    as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    return directory(as_json(command))


@server.command()
@_options
def start(directory: Path | None, as_json: bool) -> None:
    """Start the server, or find the one that runs; print its URL."""
    with _errors_shown():
        running = embedded.ensure_running(directory)
    click.echo(_as_json(running) if as_json else running.url)


@server.command()
@_options
def stop(directory: Path | None, as_json: bool) -> None:
    """Stop the server once its data is on disk. It is no error if none runs."""
    with _errors_shown():
        stopped = embedded.stop(directory)
    text = "stopped" if stopped else "not running"
    click.echo(json.dumps({"stopped": stopped}) if as_json else text)


@server.command()
@_options
def status(directory: Path | None, as_json: bool) -> None:
    """Say whether the server runs: exit code 0 if it does, 3 if not, 1 if it does not answer."""
    with _errors_shown():
        running = embedded.find(directory)
    click.echo(_as_json(running) if as_json else _as_text(running))
    if running is None:
        sys.exit(NOT_RUNNING_EXIT_CODE)


@contextmanager
def _errors_shown() -> Generator[None]:
    try:
        yield
    except ServerUnavailable as error:
        raise click.ClickException(str(error)) from error


def _as_text(running: embedded.EmbeddedServer | None) -> str:
    if running is None:
        return "not running"
    state = "loading its data" if running.loading else "running"
    return f"{state}: version {running.version}, pid {running.pid}, {running.url}"


def _as_json(running: embedded.EmbeddedServer | None) -> str:
    if running is None:
        return json.dumps({"running": False})
    return json.dumps(
        {
            "running": True,
            "loading": running.loading,
            "url": running.url,
            "pid": running.pid,
            "directory": str(running.directory),
            "version": running.version,
        }
    )
