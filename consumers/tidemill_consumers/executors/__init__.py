"""Executors: where jobs run. A plug-in is a class of this shape under the entry point group `tidemill.executors`."""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import entry_points
from typing import Final, Protocol, cast

from tidemill.client import Client
from tidemill.errors import InvalidInput
from tidemill_consumers.outcomes import Outcome
from tidemill_consumers.run import Interrupt, Run
from tidemill_consumers.settings import WorkerSettings

ENTRY_POINT_GROUP: Final = "tidemill.executors"


class Host(Protocol):
    """What a worker offers to its executors. All calls may come from any thread."""

    settings: WorkerSettings
    client: Client

    def started(self, run: Run) -> None:
        """The run has begun: its timeout counts from now."""
        ...

    def finished(self, run: Run, outcome: Outcome) -> None:
        """The run is over; for each run exactly one call counts, the first."""
        ...

    def report(self, run: Run, fraction: float, text: str) -> None:
        """The job's progress."""
        ...

    def failed(self, role: str, error: BaseException) -> None:
        """A thread of the executor has died, and with it what it had to do: the process must end."""
        ...


class Executor(Protocol):
    """Runs jobs, at most `settings.concurrency` at a time; the others wait in it, in order."""

    def __init__(self, host: Host) -> None: ...

    def submit(self, run: Run) -> None:
        """Runs it soon. Ends in one `host.finished`, whatever happens."""
        ...

    def withdraw(self) -> list[Run]:
        """Gives up what has not started, and returns it."""
        ...

    def interrupt(self, run: Run, why: Interrupt) -> None:
        """Stops a run as far as this executor can. `run.stop(why)` was called before."""
        ...

    def close(self) -> None:
        """Frees what it holds; nothing runs any more, or what runs is given up."""
        ...


def load(names: Collection[str], host: Host) -> dict[str, Executor]:
    """The executors of these names. Raises InvalidInput that names those that are installed."""
    found = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    missing = sorted(set(names) - set(found))
    if missing:
        known = ", ".join(sorted(found))
        raise InvalidInput(f"executor {', '.join(map(repr, missing))} is not installed: one of {known}")
    kinds = {name: cast(type[Executor], found[name].load()) for name in names}
    return {name: kind(host) for name, kind in kinds.items()}
