"""Jobs whose limits are unknown to who enqueued them: by the task's name alone, by a schedule, or before it had any.

Their worker names the limits, in the record, and hands them back: then `take` decides on them as on all others.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tidemill.errors import TidemillError
from tidemill.wire.command import Command
from tidemill.wire.envelope import Codec
from tidemill.wire.scripts import Scripts, Taken
from tidemill_consumers import pipeline
from tidemill_consumers.outcomes import Dead, Outcome, Released
from tidemill_consumers.run import Run


def is_unconfined(run: Run) -> bool:
    """It has limits that its record does not name. One whose template is not there yet is asked again when it is."""
    limits = run.definition.limits
    return limits is not None and run.wanted is None and not limits.are_named(run.taken.limits)


def confine(
    runs: Iterable[Run], scripts: Scripts, codec: Codec, send: Callable[[Sequence[Command[Any]]], object]
) -> list[tuple[Taken, Outcome]]:
    """Names the limits of these jobs. Returns how they are settled."""
    settled: list[tuple[Taken, Outcome]] = []
    commands: list[Command[Any]] = []
    for run in runs:
        found = _names(run, codec)
        if isinstance(found, str):
            commands.append(scripts.confine(run.taken, found))
            settled.append((run.taken, Released()))
        else:
            settled.append((run.taken, found))
    if commands:
        # Without an answer they are handed back all the same, and come again.
        with contextlib.suppress(TidemillError):
            send(commands)
    return settled


def _names(run: Run, codec: Codec) -> str | Dead:
    assert run.definition.limits is not None
    try:
        args, kwargs = pipeline.arguments_of(run, codec)
        return run.definition.limits.names(args, kwargs)
    except TidemillError as error:
        return Dead(pipeline.describe(error), "limits")
    except Exception as error:  # noqa: BLE001 - a function of the application: of its arguments it made no key
        return Dead(pipeline.describe(error), "limits")
