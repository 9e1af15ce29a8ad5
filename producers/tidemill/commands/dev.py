"""`tidemill dev MODULE:APP`: server, scheduler and worker, and the worker anew whenever code changes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from tidemill import logs
from tidemill.commands.root import Context, log_options, pass_context, url_option
from tidemill.lifecycle import Signals, supervise

# How often files are looked at: soon enough for a person, and a few stat calls for the machine.
_LOOK_SECONDS: Final = 0.5
# A scheduler that ends is started again after this.
_RESTART_SECONDS: Final = 2.0
# How long a process may take to end after its grace, before it is killed.
_EXIT_SECONDS: Final = 15.0
# Those of `tidemill worker`, which the client does not import. A wrong one is to be told at once.
LIMITERS: Final = ("fixed", "gradient", "gradient2", "windowed")
# Folders that hold no code of yours; so do those whose name begins with a dot, and virtual environments.
_SKIPPED: Final = frozenset({"__pycache__", "node_modules", "site-packages"})

Snapshot = dict[str, tuple[int, int]]


@click.command()
@click.argument("app", metavar="MODULE:APP")
@click.option("--queues", default="", help="Comma-separated; default: all queues of the application's tasks.")
@click.option("--concurrency", type=click.IntRange(1, 10_000), help="Jobs at a time.  [default: the worker's]")
@click.option("--concurrency-limiter", type=click.Choice(LIMITERS), help="See worker --help.  [default: the worker's]")
@click.option(
    "--grace",
    type=click.FloatRange(0, 86_400),
    default=5.0,
    show_default=True,
    help="Seconds that running jobs get at a restart; then they are handed back, and run again.",
)
@click.option("--template-cache-entries", type=click.IntRange(1), help="See worker --help.  [default: the worker's]")
@click.option("--template-cache-bytes", type=click.IntRange(1), help="See worker --help.  [default: the worker's]")
@click.option("--template-warming/--no-template-warming", default=True, help="See worker --help.")
@url_option
@log_options
@pass_context
def dev(context: Context, /, app: str, grace: float, template_warming: bool, **chosen: str | int | None) -> None:
    """Run server, scheduler and worker while you write code.

    The worker is started again when a .py file below the current directory changes. Code that can't be imported ends
    the worker, not this: it waits for the next change. Without a URL the embedded server is used, which stays up. An
    application that names a server in its code needs the same one as --url here, for its scheduler.
    """
    options = [f"--grace={grace}", "--template-warming" if template_warming else "--no-template-warming"]
    # The rest of the options are the worker's by name, with its defaults.
    options += [f"--{name.replace('_', '-')}={value}" for name, value in chosen.items() if value is not None]
    signals = Signals()
    supervise()
    click.echo(f"server: {logs.mask_url(context.mill.url)}")
    # Python takes a compiled file for current when its source has the same size and the same second of change.
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    _Session([app, *options], grace, signals).run()


class _Session:
    """A scheduler that is kept up, and a worker that follows the code."""

    def __init__(self, arguments: list[str], grace_seconds: float, signals: Signals) -> None:
        self._arguments = arguments
        self._grace_seconds = grace_seconds
        self._signals = signals
        self._folder = Path.cwd()
        self._scheduler: subprocess.Popen[bytes] | None = None
        self._worker: subprocess.Popen[bytes] | None = None
        self._scheduler_at = 0.0  # monotonic seconds, when it may start

    def run(self) -> None:
        seen = snapshot(self._folder)
        try:
            self._start_worker()
            while not self._signals.stop.is_set():
                self._tend_scheduler()
                self._tend_worker()
                self._signals.wait(_LOOK_SECONDS)
                found = snapshot(self._folder)
                if found != seen and not self._signals.stop.is_set():
                    click.echo(f"{_changes(seen, found)}: starting the worker again")
                    self._stop(self._worker)
                    self._start_worker()
                seen = found
        finally:
            click.echo("stopping")
            self._stop(self._worker, self._scheduler)

    def _start_worker(self) -> None:
        self._worker = _start("worker", "--no-supervisor", *self._arguments)
        click.echo(f"worker: pid {self._worker.pid}")

    def _tend_worker(self) -> None:
        if self._worker is not None and (code := self._worker.poll()) is not None:
            click.echo(f"the worker ended ({_how(code)}); it starts again when a .py file changes")
            self._worker = None

    def _tend_scheduler(self) -> None:
        now = time.monotonic()
        if self._scheduler is not None and (code := self._scheduler.poll()) is not None:
            click.echo(f"the scheduler ended ({_how(code)}); it starts again in {_RESTART_SECONDS:g} s")
            self._scheduler, self._scheduler_at = None, now + _RESTART_SECONDS
        if self._scheduler is None and now >= self._scheduler_at:
            self._scheduler = _start("scheduler")
            click.echo(f"scheduler: pid {self._scheduler.pid}")

    def _stop(self, *processes: subprocess.Popen[bytes] | None) -> None:
        running = [process for process in processes if process is not None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + self._grace_seconds + _EXIT_SECONDS
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _start(*arguments: str) -> subprocess.Popen[bytes]:
    # In a session of its own: Ctrl-C is for `dev`, which stops the others in order.
    return subprocess.Popen(
        [sys.executable, "-m", "tidemill", *arguments], stdin=subprocess.DEVNULL, start_new_session=True
    )


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def snapshot(folder: Path) -> Snapshot:
    """When each .py file below the folder was changed, in ns, and its size in bytes."""
    found: Snapshot = {}
    for path in _sources(folder):
        try:
            status = os.stat(path)
        except FileNotFoundError:  # it was there a moment ago
            continue
        found[path] = (status.st_mtime_ns, status.st_size)
    return found


def _sources(folder: Path) -> Iterator[str]:
    for place, below, files in os.walk(folder):
        below[:] = [name for name in below if not name.startswith(".") and name not in _SKIPPED]
        if "pyvenv.cfg" in files:
            below.clear()
            continue
        yield from (os.path.join(place, name) for name in files if name.endswith(".py"))


def _changes(before: Snapshot, after: Snapshot) -> str:
    """The first file that changed, and how many others did."""
    changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    others = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    return f"{os.path.relpath(changed[0])}{others} changed"
