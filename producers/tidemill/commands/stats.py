"""`tidemill stats`: the server, the queues and the workers at a glance."""

from __future__ import annotations

import time

import click

from tidemill.commands.queues import figures_of, table
from tidemill.commands.root import Context, json_option, pass_context, url_option
from tidemill.inspection import WorkerInfo


@click.command()
@url_option
@json_option
@pass_context
def stats(context: Context) -> None:
    """Show queues and workers."""
    queues = context.mill.inspect.queues()
    workers = context.mill.inspect.workers()
    data = {
        "queues": [figures_of(queue) for queue in queues],
        "workers": [
            {"worker": worker.incarnation, "lease_end_ms": worker.lease_end_ms, **worker.description}
            for worker in workers
        ],
    }
    context.print(data, lambda: f"{table(queues)}\n\n{_workers(workers)}")


def _workers(workers: list[WorkerInfo]) -> str:
    if not workers:
        return "no workers"
    return "\n".join(_line(worker) for worker in workers)


def _line(worker: WorkerInfo) -> str:
    about = worker.description
    left_seconds = (worker.lease_end_ms - time.time() * 1000) / 1000
    lease = f"lease {left_seconds:.0f} s" if left_seconds > 0 else "lease is over"
    limiter = f" ({about['limiter']})" if "limiter" in about else ""
    return (
        f"worker {worker.incarnation}  {about.get('host', '?')}:{about.get('pid', '?')}  "
        f"queues {about.get('queues', '?')}  concurrency {about.get('concurrency', '?')}{limiter}  {lease}"
    )
