"""An application whose tasks run in child processes, several of which are sent ahead."""

from __future__ import annotations

import os
import signal
import time

from tidemill import Tidemill, current_job
from worker.jobs_app import note, wait_for

mill = Tidemill()


@mill.task(executor="process")
def mark(journal: str, name: object) -> int:
    note(journal, name)
    return os.getpid()


@mill.task(executor="process")
def hold(journal: str, release: str) -> int:
    note(journal, "held")
    wait_for(release)
    return os.getpid()


@mill.task(executor="process", timeout=1)
def hang(journal: str) -> None:
    note(journal, "hangs")
    wait_for(f"{journal}.never")


@mill.task(executor="process")
def die_when_told(journal: str, release: str) -> None:
    note(journal, "held")
    wait_for(release)
    os._exit(7)


@mill.task(executor="process")
def fork_and_die(journal: str, release: str) -> None:
    """What it forks lives on, and has all that its parent had open."""
    if os.fork():
        os.kill(os.getpid(), signal.SIGKILL)
    note(journal, os.getpid())
    wait_for(release)
    os._exit(0)


@mill.task(executor="process", timeout=0.03)
def take_as_long_as_allowed(journal: str, name: object) -> None:
    """Ends at the very moment at which it is to be killed: before or after it."""
    remaining = current_job().remaining or 0
    time.sleep(max(0, remaining))
    note(journal, name)
