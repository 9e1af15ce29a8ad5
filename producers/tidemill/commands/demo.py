"""`tidemill demo`: the example application on a fleet of its own, with a report."""

from __future__ import annotations

import os
import shutil
import signal
import sysconfig
import time
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from tidemill import embedded, logs
from tidemill.commands.root import Context, json_option, pass_context, url_option
from tidemill.embedded_process import SYNC_VARIABLE
from tidemill.errors import JobFailed, TidemillError

if TYPE_CHECKING:
    from tidemill.demo.report import Report
    from tidemill.demo.unfinished import Run
    from tidemill.lifecycle import Signals

# A worker that is killed in the demo is noticed after this: sooner than by default, since somebody watches.
_LEASE_SECONDS: Final = 10.0
# How long a former demo's server may take to end, however often its last processes start it again, and how long after
# that they may still do so.
_STOP_SECONDS: Final = 20.0
_LAST_WORDS_SECONDS: Final = 1.0
# What shells report of a process that Ctrl-C ended.
_INTERRUPTED_EXIT_CODE: Final = 128 + signal.SIGINT


@click.command()
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True, help="Worker processes.")
@click.option("--files", "most", type=click.IntRange(1), help="Index this many files, evenly spread.  [default: all]")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder to index.  [default: the standard library]",
)
@click.option("--lease", type=click.FloatRange(0.5, 3600), default=_LEASE_SECONDS, hidden=True)
@url_option
@json_option
@pass_context
def demo(context: Context, workers: int, most: int | None, root: Path | None, lease: float) -> None:
    """Index Python's standard library on a scheduler and two workers, and report.

    Without --url it runs on an embedded server of its own, in ./.tidemill/demo, where the logs are too. Whatever is
    killed in the middle is started again; if that was the demo itself, run it again, and it goes on. Exit code 0: every
    figure adds up; 1: one does not, or the fleet got nowhere.
    """
    from tidemill.demo import files, report
    from tidemill.demo.following import Stopped
    from tidemill.lifecycle import Signals

    signals = Signals()
    folder = (root or Path(sysconfig.get_path("stdlib"))).resolve()
    place = Path(os.environ.get(embedded.DIRECTORY_VARIABLE) or embedded.DIRECTORY_NAME) / "demo"
    try:
        with _locked(place):
            names = files.find(folder, most)
            plan = _Plan(folder, names, workers, lease, place.resolve(), logs.mask_url(context.url or ""))
            with _server(plan, context.url):
                made = _run(plan, signals)
    except Stopped:
        click.echo("stopped", err=True)
        raise SystemExit(_INTERRUPTED_EXIT_CODE) from None
    except (RuntimeError, TimeoutError, JobFailed) as error:
        raise click.ClickException(f"{error}; logs are in {place}") from error
    context.print(made.as_data(), lambda: f"\n{report.text(made)}{_hint(made, place, context.url)}")
    if not made.adds_up:
        raise SystemExit(1)


@dataclass(frozen=True, slots=True)
class _Plan:
    """`place`: where logs, and the embedded server, are. `server`: the URL that was named, without its password."""

    root: Path
    names: list[str]
    workers: int
    lease_seconds: float
    place: Path
    server: str

    def unfinished(self) -> Run | None:
        from tidemill.demo import unfinished

        return unfinished.find(self.place, self.root, self.names, self.server)


def _run(plan: _Plan, signals: Signals) -> Report:
    from tidemill.demo import app, report, run, unfinished, verification
    from tidemill.demo.catalog import Catalog
    from tidemill.demo.fleet import running_fleet
    from tidemill.demo.following import Follower, clear

    began = time.monotonic()
    with ExitStack() as stack:
        stack.enter_context(app.mill)
        found = plan.unfinished()
        under_way = found or _begin(plan)
        stack.callback(unfinished.forget, plan.place)
        stack.callback(clear)
        catalog = stack.enter_context(closing(Catalog(plan.place, goes_on=found is not None)))
        with running_fleet(plan.workers, plan.lease_seconds, plan.place) as fleet:
            follower = Follower(under_way, fleet, catalog, signals)
            follower.progress.say(f"{len(plan.names):,} files in {plan.root}: started {fleet.describe()}")
            if found:
                follower.progress.say("the last demo was killed: this one goes on with it")
            collected = run.collect(under_way, follower, catalog)
    truth = verification.verify(plan.root, plan.names, follower.check)
    whole_seconds = time.monotonic() - began
    return report.make(
        plan.root, collected, truth, workers=plan.workers, worker_restarts=fleet.restarts, whole_seconds=whole_seconds
    )


def _begin(plan: _Plan) -> Run:
    """A demo from the start."""
    from tidemill.demo import app, unfinished
    from tidemill.demo.following import clear
    from tidemill.demo.unfinished import Counters

    clear()
    counted = [Counters.of(app.mill.inspect.queue(queue)) for queue in (app.FILES, app.FOLDERS)]
    return unfinished.begin(plan.place, plan.root, plan.names, plan.server, *counted)


@contextmanager
def _locked(place: Path) -> Generator[None]:
    """One demo at a time in a directory: they would share server and logs."""
    import fcntl

    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise click.ClickException(f"another demo runs in {place.parent.absolute()}") from None
        yield


def _stop_for_good(directory: Path) -> None:
    """Processes of a demo that was killed may be about to end, and start the server again when they miss it."""
    deadline = time.monotonic() + _STOP_SECONDS
    while True:
        try:
            if not embedded.stop(directory, _STOP_SECONDS / 4):
                return
        except TidemillError:
            if time.monotonic() > deadline:
                raise
        else:
            time.sleep(_LAST_WORDS_SECONDS)


@contextmanager
def _server(plan: _Plan, url: str | None) -> Generator[None]:
    """The server that was named, else an embedded one, with nothing in it but what a demo that was killed has left.

    All processes find it by its directory, not by a URL: so whichever misses it first starts it again.
    """
    if url:
        yield
        return
    directory = plan.place / "server"
    os.environ[embedded.DIRECTORY_VARIABLE] = str(directory)
    if not plan.unfinished():
        _stop_for_good(directory)
        shutil.rmtree(directory, ignore_errors=True)
    # Its report must be the same whatever was killed, on a slow disk too.
    os.environ.setdefault(SYNC_VARIABLE, "always")
    embedded.ensure_running(directory)
    try:
        yield
    finally:
        with suppress(TidemillError):
            embedded.stop(directory)


def _hint(made: Report, place: Path, url: str | None) -> str:
    if url or not made.dead_lettered:
        return ""
    variable = f"{embedded.DIRECTORY_VARIABLE}={place / 'server'}"
    return f"\n\nThe dead letters are kept: {variable} tidemill jobs list --queue demo.files --state dead"
