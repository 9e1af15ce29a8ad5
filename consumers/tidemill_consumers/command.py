"""`tidemill worker MODULE:APP`."""

from __future__ import annotations

from typing import Any

import click

from tidemill.commands.root import log_options, url_option
from tidemill_consumers import settings
from tidemill_consumers.concurrency import ALGORITHMS, make_limiter
from tidemill_consumers.settings import WorkerSettings


def _names(_: click.Context, __: click.Parameter, given: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in given.split(",") if name.strip())


def _milliseconds(_: click.Context, __: click.Parameter, seconds: float) -> int:
    return int(seconds * 1000)


@click.command()
@click.argument("app", metavar="MODULE:APP")
@click.option(
    "--queues", callback=_names, default="", help="Comma-separated; default: all queues of the application's tasks."
)
@click.option("--processes", type=click.IntRange(1, 256), default=1, show_default=True, help="Worker processes.")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 10_000),
    default=settings.CONCURRENCY,
    show_default=True,
    help="Jobs at a time in each process; with a limiter that adapts, the most of them.",
)
@click.option(
    "--concurrency-limiter",
    type=click.Choice(list(ALGORITHMS)),
    default=settings.CONCURRENCY_LIMITER,
    show_default=True,
    help="Fewer jobs at a time when they slow each other down: gradient, gradient2 or windowed.",
)
@click.option(
    "--no-supervisor",
    is_flag=True,
    help="One process alone: a job that holds the interpreter for longer than --lease runs again elsewhere.",
)
@click.option(
    "--max-stall",
    type=click.FloatRange(1, 86_400),
    default=settings.MAX_STALL_SECONDS,
    show_default=True,
    help="Seconds for which a job may hold its worker's interpreter; then the worker is killed.",
)
@click.option("--with-scheduler", is_flag=True, help="Run a scheduler beside the workers.")
@click.option(
    "--grace",
    "grace_seconds",
    type=click.FloatRange(0, 86_400),
    default=settings.GRACE_SECONDS,
    show_default=True,
    help="Seconds that running jobs get after SIGTERM; then they are handed back.",
)
@click.option(
    "--lease",
    "lease_ms",
    callback=_milliseconds,
    type=click.FloatRange(0.5, 3_600),
    default=settings.LEASE_MS / 1000,
    show_default=True,
    help="Seconds of silence after which the worker is taken for dead.",
)
@click.option(
    "--server-deadline",
    "server_deadline_seconds",
    type=click.FloatRange(1, 86_400),
    default=settings.SERVER_DEADLINE_SECONDS,
    show_default=True,
    help="Seconds without an answer from the server, and without a running job, after which the worker exits with 1.",
)
@click.option("--child-processes", type=click.IntRange(0, 256), default=0, help="Children for executor='process'.")
@click.option("--child-max-jobs", type=click.IntRange(1), default=settings.CHILD_MAX_JOBS, show_default=True)
@click.option("--child-max-megabytes", type=click.IntRange(16), default=settings.CHILD_MAX_MEGABYTES, show_default=True)
@click.option(
    "--template-cache-entries",
    type=click.IntRange(1),
    default=settings.TEMPLATE_CACHE_ENTRIES,
    show_default=True,
    help="Versions of job templates that are held at most.",
)
@click.option(
    "--template-cache-bytes",
    type=click.IntRange(1),
    default=settings.TEMPLATE_CACHE_BYTES,
    show_default=True,
    help="Memory that they may take.",
)
@click.option(
    "--template-warming/--no-template-warming",
    default=True,
    help="Load the versions that the fleet uses most before the first job, and keep those that are used all day.",
)
@url_option
@log_options
def worker(
    app: str, processes: int, no_supervisor: bool, max_stall: float, with_scheduler: bool, **chosen: Any
) -> None:
    """Run the jobs of an application.

    MODULE is looked for in the current directory first; APP is a Tidemill in it, `mill` if left out.

    SIGTERM or Ctrl-C: stop taking, finish what runs within --grace seconds, hand back the rest, exit 0. A second signal
    ends at once, and what ran is recovered by a scheduler when the lease is over.

    A supervisor runs the worker as a process of its own: it starts it again when it dies, says what it died of, and
    keeps its lease while a job holds the interpreter.
    """
    from tidemill_consumers.service import run_one
    from tidemill_consumers.supervisor import run_fleet

    if no_supervisor and (processes > 1 or with_scheduler):
        raise click.UsageError("--no-supervisor is for one process: leave out --processes and --with-scheduler")
    worker_settings = WorkerSettings(app_path=app, **chosen)  # of what is given here, the names are the settings'
    make_limiter(worker_settings.concurrency_limiter, worker_settings.concurrency)  # what can't be had is said once
    if no_supervisor:
        code = run_one(worker_settings)
    else:
        code = run_fleet(worker_settings, processes, with_scheduler=with_scheduler, max_stall_seconds=max_stall)
    click.get_current_context().exit(code)
