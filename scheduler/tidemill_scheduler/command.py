"""`tidemill scheduler`."""

from __future__ import annotations

import threading

import click

from tidemill.commands.root import Context, log_options, pass_context, url_option


@click.command()
@url_option
@log_options
@pass_context
def scheduler(context: Context) -> None:
    """Promote due jobs, recover those of dead workers, make recurring ones.

    It needs no application code. Run two or more for availability: they need no leader.
    """
    from tidemill.lifecycle import wait_for_stop
    from tidemill_scheduler.service import Scheduler

    service = Scheduler(context.mill)

    def end() -> None:
        wait_for_stop()
        service.stop()

    runner = threading.Thread(target=service.run, name="tidemill-scheduler")
    runner.start()
    end()
    runner.join()
    context.mill.close()
