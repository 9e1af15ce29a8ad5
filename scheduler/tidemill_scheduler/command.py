"""`tidemill scheduler`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import click

from tidemill import telemetry
from tidemill.commands.root import Context, log_options, pass_context, url_option
from tidemill.names import type_name
from tidemill.telemetry import Event

if TYPE_CHECKING:
    from tidemill.lifecycle import Signals
    from tidemill_scheduler.service import Scheduler


@click.command()
@url_option
@log_options
@pass_context
def scheduler(context: Context) -> None:
    """Promote due jobs, recover those of dead workers, make recurring ones.

    It needs no application code. Run two or more for availability: they need no leader.
    """
    from tidemill.lifecycle import Signals, exempt_what_is_loaded
    from tidemill_scheduler.service import Scheduler

    signals = Signals()
    service = Scheduler(context.mill)
    exempt_what_is_loaded()
    runner = threading.Thread(target=_run, args=(service, signals), name="tidemill-scheduler")
    runner.start()
    signals.wait()
    service.stop()
    runner.join()
    context.mill.close()
    click.get_current_context().exit(int(signals.failed))


def _run(service: Scheduler, signals: Signals) -> None:
    """Without its thread the process must end, instead of looking alive."""
    try:
        service.run()
    except BaseException as error:  # noqa: BLE001 - whatever it is, the thread is gone
        telemetry.event(Event.SCHEDULER_FAILED, exc=error, scheduler=service.name, error=type_name(type(error)))
        signals.fail()
